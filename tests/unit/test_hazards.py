"""Each hazard does to a day what its name says; records and summaries tell it."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from tests.simulation_days import at, case, day, exactly, suite_day
from twin.durations.distribution import LogT
from twin.durations.stages import STAGE_LAWS
from twin.errors import SettingsError
from twin.simulation import hazards as hz
from twin.simulation import kernel, reference
from twin.simulation.export import records
from twin.simulation.hazards import Hazard, with_hazards
from twin.simulation.replications import simulate
from twin.simulation.resources import ResourceInput, ResourceKind
from twin.simulation.result import NOT_DONE_S
from twin.simulation.scenario import Scenario
from twin.simulation.summary import parts, summarise
from twin.site import SimulationOptions
from twin.vocabulary import Milestone, Stage

ENTRY, OUT = Milestone.PATIENT_IN_ROOM, Milestone.PATIENT_OUT_OF_ROOM
LAWS = exactly(induction=10, lead_in=5, closure=4, emergence=6, turnover=20, pacu=30, unit=60)
LAW = LogT.constant(30)


def two(pacu: int | None = None) -> Scenario:
    """Two cases of 60 minutes in room A, at 8:00 and 9:30, and one in room B at 8:00."""
    cases = (case("a", team=("ana",)), case("b", planned=9.5, rank=1), case("c", "B"))
    options = SimulationOptions(replications=4, early_start_min=0)
    return day(*cases, laws=LAWS, options=options, pacu=pacu)


def hours(scenario: Scenario, key: str, milestone: Milestone) -> float:
    """Of the first replication, since midnight."""
    return 6 + float(simulate(scenario).times[key][milestone][0]) / 3600


@pytest.mark.parametrize(
    ("hazard", "key", "entry"),
    [
        (hz.LateStart("A", 30), "a", 8.5),
        (hz.SurgeonLate("ana", at(9)), "a", 9),
        (hz.LongerCase("a", 2.0), "b", 8 + 140 / 60),
        (hz.LongerCase("a", minutes=45), "b", 8 + 125 / 60),
        (hz.NotFasted("c", at(11)), "c", 11),
        (hz.RoomDown("B", at(7), at(10)), "c", 10),
        (hz.SlowTurnover(3.0), "b", 10),
        (hz.Cancellation("a"), "b", 9.5),
    ],
)
def test_entry_moves(hazard: Hazard, key: str, entry: float) -> None:
    assert hours(hazard.apply(two()), key, ENTRY) == pytest.approx(entry, abs=0.001)


def test_absent_surgeon_never_operates() -> None:
    futures = simulate(hz.SurgeonLate("ana").apply(two()))
    assert (futures.times["a"][ENTRY] == NOT_DONE_S).all()
    assert (futures.times["c"][ENTRY] < NOT_DONE_S).all()


def test_cases_of_an_absent_surgeon_are_called_off() -> None:
    scenario = hz.SurgeonAbsent("ana").apply(two())
    assert [one.key for one in scenario.cases] == ["b", "c"]
    begun = dataclasses.replace(two(), cases=(case("a", team=("ana",), patient_in_room=5.5), *two().cases[1:]))
    with pytest.raises(SettingsError, match="still to begin"):
        hz.SurgeonAbsent("ana").apply(begun)


def test_absent_surgeon_has_no_emergency() -> None:
    """Nobody is called off who comes because it can't wait: it needs somebody else, whichever is told first."""
    urgent, absent = hz.Emergency("e", at(9), 1, LAW, LAW, ("B",), team=("ana",)), hz.SurgeonAbsent("ana")
    orders: tuple[tuple[Hazard, ...], ...] = ((urgent, absent), (absent, urgent))
    for order in orders:
        with pytest.raises(SettingsError, match="absent"):
            with_hazards(two(), order)
    other = dataclasses.replace(urgent, team=("bob",))
    assert [one.key for one in with_hazards(two(), [absent, other]).cases] == ["b", "c", "e"]


def test_late_start_counts_from_who_waits() -> None:
    running = case("a", planned=5, patient_in_room=5.5)
    scenario = dataclasses.replace(two(), cases=(running, *two().cases[1:]))
    assert hours(hz.LateStart("A", 60).apply(scenario), "b", ENTRY) == pytest.approx(10.5)


def test_who_is_not_fasted_comes_as_planned() -> None:
    late, came = hz.NotFasted("c", at(11)).apply(two()), Milestone.PATIENT_IN_FACILITY
    assert hours(late, "c", came) == hours(two(), "c", came) < 8
    assert hours(hz.NotFasted("c", at(9)).apply(late), "c", ENTRY) == 11, "the later of two holds"
    kernel.warm()
    assert summarise(late, kernel.run) == summarise(late, reference.run)


def test_slow_sterilization_moves_its_median() -> None:
    slow = hz.SlowSterilization(60).apply(dataclasses.replace(two(), laws=STAGE_LAWS))
    medians = [law.law.median for laws in (STAGE_LAWS, slow.laws) for law in laws if law.stage is Stage.STERILIZATION]
    assert medians[1] - medians[0] == pytest.approx(60, abs=1)


def test_no_show_frees_the_list() -> None:
    futures = simulate(hz.NoShow("a").apply(hz.LongerCase("a", 4.0).apply(two())))
    assert (futures.times["a"][OUT] == NOT_DONE_S).all()
    assert 6 + futures.times["b"][ENTRY][0] / 3600 == 9.5


