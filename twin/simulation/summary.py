"""What many futures say together: tallies that parts of a run add up to in bounded memory, and their summary.

A large run goes by in parts of some hundred replications, each with the draws that the whole would have; of each only
what the summary needs is kept: one instant a case and milestone, sums of waits: of 10,000 replications of a clinic's
day some tens of megabytes.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

import numpy as np

from twin.simulation.draws import Seconds
from twin.simulation.futures import futures
from twin.simulation.lists import draw_plan
from twin.simulation.occupancy import beyond_shifts, census
from twin.simulation.pathway import resource_of, write
from twin.simulation.program import NEVER
from twin.simulation.replications import Engine
from twin.simulation.resources import ResourceKind
from twin.simulation.result import HORIZON_S, NOT_DONE_S, STUCK_S, late, past_s, quantiles
from twin.simulation.scenario import Scenario
from twin.simulation.writer import Pathway, Visit
from twin.vocabulary import Milestone

K = TypeVar("K")
PART = 250
"""Replications that are simulated at once."""
NOT_OPERATED, PAST_END, PAST_TARGET = "not operated", "past end", "past target"
"""What has a probability."""
_Z95 = 1.96
_FAR_S = 2**50
"""Of this a tenth, too, is later than NOT_DONE_S: no quantile that looks at it is before."""
_AFTER_ROOM = frozenset({ResourceKind.PACU, ResourceKind.PACU_NURSE, ResourceKind.ICU})


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

    The end of a room whose patient never leaves it is NOT_DONE_S too.

    Probabilities have two decimals.
    """

    replications: int
    half_width: float
    """Monte-Carlo error: of the 95 % interval of any probability here, at most."""
    milestones: dict[str, dict[Milestone, tuple[int, int, int]]]
    not_operated: dict[str, float]
    """By case still to enter: probability that it does not take place, for want of the patient, surgeon or room."""
    room_end: dict[str, tuple[int, int, int]]
    past_end: dict[str, float]
    """By room: probability that its last patient is out after the end asked about."""
    overtime_min: dict[str, float]
    """By room: mean minutes past that end, up to the horizon of 24 h; so are all minutes here."""
    team_overtime_min: dict[str, float]
    """By team: mean minutes of its last case past its end."""
    staff_overtime_min: dict[str, float]
    """By resource of people with shifts: mean minutes that they work beyond them, all together."""
    past_target: dict[str, float]
    """By emergency: probability that it is not in a room within the minutes of its class."""
    pacu_hold_min: float
    """Mean minutes that all rooms together are blocked by patients ready to leave."""
    waits: tuple[Wait, ...]
    """The longest first."""
    beds: dict[str, tuple[tuple[int, int, int], ...]]
    """By bed resource: (P10, P50, P90) of the cases that hold a place, at each full hour from now on."""


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
    """By case: when it is out of its room; STUCK_S where it is in it and never comes out."""
    room_left: dict[str, Seconds]
    """By room: when the last of its cases that take place is out; STUCK_S where one never comes out."""
    waits_s: dict[str, dict[str, int]]
    """By resource and case, of all replications."""
    beds: dict[str, Seconds]
    """By bed resource; shape (HOURS, replications)."""
    hold_s: int
    """That rooms are blocked for want of a place after them, in all replications."""
    beyond_s: dict[str, int]
    """By resource of people with shifts: that more are at work than are on, in all replications."""

    @property
    def hold_min(self) -> float:
        """The same in minutes."""
        return self.hold_s / 60

    @property
    def beyond_min(self) -> dict[str, float]:
        """The same in minutes."""
        return {staff: seconds / 60 for staff, seconds in self.beyond_s.items()}


def tally(scenario: Scenario, engine: Engine) -> Tally:
    """Simulates in parts, and keeps what summaries and comparisons need."""
    return joined([tally_part(part, engine) for part in parts(scenario)])


def tally_part(scenario: Scenario, engine: Engine) -> Tally:
    """Simulates at once."""
    plan = draw_plan(scenario)
    pathway = write(plan)
    waits = [visit for visit in pathway.visits if visit.resources]
    columns = np.unique(np.concatenate((pathway.kept, _read(waits, pathway))))
    table = np.empty((pathway.program.columns, scenario.options.replications), dtype=np.int64)
    table[columns] = engine(pathway.program, pathway.draws, columns)  # of the other rows nothing is read
    spent = _spent(waits, table)
    found = futures(plan, pathway, table[pathway.kept])
    left = {case: _left(seconds, found.times[case]) for case, seconds in found.left.items()}
    rooms = {room: last_done([left[case] for case in mine]) for room, mine in found.room_cases.items()}
    return Tally(
        scenario,
        times={case: {m: _small(s) for m, s in mine.items()} for case, mine in found.times.items()},
        left=left,
        room_left=rooms,
        waits_s=_waits_s(pathway, waits, spent),
        beds=census(pathway, table),
        hold_s=_held(pathway, waits, spent),
        beyond_s=beyond_shifts(
            pathway, table, {one.name: resource_of(scenario, one.roster) for one in scenario.resources}
        ),
    )


