"""What only a history tells: deletes, and the versions between two that were seen.

Servers differ: HAPI tells a delete without a resource and without a time, `request.url` is `Appointment/x/_history/2`;
others give `Appointment/x` and `response.lastModified`. So an entry without a resource is a hint, and a direct read
decides. The method is never read: it doesn't tell create from update.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from msgspec import structs

from fhir_adapters import dates, links, splice
from fhir_adapters.client import FhirClient, is_away
from fhir_adapters.content import entries
from fhir_adapters.errors import EndlessError, FhirServerError, NotFoundError, RefusedError, RejectedError
from fhir_adapters.gathering import Batch, Cursor, Gathered, direct, read_each, together
from fhir_adapters.normalise import Normaliser
from fhir_adapters.sync import PAGE_SIZE, stamp
from twin.facts import Deleted, Fact

MAX_PAGES = 20
"""Of one history: what lies beyond is found by the next reading of the whole horizon."""
EVER = ("_since", "1970-01-01T00:00:00Z")
"""Without `_since` HAPI cuts a history to the number of versions that it counted up to a minute before."""
_COUNT = ("_count", "100")
_FEW = ("_count", "20")


@dataclass(frozen=True, slots=True)
class Past:
    """What the histories of types told. `gone` may be deleted, with the time where the server tells it."""

    versions: Batch = field(default_factory=Batch)
    gone: Mapping[str, datetime | None] = field(default_factory=dict)
    not_offered: frozenset[str] = frozenset()
    """Types without a history that can be read."""


async def read_history(
    client: FhirClient,
    normaliser: Normaliser,
    since: Cursor,
    *,
    overlap_s: float = 10.0,
    observed_at: datetime | None = None,
) -> Past:
    """Every version since the cursor, of each of its types by `_history?_since`. Raises temporary errors only."""
    readings = (_TypeHistory(client, normaliser, name, observed_at).read(at, overlap_s) for name, at in since.items())
    found = await together(readings)
    return Past(
        versions=direct([past.versions for past in found]),
        gone={ref: at for past in found for ref, at in past.gone.items()},
        not_offered=frozenset().union(*(past.not_offered for past in found)),
    )


class _TypeHistory:
    def __init__(
        self, client: FhirClient, normaliser: Normaliser, resource_type: str, observed_at: datetime | None
    ) -> None:
        self._client = client
        self._type = resource_type
        self._into = Gathered(normaliser, observed_at, every=True)
        self._gone: dict[str, datetime | None] = {}

    async def read(self, since: datetime, overlap_s: float) -> Past:
        params = [("_since", stamp(since, overlap_s)), ("_count", str(PAGE_SIZE))]
        earliest = since - timedelta(seconds=overlap_s)
        try:
            async for page in self._client.pages(f"{self._type}/_history", params, max_pages=MAX_PAGES):
                if not await self._take(entries(page.bundle), earliest):
                    break  # `_since` is ignored: newest first, so that the rest is older still
        except FhirServerError as error:
            if is_away(error):
                raise
            if not self._into.answered:
                return Past(not_offered=frozenset({self._type}))
        return Past(self._into.batch(self._type), self._gone)

    async def _take(self, found: Iterable[Any], earliest: datetime) -> bool:
        self._into.answered = True
        told = [entry for entry in found if isinstance(entry, dict)]
        resources = [entry["resource"] for entry in told if isinstance(entry.get("resource"), dict)]
        times = [at for resource in resources if (at := _last_updated(resource)) is not None]
        for entry in told:
            if not isinstance(entry.get("resource"), dict) and (ref := _ref(self._client, entry, self._type)):
                self._gone.setdefault(ref, _told_time(entry))
        self._into.take_all(one for one in resources if one.get("resourceType") == self._type)
        return not times or max(times) >= earliest


def _last_updated(resource: Mapping[str, Any]) -> datetime | None:
    meta = resource.get("meta")
    return dates.instant(meta.get("lastUpdated")) if isinstance(meta, dict) else None


def _told_time(entry: Mapping[str, Any]) -> datetime | None:
    response = entry.get("response")
    return dates.instant(response.get("lastModified")) if isinstance(response, dict) else None


def _ref(client: FhirClient, entry: Mapping[str, Any], resource_type: str) -> str | None:
    """`Type/id` of an entry without a resource: by the url of its request, else by its fullUrl."""
    request = entry.get("request")
    for url in (request.get("url") if isinstance(request, dict) else None, entry.get("fullUrl")):
        path = (client.base.relative(url) if "://" in url else url.lstrip("/")) if isinstance(url, str) else None
        parts = (path or "").split("/")
        if len(parts) > 1 and parts[0] == resource_type and links.is_id(parts[1]):
            return f"{parts[0]}/{parts[1]}"
    return None


async def confirm_gone(
    client: FhirClient, normaliser: Normaliser, gone: Mapping[str, datetime | None], observed_at: datetime | None = None
) -> Batch:
    """`Deleted`, at the time told, for those that a direct read doesn't find; a fact for what is there after all."""
    batch = await read_each(client, normaliser, sorted(gone), observed_at)
    return replace(batch, facts=tuple(_dated(fact, gone.get(fact.key.ref)) for fact in batch.facts))


