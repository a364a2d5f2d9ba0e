"""What many futures say together: flat records, and summaries that hold in bounded memory.

A large run goes by in parts of some hundred replications, each with the draws that the whole would have; of each only
what the summary needs is kept: one instant a case and milestone, sums of waits: of 10,000 replications of a clinic's
day some tens of megabytes.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple, TypeVar

import numpy as np

from twin.simulation.draws import Seconds
from twin.simulation.futures import futures
from twin.simulation.lists import draw_plan
from twin.simulation.pathway import write
from twin.simulation.program import NEVER
from twin.simulation.replications import Engine
from twin.simulation.resources import ResourceKind
from twin.simulation.result import NOT_DONE_S, quantiles
from twin.simulation.scenario import Scenario
from twin.simulation.writer import Pathway
from twin.vocabulary import Milestone

K = TypeVar("K")
PART = 250
"""Replications that are simulated at once."""
HOURS = 24
"""For which the demand of beds is told."""
_AFTER_ROOM = frozenset({ResourceKind.PACU, ResourceKind.PACU_NURSE, ResourceKind.ICU})


class Record(NamedTuple):
    """One visit of a case to a stage, or one wait for a resource, in one replication; seconds since now."""

    replication: int
    case: str
    stage: str
    """Of a wait: "wait"."""
    resource: str
    """What was waited for, several joined by "|"; empty where it is no wait."""
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Who waits how long for a resource, on average over the replications."""

    resource: str
    minutes: float
    """Of all cases together, a replication."""
    share: float
    """Of all waiting for resources, 0 to 1."""
    by_case: dict[str, float]
    """Minutes, of the cases that wait for it at all."""


@dataclass(frozen=True, slots=True)
class Summary:
    """Instants as (P10, P50, P90) in seconds since now, of the futures in which they happen; NOT_DONE_S where in none.

    Probabilities have two decimals.
    """

    replications: int
    half_width: float
    """Of the 95 % interval of any probability here, at most."""
    milestones: dict[str, dict[Milestone, tuple[int, int, int]]]
    not_operated: dict[str, float]
    """By case still to enter: probability that it does not take place, for want of the patient, surgeon or room."""
    room_end: dict[str, tuple[int, int, int]]
    past_end: dict[str, float]
    """By room: probability that its last patient is out after the end asked about."""
    overtime_min: dict[str, float]
    """By room: mean minutes past that end."""
    team_overtime_min: dict[str, float]
    """By team: mean minutes of its last case past its end."""
    past_target: dict[str, float]
    """By emergency: probability that it is not in a room within the minutes of its class."""
    pacu_hold_min: float
    """Mean minutes that all rooms together are blocked by patients ready to leave."""
    waits: tuple[Wait, ...]
    """The longest first."""
    beds: dict[str, tuple[tuple[int, int, int], ...]]
    """By bed resource: (P10, P50, P90) of the cases that hold a place, at each full hour from now on."""


def records(scenario: Scenario, engine: Engine) -> Iterator[Record]:
    """One after the other, in parts of replications: for a CSV or Parquet file."""
    for part in parts(scenario):
        pathway = write(draw_plan(part))
        table = engine(pathway.program, pathway.draws, np.arange(pathway.program.columns))
        names = [resource.name for resource in pathway.program.resources]
        for replication in range(table.shape[1]):
            for visit in pathway.visits:
                begin, end = int(table[visit.begin, replication]), int(table[visit.end, replication])
                if end != NEVER:
                    wanted = "|".join(names[resource] for resource in visit.resources)
                    yield Record(part.first_replication + replication, visit.case, visit.stage, wanted, begin, end)


