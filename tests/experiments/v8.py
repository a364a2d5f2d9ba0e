"""V8: trace replay. Observed durations must give the room ends, TROS and TROV that were observed, exactly.

Days of the synthetic clinic, whose flow of patients is a program of its own (`fixtures/clinic/truth.py`). A replay
knows, as a trace does, when each patient was ready, the order of each room's list, when its first case (and its first
booked one) began, and how long every stage took, a wait for recovery counted into emergence. It does not know when any
later case entered or left: that follows from rooms restored, surgeons free and patients there. A day on which two rooms
ask for one surgeon in the same minute is left out. TROS counts measured cleaning.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np

from fixtures.clinic.day import generate_day
from fixtures.clinic.truth import TrueCase
from tests.experiments import Figure
from tests.simulation_days import MIDNIGHT, case
from twin.simulation import kernel, reference
from twin.simulation.draws import Seconds
from twin.simulation.lists import draw_plan
from twin.simulation.paths import CasePath
from twin.simulation.pathway import write
from twin.simulation.replications import Engine
from twin.simulation.scenario import Scenario
from twin.site import SimulationOptions
from twin.vocabulary import Milestone

DAYS, FIRST = 60, date(2026, 3, 2)
READY_MIN, EARLY_MIN, END_MIN = 15, 20, 16 * 60
"""From arrival to ready; how long before its booking a case may enter; the end of every session."""
M = Milestone
Trace = dict[str, tuple[int, int, int]]
"""By case: entry, exit, room restored; minutes since midnight."""


def figures(seed: int) -> list[Figure]:
    """Largest differences in minutes over all room-days, by either engine."""
    kernel.warm()
    rooms = left_out = 0
    worst = dict.fromkeys(("room end", "TROS", "TROV"), 0.0)
    for number in range(DAYS):
        cases = clinic_day(FIRST + timedelta(days=number), seed)
        if undecided(cases):
            left_out += 1
            continue
        known = {one.booking.key: observed(one) for one in cases}
        replays = [replay(cases, engine) for engine in (kernel.run, reference.run)]
        for room in sorted({one.room for one in cases}):
            keys = [one.booking.key for one in cases if one.room == room]
            rooms += 1
            for found in replays:
                told, truth = kpis(found, keys), kpis(known, keys)
                worst = {name: max(worst[name], abs(told[name] - truth[name])) for name in worst}
    return [
        Figure("V8", "room-days replayed", float(rooms), low=500.0),
        Figure("V8", "days left out: two rooms ask for a surgeon at once", float(left_out), high=3.0),
        *(Figure("V8", f"{name}, most minutes off", value, high=0.0) for name, value in worst.items()),
    ]


def clinic_day(day: date, seed: int) -> list[TrueCase]:
    """The cases that took place, by room in the order in which they entered it."""
    cases = [one for one in generate_day(day, ZoneInfo("Europe/Paris"), seed).cases if M.PATIENT_IN_ROOM in one.times]
    return sorted(cases, key=lambda one: (one.room, one.times[M.PATIENT_IN_ROOM]))


def openings(cases: Sequence[TrueCase]) -> set[str]:
    """The first case of each room's day, and the first booked one: they begin with an observed delay."""
    found = {one.room: one.booking.key for one in reversed(cases)}
    booked = {one.room: one.booking.key for one in reversed(cases) if not one.booking.emergency}
    return {*found.values(), *booked.values()}


def undecided(cases: Sequence[TrueCase]) -> bool:
    """True where two cases of a surgeon could enter from the same minute on: no trace says who asked first."""
    opening, asked = openings(cases), Counter[tuple[str, int]]()
    for before, one in pairwise([None, *cases]):
        assert one is not None
        if one.booking.key not in opening:
            restored = before.times[M.ROOM_CLEANUP_FINISH] if before is not None and before.room == one.room else 0
            ready = max(restored, one.times[M.PATIENT_IN_FACILITY] + READY_MIN, earliest_min(one))
            asked[one.booking.surgeon, ready] += 1
    return max(asked.values(), default=0) > 1


def earliest_min(one: TrueCase) -> int:
    """From when on its booking lets a case enter."""
    return 0 if one.booking.emergency else max(one.booking.start - EARLY_MIN, 0)


def observed(one: TrueCase) -> tuple[int, int, int]:
    """As the clinic stamped it."""
    return one.times[M.PATIENT_IN_ROOM], one.times[M.PATIENT_OUT_OF_ROOM], one.times[M.ROOM_CLEANUP_FINISH]


def replay(cases: Sequence[TrueCase], engine: Engine) -> Trace:
    """One future whose draws are the observed durations."""
    ranks = {one.booking.key: rank for rank, one in enumerate(cases)}
    inputs = [
        case(one.booking.key, f"{one.room}", None, team=(one.booking.surgeon,), rank=ranks[one.booking.key])
        for one in cases
    ]
    scenario = Scenario(MIDNIGHT.astimezone(UTC), tuple(inputs), options=SimulationOptions(replications=1))
    plan = draw_plan(scenario)
    by_key, opening = {one.booking.key: one for one in cases}, openings(cases)
    paths = {key: as_observed(path, by_key[key], first=key in opening) for key, path in plan.paths.items()}
    lists = tuple(replace(each, waiting=tuple(paths[path.case.key] for path in each.waiting)) for each in plan.lists)
    pathway = write(replace(plan, lists=lists, paths=paths))
    table = engine(pathway.program, pathway.draws, np.arange(pathway.program.columns))
    ends = (M.PATIENT_IN_ROOM, M.PATIENT_OUT_OF_ROOM, M.ROOM_CLEANUP_FINISH)
    found: Trace = {}
    for key in paths:
        entered, left, restored = (int(table[pathway.columns[key][end], 0]) // 60 for end in ends)
        found[key] = entered, left, restored
    return found


def as_observed(path: CasePath, one: TrueCase, *, first: bool) -> CasePath:
    """The path of a case with the durations of its stamps."""
    times = one.times
    entered, finished, left = times[M.PATIENT_IN_ROOM], times[M.PROCEDURE_FINISH], times[M.PATIENT_OUT_OF_ROOM]
    return replace(
        path,
        callable_from=_exactly(times[M.PATIENT_IN_FACILITY] + READY_MIN),
        to_holding=_exactly(0),
        holding=_exactly(0),
        earliest=_exactly(entered if first else earliest_min(one)),
        in_room={M.PROCEDURE_FINISH: _exactly(finished - entered)},
        emergence=_exactly(left - finished),
        turnover=_exactly(times[M.ROOM_CLEANUP_FINISH] - left),
    )


def _exactly(minutes: int) -> Seconds:
    return np.array([60 * minutes], dtype=np.int64)


def kpis(trace: Trace, keys: Sequence[str]) -> dict[str, float]:
    """Of a room's day: its last exit, TROS with measured cleaning between cases, and TROV = TROS − débordement."""
    mine = [trace[key] for key in keys]
    end = max(left for _, left, _ in mine)
    cleaning = sum(restored - left for _, left, restored in mine[:-1])
    tros = sum(left - entered for entered, left, _ in mine) + cleaning
    return {"room end": end, "TROS": tros, "TROV": tros - max(end - END_MIN, 0)}
