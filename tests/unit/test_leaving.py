"""What is over for good leaves the ledger, in whatever order it came."""

from datetime import date

import pytest

from tests.world import PARIS, World, act, booking, person, stay
from twin.projections.leaving import without_past, without_strangers
from twin.projections.ledger import Ledger, fold

FIRST = date(2026, 11, 24)


def left(*resources: dict[str, object]) -> set[str]:
    """Refs that are no longer there, of a world of today with these resources."""
    ledger = World(*resources).ledger
    return ledger.resources.keys() - without_past(ledger, FIRST, PARIS).resources.keys()


@pytest.mark.parametrize(
    "resource",
    [
        booking("x", "16T08:00", "16T09:00"),
        booking("x", "16T08:00", "16T09:00", status="cancelled"),
        stay("x", ("salle-1", "16T08:00", "16T09:00"), status="finished", start="15T08:00", end="16T18:00"),
        act("x", "16T08:00", "16T09:00"),
    ],
)
def test_what_is_over_leaves(resource: dict[str, object]) -> None:
    assert left(resource) == {f"{resource['resourceType']}/x"}


@pytest.mark.parametrize(
    "resource",
    [
        booking("x", "17T08:00", "17T09:00"),
        booking("x", ""),
        stay("x", ("ward", "01T08:00", ""), start="01T08:00"),
        stay("x", ("ward", "01T08:00", "17T08:00"), status="finished", start="01T08:00", end="02T08:00"),
        act("x", "01T08:00"),
        person("p1"),
    ],
)
def test_what_may_matter_stays(resource: dict[str, object]) -> None:
    assert left(resource) == set()


def test_folding_in_pieces_keeps_the_same() -> None:
    facts = World(booking("old", "01T08:00", "01T09:00"), booking("new"), act("old", "01T08:00", "01T08:30")).facts
    whole = without_past(fold(Ledger(), facts), FIRST, PARIS)
    pieces = Ledger()
    for fact in reversed(facts):
        pieces = without_past(fold(pieces, [fact]), FIRST, PARIS, among=[fact.key.ref])
    assert pieces == whole


def test_patients_of_nobody_leave() -> None:
    world = World(booking("new", patient="p1"), person("p1"), person("p2"), person("p3", ("replaced-by", "p1")))
    gone = world.ledger.resources.keys() - without_strangers(world.ledger).resources.keys()
    assert len(gone) == 1
