"""The only place that moves values in and out of the journal: read, fold, simulate, predict, write back.

A `Worker` is one site's line. `api.live` calls its steps on time, `jumeau run --once` calls them one after the other.
"""

import asyncio
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import structlog

from api.deps import Feed, RunInfo, Snapshot
from api.settings import Settings
from fhir_adapters import sync
from fhir_adapters.client import FhirClient
from fhir_adapters.errors import RefusedError
from fhir_adapters.guarded_write import WriteResult, write
from fhir_adapters.normalise import Normaliser
from fhir_adapters.write_back import Writer
from twin.facts import AppointmentFact, Deleted, EncounterFact, Fact, Horizon, LocationFact, PatientFact, ProcedureFact
from twin.journal import Journal, Run
from twin.prediction import MODEL
from twin.prediction.habits import Habits, habits_of
from twin.prediction.material import Orders, differs, orders_of, wanted_annotations
from twin.prediction.models import Models, models_of
from twin.prediction.predict import Issue, days_to_predict, result_hash, room_ends_of, scenario_of, timelines_of
from twin.projections.ledger import Ledger, changed, fold
from twin.projections.places import places_of
from twin.projections.suite_twin import SuiteTwin, suite_twin
from twin.simulation.replications import SimulationWorker
from twin.simulation.result import Futures
from twin.site import SiteOptions
from twin.timebase import Clock, monotonic, site_date, wall_now
from twin.timeline import Annotation, PredictedRoomEnd, PredictedTimeline, WriteOrder

_log = structlog.get_logger(__name__)
_RECONCILED = (AppointmentFact, EncounterFact, ProcedureFact, LocationFact)
_OPEN_STATUS = frozenset({"planned", "arrived", "triaged", "in-progress", "onleave", "preparation", "on-hold"})


@dataclass(frozen=True, slots=True)
class Parts:
    """What a worker is made of; put together by `api.compose`."""

    settings: Settings
    site: SiteOptions
    client: FhirClient
    normaliser: Normaliser
    journal: Journal
    writer: Writer
    simulation: SimulationWorker
    source: str
    reading: str
    """Names the milestone mapping and the version of the readings."""
    code_version: str


@dataclass(slots=True)
class Counts:
    """What one `run --once` has to tell."""

    read: int = 0
    facts: int = 0
    quarantined: int = 0
    warnings: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Written:
    """Outcomes of one round of writing back."""

    written: int = 0
    unchanged: int = 0
    conflicts: int = 0
    failed: int = 0
    held_back: int = 0

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


@dataclass(slots=True)
class _Feed:
    read_at: float | None = None
    failing: str | None = None
    frozen: str | None = None
    """Why the last reconcile took nothing as deleted."""
    quarantined: set[tuple[str, str, str]] = field(default_factory=set)


