"""Actual times: which are a case's, how each is known, what is withdrawn, corrected, contradicted or still to come."""

from datetime import timedelta

import pytest

from tests.world import World, act, at, booking, said, stay, story
from twin.projections.patient_twin import PatientTwin
from twin.projections.stamps import Actual, _in_order
from twin.timebase import Clock, minutes_between, shifted
from twin.vocabulary import CaseStatus, Milestone, Provenance

IN, OUT = Milestone.PATIENT_IN_ROOM, Milestone.PATIENT_OUT_OF_ROOM


def known(twin: PatientTwin, milestone: Milestone) -> Actual:
    return next(actual for actual in twin.times.reached if actual.milestone is milestone)


def aside(twin: PatientTwin) -> list[str]:
    return [actual.milestone.value for actual in twin.times.set_aside]


def test_each_time_keeps_its_provenance() -> None:
    world = World(
        booking("a", status="arrived"),
        stay("e", ("salle-1", "08:05", ""), booked="a"),
        act("p", "08:20", encounter="e", progress="open-incision"),
    )
    twin = world.case("08:30")
    told = {actual.milestone.value: (actual.provenance, actual.source) for actual in twin.times.reached}
    assert told == {
        "patient_in_facility": (Provenance.DERIVED, "Appointment/a"),
        "patient_in_room": (Provenance.EXPLICIT, "Encounter/e"),
        "incision": (Provenance.EXPLICIT, "Procedure/p"),
    }


def test_performed_without_visit_is_estimated() -> None:
    twin = World(booking("a"), act("p", "08:20", "09:10", status="completed")).case("10:00")
    assert story(twin) == {"patient_in_room": "08:20", "patient_out_of_room": "09:10"}
    assert {actual.provenance for actual in twin.times.reached} == {Provenance.ESTIMATED}


def test_first_version_that_shows_it() -> None:
    world = World(booking("a"))
    world.put("07:12", booking("a", status="arrived")).put("07:40", booking("a", status="checked-in", room="salle-2"))
    assert story(world.case("07:45")) == {"patient_in_facility": "07:12"}


def test_earlier_states_stay_known() -> None:
    world = World(booking("a"), act("p", progress=""))
    states = {"08:01": "in-operating-room", "08:20": "anesthesia-induced", "08:31": "open-incision"}
    for when, state in states.items():
        world.put(when, act("p", status="preparation", progress=state))
    assert list(story(world.case("08:40")).values()) == ["08:01", "08:20", "08:31"]


def test_a_state_taken_back() -> None:
    world = World(booking("a"), act("p"))
    world.put("08:01", act("p", progress="in-operating-room")).put("08:05", act("p", progress="open-incision"))
    world.put("08:07", act("p", progress="in-operating-room"))
    assert story(world.case("08:10")) == {"patient_in_room": "08:01"}
    assert story(world.put("08:12", act("p")).case("08:20")) == {}


def test_a_stamp_taken_back() -> None:
    world = World(booking("a"), stay("e", ("salle-1", "08:05", "09:00"), booked="a"))
    assert world.case("09:10").status is CaseStatus.DONE
    world.put("09:12", stay("e", ("salle-1", "08:05", ""), booked="a"))
    assert (world.case("09:15").status, story(world.case("09:15"))) == (
        CaseStatus.IN_PROGRESS,
        {"patient_in_room": "08:05"},
    )


def test_a_stamp_corrected() -> None:
    world = World(booking("a"), stay("e", ("salle-1", "08:50", ""), booked="a"))
    world.put("09:12", stay("e", ("salle-1", "08:05", ""), booked="a"))
    assert story(world.case("09:15")) == {"patient_in_room": "08:05"}


def test_future_counts_from_now_only() -> None:
    world = World(booking("a")).put("06:00", stay("e", ("salle-1", "08:05", ""), booked="a"))
    assert (story(world.case("08:00")), aside(world.case("08:00"))) == ({}, ["patient_in_room"])
    assert story(world.case("08:05")) == {"patient_in_room": "08:05"}


def test_server_clock_ahead() -> None:
    world = World(booking("a")).put("07:35", booking("a", status="arrived"))
    twin = world.case("07:30")
    assert story(twin) == {"patient_in_facility": "07:30"}
    assert known(twin, Milestone.PATIENT_IN_FACILITY).recorded_at == at("07:30")


def test_recorded_late() -> None:
    world = World(booking("a")).put("08:25", stay("e", ("salle-1", "08:05", ""), booked="a"))
    entry = known(world.case("09:00"), IN)
    assert (said(entry.at), said(entry.recorded_at)) == ("08:05", "08:25")


def test_recorded_before_it_occurred() -> None:
    world = World(booking("a")).put("08:00", stay("e", ("salle-1", "08:05", ""), booked="a"))
    assert known(world.case("09:00"), IN).recorded_at == at("08:05")


def test_shifted_clock_knows_all() -> None:
    world = World(booking("a", status="arrived"), stay("e", ("salle-1", "08:05", "09:30"), booked="a"))
    later = at("25T10:00")
    clock = Clock(anchor=at("08:30"), started=later, wall=lambda: later)
    twin = next(iter(world.suite(clock=clock).cases.values()))
    # Known since long before the run: the state was shown a day and ten hours before, so was it on the shifted clock.
    assert [actual.milestone.value for actual in twin.times.reached] == ["patient_in_facility", "patient_in_room"]
    assert known(twin, IN).recorded_at <= at("08:30")
    assert aside(twin) == ["patient_out_of_room"]


def test_shifted_clock_runs_on() -> None:
    world = World(booking("a", status="arrived"))
    suite = world.suite(clock=shifted(at("08:30")))
    assert timedelta() <= suite.now - at("08:30") < timedelta(minutes=1)


