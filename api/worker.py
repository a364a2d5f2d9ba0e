"""With `intake` the only place that moves values in and out of the journal: read, fold, simulate, predict, write back.

A `Worker` is one site's line. `api.live` calls its steps on time, `jumeau run --once` calls them one after the other.
"""

import asyncio
import uuid
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial

import structlog

from api.context import context_text
from api.intake import Intake
from api.learning import Learned, Learner
from api.parts import Counts, Parts
from api.snapshot import Feed, RunInfo, Snapshot
from fhir_adapters.outcomes import WriteResult
from twin.durations.stages import STAGE_LAWS
from twin.facts import Fact, Horizon
from twin.journal import Run
from twin.journal.lease import Lease
from twin.prediction import MODEL
from twin.prediction.habits import Habits, habits_of
from twin.prediction.material import Orders, differs, orders_beside, orders_of, wanted_annotations
from twin.prediction.models import History, Models, models_of
from twin.prediction.predict import Issue, days_to_predict, result_hash, room_ends_of, scenario_of, timelines_of
from twin.projections.ledger import Ledger, changed
from twin.projections.places import places_of
from twin.projections.suite_twin import SuiteTwin
from twin.simulation.result import Futures
from twin.timebase import Clock, monotonic, wall_now
from twin.timeline import Annotation, PredictedRoomEnd, PredictedTimeline, WriteOrder

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Written:
    """Outcomes of one round of writing back."""

    written: int = 0
    unchanged: int = 0
    conflicts: int = 0
    failed: int = 0
    held_back: int = 0
    latencies_s: list[float] = field(default_factory=list)
    """Wall seconds from a change on the server to its prediction written, of the changes that this round settled."""

    def add(self, status: str) -> None:
        """Count one outcome."""
        if status == "written":
            self.written += 1
        elif status == "conflict":
            self.conflicts += 1
        elif status in ("failed", "touched"):
            self.failed += 1
        else:
            self.unchanged += 1


