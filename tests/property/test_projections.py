"""Folds: the same twins whatever order and however often the versions come."""

from datetime import timedelta
from functools import cache
from itertools import accumulate, pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from fixtures.clinic.day import ClinicDay, generate_day
from tests.world import DAY, PARIS, SERVER, World
from twin.facts import Fact, Horizon
from twin.projections.ledger import Ledger, changed, fold
from twin.projections.suite_twin import SuiteTwin, suite_twin
from twin.timebase import Clock
from twin.vocabulary import CaseStatus, Milestone


@cache
def clinic() -> ClinicDay:
    """A small day: 3 rooms."""
    return generate_day(DAY, PARIS, seed=3, rooms=3)


@cache
def history() -> tuple[Fact, ...]:
    """Every version of the played day in order of time."""
    return tuple(World(places=()).play(clinic()).facts)


def suite(ledger: Ledger, hours: float) -> SuiteTwin:
    horizon = Horizon(DAY - timedelta(days=2), DAY + timedelta(days=30))
    clock = Clock(wall=lambda: clinic().opens + timedelta(hours=hours))
    return suite_twin(ledger, clinic().site(), clock=clock, horizon=horizon, server=SERVER)


@cache
def expected(hours: float) -> SuiteTwin:
    return suite(fold(Ledger(), history()), hours)


MOMENTS = st.sampled_from((0.5, 2.5, 5.0, 13.0))


@given(st.randoms(use_true_random=False), MOMENTS)
@settings(max_examples=25)
def test_order_and_repetition(random: Any, hours: float) -> None:
    facts = [*history(), *random.sample(history(), 40)]
    random.shuffle(facts)
    assert suite(fold(Ledger(), facts), hours) == expected(hours)


@given(st.lists(st.integers(0, 2000), max_size=6), MOMENTS)
@settings(max_examples=25)
def test_in_pieces(cuts: list[int], hours: float) -> None:
    bounds = [0, *sorted(cut % len(history()) for cut in cuts), len(history())]
    pieces = [history()[first:last] for first, last in pairwise(bounds)]
    *_, ledger = accumulate(reversed(pieces), fold, initial=Ledger())
    assert suite(ledger, hours) == expected(hours)


@given(st.sets(st.integers(0, 2000), max_size=60), st.randoms(use_true_random=False), MOMENTS)
@settings(max_examples=25)
def test_any_part_of_the_history(left_out: set[int], random: Any, hours: float) -> None:
    part = [fact for number, fact in enumerate(history()) if number not in left_out]
    mixed = random.sample(part, len(part))
    assert suite(fold(Ledger(), part), hours) == suite(fold(Ledger(), mixed), hours)


@given(st.integers(0, 2000))
@settings(max_examples=25)
def test_old_versions_change_nothing(number: int) -> None:
    whole = fold(Ledger(), history())
    assert changed(whole, fold(whole, [history()[number % len(history())]])) == frozenset()


@given(st.permutations(range(3)))
def test_restored_server(order: list[int]) -> None:
    """Versions of one name with other contents: whatever comes first, the same one is taken."""
    first = next(fact for fact in history() if fact.key.type == "Appointment")
    versions = [replace(first, content_hash=name) for name in "abc"]
    ledger = fold(Ledger(), [versions[number] for number in order])
    assert ledger.resources[first.key.ref].content.content_hash == "c"


@given(st.integers(0, 2000), MOMENTS)
@settings(max_examples=40)
def test_ids_once_given_are_found_again(number: int, hours: float) -> None:
    early = suite(fold(Ledger(), history()[: number % len(history())]), hours)
    for twin in early.cases.values():
        later = expected(hours).case(twin.case_id)
        assert later is not None
        assert set(twin.links.anchors) <= set(later.links.anchors)


@given(st.floats(0, 14))
@settings(max_examples=40)
def test_what_always_holds(hours: float) -> None:
    found = suite(fold(Ledger(), history()), hours)
    for twin in found.cases.values():
        times = [a for a in twin.times.reached if a.milestone is not Milestone.ROOM_READY]
        assert [a.at for a in times] == sorted(a.at for a in times)
        assert all(a.at <= a.recorded_at <= found.now for a in times)
        assert len({a.milestone for a in times}) == len(times)
    inside = [twin.room for twin in found.cases.values() if twin.status is CaseStatus.IN_PROGRESS]
    assert len(inside) == len(set(inside))
    anchors = [anchor for twin in found.cases.values() for anchor in twin.links.anchors]
    assert len(anchors) == len(set(anchors))
