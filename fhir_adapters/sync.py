"""From a FHIR server to facts: the whole horizon, and what changed since.

Functions over values: nothing is remembered here. A cursor is the server's own time at the first page of a search; the
next search goes back by an overlap longer than the longest transaction, since a change gets its time when its
transaction starts and is seen when it ends.
"""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

from fhir_adapters.client import FhirClient, Params
from fhir_adapters.errors import NotFoundError, RejectedError
from fhir_adapters.gathering import Batch, Cursor, Gathered, joined, together
from fhir_adapters.normalise import Normaliser
from twin.facts import Horizon
from twin.timebase import wall_now

CLINICAL_TYPES = ("Location", "Appointment", "Encounter", "Procedure")
"""What is searched for; everything else is read only when something refers to it."""

PAGE_SIZE = 200
SEARCH_TRIES = 3

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
_NO_FILTERS = frozenset({"_count", "_sort"})


async def read_horizon(
    client: FhirClient,
    normaliser: Normaliser,
    horizon: Horizon,
    *,
    extra: Mapping[str, Params] | None = None,
    observed_at: datetime | None = None,
    closed_since: date | None = None,
) -> Batch:
    """Everything of the horizon, a day of margin on both sides; the types are read concurrently.

    What is over without a date counts where it was written since the day `closed_since`, else since the horizon began.
    `extra` gives more search parameters per type. A type whose filters the server refuses (400) is read whole; one that
    it doesn't know (404) is left out, and both are warned about. Raises FhirServerError, also where it knows none.
    """
    given = extra or {}
    readings = (
        _read_type(
            client,
            Gathered(normaliser, observed_at),
            name,
            _searches(name, horizon, given.get(name, ())),
            optional=_recently_closed(name, closed_since or horizon.first, given.get(name, ())),
        )
        for name in CLINICAL_TYPES
    )
    batch = joined(await together(readings))
    if not batch.complete:
        raise NotFoundError("the server offers no resource type of a surgical day: is its base URL right?", status=404)
    return batch


def _searches(resource_type: str, horizon: Horizon, extra: Params) -> list[list[tuple[str, str]]]:
    """The searches whose union is the horizon of a type."""
    if resource_type == "Location":
        return [[*extra, _COUNT]]
    undated = _UNDATED.get(resource_type)
    return [[*within("date", horizon), *extra, _COUNT], *([[undated, *extra, _COUNT]] if undated else [])]


def within(name: str, horizon: Horizon) -> list[tuple[str, str]]:
    """Search parameters for a date in the horizon. Plain days mean the server's, so there is a day of margin."""
    day = timedelta(days=1)
    return [(name, f"ge{horizon.first - day}"), (name, f"le{horizon.last + day}")]


def _recently_closed(resource_type: str, first: date, extra: Params) -> list[list[tuple[str, str]]]:
    """What is over and has no date, written since that day, on the server's clock whatever `run --at` says."""
    closed = _CLOSED.get(resource_type)
    if closed is None:
        return []
    since = min(first, wall_now().date() - timedelta(days=2)) - timedelta(days=1)
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
        into = Gathered(normaliser, observed_at, since=since)
        changed = ("_lastUpdated", f"ge{stamp(since, overlap_s)}")
        search = [changed, *given.get(name, ()), sort, _COUNT]
        readings.append(_read_type(client, into, name, [search], otherwise=[changed, _COUNT]))
    return replace(joined(await together(readings)), complete=frozenset())


def stamp(since: datetime, overlap_s: float) -> str:
    """The instant from which on to ask for changes."""
    at = since.astimezone(UTC) - timedelta(seconds=overlap_s)
    return at.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def mass_absence(absent: int, known: int) -> bool:
    """True where so much of a type is absent (over 20 resources and 5 %) that the server is to be doubted."""
    return absent > 20 and absent > 0.05 * known


# One type


async def _read_type(
    client: FhirClient,
    into: Gathered,
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
    await into.complete(client)
    return into.batch(resource_type)


async def _gather(client: FhirClient, into: Gathered, resource_type: str, params: Params) -> None:
    """All pages of one search. A page that expired meanwhile restarts the search."""
    for attempt in range(1, SEARCH_TRIES + 1):
        number = 0
        try:
            async for page in client.search(resource_type, params):
                number = page.number
                if number == 1 and (ignored := ignored_filters(page.self_link, resource_type, params)):
                    into.warnings.append(
                        f"{resource_type}: the server ignores {', '.join(ignored)}; more is read than asked for"
                    )
                await into.add(page, resource_type)
        except NotFoundError:
            if number == 0 or attempt == SEARCH_TRIES:
                raise
        else:
            return


def ignored_filters(self_link: str | None, resource_type: str, params: Params) -> list[str]:
    """The filters that a server's `self` link doesn't repeat: it gives everything. [] where the link tells nothing."""
    try:
        parts = urlsplit(self_link or "")
        told = {name.partition(":")[0] for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    except ValueError:
        return []
    if parts.path.rpartition("/")[2] != resource_type:
        return []  # an opaque link of a server that keeps the search to itself
    asked = (name.partition(":")[0] for name, _ in params)
    return [name for name in dict.fromkeys(asked) if name not in _NO_FILTERS and name not in told]