def _dated(fact: Fact, told: datetime | None) -> Fact:
    if told is None or not isinstance(fact.assertion, Deleted):
        return fact
    key = structs.replace(fact.key, last_updated=told.astimezone(fact.key.last_updated.tzinfo))
    return structs.replace(fact, key=key)


async def read_versions(
    client: FhirClient, normaliser: Normaliser, refs: Iterable[str], *, observed_at: datetime | None = None
) -> tuple[Batch, frozenset[str]]:
    """All versions of these resources by their own `_history`, and those of which there was none to be read.

    A version that can't be read is left out. Raises temporary errors only.
    """
    named = sorted(refs)
    found = await together(_versions(client, normaliser, ref, observed_at) for ref in named)
    missing = frozenset(ref for ref, batch in zip(named, found, strict=True) if batch is None)
    return direct([replace(batch, quarantined=()) for batch in found if batch is not None]), missing


async def _versions(client: FhirClient, normaliser: Normaliser, ref: str, observed_at: datetime | None) -> Batch | None:
    resource_type, _ = links.reference(ref)
    for params in ([EVER, _COUNT], [_COUNT]):
        into = Gathered(normaliser, observed_at, every=True)
        try:
            async for page in client.pages(f"{ref}/_history", params, max_pages=MAX_PAGES):
                await into.add(page, resource_type)
        except EndlessError:
            pass
        except (NotFoundError, RefusedError):
            return None
        except FhirServerError as error:
            if is_away(error):
                raise
            continue  # `_since` may be what it can't do
        return into.batch(resource_type)
    return None


async def version_texts(client: FhirClient, ref: str) -> list[bytes]:
    """The texts of a resource's latest versions, newest first; [] where the server offers no history."""
    for params in ([EVER, _FEW], [_FEW]):
        try:
            answer = await client.get(f"{ref}/_history", params=params)
            bundle = answer.json()  # refuses what is nested too deep to be looked into
            bodies = splice.entries(answer.body)
        except RejectedError:
            continue  # `_since` may be what it can't do
        except (FhirServerError, ValueError):
            return []
        return bodies[::-1] if _is_oldest_first(bundle) else bodies
    return []


def _is_oldest_first(bundle: object) -> bool:
    told = [entry["resource"] for entry in entries(bundle if isinstance(bundle, dict) else {}) if _has_resource(entry)]
    times = [at for resource in told if (at := _last_updated(resource)) is not None]
    return len(times) > 1 and times[0] < times[-1]


def _has_resource(entry: object) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("resource"), dict)