class Worker:
    """One site's line from the FHIR server to predictions and back. Not thread-safe: one event loop calls it."""

    def __init__(self, parts: Parts, clock: Clock, lease: Lease | None = None) -> None:
        """`lease`: of the journal, where it is to be held by whoever writes."""
        self.parts = parts
        self._lease = lease
        self.server = parts.settings.fhir.base_url
        self.snapshot: Snapshot | None = None
        self.latencies_s: deque[float] = deque(maxlen=10_000)
        """Wall seconds from a change on the server to its prediction written, for changes that led to a write."""
        self._intake = Intake(parts, clock)
        self._futures: dict[date, tuple[str, Futures]] = {}
        self._covered: frozenset[str] = frozenset()
        self._stored: dict[str, Annotation] = {}
        self._number = 0
        self._gone: dict[str, Fact] = {}
        """Newest versions of resources that a write didn't find: nothing is written until a read sees them again."""
        self._context = partial(
            context_text,
            parts.settings,
            clock,
            reading=parts.reading,
            source=parts.source,
            model_digest=parts.start.digest if parts.start else None,
        )
        self._learner = Learner(parts.memory(), clock)

    # --- reading ------------------------------------------------------------------------------------------------------

    @property
    def clock(self) -> Clock:
        """Site time, for reading and predicting alike."""
        return self._intake.clock

    @clock.setter
    def clock(self, clock: Clock) -> None:
        self._intake.clock = clock

    @property
    def ledger(self) -> Ledger:
        """Everything known of the server."""
        return self._intake.ledger

    @property
    def horizon(self) -> Horizon:
        """The days that are kept, around today on the site's clock."""
        return self._intake.horizon

    async def rebuild(self) -> None:
        """Fold everything that the journal knows of this server."""
        await self._intake.rebuild()

    async def read_all(self) -> Counts:
        """Read the whole horizon; what is absent and answers 404 or 410 to a direct read is deleted."""
        counts = await self._intake.read_all()
        self._gone.clear()
        if self.parts.settings.write_back.mode == "companion":
            await self.parts.writer.companions.read(self.parts.writer.traits)
        return counts

    async def read_changes(self) -> Counts:
        """Read what changed since the cursor, with its overlap."""
        return await self._intake.read_changes()

    def has_news(self, before: Ledger) -> bool:
        """True where the hospital changed something since `before`; our own annotations are no news."""
        return bool(changed(before, self.ledger))

    def changed_types(self, before: Ledger) -> frozenset[str]:
        """Types of which the hospital wrote something since `before`. Deletes don't count: not every server tells."""
        refs = changed(before, self.ledger)
        return frozenset(ref.partition("/")[0] for ref in refs if not self.ledger.resources[ref].deleted)

    def failed_to_read(self, reason: str) -> None:
        """Remember why a read failed; the twins stay as they are and grow old visibly."""
        self._intake.failing = reason

    # --- twins and predictions ----------------------------------------------------------------------------------------

    async def learn(self) -> bool:
        """Learn from all finished cases of the journal, where that is due; True where it was. Raises JournalError."""
        return await self._learner.learn(self._intake.position)

    @property
    def history(self) -> History | None:
        """What was learned; None before the first time."""
        known = self._learner.known
        return known.history if known else None

    async def predict(self) -> Snapshot:
        """Fold the twins as they stand now, simulate, and publish a snapshot. SimulationError: the old one stands."""
        started = monotonic()
        covered = frozenset(self._intake.pending)
        position = self._intake.position
        learned = self._learner.known
        suite = await self._intake.suite()
        run_id = uuid.uuid4().urn
        settings = self.parts.settings
        issue = Issue(run_id, self.parts.source, suite.now, settings.material_options())
        timelines: dict[str, PredictedTimeline] = {}
        room_ends: dict[str, tuple[PredictedRoomEnd, ...]] = {}
        models, all_futures = await self._simulate(suite, learned)
        for day, futures in all_futures.items():
            zone = self.parts.site.timezone
            timelines.update(await asyncio.to_thread(timelines_of, suite, day, futures, issue, zone))
            if day == suite.day:
                room_ends = room_ends_of(suite, futures, issue, zone)
        options = settings.simulation_options()
        info = RunInfo(run_id, suite.now, options.seed, options.replications, seconds=monotonic() - started)
        await self._append_run(info, timelines, room_ends, position=position, learned=learned)
        self._number += 1
        self._covered = covered
        places = places_of(self.ledger, self.parts.site)
        self.snapshot = Snapshot(self._number, suite, places, timelines, room_ends, info, models)
        return self.snapshot

    async def _simulate(
        self, suite: SuiteTwin, learned: Learned | None
    ) -> tuple[dict[date, Models], dict[date, Futures]]:
        """Of today and of the later days that have cases: what is known of durations, and the futures.

        A later day is simulated only when its input changed.
        """
        settings = self.parts.settings
        options = settings.simulation_options()
        found: dict[date, Futures] = {}
        used: dict[date, Models] = {}
        known_by: dict[bool, tuple[Models, Habits]] = {}
        for day in days_to_predict(suite):
            before = None if day == suite.day else suite.day
            if (before is None) not in known_by:
                known_by[before is None] = await asyncio.to_thread(self._known, suite, before, learned)
            used[day], habits = known_by[before is None]
            scenario = await asyncio.to_thread(
                scenario_of, suite, day, used[day], habits, site=self.parts.site, options=options
            )
            if not scenario.cases:
                continue
            key = scenario.content_key
            known = self._futures.get(day)
            found[day] = known[1] if known and known[0] == key else await self.parts.simulation.run(scenario)
            self._futures[day] = (key, found[day])
        self._futures = {day: kept for day, kept in self._futures.items() if day in found}
        return used, found

    def _known(self, suite: SuiteTwin, before: date | None, learned: Learned | None) -> tuple[Models, Habits]:
        cases = suite.cases.values()
        options = self.parts.settings.duration_options()
        history = learned.history if learned else None
        models = models_of(cases, options, before=before, history=history, start=self.parts.start)
        return models, habits_of(cases, before=before, laws=history.laws if history else STAGE_LAWS)

    async def _append_run(
        self,
        info: RunInfo,
        timelines: Mapping[str, PredictedTimeline],
        room_ends: Mapping[str, tuple[PredictedRoomEnd, ...]],
        *,
        position: int,
        learned: Learned | None,
    ) -> None:
        """A run is a row; of its predictions those that moved materially are kept, the others can be made again."""
        parts = self.parts
        options = parts.settings.material_options()
        made = {case_id: Annotation(timeline=timeline) for case_id, timeline in timelines.items()}
        made |= {ref: Annotation(room_ends=ends) for ref, ends in room_ends.items()}
        moved = {
            subject
            for subject, annotation in made.items()
            if (kept := self._stored.get(subject)) is None or differs(annotation, kept, options)
        }
        self._stored = {subject: made[subject] if subject in moved else self._stored[subject] for subject in made}
        run = Run(
            id=info.id,
            at=info.at,
            seed=info.seed,
            replications=info.replications,
            code_version=parts.code_version,
            wall_at=wall_now(),
            model=MODEL,
            result_hash=result_hash(timelines, room_ends),
            position=position,
            context=self._context(learned=learned.basis if learned else None),
        )
        await asyncio.to_thread(
            parts.journal.append_run,
            self.server,
            run,
            {case_id: timeline for case_id, timeline in timelines.items() if case_id in moved},
            {ref: ends for ref, ends in room_ends.items() if ref in moved},
        )

    # --- writing back -------------------------------------------------------------------------------------------------

    def orders(self) -> Orders:
        """What is to be written now: a fold of the newest snapshot and of what the server carries."""
        shown = self.snapshot
        if shown is None:
            return Orders((), 0)
        settings = self.parts.settings.write_back
        options, now = self.parts.settings.material_options(), shown.suite.now
        beside = settings.mode == "companion"
        targets = [target for target in settings.targets if target == "case" or not beside]
        wanted = wanted_annotations(shown.suite, shown.timelines, shown.room_ends, targets)
        if beside:
            return orders_beside(wanted, self.parts.writer.companions.carried, now=now, options=options)
        found = orders_of(wanted, self.ledger, now=now, options=options, take_over=settings.take_over)
        return replace(found, orders=tuple(order for order in found.orders if not self._is_gone(order.ref)))

    def _is_gone(self, ref: str) -> bool:
        return ref in self._gone and self._gone[ref] is self.ledger.resources[ref].newest

    async def write(self) -> Written:
        """Write what is due. Orders held back by an interval or the budget come again at the next call."""
        todo = self.orders()
        told = Written(unchanged=todo.unchanged)
        if self.parts.settings.write_back.mode == "off":
            told.held_back = len(todo.orders)
            return told
        if self._lease is not None:
            await asyncio.to_thread(self._lease.keep)
        due = [order for order in todo.orders if self.parts.writer.due(order)]
        told.held_back = len(todo.orders) - len(due)
        results = await self.parts.writer.run(due)
        await self._note(results, told)
        self._settle_pending({order.ref for order in todo.orders}, results, told)
        self.latencies_s.extend(told.latencies_s)
        return told

    async def dry_run(self) -> list[WriteResult]:
        """What `write` would do, as patches; nothing is sent but reads."""
        return [await self.parts.writer.plan(order) for order in self.orders().orders]

    async def remove_all(self, refs: Iterable[str]) -> Written:
        """Take everything of ours off these resources, and all that is beside."""
        told, writer = Written(), self.parts.writer
        await writer.companions.read()
        results = await writer.run([WriteOrder(ref, None, "removal") for ref in refs])
        beside = [WriteOrder(ref, None, "removal", beside=True) for ref in writer.companions.carried]
        results += await writer.run(beside)
        await self._note(results, told)
        return told

    async def _note(self, results: list[WriteResult], told: Written) -> None:
        """Outcomes and the versions that our writes made go into the journal, and the versions into the twins."""
        if not results:
            return
        for result in results:
            told.add(result.outcome.status)
            if result.outcome.status == "gone" and (known := self.ledger.resources.get(result.ref)):
                self._gone[result.ref] = known.newest
            if result.outcome.status not in ("written", "unchanged"):
                _log.warning("not written", ref=result.outcome.ref, status=result.outcome.status)
        run = self.snapshot.run.id if self.snapshot and self.snapshot.run else None
        outcomes = [result.outcome for result in results]
        await asyncio.to_thread(self.parts.journal.append_outcomes, self.server, outcomes, run=run, at=wall_now())
        versions = [self.parts.normaliser.version(result.body, wall_now()) for result in results if result.body]
        await self._intake.take_written([version for version in versions if isinstance(version, Fact)])

    @property
    def complaints(self) -> list[str]:
        """What a person has to know of writing back to this server."""
        said, foreign = self.parts.writer.traits.complaints, self.orders().foreign
        if foreign:
            said.append(
                f"{foreign} resources carry predictions of another installation and are left alone; "
                "--take-over (write_back.take_over = true) replaces them"
            )
        if self.parts.settings.write_back.mode == "companion":
            left = sum(known.newest.carried.present and not known.deleted for known in self.ledger.resources.values())
            if left:
                said.append(
                    f"{left} resources of the hospital still carry our annotations; "
                    "`jumeau write-back --remove` takes them off, and the companions, which the next run makes again"
                )
        return said

    def _settle_pending(self, ordered: set[str], results: list[WriteResult], told: Written) -> None:
        """Measure the way from a change to its prediction written; changes that moved nothing are done at once."""
        shown = self.snapshot
        if shown is None:
            return
        done = {result.ref for result in results if result.outcome.status == "written"}
        carriers = {
            ref: twin.carrier
            for twin in shown.suite.cases.values()
            for ref in (twin.links.appointment, *twin.links.procedures, *twin.links.encounters)
            if ref
        }
        now = wall_now()
        for ref in self._covered & self._intake.pending.keys():
            carrier = carriers.get(ref)
            if carrier in done:
                told.latencies_s.append((now - self._intake.pending[ref]).total_seconds())
            if carrier in done or carrier not in ordered:
                del self._intake.pending[ref]

    # --- what others see ----------------------------------------------------------------------------------------------

    @property
    def feed(self) -> Feed:
        """How reading and writing are doing."""
        intake = self._intake
        age = None if intake.read_at is None else monotonic() - intake.read_at
        mode, traits = self.parts.settings.write_back.mode, self.parts.writer.traits
        return Feed(
            server=self.server,
            age_s=age,
            failing=intake.failing or intake.frozen,
            quarantined=len(intake.quarantined),
            writing=self.parts.writer.halted or traits.off or "; ".join([mode, *traits.refuses.values()]),
        )