def joined(tallies: Sequence[Tally]) -> Tally:
    """One tally of parts of a scenario, in their order."""
    first = tallies[0]
    waits: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for told in tallies:
        for resource, mine in told.waits_s.items():
            for case, seconds in mine.items():
                waits[resource][case] += seconds
    number = sum(told.scenario.options.replications for told in tallies)
    scenario = replace(first.scenario, options=replace(first.scenario.options, replications=number))
    return Tally(
        scenario,
        times={
            case: {m: _whole([t.times[case][m] for t in tallies]) for m in mine} for case, mine in first.times.items()
        },
        left={case: _whole([told.left[case] for told in tallies]) for case in first.left},
        room_left={room: _whole([told.room_left[room] for told in tallies]) for room in first.room_left},
        waits_s={resource: dict(mine) for resource, mine in waits.items()},
        beds={bed: np.concatenate([told.beds[bed] for told in tallies], axis=1) for bed in first.beds},
        hold_s=sum(told.hold_s for told in tallies),
        beyond_s={staff: sum(told.beyond_s[staff] for told in tallies) for staff in first.beyond_s},
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
    number, asked = told.scenario.options.replications, counts(told, ends, targets_min or {})

    def shares(kind: str) -> dict[str, float]:
        return {name: round(hits / number, 2) for (of, name), hits in asked.items() if of == kind}

    overtime = {
        name: _overtime_min(told.scenario, last, team.end)
        for name, team in teams.items()
        if (last := last_left(told, team.cases)) is not None
    }
    return Summary(
        replications=number,
        half_width=round(max((half_width(hits, number) for hits in asked.values()), default=0.0), 3),
        milestones={case: threes(mine) for case, mine in told.times.items()},
        not_operated=shares(NOT_OPERATED),
        room_end=threes(told.room_left),
        past_end=shares(PAST_END),
        overtime_min={
            room: _overtime_min(told.scenario, told.room_left[room], end)
            for room, end in ends.items()
            if room in told.room_left
        },
        team_overtime_min=overtime,
        staff_overtime_min={staff: round(minutes / number, 1) for staff, minutes in told.beyond_min.items()},
        past_target=shares(PAST_TARGET),
        pacu_hold_min=round(told.hold_min / number, 1),
        waits=_waits(told.waits_s, number),
        beds={bed: _by_hour(places) for bed, places in told.beds.items()},
    )


def counts(told: Tally, ends: Mapping[str, datetime], targets_min: Mapping[int, float]) -> dict[tuple[str, str], int]:
    """In how many replications each thing whose probability is published happens; by (kind, case or room)."""
    found: dict[tuple[str, str], int] = {}
    for case in told.scenario.cases:
        entered = told.times[case.key].get(Milestone.PATIENT_IN_ROOM)
        if entered is None:
            continue
        found[NOT_OPERATED, case.key] = int(np.count_nonzero(entered >= NOT_DONE_S))
        target = None if case.urgency is None else targets_min.get(case.urgency)
        if target is not None and case.planned_in is not None:
            due = told.scenario.seconds(case.planned_in) + round(60 * target)
            found[PAST_TARGET, case.key] = int(np.count_nonzero(entered > due))
    for room, end in ends.items():
        if room in told.room_left:
            found[PAST_END, room] = int(np.count_nonzero(late(told.room_left[room], told.scenario.seconds(end))))
    return found


def half_width(hits: int, number: int) -> float:
    """Of the 95 % interval of a probability (Wilson 1927), which has a width also where it happens never or always."""
    share, square = hits / number, _Z95**2
    return _Z95 * math.sqrt(share * (1 - share) / number + square / (4 * number**2)) / (1 + square / number)


def last_left(told: Tally, cases: Iterable[str]) -> Seconds | None:
    """When the last of some cases is out of its room; None where there is none of them."""
    mine = [told.left[case] for case in cases if case in told.left]
    return last_done(mine) if mine else None


def last_done(lefts: Sequence[Seconds]) -> Seconds:
    """The last of those that take place, future by future: STUCK_S where one never ends, NOT_DONE_S where none does."""
    stacked = np.stack(lefts)
    return np.asarray(np.where(stacked != NOT_DONE_S, stacked, stacked.min(axis=0)).max(axis=0))


def _left(seconds: Seconds, times: Mapping[Milestone, Seconds]) -> Seconds:
    """When a case is out of its room, told apart: who does not come into it, and who never comes out of it."""
    entered = times.get(Milestone.PATIENT_IN_ROOM, np.zeros_like(seconds))
    stuck = (entered < NOT_DONE_S) & (seconds >= NOT_DONE_S)
    return np.where(stuck, STUCK_S, _small(seconds)).astype(np.int32)


def _small(seconds: Seconds) -> Seconds:
    return np.minimum(seconds, NOT_DONE_S).astype(np.int32)


def _whole(parts: list[Seconds]) -> Seconds:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def threes(rows: Mapping[K, Seconds]) -> dict[K, tuple[int, int, int]]:
    """P10, P50 and P90 of each, of the futures in which it takes place; never where it does in none.

    What takes place and never ends is later than all: a quantile that it reaches is never.
    """
    if not rows:
        return {}
    stacked = np.stack(list(rows.values()))
    if (stacked < NOT_DONE_S).all():  # all at once: many times faster
        return {name: (row[0], row[1], row[2]) for name, row in zip(rows, quantiles(stacked).tolist(), strict=True)}
    return {name: _three(seconds) for name, seconds in rows.items()}


def _three(seconds: Seconds) -> tuple[int, int, int]:
    done = seconds[seconds != NOT_DONE_S].astype(np.int64)
    if not done.size:
        return NOT_DONE_S, NOT_DONE_S, NOT_DONE_S
    done[done == STUCK_S] = _FAR_S
    low, middle, high = np.minimum(quantiles(done[np.newaxis])[0], NOT_DONE_S).tolist()
    return low, middle, high


def _overtime_min(scenario: Scenario, seconds: Seconds, end: datetime) -> float:
    return round(float(np.mean(past_s(seconds, scenario.seconds(end)))) / 60, 1)


def _read(waits: Sequence[Visit], pathway: Pathway) -> Seconds:
    """Columns that waits and stays are told by."""
    stays = [column for stay in pathway.stays for column in (stay.begin, stay.end) if column is not None]
    return np.array([*(c for visit in waits for c in (visit.begin, visit.end)), *stays], dtype=np.int64)


def _spent(waits: Sequence[Visit], table: Seconds) -> list[int]:
    """Seconds of each wait in all replications; one that never ends is counted up to the horizon, as all are."""
    begin = table[np.array([visit.begin for visit in waits], dtype=np.int64)]
    end = table[np.array([visit.end for visit in waits], dtype=np.int64)]
    until = np.minimum(np.where(end == NEVER, HORIZON_S, end), HORIZON_S)
    spent: list[int] = np.where(begin == NEVER, 0, until - np.minimum(begin, HORIZON_S)).sum(axis=1).tolist()
    return spent


def _waits_s(pathway: Pathway, waits: Sequence[Visit], spent: Sequence[int]) -> dict[str, dict[str, int]]:
    """By resource and case; who waits for one of several waits for the first named."""
    found: dict[str, dict[str, int]] = {}
    for visit, seconds in zip(waits, spent, strict=True):
        if seconds:
            mine = found.setdefault(pathway.program.resources[visit.resources[0]].name, {})
            mine[visit.case] = mine.get(visit.case, 0) + seconds
    return found


def _held(pathway: Pathway, waits: Sequence[Visit], spent: Sequence[int]) -> int:
    """Seconds that rooms are blocked by waiting for what comes after them."""
    return sum(s for visit, s in zip(waits, spent, strict=True) if pathway.kinds[visit.resources[0]] in _AFTER_ROOM)


def _waits(waits: Mapping[str, Mapping[str, int]], replications: int) -> tuple[Wait, ...]:
    totals = {resource: sum(cases.values()) for resource, cases in waits.items()}
    everything = sum(totals.values())
    return tuple(
        Wait(
            resource,
            round(total / 60 / replications, 1),
            round(total / everything, 2),
            {case: round(seconds / 60 / replications, 1) for case, seconds in sorted(waits[resource].items())},
        )
        for resource, total in sorted(totals.items(), key=lambda item: (-item[1], item[0]))
    )


def _by_hour(places: Seconds) -> tuple[tuple[int, int, int], ...]:
    return tuple((row[0], row[1], row[2]) for row in quantiles(places).tolist())
