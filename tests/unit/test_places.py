"""What each Location is: found by the words and types of places, by use, or by the site file."""

import pytest

from tests.world import PARIS, World, act, booking, location, physical, slug, stay
from twin.projections.places import Places, kind_of_words, natural, places_of
from twin.site import SiteOptions
from twin.vocabulary import PlaceKind

NAMES = {
    "room": """Salle d'opération 3|Salle 4 Bloc|Salle de bloc 2
        |BLOC SALLE 05|Bloc A - Salle 2|Salle opératoire n°7|SOP 12
        |Salle d’intervention 1|Salle hybride|Salle Da Vinci|Salle de césarienne|Salle d'endoscopie 2|Salle ortho 2
        |Salle interventionnelle|Bloc ortho salle 1|Operating Room 4|Operating Theatre 2|OR 5|OR-12|OR1|Main OR 3
        |Theatre 6|Operating theater B|Procedure Room 1|Cath Lab 2|Hybrid OR|Salle de chirurgie 8|Salle robot
        |OP-Saal 2|Endoscopy room 2|Salle de coronarographie|Bloc opératoire - salle 9|Theatre A
        |Surgery Room 2|Bloc-S03""",
    "suite": """Bloc opératoire|Bloc central|Bloc opératoire central|Operating Suite|Main Theatres|Surgical Suite|Bloc
        |Bloc ambulatoire|Operating department|Bloc obstétrical|Theatres|Plateau interventionnel""",
    "pacu": """SSPI|Salle de réveil|Salle de surveillance post-interventionnelle|Recovery Room|PACU bay 3
        |SSPI - Poste 4        |Post-anaesthesia care unit|Post Anesthesia Care Unit|Réveil bloc central
        |Salle de surveillance post-opératoire""",
    "holding": """Accueil bloc|Pre-op holding|SAS bloc|Salle d'induction|Anaesthetic room 2|Zone de transfert bloc
        |Salle de préparation|Holding area|Preoperative area|Pré-op""",
    "consultation": """Consultation d'anesthésie|Bureau de consultation 4|Cabinet du Dr A|Salle de consultation 2
        |Outpatient clinic|Exam Room 3|Salle d'examen 1|Box de consultation 2|Consultations externes chirurgie""",
    "ward": """Hospitalisation chirurgie|Chambre 112|Surgical Ward B|Ward 3 East|Service de chirurgie viscérale
        |Unité d'hospitalisation 4|Chirurgie orthopédique 2e étage|Unité de soins chirurgie|Bed 12 Ward A""",
    "day_unit": """Unité de chirurgie ambulatoire|UCA|Hôpital de jour|Day Surgery Unit|Ambulatoire - lit 4
        |Same Day Surgery|Day case unit|Salon de sortie ambulatoire""",
    "intensive_care": "Réanimation|USC|ICU 2|Soins intensifs|Unité de surveillance continue|Intensive Care Unit|USIC",
    "elsewhere": """Radiologie|Scanner 1|IRM|Urgences|Salle de naissance 2|Delivery Room 1|Stérilisation|Arsenal bloc
        |Salle de réunion bloc|Vestiaire bloc|Laboratoire|Kinésithérapie|Emergency Department|Waiting room
        |Salle d'accouchement|Cafétéria|Corridor bloc|Salle d'attente du bloc|Plateau de kinésithérapie""",
    "": """Clinique Saint-Jean|Salle 4|Room 12|Bâtiment A|Main Hospital|Salle polyvalente|Theatre Street Clinic
        |Plateau technique|Site Nord""",
}
EACH = [(name.strip(), kind) for kind, names in NAMES.items() for name in names.split("|")]


@pytest.mark.parametrize(("name", "kind"), EACH)
def test_names(name: str, kind: str) -> None:
    assert (kind_of_words(name) or "") == kind


def found(*resources: dict[str, object], site: SiteOptions | None = None) -> Places:
    return places_of(World(*resources, places=()).ledger, site or SiteOptions(timezone=PARIS))


def kinds(places: Places) -> dict[str, str]:
    return {place.ref.removeprefix("Location/"): place.kind or "" for place in places.by_ref.values()}


SALLE = location("Salle 4", id="s4", within="bloc")
BLOC = location("Bloc opératoire", id="bloc")


def test_used_room_in_suite() -> None:
    places = found(BLOC, SALLE, booking("a", room="s4", service=""))
    assert kinds(places) == {"bloc": "suite", "s4": "room"}
    assert places.by_ref["Location/s4"].reason == "in Bloc opératoire"


def test_unused_is_no_room() -> None:
    assert kinds(found(BLOC, SALLE, location("Salle d'opération 1", id="s1"))) == {"bloc": "suite", "s4": "", "s1": ""}


def test_ancestor_far_away() -> None:
    floor = location("Niveau 2", id="floor", within="bloc")
    assert kinds(found(BLOC, floor, location("A", within="floor"), booking("a", room="A")))["A"] == "room"


def test_ring_of_parts() -> None:
    ring = (location("X", within="Y"), location("Y", within="X"))
    assert kinds(found(*ring, booking("a", room="X", service="")))["X"] == ""


