"""From a FHIR server to facts: the whole horizon, what changed since, and what is no longer there.

Functions over values: nothing is remembered here. A cursor is the server's own time at the first page of a search; the
next search goes back by an overlap longer than the longest transaction, since a change gets its time when its
transaction starts and is seen when it ends.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from fhir_adapters import links
from fhir_adapters.client import FhirClient, Page, Params
from fhir_adapters.errors import NotFoundError, RefusedError, RejectedError
from fhir_adapters.normalise import Normaliser, Reading
from twin.facts import Deleted, Fact, Horizon, Quarantined, VersionKey
from twin.timebase import wall_now

Cursor = Mapping[str, datetime]
"""Per resource type, the server's time up to which its changes are known."""

CLINICAL_TYPES = ("Location", "Appointment", "Encounter", "Procedure")
"""What is searched for; Patients are read only when something refers to them."""

PAGE_SIZE = 200
ID_CHUNK = 50
SEARCH_TRIES = 3
DELETED = "deleted"
"""Version id and content hash of what is no longer on the server."""

# What a search by date can't find: a stay or an act that is under way and has no date yet.
_UNDATED = {
    "Encounter": ("status", "planned,arrived,triaged,in-progress,onleave"),
    "Procedure": ("status", "preparation,in-progress,on-hold"),
}
# Nor one that is over and never got a date of its own, only those of its places or stamps: by when it was written.
_CLOSED = {
    "Encounter": ("status", "finished"),
    "Procedure": ("status", "completed,stopped,not-done,entered-in-error"),
}
_COUNT = ("_count", str(PAGE_SIZE))

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Batch:
    """What one reading gave. `patient_ids` are real ids, for reading Patients: they must never be stored.

    `complete` names the types of which everything in the horizon was read: what is known and not in `refs` is absent.
    `warnings` say what the server didn't allow.
    """

    facts: tuple[Fact, ...] = ()
    quarantined: tuple[Quarantined, ...] = ()
    read: int = 0
    cursor: Cursor = field(default_factory=dict)
    patient_ids: frozenset[str] = frozenset()
    complete: frozenset[str] = frozenset()
    warnings: tuple[str, ...] = ()

    @property
    def refs(self) -> frozenset[str]:
        """`Type/id` of all that is on the server, read or quarantined."""
        return frozenset(fact.key.ref for fact in self.facts) | {
            f"{bad.type}/{bad.id}" for bad in self.quarantined if bad.id
        }


async def read_horizon(
    client: FhirClient,
    normaliser: Normaliser,
    horizon: Horizon,
    *,
    extra: Mapping[str, Params] | None = None,
    observed_at: datetime | None = None,
) -> Batch:
    """Everything of the horizon, a day of margin on both sides; the types are read concurrently.

    `extra` gives more search parameters per type. A type whose filters the server refuses (400) is read whole; one that
    it doesn't know (404) is left out, and both are warned about. Raises FhirServerError, also where it knows none.
    """
    given = extra or {}
    readings = (
        _read_type(
            client,
            _Gathered(normaliser, observed_at),
            name,
            _searches(name, horizon, given.get(name, ())),
            optional=_recently_closed(name, horizon, given.get(name, ())),
        )
        for name in CLINICAL_TYPES
    )
    batch = _joined(await _together(readings))
    if not batch.complete:
        raise NotFoundError("the server offers no resource type of a surgical day: is its base URL right?", status=404)
    return batch


def _searches(resource_type: str, horizon: Horizon, extra: Params) -> list[list[tuple[str, str]]]:
    """The searches whose union is the horizon of a type."""
    if resource_type == "Location":
        return [[*extra, _COUNT]]
    day = timedelta(days=1)
    # Plain days mean the server's days, not the site's; the margin covers the difference.
    dated = [("date", f"ge{horizon.first - day}"), ("date", f"le{horizon.last + day}")]
    undated = _UNDATED.get(resource_type)
    return [[*dated, *extra, _COUNT], *([[undated, *extra, _COUNT]] if undated else [])]


def _recently_closed(resource_type: str, horizon: Horizon, extra: Params) -> list[list[tuple[str, str]]]:
    """What is over and has no date, written since the horizon began, on the server's clock whatever `run --at` says."""
    closed = _CLOSED.get(resource_type)
    if closed is None:
        return []
    since = min(horizon.first, wall_now().date() - timedelta(days=2)) - timedelta(days=1)
    return [[closed, ("_lastUpdated", f"ge{since}T00:00:00.000Z"), *extra, _COUNT]]


