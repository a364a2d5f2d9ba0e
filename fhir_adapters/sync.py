"""From a FHIR server to facts: the whole horizon, and what changed since.

Functions over values: nothing is remembered here. A cursor is the server's own time at the first page of a search; the
next search goes back by an overlap longer than the longest transaction, since a change gets its time when its
transaction starts and is seen when it ends.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

from fhir_adapters.client import FhirClient, Params, may_be_the_search
from fhir_adapters.errors import EndlessError, FhirServerError, NotFoundError, RefusedError, RejectedError
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
_WHOLE: tuple[Sequence[Params], ...] = ([[_COUNT]], [[]])
"""A type without any filter, and without a parameter at all."""
NEEDED = frozenset({"Appointment", "Location"})
"""Without them there is no suite."""
MOVED = "the server calls itself by another address than the base URL; its links are followed at the base URL"
ENDLESS = "its pages lead back or do not end; what is absent is not taken as deleted"
UNFOUND = "the server does not search by _lastUpdated: what is over and has no date of its own is not found"
_NO_FILTERS = frozenset({"_count", "_sort"})


async def read_horizon(
    client: FhirClient,
    normaliser: Normaliser,
    horizon: Horizon,
    *,
    extra: Mapping[str, Params] | None = None,
    observed_at: datetime | None = None,
    closed_since: Mapping[str, datetime] | None = None,
) -> Batch:
    """Everything of the horizon, a day of margin on both sides; the types are read concurrently.

    What is over without a date counts where it was written since `closed_since` of its type, on the server's clock,
    else since the horizon began. `extra` gives more search parameters per type. A type whose filters the server refuses
    is read whole; one that it doesn't know, Encounters or Procedures that we may not see are left out, and both are
    warned about. Raises FhirServerError, also where it knows none.
    """
    given, since = extra or {}, closed_since or {}
    readings = (
        _read_type(
            client,
            Gathered(normaliser, observed_at),
            name,
            [_searches(name, horizon, given.get(name, ())), *_WHOLE],
            optional=_recently_closed(name, since.get(name) or closed_from(horizon.first), given.get(name, ())),
        )
        for name in CLINICAL_TYPES
    )
    batch = joined(await together(readings))
    if not (batch.complete or batch.read):
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


def closed_from(first: date) -> datetime:
    """From when on what is over without a date may belong to a horizon, on the server's clock whatever `run --at`."""
    day = min(first, wall_now().date() - timedelta(days=2)) - timedelta(days=1)
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _recently_closed(resource_type: str, since: datetime, extra: Params) -> list[list[tuple[str, str]]]:
    """What is over and has no date, written since then."""
    closed = _CLOSED.get(resource_type)
    return [[closed, ("_lastUpdated", f"ge{stamp(since, 0)}"), *extra, _COUNT]] if closed else []


async def read_changes(
    client: FhirClient,
    normaliser: Normaliser,
    cursor: Cursor,
    *,
    overlap_s: float = 10.0,
    extra: Mapping[str, Params] | None = None,
    horizon: Horizon | None = None,
    observed_at: datetime | None = None,
) -> Batch:
    """What changed since the cursor, of each of its types by itself; no clinical filter but those of `extra`.

    What was known already comes again within the overlap: facts are idempotent. Where the server refuses to search by
    `_lastUpdated` all of the `horizon` comes, else all of the type. Raises FhirServerError.
    """
    given, sort = extra or {}, ("_sort", "_lastUpdated,_id")
    readings = []
    for name, since in cursor.items():
        into = Gathered(normaliser, observed_at, since=since)
        changed = ("_lastUpdated", f"ge{stamp(since, overlap_s)}")
        search = [changed, *given.get(name, ()), sort, _COUNT]
        # A server that finds nothing by `_lastUpdated` is asked for the days again.
        days = () if horizon is None else (_searches(name, horizon, given.get(name, ())),)
        ways: list[Sequence[Params]] = [[search], [[changed, _COUNT]], *days, *_WHOLE]
        readings.append(_read_type(client, into, name, ways))
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
    ways: Sequence[Sequence[Params]],
    *,
    optional: Sequence[Params] = (),
) -> Batch:
    """All searches of one type into one batch, in the first of the `ways` that the server doesn't refuse.

    After the first way a refused search of `optional` is done without. A type that the twin can do without is left out
    with a warning where the server refuses it altogether.
    """
    try:
        if await _by_one_way(client, into, resource_type, ways) == 0:
            for params in optional:
                await _try(client, into, resource_type, params)
    except NotFoundError:
        if into.answered:
            raise
        return Batch(warnings=(f"{resource_type}: the server does not offer it",))
    except (RejectedError, RefusedError) as error:
        if into.answered or into.since is not None or resource_type in NEEDED:
            raise  # what could be read before is not left out
        return Batch(warnings=(f"{resource_type}: not read: {error}",))
    await into.complete(client)
    return into.batch(resource_type)


async def _try(client: FhirClient, into: Gathered, resource_type: str, params: Params) -> None:
    """A search that is done without where the server refuses it."""
    try:
        found = await _gather(client, into, resource_type, params, needed="_lastUpdated")
    except FhirServerError as error:
        if not may_be_the_search(error):
            raise
        found = False
    if not found:
        into.warnings.append(f"{resource_type}: {UNFOUND}")


async def _by_one_way(client: FhirClient, into: Gathered, resource_type: str, ways: Sequence[Sequence[Params]]) -> int:
    """The number of the way that was gone. Raises what the server answers to the last of them."""
    for number, searches in enumerate(ways):
        try:
            for params in searches:
                await _gather(client, into, resource_type, params)
        except FhirServerError as error:
            if number == len(ways) - 1 or not may_be_the_search(error):
                raise
            said = f"{resource_type}: the server refuses the search parameters; read without them"
            if said not in into.warnings:
                into.warnings.append(said)
        else:
            return number
    return len(ways)


async def _gather(
    client: FhirClient, into: Gathered, resource_type: str, params: Params, *, needed: str | None = None
) -> bool:
    """All pages of one search. A page that expired meanwhile restarts the search.

    False, and nothing is read, where the server ignores the parameter `needed`, without which it gives far too much.
    """
    for attempt in range(1, SEARCH_TRIES + 1):
        number = 0
        try:
            async for page in client.search(resource_type, params):
                number = page.number
                if number == 1 and (ignored := ignored_filters(page.self_link, resource_type, params)):
                    if needed in ignored:
                        return False
                    into.warnings.append(
                        f"{resource_type}: the server ignores {', '.join(ignored)}; more is read than asked for"
                    )
                if page.moved and MOVED not in into.warnings:
                    into.warnings.append(MOVED)
                await into.add(page, resource_type)
        except EndlessError:
            into.cut = True
            into.warnings.append(f"{resource_type}: {ENDLESS}")
            return True
        except NotFoundError:
            if number == 0 or attempt == SEARCH_TRIES:
                raise
        else:
            return True
    return True


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