def test_later_milestone_implies_earlier() -> None:
    twin = World(booking("a"), act("p", progress="open-incision")).case("08:30")
    assert twin.is_reached(Milestone.ANESTHESIA_START)
    assert twin.is_reached(Milestone.ROOM_READY)
    assert not twin.is_reached(Milestone.CLOSURE_START)
    assert not twin.is_reached(Milestone.ROOM_CLEANUP_FINISH)
    assert twin.times.get(IN) is None


def test_exit_before_entry_is_set_aside() -> None:
    world = World(booking("a"), stay("e", ("salle-1", "08:05", ""), booked="a"), act("p", "07:20", encounter="e"))
    twin = world.case("09:00")
    assert (story(twin), aside(twin)) == ({"patient_in_room": "08:05"}, ["incision"])


def test_state_first_seen_late_contradicts_nothing() -> None:
    """Read for the first time when all was over: the booking shows the arrival too, by then."""
    world = World(stay("e", ("salle-1", "08:05", "09:10"), booked="a")).put("09:20", booking("a", status="fulfilled"))
    twin = world.case("10:00")
    assert (story(twin), aside(twin)) == ({"patient_in_room": "08:05", "patient_out_of_room": "09:10"}, [])
    assert twin.is_reached(Milestone.PATIENT_IN_FACILITY)


def test_state_seen_too_early_is_set_aside() -> None:
    shown = World(booking("a")).put("08:01", act("p", progress="in-recovery-room", encounter="e"))
    shown.put("09:11", act("p", "08:20", "09:00", encounter="e", progress="in-recovery-room"))
    shown.put("09:11", stay("e", ("salle-1", "08:05", "09:10"), booked="a"))
    assert aside(shown.case("10:00")) == ["pacu_arrival"]


def test_recovery_before_a_second_visit_is_the_first_ones() -> None:
    places = (("salle-1", "08:05", "09:10"), ("sspi", "09:15", "10:28"), ("salle-2", "10:30", ""))
    first, second = World(booking("a"), stay("e", *places, booked="a")).cases("10:40")
    assert story(first)["pacu_discharge"] == "10:28"
    assert (story(second), aside(second)) == ({"patient_in_room": "10:30"}, [])


def test_clocks_that_differ_a_little() -> None:
    world = World(booking("a"), stay("e", ("salle-1", "08:05", ""), booked="a"), act("p", "08:02", encounter="e"))
    assert story(world.case("09:00")) == {"patient_in_room": "08:05", "incision": "08:05"}


def actual(milestone: Milestone, minute: str, provenance: Provenance = Provenance.EXPLICIT) -> Actual:
    return Actual(milestone, at(minute), provenance, "Encounter/e", at(minute))


def test_one_wrong_time_against_many() -> None:
    times = [
        actual(Milestone.PATIENT_IN_FACILITY, "12:00"),
        actual(IN, "08:05"),
        actual(Milestone.INCISION, "08:30"),
        actual(OUT, "09:20"),
    ]
    kept, wrong = _in_order(times)
    assert (list(kept), wrong) == (times[1:], times[:1])


@pytest.mark.parametrize(
    ("first", "second", "stays"),
    [
        (Provenance.EXPLICIT, Provenance.EXPLICIT, IN),
        (Provenance.ESTIMATED, Provenance.EXPLICIT, OUT),
        (Provenance.DERIVED, Provenance.ESTIMATED, IN),
        (Provenance.ESTIMATED, Provenance.DERIVED, OUT),
    ],
)
def test_of_two_the_better_known(first: Provenance, second: Provenance, stays: Milestone) -> None:
    kept, _ = _in_order([actual(IN, "09:00", first), actual(OUT, "08:00", second)])
    assert [one.milestone for one in kept] == [stays]


def test_room_times_are_no_contradiction() -> None:
    ready = actual(Milestone.ROOM_READY, "08:30")
    kept, wrong = _in_order([ready, actual(IN, "08:05")])
    assert (ready in kept, wrong) == (True, [])


def test_ward_before_is_no_return() -> None:
    places = (("ward", "23T18:00", "07:40"), ("accueil", "07:45", "08:00"), ("salle-1", "08:05", "09:00"))
    world = World(booking("a"), stay("e", *places, booked="a", start="23T17:30"))
    assert "unit_arrival" not in story(world.case("07:00"))
    assert list(story(world.case("09:30"))) == [
        "patient_in_facility",
        "patient_in_holding",
        "patient_in_room",
        "patient_out_of_room",
    ]


def test_discharge_before_the_booking() -> None:
    gone = stay("e", booked="a", start="22T08:00", end="22T12:00", status="finished")
    twin = World(booking("a"), gone).case("07:00")
    assert (twin.status, twin.is_reached(OUT)) == (CaseStatus.PLANNED, False)


def test_clocks_go_back() -> None:
    first, second = "2026-10-25T02:30:00+02:00", "2026-10-25T02:10:00+01:00"
    twin = World(stay("e", ("salle-1", first, second))).case("2026-10-25T06:00:00+01:00")
    assert [actual.milestone for actual in twin.times.reached] == [IN, OUT]
    assert minutes_between(*(actual.at for actual in twin.times.reached)) == 40


def test_clocks_go_forward() -> None:
    first, second = "2026-03-29T01:50:00+01:00", "2026-03-29T03:10:00+02:00"
    twin = World(stay("e", ("salle-1", first, second))).case("2026-03-29T03:20:00+02:00")
    assert minutes_between(*(actual.at for actual in twin.times.reached)) == 20
