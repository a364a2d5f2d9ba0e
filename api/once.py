"""The whole line once: `jumeau run --once` and `jumeau write-back --remove`."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from api.compose import worker_of
from api.parts import Counts
from api.settings import Settings
from api.worker import Worker, Written
from fhir_adapters import subscriptions
from fhir_adapters.outcomes import WriteResult
from fhir_adapters.write_back import find_ours
from twin.timebase import Clock, monotonic, shifted

ANNOTATED_TYPES = ("Appointment", "Procedure", "Encounter", "Location")


@dataclass(slots=True)
class Report:
    """What one run has to tell; `values` are the documented keys of `--json`."""

    read: int = 0
    facts: int = 0
    new: int = 0
    quarantined: int = 0
    not_surgical: int = 0
    rooms: list[dict[str, str]] = field(default_factory=list)
    cases: int = 0
    predictions: int = 0
    written: int = 0
    unchanged: int = 0
    conflicts: int = 0
    failed: int = 0
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)
    patches: list[dict[str, Any]] = field(default_factory=list)

    def values(self) -> dict[str, Any]:
        """The keys of `--json`."""
        return {
            "read": self.read,
            "facts": self.facts,
            "new": self.new,
            "quarantined": self.quarantined,
            "not_surgical": self.not_surgical,
            "rooms": self.rooms,
            "cases": self.cases,
            "predictions": self.predictions,
            "written": self.written,
            "unchanged": self.unchanged,
            "conflicts": self.conflicts,
            "failed": self.failed,
            "seconds": round(self.seconds, 2),
        }

    def text(self) -> str:
        """The same for a person."""
        rooms = "\n".join(f"  {room['name']} ({room['id']}): {room['reason']}" for room in self.rooms)
        return "\n".join(
            [
                f"read {self.read} resources: {self.facts} understood, {self.new} new, {self.quarantined} quarantined",
                f"{len(self.rooms)} rooms" + (f":\n{rooms}" if rooms else ""),
                f"{self.cases} cases, {self.not_surgical} appointments are not surgical",
                f"{self.predictions} predictions: {self.written} written, {self.unchanged} already there, "
                f"{self.conflicts} conflicts, {self.failed} failed",
                f"{self.seconds:.1f} s",
            ]
        )


async def run_once(settings: Settings, *, now: datetime | None, dry_run: bool) -> Report:
    """Read the whole horizon, predict, write back. Raises FhirServerError where the server is not reached."""
    started = monotonic()
    clock: Clock = shifted(now) if now else settings.make_clock()
    writes = settings.write_back.mode != "off" and not dry_run
    async with worker_of(settings, clock, alone=writes) as worker:
        worker.parts.simulation.expect_few()
        await worker.rebuild()
        counts = await worker.read_all()
        await worker.learn()
        await worker.predict()
        report = _report(worker, counts)
        await _write(worker, report, dry_run=dry_run)
    report.seconds = monotonic() - started
    return report


def _report(worker: Worker, counts: Counts) -> Report:
    shown = worker.snapshot
    if shown is None:
        raise RuntimeError("no snapshot after a prediction")
    suite = shown.suite
    return Report(
        read=counts.read,
        facts=counts.facts,
        new=counts.new,
        quarantined=counts.quarantined,
        not_surgical=suite.not_surgical,
        rooms=[{"id": room.id, "name": room.name, "reason": room.reason} for room in suite.rooms],
        cases=sum(twin.live for twin in suite.cases.values()),
        predictions=len(shown.timelines),
        notes=list(counts.warnings),
    )


async def _write(worker: Worker, report: Report, *, dry_run: bool) -> None:
    mode = worker.parts.settings.write_back.mode
    todo = worker.orders()
    if dry_run:
        results = await worker.dry_run()
        report.unchanged = todo.unchanged
        report.patches = [planned for result in results if (planned := _planned(result))]
        return
    told = await worker.write()
    report.notes.extend(worker.complaints)
    if mode == "off":
        report.notes.append(
            f"write-back is off: {len(todo.orders)} resources would have been annotated or cleaned; "
            "see them with --dry-run, turn it on with JUMEAU_WRITE_BACK__MODE=annotate "
            "(companion: cases only, in resources of our own)"
        )
    report.written, report.unchanged = told.written, told.unchanged
    report.conflicts, report.failed = told.conflicts, told.failed


async def remove_subscriptions(settings: Settings) -> int:
    """Take every Subscription of this installation off the server; how many there were."""
    async with worker_of(settings, settings.make_clock()) as worker:
        client = worker.parts.client
        return await subscriptions.remove(client, await subscriptions.find_ours(client, worker.parts.source))


def _planned(result: WriteResult) -> dict[str, Any] | None:
    """What a dry run prints of one order."""
    if result.patch:
        return {"resource": result.outcome.ref, "patch": result.patch}
    if result.request:
        return {"resource": result.outcome.ref, "about": result.carrier, result.request: result.companion}
    return None


async def remove_all(settings: Settings) -> Written:
    """Take everything of this installation off the server; with write_back.take_over that of the others too."""
    async with worker_of(settings, settings.make_clock(), alone=True) as worker:
        parts, take_over = worker.parts, settings.write_back.take_over
        refs = [ref async for ref in find_ours(parts.client, ANNOTATED_TYPES, parts.source, take_over=take_over)]
        return await worker.remove_all(refs)
