"""How the hospital works, as its own records tell: what it stamps, and how long it takes between two cases."""

import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import pairwise

from twin.durations.distribution import LogT
from twin.durations.stages import STAGE_LAWS, StageLaw
from twin.projections.patient_twin import PatientTwin
from twin.timebase import minutes_between
from twin.vocabulary import ROOM_MILESTONES, Milestone, Stage

TURNOVER_MIN = (5.0, 60.0)
"""A longer gap is idle time, not turnover; a shorter one is two stamps of one case."""
_PRIOR_GAPS = 5
"""Cases' worth of information in the default turnover, and in the gaps that the hospital books."""

_Span = tuple[datetime | None, datetime | None]

BEFORE_ROOM = (Milestone.PATIENT_IN_FACILITY, Milestone.PATIENT_SENT_FOR, Milestone.PATIENT_IN_HOLDING)


@dataclass(frozen=True, slots=True)
class Habits:
    """What a scenario takes over."""

    unrecorded: tuple[Milestone, ...] = ()
    """Milestones that the hospital doesn't stamp."""
    laws: tuple[StageLaw, ...] = STAGE_LAWS


def habits_of(twins: Iterable[PatientTwin], *, before: date | None = None) -> Habits:
    """Of all live cases; `before`: of another day, by what was seen before a day. There nothing has begun, so that a
    missing stamp says nothing anyway."""
    live = [twin for twin in twins if twin.live]
    seen = live if before is None else [twin for twin in live if twin.day < before]
    return Habits(unrecorded_by(live) if before is None else (), _laws(live, seen))


def unrecorded_by(twins: Iterable[PatientTwin]) -> tuple[Milestone, ...]:
    """Milestones that the hospital doesn't stamp: fewer than half of the cases that went past one have it."""
    passed: Counter[Milestone] = Counter()
    stamped: Counter[Milestone] = Counter()
    for twin in twins:
        if twin.live and twin.times.reached:
            passed.update(milestone for milestone in Milestone if _is_past(twin, milestone))
            stamped.update(milestone for milestone in Milestone if _is_stamped(twin, milestone))
    return tuple(milestone for milestone in Milestone if 2 * stamped[milestone] < max(passed[milestone], 1))


def _is_past(twin: PatientTwin, milestone: Milestone) -> bool:
    if milestone in ROOM_MILESTONES:
        return twin.is_reached(Milestone.PATIENT_OUT_OF_ROOM)
    return twin.frontier > milestone.rank and (milestone not in BEFORE_ROOM or twin.entered is not None)


def _is_stamped(twin: PatientTwin, milestone: Milestone) -> bool:
    seen = BEFORE_ROOM if milestone is Milestone.PATIENT_IN_FACILITY else (milestone,)
    return any(twin.times.get(each) is not None for each in seen)


def _laws(live: Sequence[PatientTwin], seen: Sequence[PatientTwin]) -> tuple[StageLaw, ...]:
    """The default laws with this hospital's turnover: the default, pulled by the gaps it books and by those seen."""
    default = next(law for law in STAGE_LAWS if law.stage is Stage.TURNOVER)
    told = [default.law.median] * _PRIOR_GAPS
    booked = list(_gaps(live, lambda twin: (twin.planned_in, twin.planned_out)))
    if booked:
        told += [min(statistics.median(booked), default.law.median)] * _PRIOR_GAPS
    told += _gaps(seen, _stay)
    median = statistics.fmean(told)
    law = LogT.of_median(round(median, 1), default.law.scale, df=default.law.df, upper_min=default.law.upper_min)
    return tuple(replace(each, law=law) if each.stage is Stage.TURNOVER else each for each in STAGE_LAWS)


def _stay(twin: PatientTwin) -> _Span:
    return twin.times.get(Milestone.PATIENT_IN_ROOM), twin.times.get(Milestone.PATIENT_OUT_OF_ROOM)


def _gaps(twins: Iterable[PatientTwin], span: Callable[[PatientTwin], _Span]) -> Iterator[float]:
    """Minutes between the cases that follow each other in a room on a day, where they can be a turnover."""
    rooms: dict[tuple[str, date], list[tuple[datetime, datetime]]] = defaultdict(list)
    for twin in twins:
        start, end = span(twin)
        if twin.room and start and end:
            rooms[twin.room, twin.day].append((start, end))
    for stretches in rooms.values():
        for (_, end), (start, _) in pairwise(sorted(stretches)):
            gap = minutes_between(end, start)
            if TURNOVER_MIN[0] <= gap <= TURNOVER_MIN[1]:
                yield gap