def test_type_tells() -> None:
    coded = location("A") | {"type": [{"coding": [{"system": "http://snomed.info/sct", "code": "225738002"}]}]}
    worded = location("B") | {"type": [{"coding": [{"display": "Bloc opératoire"}]}]}
    places = found(coded, worded, booking("a", room="A", service=""), booking("b", room="B"))
    assert kinds(places) == {"A": "room", "B": "room"}


def test_alias_tells() -> None:
    assert kinds(found(location("S4", alias=["Salle d'opération 4"]), booking("a", room="S4", service=""))) == {
        "S4": "room"
    }


def test_physical_room_proves_nothing() -> None:
    assert kinds(found(location("Salle 9", id="s9", **physical("ro")), booking("a", room="s9", service=""))) == {
        "s9": ""
    }


def test_surgical_booking_makes_a_room() -> None:
    assert kinds(found(location("Salle 9", id="s9"), booking("a", room="s9"))) == {"s9": "room"}


def test_surgery_consultation_makes_none() -> None:
    said = "Consultation de chirurgie"
    assert kinds(found(location("Salle 9", id="s9"), booking("a", room="s9", service=said))) == {"s9": ""}


def test_procedure_makes_a_room() -> None:
    assert kinds(found(location("Salle 9", id="s9"), act("p", room="s9"))) == {"s9": "room"}


def test_mistakes_make_none() -> None:
    wrong = (act("p", room="s9", status="entered-in-error"), booking("a", room="s9", status="entered-in-error"))
    assert kinds(found(location("Salle 9", id="s9"), *wrong)) == {"s9": ""}


@pytest.mark.parametrize("kind", ["pacu", "holding", "consultation", "ward", "day_unit", "intensive_care", "elsewhere"])
def test_others_are_never_rooms(kind: str) -> None:
    name = next(name for name, expected in EACH if expected == kind)
    within = location(name, id="x", within="bloc", **physical("ro"))
    assert kinds(found(BLOC, within, booking("a", room="x"), act("p", room="x")))["x"] == kind


def test_name_beats_type_of_its_suite() -> None:
    typed = location("Salle de réveil", id="x", type=[{"text": "Bloc opératoire"}])
    assert kinds(found(typed, booking("a", room="x")))["x"] == "pacu"


def test_use_inside_others() -> None:
    around = location("Consultations externes", id="cs"), location("SSPI", id="sspi"), location("UCA", id="uca")
    inside = location("Salle 3", id="c3", within="cs"), location("Poste 4", id="p4", within="sspi")
    theatre = location("Salle 8", id="u8", within="uca")
    used = booking("a", room="c3"), act("p", room="p4"), booking("b", room="u8")
    told = kinds(found(*around, *inside, theatre, *used))
    assert (told["c3"], told["p4"], told["u8"]) == ("consultation", "pacu", "room")


@pytest.mark.parametrize("code", ["wi", "area", "ro"])
def test_suite_booked_directly(code: str) -> None:
    assert kinds(found(location("Bloc central", id="bloc", **physical(code)), booking("a", room="bloc"))) == {
        "bloc": "room"
    }


def test_suite_of_rooms_is_none() -> None:
    places = found(BLOC, SALLE, booking("a", room="s4"), booking("b", room="bloc"))
    assert kinds(places) == {"bloc": "suite", "s4": "room"}
    assert places.by_ref["Location/bloc"].reason == "rooms are part of it"


def test_passing_through_a_suite() -> None:
    assert kinds(found(BLOC, stay("e", ("bloc", "08:00", "")))) == {"bloc": "suite"}


def test_room_only_visited() -> None:
    assert kinds(found(BLOC, SALLE, stay("e", ("s4", "08:00", ""))))["s4"] == "room"


def test_unknown_location() -> None:
    places = found(booking("a", room="nowhere"))
    assert kinds(places) == {"nowhere": "room"}
    assert places.name("Location/nowhere") == "nowhere"


def test_beds_count() -> None:
    sspi, ward = location("SSPI", id="sspi"), location("Hospitalisation", id="ward")
    beds = [location(f"P{n}", within="sspi", **physical("bd")) for n in range(6)]
    places = found(sspi, ward, *beds, location("L1", within="ward", **physical("bd")))
    assert (places.beds_of(PlaceKind.PACU), places.beds_of(PlaceKind.WARD)) == (6, 1)


def test_site_file_wins() -> None:
    site = SiteOptions(timezone=PARIS, rooms=frozenset({"sspi", "new"}))
    told = found(location("SSPI", id="sspi"), BLOC, SALLE, booking("a", room="s4"), site=site)
    assert kinds(told) == {"bloc": "suite", "s4": "elsewhere", "sspi": "room", "new": "room"}


def test_site_refuses_rooms() -> None:
    site = SiteOptions(timezone=PARIS, not_rooms=frozenset({"s4"}))
    assert kinds(found(BLOC, SALLE, booking("a", room="s4"), site=site))["s4"] == "elsewhere"


def test_natural_order() -> None:
    names = ("Salle 10", "salle 2", "Salle 1", "Annexe")
    assert sorted(names, key=natural) == ["Annexe", "Salle 1", "salle 2", "Salle 10"]
    used = (booking(f"a{number}", room=slug(name)) for number, name in enumerate(names))
    rooms = found(*(location(name) for name in names), *used).rooms
    assert [room.name for room in rooms] == ["Annexe", "Salle 1", "salle 2", "Salle 10"]
