"""A hospital's morning in a few lines: resources as its server would hold them, read by the real normaliser.

Times are words: "08:05" is that minute of Tuesday 24 November 2026 in Paris, "25T08:05" another day of the month; a
whole instant is one too.
"""

from copy import deepcopy
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from fhir_adapters import content, extensions
from fhir_adapters.normalise import TYPES, Normaliser
from fhir_adapters.pseudonyms import Pseudonyms
from fixtures.clinic.day import ClinicDay
from fixtures.clinic.edits import edited
from fixtures.clinic.loading import encode
from twin.facts import Deleted, Fact, Horizon, VersionKey
from twin.projections.ledger import Ledger, fold
from twin.projections.patient_twin import PatientTwin
from twin.projections.suite_twin import SuiteTwin, suite_twin
from twin.site import SiteOptions
from twin.timebase import Clock
from twin.vocabulary import Milestone

Json = dict[str, Any]
PARIS = ZoneInfo("Europe/Paris")
DAY = date(2026, 11, 24)
SERVER = "https://his.clinic.example/r4"
SOURCE = "urn:uuid:6d1b7c3c-4a0e-4f5a-9a1f-0d8f4a3a7e11"
SITE = SiteOptions(timezone=PARIS)
PSEUDONYMS = Pseudonyms(b"a key of the tests, 32 bytes long")
PROGRESS = "http://hl7.org/fhir/StructureDefinition/procedure-progressStatus"


def at(words: str) -> datetime:
    """The instant that words mean."""
    if len(words) > len("24T08:05"):
        return datetime.fromisoformat(words)
    day, _, clock = words.rpartition("T")
    hour, minute = clock.split(":")
    moment = datetime(DAY.year, DAY.month, int(day or DAY.day), int(hour), int(minute), tzinfo=PARIS)
    return datetime.fromisoformat(moment.isoformat())


def said(instant: datetime | None) -> str:
    """The words of an instant of the day."""
    return f"{instant.astimezone(PARIS):%H:%M}" if instant else ""


def period(start: str = "", end: str = "") -> Json:
    """A Period."""
    return {name: at(words).isoformat() for name, words in (("start", start), ("end", end)) if words}


def location(name: str, *, within: str = "", id: str = "", **elements: Any) -> Json:  # noqa: A002 - FHIR's word
    """A Location; without an id the name is one."""
    part_of = {"partOf": {"reference": f"Location/{within}"}} if within else {}
    return {"resourceType": "Location", "id": id or slug(name), "name": name, **part_of, **elements}


def slug(name: str) -> str:
    """A resource id made of a name."""
    return "".join(char if char.isascii() and char.isalnum() else "-" for char in name)[:60]


def physical(code: str) -> Json:
    """The element physicalType."""
    return {"physicalType": {"coding": [{"code": code}]}}


def booking(
    id: str,  # noqa: A002 - FHIR's word
    start: str = "08:00",
    end: str = "09:30",
    *,
    room: str | None = "salle-1",
    patient: str | None = "p1",
    status: str = "booked",
    service: str = "Chirurgie orthopédique",
    request: str = "",
    **elements: Any,
) -> Json:
    """An Appointment."""
    actors = [ref for ref in (room and f"Location/{room}", patient and f"Patient/{patient}") if ref]
    return {
        "resourceType": "Appointment",
        "id": id,
        "status": status,
        **(period(start, end) if start else {}),
        **({"serviceType": [{"text": service}]} if service else {}),
        **_based_on(request),
        "participant": [{"actor": {"reference": ref}, "status": "accepted"} for ref in actors],
        **elements,
    }


def stay(
    id: str,  # noqa: A002 - FHIR's word
    *places: tuple[str, str, str],
    booked: str | tuple[str, ...] = (),
    planned: bool = False,
    patient: str | None = "p1",
    status: str = "in-progress",
    part_of: str = "",
    start: str = "",
    end: str = "",
    request: str = "",
    **elements: Any,
) -> Json:
    """An Encounter: (location, from, to) of each place."""
    named = (booked,) if isinstance(booked, str) else booked
    return {
        "resourceType": "Encounter",
        "id": id,
        "status": status,
        "class": {"code": "AMB"},
        **({"subject": {"reference": f"Patient/{patient}"}} if patient else {}),
        **({"partOf": {"reference": f"Encounter/{part_of}"}} if part_of else {}),
        "appointment": [{"reference": f"Appointment/{ref}"} for ref in named],
        **({"period": period(start, end)} if start else {}),
        **_based_on(request),
        "location": [
            {
                "location": {"reference": f"Location/{place}"},
                "status": "planned" if planned else "active",
                "period": period(begin, over),
            }
            for place, begin, over in places
        ],
        **elements,
    }