async def read_changes(
    client: FhirClient,
    normaliser: Normaliser,
    cursor: Cursor,
    *,
    overlap_s: float = 10.0,
    extra: Mapping[str, Params] | None = None,
    observed_at: datetime | None = None,
) -> Batch:
    """What changed since the cursor, of each of its types by itself; no clinical filter but those of `extra`.

    What was known already comes again within the overlap: facts are idempotent. Raises FhirServerError.
    """
    given, sort = extra or {}, ("_sort", "_lastUpdated,_id")
    readings = []
    for name, since in cursor.items():
        into = _Gathered(normaliser, observed_at, since=since)
        changed = ("_lastUpdated", f"ge{_stamp(since, overlap_s)}")
        search = [changed, *given.get(name, ()), sort, _COUNT]
        readings.append(_read_type(client, into, name, [search], otherwise=[changed, _COUNT]))
    return replace(_joined(await _together(readings)), complete=frozenset())


def _stamp(since: datetime, overlap_s: float) -> str:
    at = since.astimezone(UTC) - timedelta(seconds=overlap_s)
    return at.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


async def read_patients(
    client: FhirClient, normaliser: Normaliser, ids: Iterable[str], *, observed_at: datetime | None = None
) -> Batch:
    """The Patients of these real ids, some at a time; those that a search doesn't give are read one by one.

    Those that may not be read (401, 403) or are not offered at all are left out with a warning: cases do without.
    """
    wanted = sorted({one for one in ids if links.is_id(one)})
    chunks = [wanted[at : at + ID_CHUNK] for at in range(0, len(wanted), ID_CHUNK)]
    gathered = [_Gathered(normaliser, observed_at) for _ in chunks]
    try:
        await _together(_search_patients(client, into, chunk) for into, chunk in zip(gathered, chunks, strict=True))
    except (NotFoundError, RefusedError) as error:
        return Batch(warnings=(f"Patients are not read: {error}",))
    found = set().union(*(into.ids for into in gathered))
    missing = await _read_each(
        client, normaliser, [f"Patient/{one}" for one in wanted if one not in found], observed_at
    )
    return _direct([*(into.batch("Patient") for into in gathered), missing])


async def _search_patients(client: FhirClient, into: "_Gathered", ids: Sequence[str]) -> None:
    try:
        await _gather(client, into, "Patient", [("_id", ",".join(ids)), ("_count", str(ID_CHUNK))])
    except RejectedError as error:
        if error.status != 400:
            raise
        # No search by `_id` here: each is read by itself.


async def read_missing(
    client: FhirClient, normaliser: Normaliser, refs: Iterable[str], *, observed_at: datetime | None = None
) -> Batch:
    """Direct reads of what a whole reading didn't show: its fact where it is there, `Deleted` for 404 and 410.

    Takes no Patients, whose refs hold pseudonyms. Raises RefusedError for 401 and 403: that is no absence.
    """
    return await _read_each(
        client, normaliser, [ref for ref in sorted(set(refs)) if not ref.startswith("Patient/")], observed_at
    )


def mass_absence(absent: int, known: int) -> bool:
    """True where so much of a type is absent (over 20 resources and 5 %) that the server is to be doubted."""
    return absent > 20 and absent > 0.05 * known


# One type


async def _read_type(
    client: FhirClient,
    into: "_Gathered",
    resource_type: str,
    searches: Sequence[Params],
    *,
    otherwise: Params = (_COUNT,),
    optional: Sequence[Params] = (),
) -> Batch:
    """All searches of one type into one batch; `otherwise` where the server refuses one of them.

    A refused search of `optional` is done without.
    """
    try:
        try:
            for params in searches:
                await _gather(client, into, resource_type, params)
        except RejectedError as error:
            if error.status != 400:
                raise
            into.warnings.append(f"{resource_type}: the server refuses the search parameters; read without them")
            await _gather(client, into, resource_type, otherwise)
        else:
            for params in optional:
                with contextlib.suppress(RejectedError):
                    await _gather(client, into, resource_type, params)
    except NotFoundError:
        if into.answered:
            raise
        into.warnings.append(f"{resource_type}: the server does not offer it")
        return Batch(warnings=tuple(into.warnings))
    return into.batch(resource_type)


async def _gather(client: FhirClient, into: "_Gathered", resource_type: str, params: Params) -> None:
    """All pages of one search. A page that expired meanwhile restarts the search."""
    for attempt in range(1, SEARCH_TRIES + 1):
        number = 0
        try:
            async for page in client.search(resource_type, params):
                number = page.number
                await into.add(page, resource_type)
        except NotFoundError:
            if number == 0 or attempt == SEARCH_TRIES:
                raise
        else:
            return


async def _read_each(
    client: FhirClient, normaliser: Normaliser, refs: Sequence[str], observed_at: datetime | None
) -> Batch:
    return _direct(await _together(_read_one(client, normaliser, ref, observed_at) for ref in refs))


