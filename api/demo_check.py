"""What `jumeau demo --check` looks at: the server itself, read with plain requests, against the twin and the plan."""

import asyncio
import json
import math
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any, Literal

from api.live import LiveProgram
from api.worker import Worker
from fhir_adapters import extensions, splice
from fhir_adapters.client import FhirClient
from fhir_adapters.dates import instant
from twin.facts import Carried
from twin.prediction.material import differs, expires, is_overdue
from twin.site import MaterialOptions
from twin.timebase import minutes_between, site_date
from twin.timeline import PredictedTimeline
from twin.vocabulary import CaseStatus, PlaceKind

STALE_MIN = 5.0
# Without `_since` HAPI cuts a history to the number of versions that it counted up to a minute ago.
_EVER = (("_since", "1970-01-01T00:00:00Z"), ("_count", "200"))


@dataclass(frozen=True, slots=True)
class Verdict:
    """Counts of annotations that are not as they should be; `p95_s` is from a change to its prediction written."""

    checked: int
    missing: int
    invalid: int
    stale: int
    touched: int
    loops: int
    p95_s: float | None

    @property
    def passed(self) -> bool:
        """True where something was checked and nothing was wrong."""
        return self.checked > 0 and not (self.missing or self.invalid or self.stale or self.touched or self.loops)

    def values(self) -> dict[str, Any]:
        """The keys of `--json`."""
        return asdict(self)

    def text(self) -> str:
        """The same in one line: it is what a person reads last, and what a script can read too."""
        return json.dumps(self.values())


@dataclass(frozen=True, slots=True)
class _Version:
    """One version of one resource as the server keeps it."""

    body: bytes
    resource: dict[str, Any]
    carried: Carried
    ours: bool
    """Made by a write of ours."""

    @property
    def number(self) -> str:
        """meta.versionId: no number on every server."""
        return str(self.resource["meta"]["versionId"])


async def verdict_of(program: LiveProgram, hospital: FhirClient) -> Verdict:
    """Compare today's surgical Appointments whose patient is not yet in the room with their newest predictions.

    An Appointment with a room that the twin has no case for counts as missing, an annotated consultation as touched.
    In the history of each Appointment and room, a version of ours must differ from the one before in nothing else.
    """
    worker = program.worker
    options = worker.parts.settings.material_options()
    found = {"missing": 0, "invalid": 0, "stale": 0}
    checked = touched = loops = 0
    for resource_type in ("Appointment", "Location"):
        async for ref in _all(hospital, resource_type):
            versions = await _history(hospital, ref, worker)
            touched += sum(_touched(before, after) for before, after in pairwise(versions))
            loops += sum(_needless(before, after, options) for before, after in pairwise(versions))
            if resource_type == "Location":
                continue
            if not _has_room(program, versions[-1]):
                touched += versions[-1].carried.present
            elif not _is_of_today(program, versions[-1]):
                continue  # a server that ran already may hold other days
            elif (timeline := _awaited(program, ref)) is not False:
                checked += 1
                if fault := _fault(versions[-1].carried, timeline):
                    found[fault] += 1
    return Verdict(checked, **found, touched=touched, loops=loops, p95_s=_p95(worker.latencies_s))


async def _all(hospital: FhirClient, resource_type: str) -> AsyncIterator[str]:
    async for page in hospital.search(resource_type, [("_count", "200")]):
        for entry in page.bundle.get("entry", []):
            yield f"{resource_type}/{entry['resource']['id']}"


async def _history(hospital: FhirClient, ref: str, worker: Worker) -> list[_Version]:
    """All versions of a resource, oldest first."""
    bodies = await _bodies(hospital, ref)
    kept = await asyncio.to_thread(worker.parts.journal.outcomes, worker.server, ref=ref, limit=10_000)
    ours = {one.outcome.version_id for one in kept if one.outcome.status == "written"}
    read = extensions.reader(worker.parts.source)
    versions = []
    for body in reversed(bodies):
        resource = json.loads(body)
        carried = read(resource.get("extension", []))
        versions.append(_Version(body, resource, carried, ours=resource["meta"]["versionId"] in ours))
    if all(version.number.isdecimal() for version in versions):
        versions.sort(key=lambda version: int(version.number))
    return versions


async def _bodies(hospital: FhirClient, ref: str) -> list[bytes]:
    """The texts of all versions, newest first as the specification has it, from all pages of the history."""
    answer, seen = await hospital.get(f"{ref}/_history", params=_EVER), set[str]()
    found = splice.entries(answer.body)
    while (following := _next(answer.json())) and following not in seen:
        seen.add(following)
        answer = await hospital.get(following)
        found += splice.entries(answer.body)
    return found


def _next(bundle: dict[str, Any]) -> str | None:
    return next((link["url"] for link in bundle.get("link", []) if link["relation"] == "next"), None)


def _touched(before: _Version, after: _Version) -> bool:
    return after.ours and not splice.untouched(before.body, after.body)


def _needless(before: _Version, after: _Version, options: MaterialOptions) -> bool:
    """A version of ours that says nothing new, and was no renewal either."""
    if not after.ours or before.carried.annotation is None or after.carried.annotation is None:
        return False
    made = _made(after.carried)
    renewed = made is not None and expires(before.carried.annotation, made)
    return not renewed and not differs(after.carried.annotation, before.carried.annotation, options)


def _made(carried: Carried) -> datetime | None:
    annotation = carried.annotation
    if annotation is None:
        return None
    if annotation.timeline:
        return annotation.timeline.generated_at
    return max((end.generated_at for end in annotation.room_ends), default=None)


def _has_room(program: LiveProgram, version: _Version) -> bool:
    places = program.snapshot.places if program.snapshot else None
    actors = [part.get("actor", {}).get("reference") for part in version.resource.get("participant", [])]
    return places is not None and any(places.kind(actor) is PlaceKind.ROOM for actor in actors)


def _is_of_today(program: LiveProgram, version: _Version) -> bool:
    start = instant(version.resource.get("start"))
    shown = program.snapshot
    return start is None or shown is None or site_date(start, program.site.timezone) == shown.suite.day


def _awaited(program: LiveProgram, ref: str) -> PredictedTimeline | Literal[False] | None:
    """The newest prediction of an Appointment's case; None where there is none, False where none is due."""
    shown = program.snapshot
    if shown is None:
        return None
    twin = next((twin for twin in shown.suite.cases.values() if twin.links.appointment == ref), None)
    if twin is None:
        return None
    due = twin.status is CaseStatus.PLANNED and twin.day == shown.suite.day
    return shown.timelines.get(twin.case_id) if due else False


def _fault(carried: Carried, current: PredictedTimeline | None) -> str | None:
    if not carried.present:
        return "missing"
    written = carried.annotation.timeline if carried.annotation else None
    if written is None:
        return "invalid"
    if current is None:
        return "stale"
    for stage in current.stages:
        theirs = written.stage(stage.milestone)
        if theirs is None or theirs.p50 is None or stage.p50 is None:
            return "stale"
        overdue = is_overdue(stage, current) and is_overdue(theirs, written)
        if not overdue and abs(minutes_between(theirs.p50, stage.p50)) >= STALE_MIN:
            return "stale"
    return None


def _p95(latencies_s: Sequence[float]) -> float | None:
    ordered = sorted(latencies_s)
    return round(ordered[max(0, math.ceil(0.95 * len(ordered)) - 1)], 2) if ordered else None
