"""What many futures say together: flat records, and summaries that hold in bounded memory.

A large run goes by in parts of some hundred replications, each with the draws that the whole would have; of each only
what the summary needs is kept: one instant a case and milestone, sums of waits: of 10,000 replications of a clinic's
day some tens of megabytes.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

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
    """Instants as (P10, P50, P90) in seconds since now; probabilities with two decimals."""

    replications: int
    half_width: float
    """Of the 95 % interval of any probability here, at most."""
    milestones: dict[str, dict[Milestone, tuple[int, int, int]]]
    room_end: dict[str, tuple[int, int, int]]
    past_end: dict[str, float]
    """By room: probability that its last patient is out after the end asked about."""
    overtime_min: dict[str, float]
    """By room: mean minutes past that end."""
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


def summarise(scenario: Scenario, engine: Engine, ends: dict[str, datetime] | None = None) -> Summary:
    """Simulates, and tells what came out. `ends`: by room, the end of its session."""
    kept: dict[str, dict[Milestone, list[Seconds]]] = defaultdict(lambda: defaultdict(list))
    lefts: dict[str, list[Seconds]] = defaultdict(list)
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
        for case, times in found.times.items():
            for milestone, seconds in times.items():
                kept[case][milestone].append(seconds.astype(np.int32))
        for room, seconds in found.room_last_out.items():
            lefts[room].append(seconds)
    number = scenario.options.replications
    rooms = {room: np.concatenate(seconds) for room, seconds in lefts.items()}
    past = {room: _past(scenario, rooms[room], end) for room, end in (ends or {}).items() if room in rooms}
    return Summary(
        replications=number,
        half_width=round(float(1.96 * np.sqrt(0.25 / number)), 3),
        milestones={case: {m: _three(np.concatenate(s)) for m, s in times.items()} for case, times in kept.items()},
        room_end={room: _three(seconds) for room, seconds in rooms.items()},
        past_end={room: share for room, (share, _) in past.items()},
        overtime_min={room: minutes for room, (_, minutes) in past.items()},
        pacu_hold_min=round(hold / number, 1),
        waits=_waits(waits, number),
        beds={bed: _by_hour(np.concatenate(census, axis=1)) for bed, census in beds.items()},
    )


def _three(seconds: Seconds) -> tuple[int, int, int]:
    low, middle, high = quantiles(seconds[np.newaxis])[0].tolist()
    return low, middle, high


def _past(scenario: Scenario, seconds: Seconds, end: datetime) -> tuple[float, float]:
    """Probability and mean minutes past an end; a room that never ends counts in the probability only."""
    over = np.maximum(seconds - scenario.seconds(end), 0)
    ended = seconds < NOT_DONE_S
    return round(float(np.mean(over > 0)), 2), round(float(np.mean(over * ended)) / 60, 1)


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