async def _read_one(client: FhirClient, normaliser: Normaliser, ref: str, observed_at: datetime | None) -> Batch:
    resource_type, resource_id = links.reference(ref)
    into = _Gathered(normaliser, observed_at)
    try:
        answer = await client.read(ref)
    except NotFoundError as error:
        if resource_type == "Patient":
            resource_id = normaliser.pseudonyms.patient(resource_id)
        at = (error.server_time or into.observed_at).astimezone(UTC)
        key = VersionKey(normaliser.server, resource_type, resource_id, DELETED, at)
        return Batch(facts=(Fact(key, DELETED, Deleted()),), read=0)
    except RefusedError:
        if resource_type != "Patient":
            raise
        return Batch(warnings=("Patient: some may not be read",))
    into.take(answer.json())
    return into.batch(resource_type)


class _Gathered:
    """What the searches of one type have given so far."""

    def __init__(self, normaliser: Normaliser, observed_at: datetime | None, since: datetime | None = None) -> None:
        self.observed_at = observed_at or wall_now()
        self.server_time: datetime | None = None
        self.warnings: list[str] = []
        self.ids: set[str] = set()
        self._normaliser = normaliser
        self._since = since
        self._facts: dict[str, Fact] = {}
        self._quarantined: dict[object, Quarantined] = {}
        self._patient_ids: set[str] = set()
        self.answered = False

    async def add(self, page: Page, resource_type: str) -> None:
        """The entries of a page; in a thread, so that the event loop goes on."""
        if not self.answered:
            self.answered, self.server_time = True, page.server_time
        resources = list(_matches(page.bundle, resource_type))
        if resources:
            await asyncio.to_thread(self._take_all, resources)

    def _take_all(self, resources: Iterable[object]) -> None:
        for resource in resources:
            self.take(resource)

    def take(self, resource: object) -> None:
        """One resource; of two readings of the same the newer is kept."""
        reading: Reading = self._normaliser.read(resource, self.observed_at)
        self._patient_ids |= reading.patient_ids
        if isinstance(resource, dict) and isinstance(resource.get("id"), str):
            self.ids.add(resource["id"])
        outcome = reading.outcome
        if isinstance(outcome, Quarantined):
            # Without an id nothing tells two of them apart.
            self._quarantined[(outcome.type, outcome.id) if outcome.id else object()] = outcome
            return
        known = self._facts.get(outcome.key.ref)
        if known is None or known.key.last_updated <= outcome.key.last_updated:
            self._facts[outcome.key.ref] = outcome

    def batch(self, resource_type: str) -> Batch:
        """All of it. Without a time of the server the highest lastUpdated is the cursor, else the one before."""
        dated = (fact.key.last_updated for fact in self._facts.values() if "no-last-updated" not in fact.findings)
        highest = max(dated, default=self._since)
        cursor = self.server_time or highest
        return Batch(
            facts=tuple(self._facts.values()),
            quarantined=tuple(self._quarantined.values()),
            read=len(self._facts) + len(self._quarantined),
            cursor={resource_type: cursor.astimezone(UTC)} if cursor is not None else {},
            patient_ids=frozenset(self._patient_ids),
            complete=frozenset({resource_type}),
            warnings=tuple(self.warnings),
        )


def _matches(bundle: Mapping[str, Any], resource_type: str) -> Iterator[object]:
    """What a page gives of the type searched for: no outcome, no included resource of another type."""
    entries = bundle.get("entry")
    for entry in entries if isinstance(entries, list) else []:
        if not isinstance(entry, dict):
            yield entry
            continue
        search, resource = entry.get("search"), entry.get("resource")
        mode = search.get("mode") if isinstance(search, dict) else None
        other = resource.get("resourceType") if isinstance(resource, dict) else None
        if mode != "outcome" and not (links.is_type(other) and other != resource_type):
            yield resource


# Many at once


async def _together(work: Iterable[Awaitable[T]]) -> list[T]:
    """The results in order; the first error ends the others and is raised as it is."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _direct(batches: Sequence[Batch]) -> Batch:
    """Of readings that were no search of a whole type: no cursor, nothing complete."""
    return replace(_joined(batches), cursor={}, complete=frozenset())


def _joined(batches: Sequence[Batch]) -> Batch:
    return Batch(
        facts=tuple(fact for batch in batches for fact in batch.facts),
        quarantined=tuple(bad for batch in batches for bad in batch.quarantined),
        read=sum(batch.read for batch in batches),
        cursor={name: at for batch in batches for name, at in batch.cursor.items()},
        patient_ids=frozenset().union(*(batch.patient_ids for batch in batches)),
        complete=frozenset().union(*(batch.complete for batch in batches)),
        warnings=tuple(dict.fromkeys(warning for batch in batches for warning in batch.warnings)),
    )
