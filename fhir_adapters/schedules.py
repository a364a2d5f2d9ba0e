"""When rooms are open, as the hospital publishes it: the Schedules of the rooms, and their Slots of the horizon."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from fhir_adapters.by_id import chunks
from fhir_adapters.client import FhirClient, Params, may_be_the_search
from fhir_adapters.errors import EndlessError, FhirServerError, NotFoundError, RefusedError
from fhir_adapters.gathering import Batch, Gathered, joined, together
from fhir_adapters.normalise import Normaliser
from fhir_adapters.sync import PAGE_SIZE, within
from twin.facts import Fact, Horizon, ScheduleFact, SlotFact

_COUNT = ("_count", str(PAGE_SIZE))


async def read_schedules(
    client: FhirClient,
    normaliser: Normaliser,
    rooms: Iterable[str],
    horizon: Horizon,
    *,
    observed_at: datetime | None = None,
) -> Batch:
    """Schedules of these rooms (`Location/id`) and their Slots that start in the horizon.

    Only those are kept whatever the server gives: a hospital has many more Slots, of consultations. A server that
    doesn't offer the types or the searches (404, 400, 401, 403) gives nothing.
    """
    wanted = frozenset(rooms)
    reader = _Reader(client, normaliser, observed_at)
    schedules = await reader.read(
        "Schedule", [[("actor", ",".join(chunk)), _COUNT] for chunk in chunks(sorted(wanted))], _is_of(wanted)
    )
    refs = frozenset(fact.key.ref for fact in schedules.facts)
    slots = await reader.read(
        "Slot",
        [[("schedule", ",".join(chunk)), *within("start", horizon), _COUNT] for chunk in chunks(sorted(refs))],
        _is_slot_of(refs),
    )
    return joined([schedules, slots])


class _Reader:
    def __init__(self, client: FhirClient, normaliser: Normaliser, observed_at: datetime | None) -> None:
        self._client = client
        self._normaliser = normaliser
        self._observed_at = observed_at

    async def read(self, resource_type: str, searches: Sequence[Params], is_wanted: Callable[[Fact], bool]) -> Batch:
        """The union of the searches, without what isn't wanted; nothing where the server doesn't do one of them."""
        try:
            found = joined(await together(self._search(resource_type, params) for params in searches))
        except (NotFoundError, RefusedError):
            return Batch()
        except FhirServerError as error:
            if not may_be_the_search(error):
                raise
            return Batch()
        facts = tuple(fact for fact in found.facts if is_wanted(fact))
        complete = found.complete if searches else frozenset[str]()
        return Batch(facts=facts, read=len(facts), complete=complete, quarantined=found.quarantined)

    async def _search(self, resource_type: str, params: Params) -> Batch:
        into = Gathered(self._normaliser, self._observed_at)
        try:
            async for page in self._client.search(resource_type, params):
                await into.add(page, resource_type)
        except EndlessError:
            into.cut = True
        await into.complete(self._client)
        return into.batch(resource_type)


def _is_of(rooms: frozenset[str]) -> Callable[[Fact], bool]:
    return lambda fact: isinstance(fact.assertion, ScheduleFact) and not rooms.isdisjoint(fact.assertion.locations)


def _is_slot_of(schedules: frozenset[str]) -> Callable[[Fact], bool]:
    return lambda fact: isinstance(fact.assertion, SlotFact) and fact.assertion.schedule in schedules
