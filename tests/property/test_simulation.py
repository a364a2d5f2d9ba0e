"""Conservation: on any day in any state nobody is lost, no place is taken twice, and time runs forward."""

from collections import defaultdict
from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulation_days import at, case, day
from twin.durations.distribution import LogT
from twin.simulation.draws import Seconds
from twin.simulation.replications import simulate
from twin.simulation.result import Futures
from twin.simulation.scenario import CaseInput, RoomInput, Scenario
from twin.site import SimulationOptions
from twin.vocabulary import ROOM_MILESTONES, CareSetting, Milestone

PATIENT = [milestone for milestone in Milestone if milestone not in ROOM_MILESTONES]
ENTRY, OUT = Milestone.PATIENT_IN_ROOM, Milestone.PATIENT_OUT_OF_ROOM
NOW = 11.0
OPTIONS = SimulationOptions(replications=4)
PEOPLE = ("ana", "bob", "eve")


@st.composite
def cases_of_a_room(draw: st.DrawFn, room: str | None) -> list[CaseInput]:
    """Some done, then at most one in the room, then waiting ones: what clean data of a day can look like."""
    done, running, waiting = draw(st.integers(0, 2)), draw(st.booleans()), draw(st.integers(0, 3))
    cases = []
    for rank in range(done + running + waiting):
        if rank < done:
            reached = ends_at(draw, OUT, Milestone.UNIT_ARRIVAL, latest=NOW - 1 + rank / 4)
        elif rank == done and running:
            reached = ends_at(draw, ENTRY, Milestone.PROCEDURE_FINISH, latest=NOW)
        else:
            reached = draw(st.sampled_from([{}, {"patient_in_facility": 10.0}, {"patient_in_holding": 10.9}]))
        cases.append(one_case(draw, f"{room}-{rank}", room, rank=rank, reached=reached))
    return cases


def ends_at(draw: st.DrawFn, first: Milestone, last: Milestone, *, latest: float) -> dict[str, float]:
    """Reached milestones from wheels in to one between first and last, in order, with gaps in the record."""
    furthest = draw(st.sampled_from(list(Milestone)[first.rank : last.rank + 1]).filter(PATIENT.__contains__))
    way = [m for m in PATIENT if ENTRY.rank <= m.rank <= furthest.rank]
    kept = [m for m in way if m in (ENTRY, OUT, furthest) or draw(st.booleans())]
    start = latest - draw(st.floats(0.05, 3))
    hours = np.linspace(start, latest - 0.01, len(kept)) if len(kept) > 1 else [start]
    return {m.value: float(h) for m, h in zip(kept, hours, strict=True)}


def one_case(draw: st.DrawFn, key: str, room: str | None, *, rank: int, reached: dict[str, float]) -> CaseInput:
    law = LogT.of_median(draw(st.sampled_from([0.01, 20.0, 90.0])), draw(st.sampled_from([1e-9, 0.3, 0.8])), df=8)
    return case(
        key,
        room,
        draw(st.one_of(st.none(), st.sampled_from([8.0, 10.5, 11.0, 11.0, 13.0]))),
        room_min=law,
        surgical_min=law,
        setting=draw(st.sampled_from(CareSetting)),
        team=tuple(draw(st.lists(st.sampled_from(PEOPLE), max_size=2))),
        rank=rank,
        reached=reached,
    )


@st.composite
def days(draw: st.DrawFn) -> Scenario:
    rooms: list[str | None] = ["A", "B", "C", None]
    cases = [one for room in rooms for one in draw(cases_of_a_room(room))]
    free = tuple(RoomInput(room, draw(st.sampled_from([None, at(10.8), at(12)]))) for room in ("A", "B"))
    pacu = draw(st.sampled_from([None, 1, 2]))
    return day(*draw(st.permutations(cases)), now=NOW, rooms=free, pacu=pacu, options=OPTIONS)


def occupied(futures: Futures, one: CaseInput, begin: Milestone, end: Milestone) -> tuple[Seconds, Seconds] | None:
    """From when to when, per replication; from before now where it has begun; None where it is over."""
    times = futures.times[one.key]
    if end not in times:
        return None
    return times.get(begin, np.full_like(times[end], -(10**9))), times[end]