def parts(scenario: Scenario, size: int = PART) -> Iterator[Scenario]:
    """The scenario in pieces of some replications, which together draw what it would."""
    for first in range(0, scenario.options.replications, size):
        number = min(size, scenario.options.replications - first)
        yield replace(
            scenario,
            options=replace(scenario.options, replications=number),
            first_replication=scenario.first_replication + first,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Team:
    """A team's day: over once its last case is out of the room."""

    cases: tuple[str, ...]
    end: datetime
    """After it, it is overtime."""


@dataclass(slots=True, eq=False)
class Tally:
    """What is kept of simulated parts: instants in seconds since now, one a replication, and sums of minutes."""

    scenario: Scenario
    times: dict[str, dict[Milestone, Seconds]]
    """By case: the milestones still to come."""
    left: dict[str, Seconds]
    """By case: when it is out of its room."""
    room_left: dict[str, Seconds]
    """By room: when the last of its cases that take place is out."""
    waits: dict[str, dict[str, float]]
    beds: dict[str, Seconds]
    """By bed resource; shape (HOURS, replications)."""
    hold_min: float


def tally(scenario: Scenario, engine: Engine) -> Tally:
    """Simulates in parts, and keeps what summaries and comparisons need."""
    times: dict[str, dict[Milestone, list[Seconds]]] = defaultdict(lambda: defaultdict(list))
    left: dict[str, list[Seconds]] = defaultdict(list)
    room_left: dict[str, list[Seconds]] = defaultdict(list)
    waits: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    beds: dict[str, list[Seconds]] = defaultdict(list)
    hold = 0.0
    for part in parts(scenario):
        plan = draw_plan(part)
        pathway = write(plan)
        table = engine(pathway.program, pathway.draws, np.arange(pathway.program.columns))
        _add_waits(pathway, table, waits)
        hold += _held(pathway, table)
        for bed, census in _census(pathway, table).items():
            beds[bed].append(census)
        found = futures(plan, pathway, table[pathway.kept])
        for case, mine in found.times.items():
            for milestone, seconds in mine.items():
                times[case][milestone].append(seconds.astype(np.int32))
        _append(left, found.left)
        _append(
            room_left, {room: last_done([found.left[case] for case in mine]) for room, mine in found.room_cases.items()}
        )
    return Tally(
        scenario,
        times={case: _joined(mine) for case, mine in times.items()},
        left=_joined(left),
        room_left=_joined(room_left),
        waits={resource: dict(mine) for resource, mine in waits.items()},
        beds={bed: np.concatenate(census, axis=1) for bed, census in beds.items()},
        hold_min=hold,
    )


def summarise(
    scenario: Scenario,
    engine: Engine,
    ends: Mapping[str, datetime] | None = None,
    teams: Mapping[str, Team] | None = None,
) -> Summary:
    """Simulates, and tells what came out. `ends`: by room, the end of its session; `teams` by name."""
    return summary_of(tally(scenario, engine), ends or {}, teams or {})


def summary_of(
    told: Tally,
    ends: Mapping[str, datetime],
    teams: Mapping[str, Team],
    targets_min: Mapping[int, float] | None = None,
) -> Summary:
    """What a tally says. `targets_min`: by urgency class."""
    number = told.scenario.options.replications
    past = {
        room: _past(told.scenario, told.room_left[room], end) for room, end in ends.items() if room in told.room_left
    }
    overtime = {
        name: _past(told.scenario, last, team.end)[1]
        for name, team in teams.items()
        if (last := last_left(told, team.cases)) is not None
    }
    return Summary(
        replications=number,
        half_width=round(float(1.96 * np.sqrt(0.25 / number)), 3),
        milestones={case: {m: _three(seconds) for m, seconds in mine.items()} for case, mine in told.times.items()},
        not_operated={
            case: round(float(np.mean(mine[Milestone.PATIENT_IN_ROOM] >= NOT_DONE_S)), 2)
            for case, mine in told.times.items()
            if Milestone.PATIENT_IN_ROOM in mine
        },
        room_end={room: _three(seconds) for room, seconds in told.room_left.items()},
        past_end={room: share for room, (share, _) in past.items()},
        overtime_min={room: minutes for room, (_, minutes) in past.items()},
        team_overtime_min=overtime,
        past_target=_past_target(told, targets_min or {}),
        pacu_hold_min=round(told.hold_min / number, 1),
        waits=_waits(told.waits, number),
        beds={bed: _by_hour(census) for bed, census in told.beds.items()},
    )


def _past_target(told: Tally, targets_min: Mapping[int, float]) -> dict[str, float]:
    found = {}
    for case in told.scenario.cases:
        target = None if case.urgency is None else targets_min.get(case.urgency)
        entered = told.times[case.key].get(Milestone.PATIENT_IN_ROOM)
        if target is not None and case.planned_in is not None and entered is not None:
            due = told.scenario.seconds(case.planned_in) + round(60 * target)
            found[case.key] = round(float(np.mean(entered > due)), 2)
    return found


def last_left(told: Tally, cases: Iterable[str]) -> Seconds | None:
    """When the last of some cases is out of its room; None where there is none of them."""
    mine = [told.left[case] for case in cases if case in told.left]
    return last_done(mine) if mine else None


def last_done(lefts: Sequence[Seconds]) -> Seconds:
    """The last of those that happen, future by future; never where none does."""
    stacked = np.stack(lefts)
    return np.asarray(np.where(stacked < NOT_DONE_S, stacked, stacked.min(axis=0)).max(axis=0))


def _append(kept: dict[str, list[Seconds]], found: Mapping[str, Seconds]) -> None:
    for name, seconds in found.items():
        kept[name].append(seconds.astype(np.int32))


def _joined(kept: Mapping[K, list[Seconds]]) -> dict[K, Seconds]:
    return {name: np.concatenate(seconds) for name, seconds in kept.items()}


def _three(seconds: Seconds) -> tuple[int, int, int]:
    """Of the futures in which it happens; never where it happens in none."""
    done = seconds[seconds < NOT_DONE_S]
    if not done.size:
        return NOT_DONE_S, NOT_DONE_S, NOT_DONE_S
    low, middle, high = quantiles(done[np.newaxis])[0].tolist()
    return low, middle, high


def _past(scenario: Scenario, seconds: Seconds, end: datetime) -> tuple[float, float]:
    """Probability and mean minutes past an end; what never happens is not past it."""
    over = np.maximum(seconds - scenario.seconds(end), 0) * (seconds < NOT_DONE_S)
    return round(float(np.mean(over > 0)), 2), round(float(np.mean(over)) / 60, 1)


def _add_waits(pathway: Pathway, table: Seconds, waits: dict[str, dict[str, float]]) -> None:
    """Minutes of all replications by resource and case; who waits for one of several waits for the first named."""
    names = [resource.name for resource in pathway.program.resources]
    for visit in pathway.visits:
        if visit.resources:
            minutes = _spent(table, visit.begin, visit.end)
            if minutes:
                waits[names[visit.resources[0]]][visit.case] += minutes


def _spent(table: Seconds, begin: int, end: int) -> float:
    done = table[end] != NEVER
    return float(((table[end] - table[begin]) * done).sum()) / 60


def _held(pathway: Pathway, table: Seconds) -> float:
    """Minutes, of all replications, that rooms are blocked by waiting for what comes after them."""
    after = {
        number for number, resource in enumerate(pathway.program.resources) if pathway.kinds[number] in _AFTER_ROOM
    }
    return sum(_spent(table, v.begin, v.end) for v in pathway.visits if v.resources and v.resources[0] in after)


def _waits(waits: dict[str, dict[str, float]], replications: int) -> tuple[Wait, ...]:
    totals = {resource: sum(cases.values()) for resource, cases in waits.items()}
    everything = sum(totals.values())
    return tuple(
        Wait(
            resource,
            round(total / replications, 1),
            round(total / everything, 2),
            {case: round(minutes / replications, 1) for case, minutes in sorted(waits[resource].items())},
        )
        for resource, total in sorted(totals.items(), key=lambda item: (-item[1], item[0]))
    )


def _census(pathway: Pathway, table: Seconds) -> dict[str, Seconds]:
    """By bed resource, the places held at each full hour; shape (HOURS, replications)."""
    hours = np.arange(HOURS)[:, np.newaxis] * 3600
    found: dict[str, Seconds] = {}
    for stay in pathway.stays:
        name = pathway.program.resources[stay.resource].name
        begin = np.zeros(table.shape[1], dtype=np.int64) if stay.begin is None else table[stay.begin]
        end = table[stay.end]
        there = (begin != NEVER) & (begin <= hours) & ((end == NEVER) | (end > hours))
        found[name] = found.get(name, 0) + there.astype(np.int64)
    return found


def _by_hour(census: Seconds) -> tuple[tuple[int, int, int], ...]:
    return tuple((row[0], row[1], row[2]) for row in quantiles(census).tolist())
