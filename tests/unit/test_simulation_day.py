"""Whole days from an empty start: arithmetic, convolution, order, blocking, keyed random numbers."""

import dataclasses
import pickle
from itertools import pairwise

import numpy as np
import pytest

from tests.simulation_days import at, case, day, exactly, reference_day
from twin.durations.distribution import LogT
from twin.errors import SettingsError
from twin.simulation.draws import Key, uniforms
from twin.simulation.replications import simulate
from twin.simulation.result import Futures
from twin.simulation.scenario import RoomInput
from twin.site import SimulationOptions
from twin.vocabulary import ROOM_MILESTONES, Milestone, Stage

QUIET = exactly(induction=10, lead_in=5, closure=4, emergence=6, turnover=20, pacu=30, to_unit=5, unit=60)
FEW = SimulationOptions(replications=3)


def minutes(futures: Futures, key: str, milestone: Milestone) -> float:
    """The one instant of a day without variance, minutes since midnight."""
    seconds = futures.times[key][milestone]
    assert (seconds == seconds[0]).all()
    return (futures.now - at(0)).total_seconds() / 60 + int(seconds[0]) / 60


def test_exact_day_is_arithmetic() -> None:
    futures = simulate(day(case("one", planned=8), case("two", planned=9, rank=1), laws=QUIET, options=FEW))
    clock = {milestone: minutes(futures, "one", milestone) - 480 for milestone in futures.times["one"]}
    assert clock == {
        Milestone.PATIENT_IN_FACILITY: -60,
        Milestone.PATIENT_SENT_FOR: -45,
        Milestone.PATIENT_IN_HOLDING: -45,
        Milestone.ROOM_READY: -15,
        Milestone.PATIENT_IN_ROOM: 0,  # the day's first case starts as booked, with no delay
        Milestone.ANESTHESIA_START: 0,
        Milestone.ANESTHESIA_READY: 10,
        Milestone.INCISION: 15,
        Milestone.CLOSURE_START: 50,
        Milestone.PROCEDURE_FINISH: 54,
        Milestone.PATIENT_OUT_OF_ROOM: 60,
        Milestone.ROOM_CLEANUP_FINISH: 80,
        Milestone.PACU_ARRIVAL: 60,
        Milestone.PACU_READY: 90,
        Milestone.PACU_DISCHARGE: 90,
        Milestone.UNIT_ARRIVAL: 95,
        Milestone.FACILITY_DISCHARGE: 155,
    }
    assert minutes(futures, "two", Milestone.ROOM_READY) == 560
    assert minutes(futures, "two", Milestone.PATIENT_IN_ROOM) == 560


def test_short_case_keeps_room_time() -> None:
    laws = exactly(induction=30, lead_in=15, closure=20, emergence=15)
    futures = simulate(day(case("short", room_min=50), laws=laws, options=FEW))
    stages = [minutes(futures, "short", milestone) - 480 for milestone in list(Milestone)[4:11]]
    assert stages == [0, 0, 15, 22.5, 32.5, 42.5, 50]


def test_early_start_is_bounded() -> None:
    cases = (case("one", planned=8, room_min=30), case("two", planned=10, rank=1))
    futures = simulate(day(*cases, laws=QUIET, options=FEW))
    assert minutes(futures, "two", Milestone.ROOM_READY) == 480 + 50
    assert minutes(futures, "two", Milestone.PATIENT_IN_ROOM) == 600 - 15


def test_list_rank_rules() -> None:
    cases = (case("booked first", planned=8, rank=1), case("ranked first", planned=9, rank=0))
    futures = simulate(day(*cases, laws=QUIET, options=FEW))
    assert minutes(futures, "ranked first", Milestone.PATIENT_IN_ROOM) == 540
    assert minutes(futures, "booked first", Milestone.PATIENT_IN_ROOM) == 620


def test_late_room_calls_late() -> None:
    cases = (case("long", planned=8, room_min=240), case("next", planned=9, rank=1))
    futures = simulate(day(*cases, laws=exactly(transport=10, holding=8, closure=15), options=FEW))
    closing = minutes(futures, "long", Milestone.CLOSURE_START)
    assert minutes(futures, "next", Milestone.PATIENT_SENT_FOR) == closing == 705
    assert minutes(futures, "next", Milestone.PATIENT_IN_ROOM) == closing + 18


def test_full_pacu_blocks_the_room() -> None:
    cases = (case("one", "A"), case("two", "B"), case("three", "B", 9, rank=1))
    futures = simulate(day(*cases, pacu=1, laws=QUIET, options=FEW))
    assert minutes(futures, "one", Milestone.PATIENT_OUT_OF_ROOM) == 540
    assert minutes(futures, "two", Milestone.PROCEDURE_FINISH) == 534
    assert minutes(futures, "two", Milestone.PATIENT_OUT_OF_ROOM) == 570
    assert minutes(futures, "three", Milestone.PATIENT_IN_ROOM) == 590


def test_surgeon_is_in_one_room() -> None:
    cases = (case("one", "A", team=("s",)), case("two", "B", 8.5, team=("n", "s", "s")), case("three", "C", 8.5))
    futures = simulate(day(*cases, laws=QUIET, options=FEW))
    assert minutes(futures, "two", Milestone.PATIENT_IN_ROOM) == minutes(futures, "one", Milestone.PROCEDURE_FINISH)
    assert minutes(futures, "three", Milestone.PATIENT_IN_ROOM) == 510


