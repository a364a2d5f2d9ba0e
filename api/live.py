"""The living program: reading, predicting and writing as tasks of one event loop, beside the API."""

import asyncio
import traceback
from collections.abc import Awaitable, Iterable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from api.deps import BusyError, Feed, Snapshot
from api.parts import Counts
from api.past import Memory, PastSnapshots
from api.push import Push
from api.recalibrating import decide, offers
from api.scenarios.answer import Answer
from api.scenarios.model import WhatIf
from api.schemas import DecisionGiven, DecisionKept, RecalibrationShown, ScoreCardShown
from api.scoring import judge
from api.what_if import WhatIfs
from api.worker import Worker
from fhir_adapters.errors import FhirServerError
from twin.errors import JournalError, SimulationError
from twin.site import SiteOptions
from twin.timebase import monotonic

T = TypeVar("T")
_log = structlog.get_logger(__name__)
WAKE_GAP_S = 1.0
"""Between two readings, however many notifications come."""
RETRY_S = 5.0
"""At most, until a reading that failed is tried again."""
LEARN_S = 60.0
"""Between two looks whether a new day's history is to be learned."""
_CARD_S = 60.0
"""Wall seconds for which a score-card stands: reading the journal for it takes a while."""
_SECONDS = (0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300)


class Metrics:
    """What `/metrics` shows. Counts and seconds only, never a resource."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.read = Counter("jumeau_resources_read", "Resources read from the FHIR server", registry=self.registry)
        self.read_failures = Counter("jumeau_read_failures", "Reads that failed", registry=self.registry)
        self.quarantined = Counter("jumeau_quarantined", "Entries that could not be read", registry=self.registry)
        self.runs = Counter("jumeau_prediction_runs", "Prediction runs", registry=self.registry)
        self.run_seconds = Histogram(
            "jumeau_prediction_seconds", "Wall time of a prediction run", buckets=_SECONDS, registry=self.registry
        )
        self.writes = Counter("jumeau_writes", "Writes by outcome", ["outcome"], registry=self.registry)
        self.latency = Histogram(
            "jumeau_change_to_written_seconds",
            "From a change on the server to its prediction written",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.notifications = Counter(
            "jumeau_notifications", "Notifications of the FHIR server by outcome", ["outcome"], registry=self.registry
        )
        self.age = Gauge("jumeau_data_age_seconds", "Since the last read that succeeded", registry=self.registry)


class LiveProgram:
    """A worker kept going, and what the routes see of it (`api.deps.Program`)."""

    def __init__(self, worker: Worker, *, retry_s: float = RETRY_S) -> None:
        """`retry_s`: wall seconds, at most, until a reading that failed is tried again."""
        self.worker = worker
        self._retry_s = retry_s
        self.push = Push(worker.parts.client, worker.parts.settings.push, worker.parts.source)
        parts = worker.parts
        self._memory = Memory(parts.journal, parts.settings, parts.site, parts.reading)
        self._past = PastSnapshots(self._memory)
        self._what_ifs = WhatIfs(parts.settings, parts.site)
        self._metrics = Metrics()
        self._metrics.age.set_function(lambda: self.worker.feed.age_s or 0.0)
        self._changed = asyncio.Event()
        self._published = asyncio.Condition()
        self._stopping = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self._still = False
        self._stands = asyncio.Event()
        self._judging = asyncio.Lock()
        self._cards: dict[int, tuple[float, ScoreCardShown]] = {}
        self._warned: set[str] = set()

    # --- api.deps.Program ---------------------------------------------------------------------------------------------

    @property
    def site(self) -> SiteOptions:
        """The site's options."""
        return self.worker.parts.site

    @property
    def metrics(self) -> CollectorRegistry:
        """What `/metrics` shows."""
        return self._metrics.registry

    @property
    def snapshot(self) -> Snapshot | None:
        """The newest snapshot."""
        return self.worker.snapshot

    @property
    def feed(self) -> Feed:
        """How reading is doing."""
        return replace(self.worker.feed, push=self.push.state)

    def now(self) -> datetime:
        """Site time."""
        return self.worker.clock.now()

    def notified(self, name: str, secret: str) -> bool:
        """A notification came in; the reading is woken where it is ours."""
        taken = self.push.take(name, secret)
        self._metrics.notifications.labels("taken" if taken else "refused").inc()
        return taken

    async def what_if(self, asked: WhatIf) -> Answer:
        """What hazards would change from the newest snapshot on."""
        if self.snapshot is None:
            raise BusyError
        return await self._what_ifs.ask(asked, self.snapshot, self.worker.history)

    async def recalibrations(self) -> list[RecalibrationShown]:
        """Bookings that are too short or too long."""
        found = await offers(self._memory, self.worker.clock)
        return [RecalibrationShown.model_validate(offer.values()) for offer in found]

    async def decide(self, offer_id: str, given: DecisionGiven) -> DecisionKept:
        """Keep a person's decision on one of them."""
        kept = await decide(self._memory, self.worker.clock, offer_id, **given.model_dump())
        at = kept.at.astimezone(self.site.timezone).isoformat(timespec="seconds")
        return DecisionKept.model_validate(
            {"id": kept.subject, "choice": kept.choice, "person": kept.person, "reason": kept.reason, "at": at}
        )

    async def score_card(self, days: int) -> ScoreCardShown:
        """Predictions of the last days against what happened; made again once a minute, whoever asks."""
        async with self._judging:
            known = self._cards.get(days)
            if known is None or monotonic() - known[0] > _CARD_S:
                known = (
                    monotonic(),
                    await judge(self._memory, self.worker.clock, days=days, history=self.worker.history),
                )
                self._cards = {days: known}
            return known[1]

    async def past(self, at: datetime) -> Snapshot:
        """The snapshot as it was known at a past site instant."""
        return await self._past.at(at, self.worker.clock)

    async def newer(self, number: int, timeout_s: float) -> Snapshot | None:
        """Wait for a snapshot after `number`."""
        try:
            async with asyncio.timeout(timeout_s), self._published:
                await self._published.wait_for(lambda: self._stopping.is_set() or self._number() > number)
        except TimeoutError:
            return None
        return self.snapshot if self._number() > number else None

    def _number(self) -> int:
        return self.snapshot.number if self.snapshot else 0

    # --- the loops ----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the loops."""
        self._running = asyncio.create_task(self._run())

    async def ended(self) -> None:
        """Wait until the loops have ended; raises what ended them."""
        if self._running:
            await asyncio.shield(self._running)

    async def _run(self) -> None:
        """A fault of the FHIR server or of a simulation ends a round, never the program."""
        await self.worker.rebuild()
        if self.worker.ledger.resources:
            self._changed.set()  # what the journal knows is shown, with its age, even where the server is away
        async with asyncio.TaskGroup() as tasks:
            for loop in (self._read_on, self._learn_on, self._predict_on, self._write_on, self._push_on):
                tasks.create_task(loop())

    async def stand_still(self) -> None:
        """End the loops after their present round; the API goes on."""
        self._still = True
        self._stands.set()
        self._changed.set()
        self.push.woken.set()
        await self.ended()

    async def stop(self) -> None:
        """End the loops at once, and whoever waits for a snapshot."""
        self._still = True
        self._stopping.set()
        if self._running:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
        await self._what_ifs.close()
        await self.push.remove()
        async with self._published:
            self._published.notify_all()

    async def _read_on(self) -> None:
        settings = self.worker.parts.settings.sync
        reconcile_at = 0.0
        loop = asyncio.get_running_loop()
        while not self._still:
            self.push.woken.clear()  # before reading: what is told meanwhile leads to one more
            whole = loop.time() >= reconcile_at
            good = await self._read(whole=whole)
            if good and whole:
                reconcile_at = loop.time() + settings.reconcile_s
            # A wake-up whose reading failed must not wait for the next poll, which push may have made rare.
            rest_s = settings.poll_s if good else min(settings.poll_s, self._retry_s)
            gap_s = min(WAKE_GAP_S, rest_s)
            await asyncio.sleep(gap_s)
            await _set_within(self.push.woken, rest_s - gap_s)

    async def _learn_on(self) -> None:
        """What is due is learned; predictions go on meanwhile with what is known."""
        while not self._still:
            if await self._round("learning", self.worker.learn()):
                self._changed.set()
            await _set_within(self._stands, LEARN_S)

    async def _push_on(self) -> None:
        while self.push.wanted and not self._still:
            pause_s = WAKE_GAP_S
            if self.worker.feed.age_s is not None:  # where the server is away, the reading says so
                await self._round("keeping Subscriptions", self.push.keep())
                pause_s = self.push.pause_s
            await _set_within(self._stands, pause_s)

    async def _read(self, *, whole: bool) -> bool:
        told = await self._round("reading", self._read_once(whole=whole))
        if told is None:
            self._metrics.read_failures.inc()
            return False
        counts, news = told
        self._metrics.read.inc(counts.read)
        self._metrics.quarantined.inc(counts.quarantined)
        self._warn(counts.warnings)
        if news:
            self._changed.set()
        return True

    async def _read_once(self, *, whole: bool) -> tuple[Counts, bool]:
        """What was read, and whether a prediction is due for it."""
        before = self.worker.ledger
        counts = await (self.worker.read_all() if whole else self.worker.read_changes())
        self.push.found(self.worker.changed_types(before))
        return counts, whole or self.worker.has_news(before)

    async def _round(self, name: str, work: Awaitable[T]) -> T | None:
        """One round of a loop. Whatever goes wrong ends the round, never the program: the last prediction stands."""
        try:
            return await work
        except (FhirServerError, JournalError, SimulationError) as error:
            reason = str(error)
        except Exception as error:  # noqa: BLE001 - a fault of ours must not leave a suite without its board
            # The text of an unknown error may hold data: its kind and its place say enough.
            last = traceback.extract_tb(error.__traceback__)[-1]
            reason = f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno}"
        if name == "reading":
            self.worker.failed_to_read(reason)
        _log.error(f"{name} failed", reason=reason)
        return None

    def _warn(self, warnings: Iterable[str]) -> None:
        for warning in set(warnings) - self._warned:
            self._warned.add(warning)
            _log.warning(warning)

    async def _predict_on(self) -> None:
        every_s = self.worker.parts.settings.simulation.every_s
        await self._changed.wait()
        while not self._still:
            self._changed.clear()
            await self._predict()
            await _set_within(self._changed, every_s)  # waiting alone moves a prediction

    async def _predict(self) -> None:
        snapshot = await self._round("predicting", self.worker.predict())
        if snapshot is None:
            return
        self._metrics.runs.inc()
        if snapshot.run and snapshot.run.seconds is not None:
            self._metrics.run_seconds.observe(snapshot.run.seconds)
        async with self._published:
            self._published.notify_all()

    async def _write_on(self) -> None:
        seen = 0
        # Once stopping, `newer` gives up at once: going on would never let go of the event loop.
        while not self._still:
            snapshot = await self.newer(seen, timeout_s=1.0)
            seen = snapshot.number if snapshot else seen
            await self._write()

    async def _write(self) -> None:
        if self.worker.feed.age_s is None:
            return  # what the server holds now is not known yet
        told = await self._round("writing", self.worker.write())
        if told is None:
            return
        for outcome in ("written", "conflicts", "failed"):
            self._metrics.writes.labels(outcome).inc(getattr(told, outcome))
        for latency in told.latencies_s:
            self._metrics.latency.observe(latency)

    # --- the end of a demo --------------------------------------------------------------------------------------------

    async def settle(self, within_s: float) -> None:
        """With the world and the clock standing still: read, predict and write until nothing is left to write."""
        async with asyncio.timeout(within_s):
            while True:
                await self._read(whole=False)
                await self._predict()
                await self._write()
                if not self.worker.orders().orders:
                    return
                await asyncio.sleep(0.2)


async def _set_within(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, but no longer."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
