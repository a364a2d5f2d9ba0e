"""Facts shaped like a year of the reference clinic: 17,000 cases of a Patient, an Appointment, an Encounter, an act."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from tests.journals import SERVER
from twin.facts import (
    AppointmentFact,
    Assertion,
    Code,
    Concept,
    EncounterFact,
    Fact,
    LocationFact,
    PatientFact,
    Person,
    ProcedureFact,
    Stamp,
    Stay,
    StayRule,
    VersionKey,
)
from twin.site import SiteOptions
from twin.vocabulary import CareSetting, Milestone, PlaceKind, Provenance

CASES = 17_000
ROOMS = 14
A_DAY = 68
FIRST_DAY = datetime(2025, 11, 24, 7, tzinfo=UTC)
LAST = FIRST_DAY + timedelta(days=CASES // A_DAY)
SITE = SiteOptions(timezone=ZoneInfo("Europe/Paris"))
_SURGERY = Concept((Code("http://snomed.info/sct", "394609007", "Chirurgie générale"),), surgical=True)
_ACTS = tuple(Concept((Code("urn:acts", f"HA{number:02}", f"Intervention {number}"),)) for number in range(40))
_STAMPS = (
    (Milestone.ANESTHESIA_START, 4),
    (Milestone.INCISION, 20),
    (Milestone.CLOSURE_START, 55),
    (Milestone.PROCEDURE_FINISH, 63),
)


def year(cases: int = CASES) -> Iterator[Fact]:
    """Places, then every case in the order of the days; 4 resources a case, one version each."""
    for number in range(ROOMS):
        yield _fact("Location", f"s{number}", LocationFact(f"Salle {number + 1}"), FIRST_DAY)
    yield _fact("Location", "sspi", LocationFact("SSPI"), FIRST_DAY)
    for number in range(cases):
        yield from _case(number)


def _fact(kind: str, id_: str, assertion: Assertion, at: datetime) -> Fact:
    return Fact(VersionKey(SERVER, kind, id_, "1", at), f"{kind}-{id_}-0123456789ab", assertion)


def _case(number: int) -> Iterator[Fact]:
    day, nth = divmod(number, A_DAY)
    room, place = nth % ROOMS, nth // ROOMS
    start = FIRST_DAY + timedelta(days=day, minutes=110 * place + 5 * (number % 3))
    left = start + timedelta(minutes=70 + number % 17)
    patient, theatre = f"pseudonym-{number:012}", f"Location/s{room}"
    team = (Person(f"Practitioner/s{room}", "surgeon"), Person(f"Practitioner/a{room // 2}", "anesthetist"))
    known = left + timedelta(minutes=90)
    yield _fact("Patient", patient, PatientFact(age_band="60-69", gender="female"), known)
    yield _fact(
        "Appointment",
        f"a{number}",
        AppointmentFact(
            status="fulfilled",
            start=start,
            end=start + timedelta(minutes=90),
            minutes=90,
            patient=patient,
            locations=(theatre,),
            team=team,
            services=(_SURGERY,),
            reasons=(_ACTS[number % 40],),
        ),
        known,
    )
    woken = left + timedelta(minutes=80)
    yield _fact(
        "Encounter",
        f"e{number}",
        EncounterFact(
            status="finished",
            setting=CareSetting.AMBULATORY,
            patient=patient,
            appointments=(f"Appointment/a{number}",),
            start=start - timedelta(minutes=60),
            end=woken + timedelta(minutes=90),
            stays=(
                Stay(theatre, "completed", start, left),
                Stay("Location/sspi", "completed", left, woken),
            ),
            stay_rules=(
                StayRule("start", Milestone.PATIENT_IN_ROOM, PlaceKind.ROOM),
                StayRule("end", Milestone.PATIENT_OUT_OF_ROOM, PlaceKind.ROOM),
                StayRule("start", Milestone.PACU_ARRIVAL, PlaceKind.PACU),
                StayRule("end", Milestone.PACU_DISCHARGE, PlaceKind.PACU),
            ),
        ),
        known,
    )
    yield _fact(
        "Procedure",
        f"p{number}",
        ProcedureFact(
            status="completed",
            patient=patient,
            encounter=f"Encounter/e{number}",
            location=theatre,
            code=_ACTS[number % 40],
            start=start + timedelta(minutes=20),
            end=start + timedelta(minutes=63),
            team=team,
            stamps=tuple(
                Stamp(milestone, start + timedelta(minutes=after), Provenance.EXPLICIT, theatre)
                for milestone, after in _STAMPS
            ),
        ),
        known,
    )
