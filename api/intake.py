"""From the FHIR server into the journal and the ledger: the horizon, what changed, what is gone or referred to."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date, datetime
from itertools import islice

from api import closed, first_load
from api.closed import Closed
from api.garbage import uncollected
from api.parts import Counts, Parts
from fhir_adapters import by_id, gathering, history, results, schedules, sync
from fhir_adapters.errors import RefusedError
from fhir_adapters.gathering import Batch
from fhir_adapters.server import ServerCapabilities, probe
from twin.facts import (
    AppointmentFact,
    Deleted,
    EncounterFact,
    Fact,
    Horizon,
    LocationFact,
    PatientFact,
    ProcedureFact,
    ResultFact,
    ScheduleFact,
    SlotFact,
)
from twin.projections.evidence import deciding_requests
from twin.projections.leaving import is_past, past_before, without_past, without_strangers
from twin.projections.ledger import Ledger, brought_back, changed, fold, is_behind, is_known, is_older, unjoined
from twin.projections.places import Places, places_of
from twin.projections.suite_twin import SuiteTwin, suite_twin
from twin.timebase import Clock, monotonic, site_date, wall_now

MAX_COMPLETED = 200
"""Resources whose versions in between are asked for after one reading, the newest first."""
FOLDED_AT_ONCE = 5_000
RESTORED = "the server shows older versions than before: it was restored from a backup, everything is read anew"
_RECONCILED = (AppointmentFact, EncounterFact, ProcedureFact, LocationFact)
_OPEN_STATUS = frozenset({"planned", "arrived", "triaged", "in-progress", "onleave", "preparation", "on-hold"})


class Intake:
    """What is known of one server, and how it came to be known. One event loop calls it."""

    def __init__(self, parts: Parts, clock: Clock) -> None:
        self.ledger = Ledger()
        self.position = 0
        """Journal position up to which the ledger is folded."""
        self._keeping = asyncio.Lock()
        self.capabilities = ServerCapabilities()
        self.pending: dict[str, datetime] = {}
        """Wall time of changes of the hospital's that no prediction has covered yet, by ref."""
        self.read_at: float | None = None
        self._asked: set[str] = set()
        """Patients and ServiceRequests asked for since the last whole reading: none is asked for at every poll."""
        self.failing: str | None = None
        self.frozen: str | None = None
        """Why the last reconcile took nothing as deleted."""
        self.quarantined: set[tuple[str, str, str]] = set()
        self._parts = parts
        self.clock = clock
        self._server = parts.settings.fhir.base_url
        self._extra = parts.settings.sync.extra()
        self._cursor: dict[str, datetime] = {}
        self._patient_ids: dict[str, str] = {}
        self._loaded: frozenset[str] = frozenset()
        """Patients that a first load has asked for."""
        self._probed = False
        self._no_history: frozenset[str] = frozenset()
        self._no_versions = False
        self._restored = False
        self.first_load = first_load.FirstLoad(parts.client, parts.normaliser, self._extra)
        self._closed = Closed(parts.reading, self._extra)

    @property
    def horizon(self) -> Horizon:
        """The days of the live twin, around today on the site's clock."""
        return self._parts.settings.horizon(self.clock.now())

    @property
    def _days(self) -> tuple[date, int, int]:
        told = self._parts.settings.sync
        return site_date(self.clock.now(), self._parts.site.timezone), told.past_days, told.ahead_days

    async def suite(self) -> SuiteTwin:
        """The twins as they stand now."""
        ledger, site, clock = self.ledger, self._parts.site, self.clock
        return await asyncio.to_thread(suite_twin, ledger, site, clock=clock, horizon=self.horizon, server=self._server)

    async def rebuild(self) -> None:
        """Fold what the journal knows of this server and is not over for good."""
        self.position = await asyncio.to_thread(self._parts.journal.position)
        with uncollected(lasting=True):
            self.ledger = await asyncio.to_thread(self._folded, self.position)
        told = await asyncio.to_thread(self._parts.journal.cursor, self._server)
        self._cursor = {name: at for name, at in told.items() if "/" not in name}
        self.first_load.weeks = {
            name: at for name, at in told.items() if "/" in name and not name.startswith(closed.NAME)
        }
        self._closed.remember(told)

    def _folded(self, upto: int) -> Ledger:
        since = past_before(self.horizon.first, self._parts.site.timezone)
        facts = self._parts.journal.facts(self._server, reading=self._parts.reading, upto=upto, since=since)
        ledger = Ledger()
        while some := list(islice(facts, FOLDED_AT_ONCE)):
            ledger = self._without_past(fold(ledger, some), {fact.key.ref for fact in some})
        return without_strangers(ledger)

    def _without_past(self, ledger: Ledger, among: Iterable[str] | None = None) -> Ledger:
        return without_past(ledger, self.horizon.first, self._parts.site.timezone, among=among)

    async def read_all(self) -> Counts:
        """Read the whole horizon; what is absent and answers 404 or 410 to a direct read is deleted.

        Where more days are asked for than the live twin keeps, those are read once, by a first load that goes on where
        it was killed. Raises WrongServerError, at the first time, for a server of another FHIR version.
        """
        counts, horizon, far = Counts(), first_load.near(*self._days), first_load.far(*self._days)
        await self._probe()
        known = dict(self._cursor)
        counts.warnings += await self.first_load.run(
            far,
            lambda batch: self._take_once(batch, counts),
            exported=not known and self.capabilities.exports and self._parts.settings.sync.bulk_export == "auto",
        )
        first = sync.closed_from(far[0].first if far and not known else horizon.first)
        batch = await sync.read_horizon(
            self._parts.client,
            self._parts.normaliser,
            horizon,
            extra=self._extra,
            closed_since=dict.fromkeys(sync.CLINICAL_TYPES, first)
            | self._closed.since(first, known, overlap_s=self._parts.settings.sync.overlap_s),
        )
        if far:
            batch = replace(batch, cursor=self.first_load.behind(batch.cursor, known))
        await self._take_news(batch, counts)
        await self._bring_back(batch.facts, counts)
        self.frozen = None
        await self._reconcile(batch, self._expected(horizon), counts)
        await self._read_referenced(counts, fresh=True)
        await self._read_schedules(horizon, counts)
        async with self._keeping:  # a write's own version may come meanwhile
            self.ledger = await asyncio.to_thread(lambda: without_strangers(self._without_past(self.ledger)))
        marks = self._closed.read(batch.complete, first, restored=self._restored)
        await self._append([], Batch(cursor=marks))
        self._read_now(counts)
        return counts

    async def _take_once(self, batch: Batch, counts: Counts) -> None:
        """A part of a first load: with its Patients, and out of memory again what is over."""
        unknown = batch.patient_ids - self._loaded
        self._loaded |= unknown
        await self._read_by_id("Patient", unknown, counts)
        await self._read_results(unknown, counts)
        await self._take(replace(batch, patient_ids=frozenset()), counts)
        known = self.ledger.resources.keys()
        self.ledger = self._without_past(self.ledger, {ref for fact in batch.facts if (ref := fact.key.ref) in known})

    async def read_changes(self) -> Counts:
        """Read what changed since the cursor, with its overlap, and what was deleted where the server has a history."""
        counts, before = Counts(), self.ledger
        overlap_s = self._parts.settings.sync.overlap_s
        client, normaliser = self._parts.client, self._parts.normaliser
        # Before the search: its cursor goes on with it, and what was deleted until then must be known.
        past = await history.read_history(client, normaliser, self._with_history(), overlap_s=overlap_s)
        self._no_history |= past.not_offered
        batch = await sync.read_changes(
            client, normaliser, self._cursor, overlap_s=overlap_s, extra=self._extra, horizon=self.horizon
        )
        await self._take_news(gathering.joined([past.versions, batch]), counts)
        await self._close(past.gone, counts)
        if self._restored:
            whole = await self.read_all()
            whole.warnings[:0] = counts.warnings
            return whole
        if self.ledger is not before:
            await self._read_referenced(counts, fresh=False)
        self._read_now(counts)
        return counts

    async def take_written(self, facts: Iterable[Fact]) -> None:
        """Versions that our writes made; where one doesn't join on, the hospital's before it are read too."""
        made = list(facts)
        before = self.ledger
        async with self._keeping:
            await self._append(made, Batch())
            self.ledger = fold(self.ledger, made)
        # Versions that are no numbers join on to nothing: asking for each would double every write.
        counted = [fact for fact in made if fact.key.version_id.isdecimal()]
        await self._complete(unjoined(before, counted, states_only=False), Counts())

    async def _probe(self) -> None:
        if not self._probed:
            self.capabilities = await probe(self._parts.client)
            self._probed = True
            if self.capabilities.json_patch("Appointment") is False:
                self._parts.writer.traits.json_patch = False

    def _read_now(self, counts: Counts) -> None:
        if self._restored:
            counts.warnings.append(RESTORED)
            self._restored = False
        self.read_at = monotonic()
        self.failing = None

    # --- what came ----------------------------------------------------------------------------------------------------

    async def _take_news(self, batch: Batch, counts: Counts) -> None:
        """Take a batch, and the versions that it doesn't show but that lie between it and what was known."""
        before, news = self.ledger, [fact for fact in batch.facts if not is_known(self.ledger, fact)]
        await self._take(batch, counts)
        resources, limit = self.ledger.resources, self.horizon.first
        live = [fact for fact in news if not is_past(resources[fact.key.ref], limit, self._parts.site.timezone)]
        await self._complete(unjoined(before, live), counts)

    async def _take(self, batch: Batch, counts: Counts) -> None:
        news = [fact for fact in batch.facts if not is_known(self.ledger, fact)]
        self._restored |= any(is_older(self.ledger, fact) for fact in news)
        async with self._keeping:  # with nothing between, so that the position says what the ledger has folded
            counts.new += await self._append(news, batch)
            if news:
                self._fold(news)
        self._cursor.update((name, at) for name, at in batch.cursor.items() if "/" not in name)
        self._patient_ids.update({self._parts.normaliser.pseudonyms.patient(real): real for real in batch.patient_ids})
        self.quarantined.update((bad.type, bad.id, bad.version_id) for bad in batch.quarantined)
        counts.read += batch.read
        counts.facts += sum(not isinstance(fact.assertion, Deleted) for fact in batch.facts)
        counts.quarantined += len(batch.quarantined)
        counts.warnings.extend(batch.warnings)

    async def _append(self, facts: list[Fact], batch: Batch) -> int:
        """How many facts the journal did not have."""
        parts = self._parts
        new = await asyncio.to_thread(
            parts.journal.append_batch,
            self._server,
            facts,
            batch.quarantined,
            batch.cursor,
            reading=parts.reading,
            observed_at=wall_now(),
        )
        self.position = await asyncio.to_thread(parts.journal.position)
        return new

    def _fold(self, facts: Iterable[Fact]) -> None:
        before, self.ledger = self.ledger, fold(self.ledger, facts)
        if self.read_at is None:
            return  # what was there before the first read is no change that waits for a prediction
        for ref in changed(before, self.ledger):
            at = self.ledger.resources[ref].newest.key.last_updated
            self.pending[ref] = min(at, self.pending.get(ref, at))

    async def _complete(self, refs: frozenset[str], counts: Counts) -> None:
        """The versions in between, from each resource's own history, where the server offers it."""
        if self._no_versions:
            return
        offered = [
            ref for ref in refs if self.capabilities.offers(ref.partition("/")[0], "history-instance") is not False
        ]
        newest = sorted(offered, key=lambda ref: self.ledger.resources[ref].newest.key.last_updated, reverse=True)
        asked = [ref for ref in newest[:MAX_COMPLETED] if not ref.startswith("Patient/")]
        if not asked:
            return
        versions, missing = await history.read_versions(self._parts.client, self._parts.normaliser, asked)
        self._no_versions = len(missing) == len(asked)
        told = Counts()
        await self._take(versions, told)
        counts.new += told.new
        counts.warnings.extend(told.warnings)

    def _has_versions(self, resource_type: str) -> bool:
        return resource_type != "Patient" and self.capabilities.offers(resource_type, "history-instance") is not False

    # --- what is gone, and what came back -----------------------------------------------------------------------------

    def _with_history(self) -> dict[str, datetime]:
        """The cursor of the types whose history can be read."""
        offers = self.capabilities.offers
        return {
            name: at
            for name, at in self._cursor.items()
            if name not in self._no_history and offers(name, "history-type") is not False
        }

    async def _close(self, gone: Mapping[str, datetime | None], counts: Counts) -> None:
        """What a history tells as deleted, where it is known and a direct read agrees."""
        resources = self.ledger.resources
        hints = {ref: at for ref, at in gone.items() if ref in resources and not resources[ref].deleted}
        if hints:
            try:
                found = await history.confirm_gone(self._parts.client, self._parts.normaliser, hints)
            except RefusedError as error:
                self._freeze(str(error), counts)
            else:
                await self._take(found, counts)

    async def _bring_back(self, facts: Iterable[Fact], counts: Counts) -> None:
        """Older versions than are known, where a direct read agrees that they are the newest: a restored backup."""
        older = sorted({fact.key.ref for fact in facts if is_behind(self.ledger, fact)})
        if not older:
            return
        found = await gathering.read_each(self._parts.client, self._parts.normaliser, older)
        back = [
            brought_back(self.ledger.resources[fact.key.ref].newest, fact)
            for fact in found.facts
            if not isinstance(fact.assertion, Deleted) and is_behind(self.ledger, fact)
        ]
        if back:
            self._restored = True
            async with self._keeping:
                counts.new += await self._append(back, Batch())
                self._fold(back)

    async def _reconcile(self, batch: Batch, expected: Iterable[str], counts: Counts) -> None:
        """What should have been in a whole reading and wasn't, is deleted if a direct read agrees."""
        known = {ref for ref in expected if ref.partition("/")[0] in batch.complete}
        absent = sorted(known - batch.refs)
        for resource_type in sorted(batch.complete):
            mine = [ref for ref in absent if ref.startswith(f"{resource_type}/")]
            all_known = sum(1 for ref in known if ref.startswith(f"{resource_type}/"))
            if sync.mass_absence(len(mine), all_known):
                self._freeze(f"{len(mine)} of {all_known} {resource_type} are absent at once", counts)
                absent = [ref for ref in absent if ref not in mine]
        if absent:
            try:
                missing = await by_id.read_missing(self._parts.client, self._parts.normaliser, absent)
            except RefusedError as error:
                self._freeze(str(error), counts)
            else:
                await self._take(missing, counts)

    def _freeze(self, reason: str, counts: Counts) -> None:
        self.frozen = f"{reason}: what is absent is not taken as deleted"
        counts.warnings.append(self.frozen)

    def _expected(self, horizon: Horizon) -> Iterable[str]:
        """Refs that a read of the whole horizon must show if they are still there."""
        for ref, resource in self.ledger.resources.items():
            content = resource.content.assertion
            if resource.deleted or not isinstance(content, _RECONCILED):
                continue
            if isinstance(content, LocationFact) or content.status in _OPEN_STATUS or self._dated(content, horizon):
                yield ref

    def _dated(self, content: AppointmentFact | EncounterFact | ProcedureFact | SlotFact, horizon: Horizon) -> bool:
        start = content.start
        return start is not None and horizon.first <= site_date(start, self._parts.site.timezone) <= horizon.last

    # --- what others refer to -----------------------------------------------------------------------------------------

    async def _read_referenced(self, counts: Counts, *, fresh: bool) -> None:
        """ServiceRequests that decide whether a booking is surgery, then the cases' Patients; `fresh`: all of them."""
        places = await self._places()
        zone = self._parts.site.timezone
        requests = await asyncio.to_thread(deciding_requests, self.ledger, places, self.horizon, zone)
        unknown = requests if fresh else requests - self.ledger.resources.keys() - self._asked
        await self._read_by_id("ServiceRequest", (ref.partition("/")[2] for ref in unknown), counts)
        patients = set((await self.suite()).patients)
        if not fresh:
            patients -= {resource.newest.key.id for resource, _ in self.ledger.of(PatientFact)} | self._asked
        self._asked = (set() if fresh else self._asked) | patients | requests
        real = [self._patient_ids[key] for key in patients & self._patient_ids.keys()]
        await self._read_by_id("Patient", real, counts)
        await self._read_results(real, counts)

    async def _read_results(self, patients: Iterable[str], counts: Counts) -> None:
        """Results of these patients that durations are told by."""
        chosen = self._parts.settings.durations.regressors
        named, lacking = results.offered(self._parts.site.regressors, chosen, self.capabilities)
        counts.warnings += lacking
        if named:
            asked = frozenset(patients)
            found = await results.read_results(self._parts.client, self._parts.normaliser, named, asked)
            await self._take(found, counts)
            if not found.warnings:
                keys = {self._parts.normaliser.pseudonyms.patient(one) for one in asked}
                known = [resource.ref for resource, fact in self.ledger.of(ResultFact) if fact.patient in keys]
                await self._reconcile(replace(found, complete=frozenset(named)), known, counts)

    async def _read_by_id(self, resource_type: str, ids: Iterable[str], counts: Counts) -> None:
        wanted = sorted(ids)
        if wanted:
            batch = await by_id.read_by_id(self._parts.client, self._parts.normaliser, resource_type, wanted)
            await self._take(batch, counts)

    async def _read_schedules(self, horizon: Horizon, counts: Counts) -> None:
        """When the rooms are open, where the hospital publishes it."""
        if self.capabilities.offers_type("Slot") is False:
            return
        rooms = frozenset(place.ref for place in (await self._places()).rooms)
        batch = await schedules.read_schedules(self._parts.client, self._parts.normaliser, rooms, horizon)
        await self._take(batch, counts)
        await self._reconcile(batch, self._published(rooms, horizon), counts)

    def _published(self, rooms: frozenset[str], horizon: Horizon) -> Iterable[str]:
        """Refs that a read of the rooms' Schedules and Slots must show if they are still there."""
        mine = {r.ref for r, fact in self.ledger.of(ScheduleFact) if not rooms.isdisjoint(fact.locations)}
        yield from mine
        yield from (
            r.ref for r, fact in self.ledger.of(SlotFact) if fact.schedule in mine and self._dated(fact, horizon)
        )

    async def _places(self) -> Places:
        return await asyncio.to_thread(places_of, self.ledger, self._parts.site)