def test_no_show_by_chance() -> None:
    many = dataclasses.replace(two(), options=SimulationOptions(replications=1000))
    futures = simulate(hz.NoShow("a", 0.3).apply(many))
    assert np.mean(futures.times["a"][OUT] == NOT_DONE_S) == pytest.approx(0.3, abs=0.05)


def test_emergency_takes_the_first_free_room() -> None:
    urgent = hz.Emergency("e", at(8.25), 1, LAW, LAW, ("A", "B"))
    assert hours(urgent.apply(hz.LongerCase("a", 2.0).apply(two())), "e", ENTRY) == pytest.approx(8 + 80 / 60)
    assert hours(hz.Emergency("e", at(9.4), 1, LAW, LAW, ("A", "B")).apply(two()), "e", ENTRY) == pytest.approx(9.4)


def test_emergency_goes_before_the_list() -> None:
    scenario = hz.Emergency("e", at(8.5), 1, LAW, LAW, ("A",)).apply(hz.LongerCase("a", 2.0).apply(two()))
    assert hours(scenario, "e", ENTRY) < hours(scenario, "b", ENTRY)


def test_pacu_place_closed_blocks_a_room() -> None:
    scenario = hz.PlacesClosed("PACU", 1, at(6), at(9.75)).apply(two(pacu=1))
    assert hours(scenario, "c", OUT) >= 9.75


def test_places_of_two_pacus_are_closed_in_turn() -> None:
    """Three of two and two places: none of the first, one of the second, and as they were after it."""
    pacus = tuple(ResourceInput(name, ResourceKind.PACU, 2) for name in ("first", "second"))
    scenario = dataclasses.replace(two(), resources=pacus)
    closed = hz.PlacesClosed("first", 3, at(7), at(9), ("second",)).apply(scenario).resources
    assert [(one.name, one.changes) for one in closed] == [
        ("first", ((at(7), 0), (at(9), 2))),
        ("second", ((at(7), 1), (at(9), 2))),
    ]


def test_bed_blocked_holds_the_pacu() -> None:
    beds = ResourceInput("ward", ResourceKind.BED, 1)
    cases = tuple(dataclasses.replace(one, needs=("ward",)) for one in two().cases)
    scenario = dataclasses.replace(two(), cases=cases, resources=(beds,))
    blocked = hz.PlacesClosed("ward", 1, at(6), at(12)).apply(scenario)
    assert hours(scenario, "c", Milestone.PACU_DISCHARGE) < 12
    assert hours(blocked, "c", Milestone.PACU_DISCHARGE) >= 12


@pytest.mark.parametrize(
    "wrong",
    [
        lambda s: hz.LateStart("Z", 5).apply(s),
        lambda s: hz.SurgeonLate("nobody").apply(s),
        lambda s: hz.LongerCase("z", 2).apply(s),
        lambda s: hz.LongerCase("a", 0).apply(s),
        lambda s: hz.NoShow("a", 1.5).apply(s),
        lambda s: hz.RoomDown("Z", at(8)).apply(s),
        lambda s: hz.PlacesClosed("PACU", 1, at(8)).apply(s),
        lambda s: hz.SlowTurnover(0).apply(s),
        lambda s: hz.SlowSterilization(-1).apply(s),
        lambda s: hz.SurgeonAbsent("nobody").apply(s),
        lambda s: hz.Emergency("e", at(8), 0, LAW, LAW, ("A",)).apply(s),
    ],
)
def test_nonsense_names_its_field(wrong: Callable[[Scenario], Scenario]) -> None:
    with pytest.raises(SettingsError, match=r"[a-z_]+"):
        wrong(two())


def test_parts_draw_what_the_whole_does() -> None:
    whole = suite_day(replications=6)
    pieces = [simulate(part) for part in parts(whole, size=4)]
    for key, times in simulate(whole).times.items():
        for milestone, seconds in times.items():
            assert np.array_equal(seconds, np.concatenate([piece.times[key][milestone] for piece in pieces]))


def test_summary_is_the_same_by_either_engine() -> None:
    scenario = hz.PlacesClosed("pacu", 6, at(6)).apply(suite_day(replications=8))
    ends = {f"0:room-{room:02}": at(17) for room in range(14)}
    kernel.warm()
    summary = summarise(scenario, kernel.run, ends)
    assert summary == summarise(scenario, reference.run, ends)
    assert summary.pacu_hold_min > 60
    assert summary.waits[0].resource in {"pacu", "pacu nurses"}
    assert sum(wait.share for wait in summary.waits) == pytest.approx(1, abs=0.05)
    assert max(middle for _, middle, _ in summary.beds["day unit"]) > 2
    assert set(summary.past_end) == set(summary.overtime_min) == set(ends)


def test_records_tell_every_visit() -> None:
    found = list(records(with_hazards(two(), [hz.LongerCase("a", 2.0)]), reference.run))
    mine = [record for record in found if record.case == "b" and record.replication == 3]
    assert {"transport", "holding", "wait", "emergence", "turnover", "pacu"} <= {record.stage for record in mine}
    waited = next(record for record in mine if record.resource == "A")
    assert waited.end - waited.begin == 30 * 60
    assert all(record.begin <= record.end for record in found)
