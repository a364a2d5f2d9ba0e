"""How long after it happened a time was recorded: the version that first told it, against what it tells."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from api.doctor.findings import Check, Finding, note, ok, warning
from api.worker import Worker
from fhir_adapters.client import FhirClient
from fhir_adapters.errors import FhirServerError
from fhir_adapters.normalise import Normaliser
from twin.facts import EncounterFact, Fact
from twin.timebase import Clock, minutes_between, wall_now
from twin.vocabulary import Provenance

LATE_MIN = 15.0
SAMPLE = 40
"""Resources whose history is read."""
NOTABLE_SHARE = 0.10
_VERSIONS = (("_count", "50"),)


@dataclass(frozen=True, slots=True)
class _Told:
    """The times of one resource with the instants at which they were first told, in site time."""

    delays_min: tuple[float, ...]
    exact: bool
    """False where only the newest version is known: the delays are at most these."""


async def lateness_finding(worker: Worker) -> Finding:
    """The share of explicit times recorded more than 15 minutes late, of a sample of the newest cases."""
    refs = _sampled(worker)
    if not refs:
        return note(Check.LATE_STAMPS, "no explicit time stamp to see it on", sampled=0)
    parts = worker.parts
    told = await asyncio.gather(*(_told(parts.client, parts.normaliser, worker.clock, ref) for ref in refs))
    delays = [delay for one in told if one for delay in one.delays_min]
    if not delays:
        return note(Check.LATE_STAMPS, "no explicit time stamp to see it on", sampled=len(refs))
    late = sum(delay > LATE_MIN for delay in delays)
    exact = all(one.exact for one in told if one)
    share, middle = late / len(delays), median(delays)
    numbers = {
        "sampled": len(refs),
        "stamps": len(delays),
        "late": late,
        "share": round(share, 2),
        "median_min": round(middle, 1),
        "exact": exact,
    }
    said = f"{'' if exact else 'at most '}{late} of {len(delays)} were recorded more than {LATE_MIN:g} min late"
    said += f" (median {middle:.0f} min)"
    if share > NOTABLE_SHARE:
        todo = "have times recorded as they happen: until then the twin sees the patient where he was"
        return (warning if exact else note)(Check.LATE_STAMPS, said, todo, **numbers)
    return ok(Check.LATE_STAMPS, said, **numbers)


def _sampled(worker: Worker) -> list[str]:
    """Resources with explicit times, those of the newest cases first."""
    shown = worker.snapshot
    if shown is None:
        return []
    stamped = {
        actual.source: actual.at
        for twin in shown.suite.cases.values()
        for actual in twin.times.reached
        if actual.provenance is Provenance.EXPLICIT
    }
    return sorted(stamped, key=lambda ref: (stamped[ref], ref), reverse=True)[:SAMPLE]


async def _told(client: FhirClient, normaliser: Normaliser, clock: Clock, ref: str) -> _Told | None:
    try:
        bundle = (await client.get(f"{ref}/_history", params=_VERSIONS)).json()
        exact = True
    except FhirServerError:
        try:
            bundle, exact = {"entry": [{"resource": (await client.read(ref)).json()}]}, False
        except FhirServerError:
            return None
    entries = bundle.get("entry") if isinstance(bundle, dict) else None
    raw = [entry.get("resource") for entry in entries or () if isinstance(entry, dict)]
    facts = [fact for one in raw if isinstance(fact := normaliser.version(one, wall_now()), Fact)]
    return _Told(_delays(facts, clock), exact)


def _delays(facts: Iterable[Fact], clock: Clock) -> tuple[float, ...]:
    """Minutes from each time that the newest version still tells to the first version that told it."""
    ordered = sorted(facts, key=lambda fact: fact.key.last_updated)
    first: dict[datetime, datetime] = {}
    for fact in ordered:
        for at in _instants(fact):
            first.setdefault(at, clock.at(fact.key.last_updated))
    now = clock.now()
    kept = {at for at in _instants(ordered[-1]) if at <= now} if ordered else set()
    return tuple(max(0.0, minutes_between(at, first[at])) for at in sorted(kept))


def _instants(fact: Fact) -> set[datetime]:
    """The explicit times of a version; one instant that may mean several milestones counts once."""
    stamps = getattr(fact.assertion, "stamps", ())
    told = {stamp.at for stamp in stamps if stamp.at is not None and stamp.provenance is Provenance.EXPLICIT}
    if isinstance(fact.assertion, EncounterFact):
        parts = {rule.part for rule in fact.assertion.stay_rules if rule.provenance is Provenance.EXPLICIT}
        told |= {at for stay in fact.assertion.stays for part, at in stay.told() if part in parts}
    return told
