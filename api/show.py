"""The twins of the journal for a terminal: `jumeau show`. The JSON is that of the API."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from api import schemas
from api.compose import memory_of
from api.instants import past_instant
from api.settings import Settings
from api.snapshot import Feed, Snapshot
from api.views import View
from twin.errors import SettingsError
from twin.projections.suite_twin import list_order
from twin.site import SiteOptions

_NOTHING = "–"


@dataclass(frozen=True, slots=True)
class Told:
    """The journal as source of a snapshot: nothing is being read."""

    site: SiteOptions
    feed: Feed
    at: datetime

    def now(self) -> datetime:
        """Site time now."""
        return self.at


@dataclass(frozen=True, slots=True)
class Shown:
    """The whole suite and its cases of the day."""

    suite: schemas.Suite
    cases: dict[str, schemas.CaseSummary]

    def values(self) -> dict[str, Any]:
        """As `/day` of the API."""
        cases = [case.model_dump(mode="json") for case in self.cases.values()]
        return {"suite": self.suite.model_dump(mode="json"), "cases": cases}

    def text(self) -> str:
        """For a person."""
        suite, figures = self.suite, self.suite.figures
        run = f"predicted at {suite.run.at}" if suite.run else "no prediction"
        lines = [
            f"{suite.site}, {suite.day}, as known at {suite.as_of} ({run})",
            f"{figures.operated} of {figures.planned} operated, {figures.occupied_rooms} of {figures.rooms} rooms "
            f"occupied, {len(suite.queue)} waiting",
        ]
        for room in suite.rooms:
            lines.append(f"{room.name} ({room.id}): {room.state}")
            lines += [_line(self.cases[case_id]) for case_id in room.cases if case_id in self.cases]
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class ShownCase:
    """One whole case."""

    case: schemas.Case

    def values(self) -> dict[str, Any]:
        """As `/cases/{id}` of the API."""
        return self.case.model_dump(mode="json")

    def text(self) -> str:
        """For a person."""
        case = self.case
        lines = [f"{case.case_id}: {case.status}, {case.day}, {case.room_name or _NOTHING}, {case.procedure}"]
        if case.left_already:
            lines.append(f"  may have left the room already: {case.left_already:.0%}")
        if case.check_stamp:
            lines.append("  check the stamp: no exit is recorded, long after it was to be expected")
        for stage in case.stages:
            actual = f"{_clock(stage.actual.at)} ({stage.actual.provenance})" if stage.actual else _NOTHING
            predicted = _clock(stage.predicted.p50) if stage.predicted else _NOTHING
            lines.append(
                f"  {stage.milestone:<24} planned {_clock(stage.planned)}  actual {actual}  predicted {predicted}"
            )
        return "\n".join(lines)


async def suite(settings: Settings, at: str | None) -> Shown:
    """The suite now or at a past instant. Raises SettingsError for a bad instant, else JournalError."""
    snapshot, told = _snapshot(settings, at)
    view, twin = View(snapshot, told.site.timezone), snapshot.suite
    listed = {case_id: twin.cases[case_id] for room in twin.rooms for case_id in room.cases}
    listed |= {case.case_id: case for case in twin.of_day(twin.day)}
    cases = view.summaries(sorted(listed.values(), key=list_order))
    return Shown(view.suite(told), {case.case_id: case for case in cases})


async def case(settings: Settings, case_id: str, at: str | None) -> ShownCase | None:
    """One case now or at a past instant, None where there is none of this id. Raises as `suite` does."""
    snapshot, told = _snapshot(settings, at)
    twin = snapshot.suite.case(case_id)
    return None if twin is None else ShownCase(View(snapshot, told.site.timezone).case(twin))


def _snapshot(settings: Settings, at: str | None) -> tuple[Snapshot, Told]:
    clock = settings.make_clock()
    now = clock.now()
    try:
        instant = now if at is None else past_instant(at, now)
    except ValueError as error:
        raise SettingsError(f"--at: {error}") from None
    with memory_of(settings) as memory:
        feed = Feed(settings.fhir.base_url, age_s=None, failing=None, quarantined=0, writing="off")
        return memory.at(instant, clock), Told(memory.site, feed, now)


def _line(case: schemas.CaseSummary) -> str:
    entry = case.actual_in or (case.predicted_in.p50 if case.predicted_in else None)
    leaving = case.actual_out or (case.predicted_out.p50 if case.predicted_out else None)
    times = f"planned {_clock(case.planned_in)}-{_clock(case.planned_out)}, now {_clock(entry)}-{_clock(leaving)}"
    return f"  {case.case_id}  {case.status:<12} {times}  {case.procedure}"


def _clock(instant: str | None) -> str:
    return datetime.fromisoformat(instant).strftime("%H:%M") if instant else _NOTHING