def test_earlier_booking_gets_the_surgeon() -> None:
    waits_longer = case("b", "B", 8.6, team=("s",))
    follows = (case("before c", "C", 7, room_min=80), case("c", "C", 8.5, team=("s",), rank=1))
    futures = simulate(day(case("now", "A", team=("s",)), waits_longer, *follows, laws=QUIET, options=FEW))
    assert minutes(futures, "c", Milestone.ROOM_READY) == 520
    assert minutes(futures, "c", Milestone.PATIENT_IN_ROOM) == 534
    assert minutes(futures, "b", Milestone.PATIENT_IN_ROOM) == 588


def test_emergency_goes_as_soon_as_possible() -> None:
    cases = (case("emergency", planned=None, team=("s",)), case("elective", "B", 6.1, team=("s",)))
    futures = simulate(day(*cases, laws=QUIET, options=FEW))
    assert minutes(futures, "emergency", Milestone.PATIENT_IN_ROOM) == 360
    assert minutes(futures, "elective", Milestone.PATIENT_IN_ROOM) == 360 + 54


def test_case_without_room_waits_for_none() -> None:
    cases = (case("one", None), case("two", None), case("three", "A"))
    futures = simulate(day(*cases, laws=QUIET, options=FEW))
    assert {minutes(futures, key, Milestone.PATIENT_OUT_OF_ROOM) for key in ("one", "two", "three")} == {540}
    assert not ROOM_MILESTONES & futures.times["one"].keys()
    assert futures.room_last_out.keys() == {"A"}


def test_closed_room_opens() -> None:
    futures = simulate(day(case("one"), rooms=(RoomInput("A", at(11)),), laws=QUIET, options=FEW))
    assert minutes(futures, "one", Milestone.PATIENT_IN_ROOM) == 660


def test_one_room_is_a_convolution() -> None:
    laws = (LogT.of_median(60, 0.3, df=8), LogT.of_median(90, 0.2), LogT.of_median(45, 0.5, df=4))
    cases = [case(str(rank), planned=8 if rank == 0 else 6, room_min=law, rank=rank) for rank, law in enumerate(laws)]
    options = SimulationOptions(replications=20_000)
    futures = simulate(day(*cases, now=8, laws=exactly(turnover=20), options=options))
    step = 0.5
    density = np.array([1.0])
    for law in laws:
        density = np.convolve(density, np.diff(law.cdf(np.arange(0, 1440, step))))
    cdf = np.cumsum(density)
    simulated = futures.room_last_out["A"] / 60 - 40
    for level in (0.1, 0.5, 0.9):
        summed = step * (np.searchsorted(cdf, level) + 1.5)
        assert np.quantile(simulated, level) == pytest.approx(summed, rel=0.01)


def test_same_seed_same_futures() -> None:
    scenario = reference_day(replications=5)
    again = pickle.loads(pickle.dumps(scenario))
    assert again.content_key == scenario.content_key
    assert same(simulate(scenario), simulate(again))
    other = dataclasses.replace(scenario, options=SimulationOptions(replications=5, seed=1))
    assert other.content_key != scenario.content_key
    assert not same(simulate(scenario), simulate(other))


def test_fewer_replications_are_the_same_ones() -> None:
    few, many = simulate(reference_day(replications=4)), simulate(reference_day(replications=9))
    for key, left in few.left.items():
        assert (left == many.left[key][:4]).all()


def test_new_case_elsewhere_changes_nothing() -> None:
    scenario = reference_day(replications=5, pacu=None)
    added = case("added", "room-99", 7, room_min=LogT(4, 0.3), team=("new",))
    before = simulate(scenario)
    after = simulate(dataclasses.replace(scenario, cases=(added, *scenario.cases)))
    assert all((left == after.left[key]).all() for key, left in before.left.items())


def test_draws_are_uniform_and_apart() -> None:
    rows = [uniforms(Key(0, key, stage, 5000)) for key in ("a", "b") for stage in (Stage.PACU, Stage.UNIT)]
    rows.append(uniforms(Key(1, "a", Stage.PACU, 5000)))
    for row in rows:
        assert ((row > 0) & (row < 1)).all()
        assert np.sort(row) == pytest.approx(np.linspace(0, 1, 5000), abs=0.03)
    correlation = np.corrcoef(rows) - np.eye(len(rows))
    assert np.abs(correlation).max() < 0.06
    assert abs(np.corrcoef(rows[0][1:], rows[0][:-1])[0, 1]) < 0.06


def test_draws_are_pinned() -> None:
    # The kernel and any later version must draw the same numbers, on every machine.
    found = uniforms(Key(0, "case", Stage.ROOM_TIME, 2))
    assert found.tolist() == [0.08590516467133208, 0.12978450402750347]


def test_list_is_served_one_by_one() -> None:
    futures = simulate(reference_day(replications=20))
    for room in range(14):
        keys = [key for key in futures.times if key.startswith(f"case-{room}-")]
        for before, after in pairwise(keys):
            cleaned = futures.times[before][Milestone.ROOM_CLEANUP_FINISH]
            assert (futures.times[after][Milestone.PATIENT_IN_ROOM] >= cleaned).all()


def test_quantiles_and_probability() -> None:
    futures = simulate(reference_day(replications=100))
    seconds = np.arange(100) * 60
    assert futures.quantiles(seconds) == (570, 2970, 5370)
    assert futures.probability_after(seconds, at(6.5)) == 0.69


@pytest.mark.parametrize("wrong", [{"pacu": 0}, {"options": SimulationOptions(replications=0)}])
def test_nonsense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(SettingsError):
        day(case("one"), **wrong)  # type: ignore[arg-type]
    with pytest.raises(SettingsError):
        day(case("one"), case("one"))


def same(one: Futures, other: Futures) -> bool:
    """Every instant of every future is equal."""
    return one.times.keys() == other.times.keys() and all(
        np.array_equal(seconds, other.times[key][milestone])
        for key, times in one.times.items()
        for milestone, seconds in times.items()
    )
