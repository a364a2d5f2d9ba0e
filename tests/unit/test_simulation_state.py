"""Days that are under way: every stage goes on from where it is."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from tests.simulation_days import at, case, day, exactly
from twin.durations.distribution import LogT
from twin.durations.stages import StageLaw
from twin.simulation.replications import simulate
from twin.simulation.result import Futures
from twin.simulation.scenario import CaseInput, RoomInput
from twin.site import SimulationOptions
from twin.vocabulary import ROOM_MILESTONES, Milestone, Stage

EXACT = exactly(induction=10, lead_in=5, closure=4, emergence=6, turnover=20, pacu=30, to_unit=5, unit=60)
LAW = LogT.of_median(90, 0.3, df=8)
MANY = SimulationOptions(replications=400)
FEW = SimulationOptions(replications=3)
THERE = {"patient_in_facility": 7.0}


def median_min(futures: Futures, key: str, milestone: Milestone) -> float:
    """Minutes since now."""
    return float(np.median(futures.times[key][milestone])) / 60


def test_before_incision_room_time_is_conditioned() -> None:
    futures = simulate(day(case("x", room_min=LAW, patient_in_room=8), now=10, options=MANY))
    expected = float(LAW.residual_ppf(0.5, 120))
    assert median_min(futures, "x", Milestone.PATIENT_OUT_OF_ROOM) == pytest.approx(expected, rel=0.15)


def test_after_incision_surgical_time_is_conditioned() -> None:
    running = case("x", surgical_min=LAW, patient_in_room=7.5, incision=8)
    futures = simulate(day(running, now=9.5, laws=EXACT, options=MANY))
    expected = float(LAW.residual_ppf(0.5, 90))
    assert median_min(futures, "x", Milestone.PROCEDURE_FINISH) == pytest.approx(expected, rel=0.15)
    emergence = futures.times["x"][Milestone.PATIENT_OUT_OF_ROOM] - futures.times["x"][Milestone.PROCEDURE_FINISH]
    assert (emergence == 360).all()


def test_only_emergence_after_the_finish() -> None:
    running = case("x", room_min=500, surgical_min=500, patient_in_room=8, incision=8.2, procedure_finish=8.95)
    futures = simulate(day(running, now=9, laws=EXACT, options=FEW))
    assert median_min(futures, "x", Milestone.PATIENT_OUT_OF_ROOM) == pytest.approx(3)


def test_closure_started_leaves_the_closure() -> None:
    running = case("x", surgical_min=500, patient_in_room=8, incision=8.2, closure_start=9)
    futures = simulate(day(running, now=9.05, laws=EXACT, options=FEW))
    assert median_min(futures, "x", Milestone.PROCEDURE_FINISH) == pytest.approx(1)


@pytest.mark.parametrize("reached", [{}, {"anesthesia_start": 8}, {"anesthesia_ready": 8.2}, {"incision": 8.3}])
def test_beyond_p99_something_is_left(reached: dict[str, float]) -> None:
    elapsed = float(LAW.ppf(0.995)) / 60
    running = case("x", room_min=LAW, surgical_min=LAW, patient_in_room=8, reached=reached)
    futures = simulate(day(running, now=8.3 + elapsed, options=MANY))
    left = futures.times["x"][Milestone.PATIENT_OUT_OF_ROOM]
    assert (left > 0).all()
    assert median_min(futures, "x", Milestone.PATIENT_OUT_OF_ROOM) > 5


def test_running_case_holds_room_and_team() -> None:
    cases = (
        case("running", team=("s",), patient_in_room=8, incision=8.25),
        case("next", planned=8, rank=1),
        case("other room", "B", 8, team=("s",)),
    )
    futures = simulate(day(*cases, now=8.5, laws=EXACT, options=FEW))
    assert median_min(futures, "running", Milestone.PROCEDURE_FINISH) == 15
    assert median_min(futures, "other room", Milestone.PATIENT_IN_ROOM) == 15
    assert median_min(futures, "next", Milestone.PATIENT_IN_ROOM) == 41


def test_room_being_cleaned() -> None:
    cases = (case("gone", patient_in_room=7, patient_out_of_room=8), case("next", planned=8, rank=1))
    futures = simulate(day(*cases, now=8.25, laws=EXACT, options=FEW))
    assert median_min(futures, "gone", Milestone.ROOM_CLEANUP_FINISH) == 5
    assert median_min(futures, "next", Milestone.PATIENT_IN_ROOM) == 5


@pytest.mark.parametrize(("free_from", "entry"), [(8.1, 11), (6, 0), (8.75, 30)])
def test_room_tells_when_it_is_free(free_from: float, entry: float) -> None:
    rooms = (RoomInput("A", at(free_from)),)
    futures = simulate(day(case("next", reached=THERE), rooms=rooms, now=8.25, laws=EXACT, options=FEW))
    assert median_min(futures, "next", Milestone.PATIENT_IN_ROOM) == entry


@pytest.mark.parametrize(
    "reached", [{"patient_out_of_room": 8, "room_cleanup_finish": 8.2}, {"patient_out_of_room": 6}]
)
def test_room_restored_is_free(reached: dict[str, float]) -> None:
    gone = case("gone", planned=5, patient_in_room=5, reached=reached)
    futures = simulate(day(gone, case("next", planned=8, rank=1, reached=THERE), now=8.25, laws=EXACT, options=FEW))
    assert Milestone.ROOM_CLEANUP_FINISH not in futures.times["gone"]
    assert median_min(futures, "next", Milestone.PATIENT_IN_ROOM) == 0


def test_next_patient_entered_before_recorded_exit() -> None:
    cases = (case("unrecorded", patient_in_room=8), case("next", rank=1, patient_in_room=9, room_min=200))
    futures = simulate(day(*cases, case("last", rank=2), now=9.5, laws=EXACT, options=FEW))
    assert median_min(futures, "last", Milestone.PATIENT_IN_ROOM) == 200 - 30 + 20


def test_surgeon_recorded_in_two_rooms() -> None:
    cases = (
        case("a", "A", team=("s",), patient_in_room=8, room_min=100),
        case("b", "B", team=("s",), patient_in_room=8, room_min=70),
        case("c", "C", 8, team=("s",)),
    )
    futures = simulate(day(*cases, now=8.5, laws=EXACT, options=FEW))
    assert median_min(futures, "b", Milestone.PATIENT_OUT_OF_ROOM) == 40
    assert median_min(futures, "c", Milestone.PATIENT_IN_ROOM) == 64


def test_pacu_over_its_places() -> None:
    recovering = [case(key, key, 6, patient_in_room=7, pacu_arrival=8 + n / 60) for n, key in enumerate("abc")]
    next_out = case("d", "D", patient_in_room=7.5, incision=7.8, procedure_finish=8.1)
    futures = simulate(day(*recovering, next_out, now=8.15, pacu=2, laws=EXACT, options=FEW))
    ends = [median_min(futures, key, Milestone.PACU_DISCHARGE) for key in "abc"]
    assert ends == pytest.approx([21, 22, 23])
    assert median_min(futures, "d", Milestone.PATIENT_OUT_OF_ROOM) == pytest.approx(22)


def test_pacu_residual_counts_from_leaving() -> None:
    law = LogT.of_median(60, 0.3, df=8)
    laws = (StageLaw(Stage.PACU, law, "test"), *EXACT)
    futures = simulate(day(case("x", patient_out_of_room=8), now=9, laws=laws, options=MANY))
    expected = float(law.residual_ppf(0.5, 60))
    assert median_min(futures, "x", Milestone.PACU_READY) == pytest.approx(expected, rel=0.15)
    assert (futures.times["x"][Milestone.PACU_ARRIVAL] == 0).all()


def test_late_first_case_has_not_begun() -> None:
    futures = simulate(day(case("x", planned=8, reached=THERE), now=8.5, options=MANY))
    assert (futures.times["x"][Milestone.PATIENT_IN_ROOM] > 0).all()
    assert 2 < median_min(futures, "x", Milestone.PATIENT_IN_ROOM) < 20


def test_late_patient_is_still_to_come() -> None:
    futures = simulate(day(case("x", planned=8), now=8.5, options=MANY))
    arrival = futures.times["x"][Milestone.PATIENT_IN_FACILITY]
    assert (arrival > 0).all()
    assert (futures.times["x"][Milestone.PATIENT_IN_ROOM] > arrival).all()


def test_patient_on_the_way() -> None:
    laws = exactly(transport=10, holding=8)
    sent = case("sent", "A", 8, patient_in_facility=7, patient_sent_for=7.95)
    holding = case("held", "B", 8, patient_in_facility=7, patient_in_holding=7.95)
    ready = case("ready", "C", 8, patient_in_facility=7, patient_in_holding=7)
    futures = simulate(day(sent, holding, ready, now=8, laws=laws, options=FEW))
    entries = [median_min(futures, key, Milestone.PATIENT_IN_ROOM) for key in ("sent", "held", "ready")]
    assert entries == pytest.approx([15, 5, 0])


def test_patient_gone_home_leaves_nothing() -> None:
    futures = simulate(day(case("x", patient_in_room=8, facility_discharge=12), now=13, options=FEW))
    assert futures.times["x"] == {}
    assert (futures.left["x"] == -3600).all()


STATES = [
    case("s", patient_in_facility=7),
    case("s", patient_sent_for=8),
    case("s", patient_in_holding=8, room_ready=8),
    case("s", patient_in_room=8),
    case("s", anesthesia_start=8),
    case("s", anesthesia_ready=8),
    case("s", incision=8),
    case("s", closure_start=8),
    case("s", procedure_finish=8),
    case("s", patient_out_of_room=8),
    case("s", pacu_arrival=8),
    case("s", pacu_ready=8),
    case("s", pacu_discharge=8),
    case("s", unit_arrival=8),
]


@pytest.mark.parametrize("state", STATES, ids=lambda state: str(state.furthest))
def test_all_that_follows_is_timed(state: CaseInput) -> None:
    futures = simulate(day(state, now=8.1, pacu=3, options=MANY))
    furthest = state.furthest
    assert furthest is not None
    still = [milestone for milestone in futures.times["s"] if milestone not in ROOM_MILESTONES]
    assert still == [m for m in Milestone if m.rank > furthest.rank and m not in ROOM_MILESTONES]
    times = [futures.times["s"][milestone] for milestone in still]
    assert all((later >= earlier).all() for earlier, later in pairwise(times))
    assert (times[0] >= 0).all()
    assert (times[-1] > 0).all()


# What a hospital doesn't stamp says nothing where it is missing.


def test_incision_that_is_never_stamped() -> None:
    """After two hours in the room: where it is stamped it is still to come, else it is long past."""
    running = day(case("x", room_min=LAW, patient_in_room=8), now=10, options=MANY)
    never = (Milestone.ANESTHESIA_READY, Milestone.INCISION)
    seen, unseen = simulate(running), simulate(replace(running, unrecorded=never))
    assert median_min(seen, "x", Milestone.INCISION) > 0
    assert median_min(unseen, "x", Milestone.INCISION) == 0
    assert np.all(unseen.times["x"][Milestone.PATIENT_OUT_OF_ROOM] > 0)


def test_patient_of_whom_nobody_saw_the_arrival() -> None:
    waiting = case("x", planned=10)
    seen = simulate(day(waiting, now=10.5, options=MANY))
    unseen = simulate(replace(day(waiting, now=10.5, options=MANY), unrecorded=(Milestone.PATIENT_IN_FACILITY,)))
    assert median_min(unseen, "x", Milestone.PATIENT_IN_FACILITY) == 0
    assert median_min(seen, "x", Milestone.PATIENT_IN_FACILITY) > 5


def test_unseen_patients_do_not_fill_the_pacu() -> None:
    """Nobody stamps who leaves the PACU: after five hours its only place is taken to be free."""
    before = case("before", planned=4, patient_in_room=4, patient_out_of_room=5)
    following = case("next", planned=10, rank=1, patient_in_room=10)
    there = day(before, following, now=10, pacu=1, laws=EXACT, options=FEW)
    blind = replace(there, unrecorded=(Milestone.PACU_ARRIVAL, Milestone.PACU_READY, Milestone.PACU_DISCHARGE))
    assert median_min(simulate(blind), "next", Milestone.PATIENT_OUT_OF_ROOM) == 60


def test_later_case_waits_for_its_booking_in_a_free_room() -> None:
    cases = (case("one", planned=8, room_min=30), case("two", planned=12, rank=1))
    futures = simulate(day(*cases, options=MANY))
    entry = np.percentile(futures.times["two"][Milestone.PATIENT_IN_ROOM], [0, 50]) / 60 - 360
    assert entry[0] >= -15
    assert entry[1] == pytest.approx(0, abs=3)
