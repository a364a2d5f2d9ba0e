"""The twin as it was known at a past instant: the versions that the server had by then, folded as they were then."""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta

from api.garbage import uncollected
from api.settings import Settings
from api.snapshot import PAST, BusyError, RunInfo, Snapshot
from twin.durations.start import Start
from twin.facts import Horizon
from twin.journal import Journal
from twin.projections.leaving import past_before, without_past
from twin.projections.ledger import Ledger, fold
from twin.projections.places import places_of
from twin.projections.suite_twin import SuiteTwin, suite_twin
from twin.site import SiteOptions
from twin.timebase import Clock
from twin.vocabulary import CaseStatus

KEPT = 8
"""Past snapshots kept: the pages of one instant are asked for together."""
MAX_WAITING = 8
"""Each takes up to some seconds, one after the other: more than these are sent away."""
_OPEN = frozenset({CaseStatus.PLANNED, CaseStatus.IN_PROGRESS})


@dataclass(frozen=True, slots=True)
class Memory:
    """What the past is made of."""

    journal: Journal
    settings: Settings
    site: SiteOptions
    reading: str
    start: Start | None = None
    """What room time was learned from a file (`durations.model_file`)."""

    def _ledger(self, *, until: datetime | None = None, since: datetime | None = None) -> Ledger:
        facts = self.journal.facts(self.settings.fhir.base_url, reading=self.reading, until=until, since=since)
        return fold(Ledger(), facts)

    def suite(self, clock: Clock, horizon: Horizon) -> SuiteTwin:
        """The suite of a horizon as it is known now. Raises JournalError."""
        server = self.settings.fhir.base_url
        return suite_twin(self._ledger(), self.site, clock=clock, horizon=horizon, server=server)

    def at(self, instant: datetime, clock: Clock) -> Snapshot:
        """The twins and predictions as they were known at a site instant. Takes as long as a start of the program.

        Raises JournalError.
        """
        server, horizon = self.settings.fhir.base_url, self.settings.horizon(instant)
        then = clock.standing_at(instant)
        wall = clock.wall_at(instant)
        zone = self.site.timezone
        ledger = self._ledger(until=wall, since=past_before(horizon.first, zone))
        ledger = without_past(ledger, horizon.first, zone)
        suite = suite_twin(ledger, self.site, clock=then, horizon=horizon, server=server)
        days = timedelta(days=(horizon.last - horizon.first).days + 1)
        told = self.journal.predictions(server, since=wall - days, until=wall)
        ends = {ref: tuple(end for end in mine if end.day == suite.day) for ref, mine in told.room_ends.items()}
        run = told.run
        return Snapshot(
            number=PAST,
            suite=suite,
            places=places_of(ledger, self.site),
            timelines={
                case_id: timeline
                for case_id, timeline in told.timelines.items()
                if (twin := suite.case(case_id)) is not None and twin.status in _OPEN
            },
            room_ends={ref: mine for ref, mine in ends.items() if mine},
            run=RunInfo(run.id, run.at, run.seed, run.replications, seconds=None) if run else None,
        )


class PastSnapshots:
    """Past snapshots for the API: made off the event loop, one at a time, the newest few kept."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._kept: OrderedDict[tuple[datetime, int], Snapshot] = OrderedDict()
        self._one = asyncio.Lock()
        self._waiting = 0

    async def at(self, instant: datetime, clock: Clock) -> Snapshot:
        """The snapshot of a site instant. Raises BusyError where too many wait for theirs, else JournalError."""
        if self._waiting >= MAX_WAITING:
            raise BusyError
        self._waiting += 1
        try:
            async with self._one:
                return await self._made(instant, clock)
        finally:
            self._waiting -= 1

    async def _made(self, instant: datetime, clock: Clock) -> Snapshot:
        # What is read later may tell more of that instant.
        key = instant, await asyncio.to_thread(self._memory.journal.position)
        if key not in self._kept:
            with uncollected():
                self._kept[key] = await asyncio.to_thread(self._memory.at, instant, clock)
        self._kept.move_to_end(key)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return self._kept[key]