class Worker:
    """One site's line from the FHIR server to predictions and back. Not thread-safe: one event loop calls it."""

    def __init__(self, parts: Parts, clock: Clock) -> None:
        self.parts = parts
        self.clock = clock
        self.server = parts.settings.fhir.base_url
        self.ledger = Ledger()
        self.snapshot: Snapshot | None = None
        self.latencies_s: list[float] = []
        """Wall seconds from a change on the server to its prediction written, for changes that led to a write."""
        self._cursor: dict[str, datetime] = {}
        self._patient_ids: dict[str, str] = {}
        self._asked: set[str] = set()
        self._feed = _Feed()
        self._futures: dict[date, tuple[str, Futures]] = {}
        self._pending: dict[str, datetime] = {}
        self._covered: frozenset[str] = frozenset()
        self._stored: dict[str, Annotation] = {}
        self._number = 0

    # --- reading ------------------------------------------------------------------------------------------------------

    async def rebuild(self) -> None:
        """Fold everything that the journal knows of this server."""
        facts = await asyncio.to_thread(lambda: list(self.parts.journal.facts(self.server, reading=self.parts.reading)))
        self.ledger = fold(Ledger(), facts)
        self._cursor = dict(await asyncio.to_thread(self.parts.journal.cursor, self.server))

    @property
    def horizon(self) -> Horizon:
        """The days that are kept, around today on the site's clock."""
        today = site_date(self.clock.now(), self.parts.site.timezone)
        sync_settings = self.parts.settings.sync
        return Horizon(
            today - timedelta(days=sync_settings.past_days), today + timedelta(days=sync_settings.ahead_days)
        )

    async def read_all(self) -> Counts:
        """Read the whole horizon; what is absent and answers 404 or 410 to a direct read is deleted."""
        counts = Counts()
        horizon = self.horizon
        batch = await sync.read_horizon(self.parts.client, self.parts.normaliser, horizon)
        await self._take(batch, counts)
        await self._reconcile(batch, horizon, counts)
        await self._read_patients(counts, fresh=True)
        self._read_now()
        return counts

    async def read_changes(self) -> Counts:
        """Read what changed since the cursor, with its overlap."""
        counts = Counts()
        overlap_s = self.parts.settings.sync.overlap_s
        batch = await sync.read_changes(self.parts.client, self.parts.normaliser, self._cursor, overlap_s=overlap_s)
        await self._take(batch, counts)
        await self._read_patients(counts, fresh=False)
        self._read_now()
        return counts

    def has_news(self, before: Ledger) -> bool:
        """True where the hospital changed something since `before`; our own annotations are no news."""
        return bool(changed(before, self.ledger))

    def failed_to_read(self, reason: str) -> None:
        """Remember why a read failed; the twins stay as they are and grow old visibly."""
        self._feed.failing = reason

    def _read_now(self) -> None:
        self._feed.read_at = monotonic()
        self._feed.failing = None

    async def _take(self, batch: sync.Batch, counts: Counts) -> None:
        journal = self.parts.journal
        news = [fact for fact in batch.facts if not self._is_known(fact)]
        await asyncio.to_thread(
            journal.append_batch,
            self.server,
            news,
            batch.quarantined,
            batch.cursor,
            reading=self.parts.reading,
            observed_at=wall_now(),
        )
        self._cursor.update(batch.cursor)
        self._patient_ids.update({self.parts.normaliser.pseudonyms.patient(real): real for real in batch.patient_ids})
        for entry in batch.quarantined:
            self._feed.quarantined.add((entry.type, entry.id, entry.version_id))
        self._fold(news)
        counts.read += batch.read
        counts.facts += sum(not isinstance(fact.assertion, Deleted) for fact in batch.facts)
        counts.quarantined += len(batch.quarantined)
        counts.warnings.extend(batch.warnings)

    def _is_known(self, fact: Fact) -> bool:
        """True for a version that comes again; without lastUpdated, one that says the same as the newest."""
        resource = self.ledger.resources.get(fact.key.ref)
        if resource is None:
            return False
        if isinstance(fact.assertion, Deleted) and resource.deleted:
            return True
        newest = resource.newest
        if fact.key == newest.key:
            return fact == newest
        same = fact.content_hash == newest.content_hash and fact.carried == newest.carried
        return same and fact.key.version_id == newest.key.version_id and "no-last-updated" in fact.findings

    def _fold(self, facts: Iterable[Fact]) -> None:
        before, self.ledger = self.ledger, fold(self.ledger, facts)
        if self._feed.read_at is None:
            return  # what was there before the first read is no change that waits for a prediction
        for ref in changed(before, self.ledger):
            at = self.ledger.resources[ref].newest.key.last_updated
            self._pending[ref] = min(at, self._pending.get(ref, at))

    async def _reconcile(self, batch: sync.Batch, horizon: Horizon, counts: Counts) -> None:
        known = {ref for ref in self._expected(horizon) if ref.partition("/")[0] in batch.complete}
        absent = sorted(known - batch.refs)
        self._feed.frozen = None
        for resource_type in sorted(batch.complete):
            mine = [ref for ref in absent if ref.startswith(f"{resource_type}/")]
            all_known = sum(1 for ref in known if ref.startswith(f"{resource_type}/"))
            if sync.mass_absence(len(mine), all_known):
                self._freeze(f"{len(mine)} of {all_known} {resource_type} are absent at once", counts)
                absent = [ref for ref in absent if ref not in mine]
        if absent:
            try:
                missing = await sync.read_missing(self.parts.client, self.parts.normaliser, absent)
            except RefusedError as error:
                self._freeze(str(error), counts)
            else:
                await self._take(missing, counts)

    def _freeze(self, reason: str, counts: Counts) -> None:
        self._feed.frozen = f"{reason}: what is absent is not taken as deleted"
        counts.warnings.append(self._feed.frozen)

    def _expected(self, horizon: Horizon) -> Iterable[str]:
        """Refs that a read of the whole horizon must show if they are still there."""
        for ref, resource in self.ledger.resources.items():
            content = resource.content.assertion
            if resource.deleted or not isinstance(content, _RECONCILED):
                continue
            if isinstance(content, LocationFact) or content.status in _OPEN_STATUS or self._dated(content, horizon):
                yield ref

    def _dated(self, content: AppointmentFact | EncounterFact | ProcedureFact, horizon: Horizon) -> bool:
        start = content.start
        return start is not None and horizon.first <= site_date(start, self.parts.site.timezone) <= horizon.last

    async def _read_patients(self, counts: Counts, *, fresh: bool) -> None:
        """Patients are read only when a case refers to them; one that could not be read is asked for at whole reads."""
        wanted = set((await self._suite()).patients)
        if not fresh:
            wanted -= {resource.newest.key.id for resource, _ in self.ledger.of(PatientFact)} | self._asked
        self._asked = wanted if fresh else self._asked | wanted
        ids = sorted(self._patient_ids[key] for key in wanted if key in self._patient_ids)
        if ids:
            await self._take(await sync.read_patients(self.parts.client, self.parts.normaliser, ids), counts)

    # --- twins and predictions ----------------------------------------------------------------------------------------

    async def _suite(self) -> SuiteTwin:
        ledger, site, clock = self.ledger, self.parts.site, self.clock
        return await asyncio.to_thread(suite_twin, ledger, site, clock=clock, horizon=self.horizon, server=self.server)

    async def predict(self) -> Snapshot:
        """Fold the twins as they stand now, simulate, and publish a snapshot. SimulationError: the old one stands."""
        started = monotonic()
        covered = frozenset(self._pending)
        position = await asyncio.to_thread(self.parts.journal.position)
        suite = await self._suite()
        run_id = uuid.uuid4().urn
        settings = self.parts.settings
        issue = Issue(run_id, self.parts.source, suite.now, settings.material_options())
        timelines: dict[str, PredictedTimeline] = {}
        room_ends: dict[str, tuple[PredictedRoomEnd, ...]] = {}
        for day, futures in (await self._simulate(suite)).items():
            zone = self.parts.site.timezone
            timelines.update(await asyncio.to_thread(timelines_of, suite, day, futures, issue, zone))
            if day == suite.day:
                room_ends = room_ends_of(suite, futures, issue, zone)
        options = settings.simulation_options()
        info = RunInfo(run_id, suite.now, options.seed, options.replications, seconds=monotonic() - started)
        await self._append_run(info, timelines, room_ends, position=position)
        self._number += 1
        self._covered = covered
        places = places_of(self.ledger, self.parts.site)
        self.snapshot = Snapshot(self._number, suite, places, timelines, room_ends, info)
        return self.snapshot

    async def _simulate(self, suite: SuiteTwin) -> dict[date, Futures]:
        """Futures of today and of the later days that have cases; a later day only when its input changed."""
        settings = self.parts.settings
        options = settings.simulation_options()
        found: dict[date, Futures] = {}
        known_by: dict[bool, tuple[Models, Habits]] = {}
        for day in days_to_predict(suite):
            before = None if day == suite.day else suite.day
            if (before is None) not in known_by:
                known_by[before is None] = await asyncio.to_thread(self._learned, suite, before)
            models, habits = known_by[before is None]
            scenario = await asyncio.to_thread(
                scenario_of, suite, day, models, habits, site=self.parts.site, options=options
            )
            if not scenario.cases:
                continue
            key = scenario.content_key
            known = self._futures.get(day)
            found[day] = known[1] if known and known[0] == key else await self.parts.simulation.run(scenario)
            self._futures[day] = (key, found[day])
        self._futures = {day: kept for day, kept in self._futures.items() if day in found}
        return found

    def _learned(self, suite: SuiteTwin, before: date | None) -> tuple[Models, Habits]:
        cases = suite.cases.values()
        options = self.parts.settings.duration_options()
        return models_of(cases, options, before=before), habits_of(cases, before=before)

    async def _append_run(
        self,
        info: RunInfo,
        timelines: Mapping[str, PredictedTimeline],
        room_ends: Mapping[str, tuple[PredictedRoomEnd, ...]],
        *,
        position: int,
    ) -> None:
        """A run is a row; of its predictions those that moved materially are kept, the others can be made again."""
        options = self.parts.settings.material_options()
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
            code_version=self.parts.code_version,
            wall_at=wall_now(),
            model=MODEL,
            result_hash=result_hash(timelines, room_ends),
            position=position,
        )
        await asyncio.to_thread(
            self.parts.journal.append_run,
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
        settings = self.parts.settings
        wanted = wanted_annotations(shown.suite, shown.timelines, shown.room_ends, settings.write_back.targets)
        return orders_of(wanted, self.ledger, now=shown.suite.now, options=settings.material_options())

    async def write(self) -> Written:
        """Write what is due. Orders held back by an interval or the budget come again at the next call."""
        todo = self.orders()
        told = Written(unchanged=todo.unchanged)
        if self.parts.settings.write_back.mode == "off":
            told.held_back = len(todo.orders)
            return told
        due = [order for order in todo.orders if self.parts.writer.due(order)]
        told.held_back = len(todo.orders) - len(due)
        results = await self.parts.writer.run(due)
        await self._note(results, told)
        self._settle_pending({order.ref for order in todo.orders}, results)
        return told

    async def dry_run(self) -> list[WriteResult]:
        """What `write` would do, as patches; nothing is sent but reads."""
        zone, source = self.parts.site.timezone, self.parts.source
        return [
            await write(self.parts.client, order, zone=zone, source=source, dry_run=True)
            for order in self.orders().orders
        ]

    async def remove_all(self, refs: Iterable[str]) -> Written:
        """Take everything of ours off these resources."""
        told = Written()
        writer = self.parts.writer
        results = await writer.run([WriteOrder(ref, None, "removal") for ref in refs])
        await self._note(results, told)
        return told

    async def _note(self, results: list[WriteResult], told: Written) -> None:
        """Outcomes and the versions that our writes made go into the journal, and the versions into the twins."""
        if not results:
            return
        for result in results:
            told.add(result.outcome.status)
            if result.outcome.status not in ("written", "unchanged"):
                _log.warning("not written", ref=result.outcome.ref, status=result.outcome.status)
        run = self.snapshot.run.id if self.snapshot and self.snapshot.run else None
        journal = self.parts.journal
        outcomes = [result.outcome for result in results]
        await asyncio.to_thread(journal.append_outcomes, self.server, outcomes, run=run, at=wall_now())
        versions = [self.parts.normaliser.version(result.body, wall_now()) for result in results if result.body]
        facts = tuple(version for version in versions if isinstance(version, Fact))
        await asyncio.to_thread(
            journal.append_batch, self.server, facts, (), {}, reading=self.parts.reading, observed_at=wall_now()
        )
        self.ledger = fold(self.ledger, facts)

    def _settle_pending(self, ordered: set[str], results: list[WriteResult]) -> None:
        """Measure the way from a change to its prediction written; changes that moved nothing are done at once."""
        shown = self.snapshot
        if shown is None:
            return
        done = {result.outcome.ref for result in results if result.outcome.status == "written"}
        carriers = {
            ref: twin.carrier
            for twin in shown.suite.cases.values()
            for ref in (twin.links.appointment, *twin.links.procedures, *twin.links.encounters)
            if ref
        }
        now = wall_now()
        for ref in self._covered & self._pending.keys():
            carrier = carriers.get(ref)
            if carrier in done:
                self.latencies_s.append((now - self._pending[ref]).total_seconds())
            if carrier in done or carrier not in ordered:
                del self._pending[ref]

    # --- what others see ----------------------------------------------------------------------------------------------

    @property
    def feed(self) -> Feed:
        """How reading and writing are doing."""
        age = None if self._feed.read_at is None else monotonic() - self._feed.read_at
        mode = self.parts.settings.write_back.mode
        return Feed(
            server=self.server,
            age_s=age,
            failing=self._feed.failing or self._feed.frozen,
            quarantined=len(self._feed.quarantined),
            writing=self.parts.writer.halted or mode,
        )
