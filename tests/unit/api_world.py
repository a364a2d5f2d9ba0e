"""A small morning for the tests of the API, folded by the real projections, and a program that shows it."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import httpx
from prometheus_client import CollectorRegistry, Counter

from api.app import create_app
from api.deps import PAST, BusyError, Feed, RunInfo, Snapshot
from api.scenarios.answer import Answer
from api.scenarios.model import WhatIf
from api.schemas import DecisionGiven, DecisionKept, RecalibrationShown, ScoreCardShown
from api.settings import Settings
from api.what_if import WhatIfs
from twin.errors import JournalError
from twin.facts import (
    AppointmentFact,
    Assertion,
    Code,
    Concept,
    EncounterFact,
    Fact,
    Horizon,
    LocationFact,
    Person,
    Stamp,
    Stay,
    VersionKey,
)
from twin.projections.ledger import Ledger, fold
from twin.projections.places import places_of
from twin.projections.suite_twin import SuiteTwin, suite_twin
from twin.site import SiteOptions
from twin.timebase import Clock
from twin.timeline import PredictedRoomEnd, PredictedStage, PredictedTimeline
from twin.vocabulary import CareSetting, Milestone, PlaceKind, Provenance

PARIS = ZoneInfo("Europe/Paris")
SERVER = "https://his.example/fhir"
SITE = SiteOptions(timezone=PARIS, name="Clinique du Parc", pacu_places=12)
SURGERY = Concept((Code("http://snomed.info/sct", "394609007", "Chirurgie"),), surgical=True)
M = Milestone


def clock(text: str, day: str = "2026-11-24") -> datetime:
    """A site time of the day."""
    return datetime.fromisoformat(f"{day}T{text}").replace(tzinfo=PARIS)


NO_CARD = ScoreCardShown(n=0, cases=0, lines={}, rooms={})
NOW = clock("11:24")


def fact(ref: str, assertion: Assertion, version: str = "1") -> Fact:
    """One version of a resource."""
    kind, _, id_ = ref.partition("/")
    return Fact(VersionKey(SERVER, kind, id_, version, clock("06:00").astimezone(UTC)), f"{ref}-{version}", assertion)


def location(id_: str, name: str) -> Fact:
    """A place."""
    return fact(f"Location/{id_}", LocationFact(name=name))


def booking(
    id_: str, room: str, start: datetime, *, minutes: float, act: str = "Cholécystectomie", status: str = "booked"
) -> Fact:
    """A surgical Appointment."""
    return fact(
        f"Appointment/{id_}",
        AppointmentFact(
            status=status,
            start=start,
            end=start + timedelta(minutes=minutes),
            minutes=minutes,
            patient=f"pseudonym-{id_}",
            locations=(f"Location/{room}",),
            team=(Person("Practitioner/s1", "surgeon"),),
            services=(SURGERY,),
            reasons=(Concept((Code("urn:acts", act[:3], act),)),),
        ),
    )


def visit(id_: str, room: str, entered: datetime, left: datetime | None = None, *, booked: str | None = None) -> Fact:
    """The Encounter of a movement through a room, of a booking where one is named."""
    place = f"Location/{room}"
    stamps = [Stamp(M.PATIENT_IN_ROOM, entered, Provenance.EXPLICIT, place, PlaceKind.ROOM)]
    if left:
        stamps.append(Stamp(M.PATIENT_OUT_OF_ROOM, left, Provenance.EXPLICIT, place, PlaceKind.ROOM))
    return fact(
        f"Encounter/{id_}",
        EncounterFact(
            status="finished" if left else "in-progress",
            setting=CareSetting.AMBULATORY,
            patient=f"pseudonym-{booked or id_}",
            part_of=f"Encounter/stay-{id_}",
            appointments=(f"Appointment/{booked}",) if booked else (),
            start=entered,
            end=left,
            stays=(Stay(place, "active", entered, left),),
            stamps=tuple(stamps),
        ),
    )


def morning() -> list[Fact]:
    """Two rooms: one case done, one under way, one late to come, one cancelled; one of tomorrow."""
    return [
        location("s1", "Salle 1"),
        location("s2", "Salle 2"),
        booking("a1", "s1", clock("08:00"), minutes=90),
        visit("m1", "s1", clock("08:04"), clock("09:41"), booked="a1"),
        booking("a2", "s1", clock("10:00"), minutes=90, act="Prothèse de hanche"),
        visit("m2", "s1", clock("10:12"), booked="a2"),
        booking("a3", "s1", clock("11:45"), minutes=60, act="Hernie inguinale"),
        booking("a4", "s2", clock("09:00"), minutes=45, status="cancelled"),
        booking("a5", "s2", clock("09:00", "2026-11-25"), minutes=45),
    ]


def suite_of(facts: Iterable[Fact], now: datetime = NOW, site: SiteOptions = SITE) -> SuiteTwin:
    """The suite that the facts tell."""
    day = now.astimezone(site.timezone).date()
    horizon = Horizon(day - timedelta(days=2), day + timedelta(days=30))
    return suite_twin(fold(Ledger(), facts), site, clock=Clock().frozen_at(now), horizon=horizon, server=SERVER)


def band(milestone: Milestone, p50: datetime, low: float = 10, high: float = 25) -> PredictedStage:
    """A predicted milestone with its band in minutes around the median."""
    return PredictedStage(
        milestone, p50=p50, p10=p50 - timedelta(minutes=low), p90=p50 + timedelta(minutes=high), probability=None
    )


def timeline(now: datetime, *stages: PredictedStage) -> PredictedTimeline:
    """A prediction made now."""
    return PredictedTimeline(
        now,
        now + timedelta(hours=1),
        "jumeau-test",
        "urn:uuid:source",
        "urn:uuid:run",
        ("Appointment/a1/_history/1",),
        stages,
    )


def room_end(p50: datetime, block_end: datetime, probability: float, now: datetime = NOW) -> PredictedRoomEnd:
    """A predicted end of a room's block."""
    return PredictedRoomEnd(
        day=block_end.date(),
        session_start=block_end - timedelta(hours=10),
        session_end=block_end,
        p50=p50,
        p10=p50 - timedelta(minutes=15),
        p90=p50 + timedelta(minutes=40),
        overrun_probability=probability,
        generated_at=now,
        valid_until=now + timedelta(hours=1),
        source="urn:uuid:source",
    )