def act(
    id: str,  # noqa: A002 - FHIR's word
    start: str = "",
    end: str = "",
    *,
    room: str | None = "salle-1",
    patient: str | None = "p1",
    status: str = "",
    code: str = "Arthroscopie du genou",
    encounter: str = "",
    part_of: str = "",
    request: str = "",
    progress: str = "",
    **elements: Any,
) -> Json:
    """A Procedure; without a status that of its times."""
    told = status or ("completed" if end else "in-progress" if start else "preparation")
    state = {"url": PROGRESS, "valueCodeableConcept": {"coding": [{"code": progress}]}}
    return {
        "resourceType": "Procedure",
        "id": id,
        "status": told,
        "code": {"text": code},
        **({"subject": {"reference": f"Patient/{patient}"}} if patient else {}),
        **({"location": {"reference": f"Location/{room}"}} if room else {}),
        **({"encounter": {"reference": f"Encounter/{encounter}"}} if encounter else {}),
        **({"partOf": [{"reference": f"Procedure/{part_of}"}]} if part_of else {}),
        **({"performedPeriod": period(start, end)} if start else {}),
        **({"extension": [state]} if progress else {}),
        **_based_on(request),
        **elements,
    }


def person(id: str, *links: tuple[str, str]) -> Json:  # noqa: A002 - FHIR's word
    """A Patient, with the records that it was merged with: (kind, id)."""
    linked = [{"type": kind, "other": {"reference": f"Patient/{other}"}} for kind, other in links]
    return {"resourceType": "Patient", "id": id, "link": linked}


def _based_on(request: str) -> Json:
    return {"basedOn": [{"reference": f"ServiceRequest/{request}"}]} if request else {}


PLACES = (
    location("Bloc opératoire", id="bloc", **physical("wi")),
    *(location(f"Salle {number}", id=f"salle-{number}", within="bloc", **physical("ro")) for number in (1, 2, 3)),
    location("SSPI", id="sspi"),
    location("Accueil bloc", id="accueil"),
    location("Unité de chirurgie ambulatoire", id="uca"),
    location("Hospitalisation chirurgie", id="ward"),
    location("Consultations", id="consult"),
)


class World:
    """A server's history: each `put` makes a version, known from that minute on."""

    def __init__(self, *resources: Json, places: tuple[Json, ...] = PLACES, site: SiteOptions = SITE) -> None:
        self.site = site
        self.facts: list[Fact] = []
        self._held: dict[str, Json] = {}
        named = frozenset(code for option in site.regressors for code in option.codes)
        reader = extensions.reader(SOURCE)
        self._normaliser = Normaliser(SERVER, PSEUDONYMS, PARIS, read_annotation=reader, results=named)
        self.put("00:00", *places, *resources)

    def put(self, when: str, *resources: Json) -> "World":
        """Write resources as they are now."""
        for resource in resources:
            ref = f"{resource['resourceType']}/{resource['id']}"
            version = int(self._held[ref]["meta"]["versionId"]) + 1 if ref in self._held else 1
            meta = {"versionId": str(version), "lastUpdated": at(when).isoformat()}
            self._held[ref] = {**deepcopy(resource), "meta": meta}
            fact = self._normaliser.version(content.parse(encode(self._held[ref])), at(when))
            assert isinstance(fact, Fact), fact
            self.facts.append(fact)
        return self

    def play(self, day: ClinicDay, until: datetime | None = None) -> "World":
        """A day of the synthetic clinic: what its server holds in the morning, and what is written until then."""
        morning = (day.opens - timedelta(hours=9)).isoformat()
        self.put(morning, *(resource for resource in day.resources if resource["resourceType"] in TYPES))
        for write in day.script:
            if until is None or write.at <= until:
                self.put(write.at.isoformat(), write.resource or edited(self._held[write.ref], write.edits))
        return self

    def delete(self, when: str, ref: str) -> "World":
        """Take a resource away."""
        kind, _, name = ref.partition("/")
        version = str(int(self._held[ref]["meta"]["versionId"]) + 1)
        self.facts.append(Fact(VersionKey(SERVER, kind, name, version, at(when)), "", Deleted()))
        return self

    def held(self, ref: str) -> Json:
        """The newest version that was put."""
        return self._held[ref]

    @property
    def ledger(self) -> Ledger:
        """Everything folded."""
        return fold(Ledger(), self.facts)

    def suite(self, now: str = "07:00", *, clock: Clock | None = None) -> SuiteTwin:
        """The suite at a minute, or on a clock."""
        told = clock or Clock(wall=lambda: at(now))
        today = told.now().astimezone(PARIS).date()
        horizon = Horizon(today - timedelta(days=2), today + timedelta(days=30))
        return suite_twin(self.ledger, self.site, clock=told, horizon=horizon, server=SERVER)

    def cases(self, now: str = "07:00") -> list[PatientTwin]:
        """All cases in the order of their lists."""
        found = self.suite(now).cases.values()
        return sorted(found, key=lambda twin: (twin.planned_in or entered(twin) or at("30T00:00"), twin.case_id))

    def case(self, now: str = "07:00") -> PatientTwin:
        """The only case."""
        cases = self.cases(now)
        assert len(cases) == 1, [twin.links.anchors for twin in cases]
        return cases[0]


def entered(twin: PatientTwin) -> datetime | None:
    """When the patient came into the room, as far as told."""
    return twin.times.get(Milestone.PATIENT_IN_ROOM) or twin.times.get(Milestone.INCISION)


def story(twin: PatientTwin) -> dict[str, str]:
    """The reached milestones and their minutes."""
    return {actual.milestone.value: said(actual.at) for actual in twin.times.reached}
