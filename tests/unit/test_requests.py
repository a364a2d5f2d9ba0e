"""ServiceRequests: what they say of a booking whose own words and place don't tell whether it is surgery."""

from datetime import timedelta
from typing import Any

import pytest

from tests.world import DAY, PARIS, World, booking, stay
from twin.facts import Horizon
from twin.projections.evidence import deciding_requests
from twin.projections.places import places_of


def request(name: str = "s", *, category: str = "", code: str = "", **elements: Any) -> dict[str, Any]:
    """An order in words."""
    told = {"category": [{"text": category}]} if category else {}
    return {
        "resourceType": "ServiceRequest",
        "id": name,
        "status": "active",
        "code": {"text": code},
        **told,
        **elements,
    }


def vague(**elements: Any) -> dict[str, Any]:
    """A booking that says nothing."""
    return booking("a", **{"room": None, "service": "", "request": "s", **elements})


def test_a_surgical_request_makes_a_case() -> None:
    case = World(vague(), request(code="Arthroplastie du genou")).case()
    assert case.room is None
    assert case.carrier == "Appointment/a"


def test_its_category_says_it_too() -> None:
    coded = {"coding": [{"system": "http://snomed.info/sct", "code": "387713003"}]}
    assert World(vague(), {**request(), "category": [coded]}).case()


@pytest.mark.parametrize("words", ["Consultation de chirurgie", "Radiographie du genou", "?"])
def test_other_requests_make_none(words: str) -> None:
    world = World(vague(), request(code=words))
    assert world.cases() == []
    assert world.suite().not_surgical == 1


def test_a_consultation_beats_the_operation() -> None:
    assert World(vague(), request(category="Consultation", code="Arthroplastie")).cases() == []


@pytest.mark.parametrize(
    "said",
    [
        {"service": "Consultation d'anesthésie"},
        {"specialty": [{"text": "Radiologie"}]},
        {"room": "consult"},
        {"room": "sspi"},
    ],
)
def test_the_booking_says_something_else(said: dict[str, Any]) -> None:
    assert World(vague(**said), request(code="Arthroplastie")).cases() == []


@pytest.mark.parametrize("ward", ["uca", "ward", "accueil"])
def test_booked_on_a_ward(ward: str) -> None:
    assert World(vague(room=ward), request(code="Arthroplastie")).case().room is None


@pytest.mark.parametrize("place", [None, "uca"])
def test_an_admission_is_no_second_case(place: str | None) -> None:
    admitted = vague(room=place, start="07:00", end="07:15")
    world = World(admitted, booking("op", "08:00", "09:30", request="s"), request(code="Arthroplastie"))
    assert world.case().carrier == "Appointment/op"


def test_a_second_operation_of_the_request() -> None:
    first = booking("op", "08:00", "09:30", request="s")
    world = World(first, vague(start="26T08:00", end="26T09:30"), request(code="Cataracte"))
    assert [case.carrier for case in world.cases()] == ["Appointment/op", "Appointment/a"]


def test_entered_in_error_says_nothing() -> None:
    assert World(vague(), request(code="Arthroplastie", status="entered-in-error")).cases() == []


def test_a_room_needs_no_request() -> None:
    world = World(booking("a", request="s"), stay("e", ("salle-1", "08:05", "")), request(category="Consultation"))
    assert len(world.cases("09:00")) == 1


def test_which_requests_decide() -> None:
    world = World(vague(), booking("b", request="t"), booking("c", room="consult", request="u"))
    horizon = Horizon(DAY, DAY)
    places = places_of(world.ledger, world.site)
    assert deciding_requests(world.ledger, places, horizon, PARIS) == {"ServiceRequest/s"}
    tomorrow = Horizon(DAY + timedelta(days=1), DAY + timedelta(days=1))
    assert deciding_requests(world.ledger, places, tomorrow, PARIS) == frozenset()