def case_id_of(suite: SuiteTwin, appointment: str) -> str:
    """The id of the case of a booking."""
    return next(twin.case_id for twin in suite.cases.values() if twin.links.appointment == f"Appointment/{appointment}")


def snapshot(number: int = 1, facts: Iterable[Fact] | None = None) -> Snapshot:
    """The morning with predictions for the case under way and the one to come."""
    told = list(morning() if facts is None else facts)
    suite = suite_of(told)
    timelines = {}
    if facts is None:
        timelines = {
            case_id_of(suite, "a2"): timeline(NOW, band(M.PATIENT_OUT_OF_ROOM, clock("12:02"))),
            case_id_of(suite, "a3"): timeline(
                NOW,
                band(M.PATIENT_SENT_FOR, clock("11:55")),
                band(M.PATIENT_IN_ROOM, clock("12:20")),
                band(M.PATIENT_OUT_OF_ROOM, clock("13:25")),
            ),
        }
    return Snapshot(
        number=number,
        suite=suite,
        places=places_of(fold(Ledger(), told), SITE),
        timelines=timelines,
        room_ends={"Location/s1": (room_end(clock("18:20"), clock("18:00"), 0.62),)} if timelines else {},
        run=RunInfo("urn:uuid:run", NOW, seed=0, replications=50, seconds=0.42),
    )


FEED = Feed(server=SERVER, age_s=3.0, failing=None, quarantined=0, writing="off")


@dataclass
class ShownProgram:
    """A program that shows what it is given."""

    snapshot: Snapshot | None = None
    feed: Feed = FEED
    site: SiteOptions = SITE
    at: datetime = NOW
    metrics: CollectorRegistry = field(default_factory=CollectorRegistry)
    known: tuple[str, str] = ("known", "s3cret")
    """Name and secret of the only Subscription."""
    notifications: int = 0
    busy: bool = False
    """Too many ask already."""
    ended: bool = False
    waiting: int = 0
    """Readers that wait for a newer snapshot."""
    offers: list[RecalibrationShown] = field(default_factory=list)
    decisions: list[DecisionKept] = field(default_factory=list)
    card: ScoreCardShown = field(default_factory=lambda: NO_CARD)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    def __post_init__(self) -> None:
        Counter("jumeau_reads", "Reads of the FHIR server", registry=self.metrics).inc()

    def now(self) -> datetime:
        """Site time now."""
        return self.at

    def notified(self, name: str, secret: str) -> bool:
        """A notification: taken where it is for `known`."""
        taken = (name, secret) == self.known
        self.notifications += taken
        return taken

    async def what_if(self, asked: WhatIf) -> Answer:
        """Really simulated from the snapshot."""
        if self.busy or self.snapshot is None:
            raise BusyError
        what_ifs = WhatIfs(Settings(), self.site)
        try:
            return await what_ifs.ask(asked, self.snapshot, None)
        finally:
            await what_ifs.close()

    async def recalibrations(self) -> list[RecalibrationShown]:
        """The proposals that it is given."""
        return self.offers

    async def decide(self, offer_id: str, given: DecisionGiven) -> DecisionKept:
        """Keep it."""
        if offer_id not in {offer.id for offer in self.offers}:
            raise JournalError("there is no such proposal now")
        kept = {"id": offer_id, "at": self.at.isoformat(), **given.model_dump(exclude={"minutes"})}
        self.decisions.append(DecisionKept.model_validate(kept))
        return self.decisions[-1]

    async def score_card(self, days: int) -> ScoreCardShown:
        """The card that it is given."""
        return self.card.model_copy(update={"days": days})

    async def past(self, at: datetime) -> Snapshot:
        """The morning's facts as they stood at an instant."""
        return replace(snapshot(PAST), suite=suite_of(morning(), at))

    async def newer(self, number: int, timeout_s: float) -> Snapshot | None:
        """Wait for a snapshot with a higher number."""

        def there() -> bool:
            return self.ended or (self.snapshot.number if self.snapshot else 0) > number

        self.waiting += 1
        try:
            async with asyncio.timeout(timeout_s), self.changed:
                await self.changed.wait_for(there)
        except TimeoutError:
            return None
        finally:
            self.waiting -= 1
        return None if self.ended else self.snapshot

    async def show(self, newer: Snapshot) -> None:
        """Replace the snapshot."""
        async with self.changed:
            self.snapshot = newer
            self.changed.notify_all()

    async def end(self) -> None:
        """Stop, as the program does on SIGTERM."""
        async with self.changed:
            self.ended = True
            self.changed.notify_all()


def numbered(shown: Snapshot, number: int) -> Snapshot:
    """The same snapshot under another number."""
    return replace(shown, number=number)


@asynccontextmanager
async def api_of(program: ShownProgram | None = None) -> AsyncIterator[httpx.AsyncClient]:
    """A client, without a network, of the API over a program; by default over the morning."""
    transport = httpx.ASGITransport(create_app(program or ShownProgram(snapshot())))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
        yield client