def most_at_once(spans: list[tuple[Seconds, Seconds]], replication: int) -> int:
    """The largest number of spans that hold at one instant; a span ends before another begins at the same instant."""
    changes = [(int(end[replication]), -1) for _, end in spans] + [(int(start[replication]), 1) for start, _ in spans]
    present = np.cumsum([change for _, change in sorted(changes)])
    return int(present.max(initial=0))


@settings(max_examples=80, deadline=None)
@given(days())
def test_nobody_lost_and_time_runs_on(scenario: Scenario) -> None:
    futures = simulate(scenario)
    assert futures.times.keys() == futures.left.keys() == {one.key for one in scenario.cases}
    for one in scenario.cases:
        rank = -1 if one.furthest is None else one.furthest.rank
        still = [milestone for milestone in PATIENT if milestone.rank > rank]
        assert [milestone for milestone in futures.times[one.key] if milestone in still] == still
        for before, after in pairwise(futures.times[one.key][milestone] for milestone in still):
            assert (after >= before).all()
        for seconds in futures.times[one.key].values():
            assert seconds.dtype == np.int64
            assert (seconds >= 0).all()


@settings(max_examples=80, deadline=None)
@given(days())
def test_rooms_hold_one_patient(scenario: Scenario) -> None:
    futures = simulate(scenario)
    by_room: dict[str, list[tuple[Seconds, Seconds]]] = defaultdict(list)
    for one in scenario.cases:
        if one.room is not None and (span := occupied(futures, one, ENTRY, OUT)):
            by_room[one.room].append(span)
    for spans in by_room.values():
        assert all(most_at_once(spans, replication) <= 1 for replication in range(OPTIONS.replications))


@settings(max_examples=80, deadline=None)
@given(days())
def test_people_are_in_one_room(scenario: Scenario) -> None:
    futures = simulate(scenario)
    for person in PEOPLE:
        mine = [one for one in scenario.cases if person in one.team]
        spans = [occupied(futures, one, ENTRY, Milestone.PROCEDURE_FINISH) for one in mine]
        held = [span for span in spans if span is not None]
        at_start = sum(int((start < 0).all()) for start, _ in held)
        allowed = max(1, at_start)
        assert all(most_at_once(held, replication) <= allowed for replication in range(OPTIONS.replications))


@settings(max_examples=80, deadline=None)
@given(days())
def test_pacu_keeps_to_its_places(scenario: Scenario) -> None:
    futures = simulate(scenario)
    if scenario.pacu_places is None:
        return
    spans = [occupied(futures, one, OUT, Milestone.PACU_DISCHARGE) for one in scenario.cases]
    held = [span for span in spans if span is not None]
    allowed = max(scenario.pacu_places, sum(int((start < 0).all()) for start, _ in held))
    assert all(most_at_once(held, replication) <= allowed for replication in range(OPTIONS.replications))


@settings(max_examples=30, deadline=None)
@given(days(), st.data())
def test_order_of_cases_is_no_matter(scenario: Scenario, data: Any) -> None:
    shuffled = day(
        *data.draw(st.permutations(scenario.cases)),
        now=NOW,
        rooms=tuple(reversed(scenario.rooms)),
        pacu=scenario.pacu_places,
        options=OPTIONS,
    )
    one, other = simulate(scenario), simulate(shuffled)
    for key, left in one.left.items():
        assert np.array_equal(left, other.left[key])


@settings(max_examples=30, deadline=None)
@given(days(), cases_of_a_room("Z"))
def test_room_of_its_own_disturbs_nobody(scenario: Scenario, added: list[CaseInput]) -> None:
    alone = [CaseInput(o.key, o.room, o.planned_in, None, o.setting, o.room_time, o.surgical_time) for o in added]
    before = simulate(day(*scenario.cases, now=NOW, options=OPTIONS))
    after = simulate(day(*scenario.cases, *alone, now=NOW, options=OPTIONS))
    for key, times in before.times.items():
        assert all(np.array_equal(seconds, after.times[key][milestone]) for milestone, seconds in times.items())
