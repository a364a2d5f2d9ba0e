"""Who holds what when: the demand of beds by the hour, and people who are at work beyond their shifts."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from twin.simulation.draws import Seconds
from twin.simulation.program import NEVER, Resource
from twin.simulation.resources import BEDS, STAFF
from twin.simulation.result import HORIZON_S, HOURS
from twin.simulation.writer import Pathway, Stay


def census(pathway: Pathway, table: Seconds) -> dict[str, Seconds]:
    """By bed resource, the places held at each full hour; shape (HOURS, replications)."""
    hours = np.arange(HOURS)[:, np.newaxis] * 3600
    found: dict[str, Seconds] = {}
    for stay in (stay for stay in pathway.stays if pathway.kinds[stay.resource] in BEDS):
        name = pathway.program.resources[stay.resource].name
        begin = np.zeros(table.shape[1], dtype=np.int64) if stay.begin is None else table[stay.begin]
        end = table[stay.end]
        there = (begin != NEVER) & (begin <= hours) & ((end == NEVER) | (end > hours))
        found[name] = found.get(name, 0) + there.astype(np.int32)
    return found


def beyond_shifts(pathway: Pathway, table: Seconds, rosters: Mapping[str, Resource]) -> dict[str, int]:
    """By resource of people with shifts, seconds of all replications that more of them are held than are on.

    `rosters`: by name, each resource by its shifts, whatever hazards close.
    """
    held: dict[int, list[Stay]] = defaultdict(list)
    for stay in pathway.stays:
        name = pathway.program.resources[stay.resource].name
        if pathway.kinds[stay.resource] in STAFF and name in rosters and rosters[name].changes:
            held[stay.resource].append(stay)
    return {
        (name := pathway.program.resources[number].name): _over_s(rosters[name], stays, table)
        for number, stays in held.items()
    }


def _over_s(resource: Resource, stays: Sequence[Stay], table: Seconds) -> int:
    """Every change of who is held or on, in order: what lies between two, where more are held, times how many more.

    Up to the horizon; who is never let go is held until then.
    """
    size = table.shape[1]
    begins = np.stack([np.zeros(size, dtype=np.int64) if s.begin is None else table[s.begin] for s in stays])
    ends = np.stack([table[stay.end] for stay in stays])
    missing = begins == NEVER
    ends = np.where(ends == NEVER, HORIZON_S, ends)
    before = [resource.capacity, *(places for _, places in resource.changes)]
    instants = np.array([second for second, _ in resource.changes], dtype=np.int64)
    steps = np.array([a - b for a, b in pairwise(before)], dtype=np.int64)
    times = np.concatenate(
        [np.where(missing, 0, begins), np.where(missing, 0, ends), np.repeat(instants[:, np.newaxis], size, axis=1)]
    )
    times = np.minimum(times, HORIZON_S)
    jumps = np.concatenate(
        [np.where(missing, 0, 1), np.where(missing, 0, -1), np.repeat(steps[:, np.newaxis], size, axis=1)]
    )
    order = np.argsort(times, axis=0, kind="stable")
    times = np.take_along_axis(times, order, axis=0)
    more = np.cumsum(np.take_along_axis(jumps, order, axis=0), axis=0) - resource.capacity
    return int((np.maximum(more[:-1], 0) * np.diff(times, axis=0)).sum())
