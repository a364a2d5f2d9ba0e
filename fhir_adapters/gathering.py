"""What searches and reads gave, put together: entries normalised one by one, the newest of each resource kept."""

import asyncio
from collections.abc import Awaitable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from fhir_adapters import links
from fhir_adapters.client import FhirClient, Page
from fhir_adapters.content import entries
from fhir_adapters.errors import NotFoundError, RefusedError
from fhir_adapters.normalise import RESULT_TYPES, SUBSETTED, Normaliser, Reading
from twin.facts import Fact, Quarantined
from twin.timebase import wall_now

Cursor = Mapping[str, datetime]
"""Per resource type, the server's time up to which its changes are known."""

_BEHIND = timedelta(minutes=10)
OPTIONAL_TYPES = frozenset({"Patient", "ServiceRequest", "Schedule", "Slot", *RESULT_TYPES})
"""Types without which the twin does: where they may not be read, that is a warning."""

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


class Gathered:
    """What has been read of one type so far: the newest of each resource, or `every` version."""

    def __init__(
        self,
        normaliser: Normaliser,
        observed_at: datetime | None = None,
        *,
        since: datetime | None = None,
        every: bool = False,
    ) -> None:
        self.observed_at = observed_at or wall_now()
        self.server_time: datetime | None = None
        self.warnings: list[str] = []
        self.ids: set[str] = set()
        self.answered = False
        self.cut = False
        """Not all of a search was read."""
        self.partial: set[str] = set()
        """`Type/real id` of what came with only some of its elements."""
        self._normaliser = normaliser
        self.since = since
        self._every = every
        self._facts: dict[object, Fact] = {}
        self._quarantined: dict[object, Quarantined] = {}
        self._patient_ids: set[str] = set()

    async def add(self, page: Page, resource_type: str, *, only: frozenset[str] | None = None) -> bool:
        """The entries of a page, in a thread, so that the event loop goes on.

        With `only` those of these ids; False where there were others, which nobody asked for.
        """
        if not self.answered:
            self.answered, self.server_time = True, page.server_time
        resources = list(_matches(page.bundle, resource_type))
        wanted = resources if only is None else [one for one in resources if _id(one) in only]
        if wanted:
            await asyncio.to_thread(self.take_all, wanted)
        return len(wanted) == len(resources)

    def take_all(self, resources: Iterable[object]) -> None:
        """Each of them."""
        for resource in resources:
            self.take(resource)

    def take(self, resource: object) -> None:
        """One resource; of two readings of the same the newer is kept, and a readable one before one that isn't."""
        reading: Reading = self._normaliser.read(resource, self.observed_at)
        self._patient_ids |= reading.patient_ids
        resource_id = _id(resource)
        if resource_id is not None:
            self.ids.add(resource_id)
        outcome = reading.outcome
        if isinstance(outcome, Quarantined):
            if outcome.reason == SUBSETTED:
                self.partial.add(f"{outcome.type}/{resource_id}")
            # Without an id nothing tells two of them apart.
            self._quarantined[(outcome.type, outcome.id) if outcome.id else object()] = outcome
            return
        name = outcome.key if self._every else outcome.key.ref
        known = self._facts.get(name)
        if known is None or known.key.last_updated <= outcome.key.last_updated:
            self._facts[name] = outcome
        self._quarantined.pop((outcome.key.type, outcome.key.id), None)

    def gone(self, ref: str, at: datetime) -> None:
        """A resource that is no longer there."""
        fact = self._normaliser.gone(*links.reference(ref), at)
        self._facts[fact.key.ref] = fact

    async def complete(self, client: FhirClient) -> None:
        """Read by itself what came with only some of its elements; what can't be read stays quarantined."""
        refs, self.partial = sorted(self.partial), set()
        for answer in await together(_whole(client, ref) for ref in refs):
            if answer is not None:
                self.take(answer)

    def batch(self, resource_type: str) -> Batch:
        """All of it. Without a time of the server the highest lastUpdated is the cursor, else the one before.

        A server that tells no time at all is taken to be at most ten minutes behind us.
        """
        dated = (fact.key.last_updated for fact in self._facts.values() if "no-last-updated" not in fact.findings)
        highest = max(dated, default=self.since or self.observed_at - _BEHIND)
        cursor = self.server_time or highest
        return Batch(
            facts=tuple(self._facts.values()),
            quarantined=tuple(self._quarantined.values()),
            read=len(self._facts) + len(self._quarantined),
            cursor={resource_type: cursor.astimezone(UTC)},
            patient_ids=frozenset(self._patient_ids),
            complete=frozenset() if self.cut else frozenset({resource_type}),
            warnings=tuple(self.warnings),
        )


def _id(resource: object) -> str | None:
    told = resource.get("id") if isinstance(resource, dict) else None
    return told if isinstance(told, str) else None


async def _whole(client: FhirClient, ref: str) -> object:
    try:
        return (await client.read(ref)).json()
    except (NotFoundError, RefusedError):
        return None


def _matches(bundle: Mapping[str, Any], resource_type: str) -> Iterator[object]:
    """What a page gives of the type searched for: no outcome, no included resource of another type."""
    for entry in entries(bundle):
        if not isinstance(entry, dict):
            yield entry
            continue
        search, resource = entry.get("search"), entry.get("resource")
        mode = search.get("mode") if isinstance(search, dict) else None
        other = resource.get("resourceType") if isinstance(resource, dict) else None
        if mode != "outcome" and not (links.is_type(other) and other != resource_type):
            yield resource


async def read_each(
    client: FhirClient, normaliser: Normaliser, refs: Sequence[str], observed_at: datetime | None = None
) -> Batch:
    """Direct reads of `Type/real id`: the fact where it is there, `Deleted` for 404 and 410.

    Raises RefusedError for 401 and 403 of a type that the twin can't do without: that is no absence.
    """
    return direct(await together(_read_one(client, normaliser, ref, observed_at) for ref in refs))


async def _read_one(client: FhirClient, normaliser: Normaliser, ref: str, observed_at: datetime | None) -> Batch:
    resource_type, _ = links.reference(ref)
    into = Gathered(normaliser, observed_at)
    try:
        into.take((await client.read(ref)).json())
    except NotFoundError as error:
        into.gone(ref, error.server_time or into.observed_at)
        return replace(into.batch(resource_type), read=0)
    except RefusedError:
        if resource_type not in OPTIONAL_TYPES:
            raise
        return Batch(warnings=(f"{resource_type}: some may not be read",))
    return into.batch(resource_type)


# Many at once


async def together(work: Iterable[Awaitable[T]]) -> list[T]:
    """The results in order; the first error ends the others and is raised as it is."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def direct(batches: Sequence[Batch]) -> Batch:
    """Of readings that were no search of a whole type: no cursor, nothing complete."""
    return replace(joined(batches), cursor={}, complete=frozenset())


def joined(batches: Sequence[Batch]) -> Batch:
    """All of them as one."""
    return Batch(
        facts=tuple(fact for batch in batches for fact in batch.facts),
        quarantined=tuple(bad for batch in batches for bad in batch.quarantined),
        read=sum(batch.read for batch in batches),
        cursor={name: at for batch in batches for name, at in batch.cursor.items()},
        patient_ids=frozenset().union(*(batch.patient_ids for batch in batches)),
        complete=frozenset().union(*(batch.complete for batch in batches)),
        warnings=tuple(dict.fromkeys(warning for batch in batches for warning in batch.warnings)),
    )
