"""How the hospital works, as its own records tell: what it stamps, how long the stages and the turnover take."""

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cache
from itertools import pairwise

import numpy as np

from twin.durations.distribution import LogT
from twin.durations.stages import STAGE_LAWS, StageLaw, stage_law
from twin.projections.patient_twin import PatientTwin
from twin.timebase import minutes_between
from twin.vocabulary import ROOM_MILESTONES, CareSetting, CaseStatus, Milestone, Provenance, Stage

TURNOVER_MIN = (5.0, 60.0)
"""A longer gap is idle time, not turnover; a shorter one is two stamps of one case."""
_PRIOR_GAPS = 5
"""Cases' worth of information in the default turnover, and in the gaps that the hospital books."""

_PRIOR_STAGES = 20
"""Cases' worth of information in the default median of a stage (guess)."""
_LEAST_STAGES = 10
"""Fewer cases with both stamps of a stage, and it is learned together with its neighbour."""
_LEAST_MIN, _MOST_MIN = 0.5, 24 * 60.0
"""A shorter stage is two stamps made at once, a longer one a stamp forgotten."""

_LATEST_START_MIN = 120.0
"""A first entry later than this after its origin is a list that was moved (guess)."""

_INDUCED = (Milestone.PATIENT_IN_ROOM, Milestone.INCISION, (Stage.INDUCTION, Stage.LEAD_IN))
_RECOVERED = (Milestone.PACU_ARRIVAL, Milestone.PACU_DISCHARGE, (Stage.PACU, Stage.PACU_BOARDING))
_Stretch = tuple[Milestone, Milestone, tuple[Stage, ...]]
_STRETCHES: dict[Stage, tuple[_Stretch, ...]] = {
    Stage.INDUCTION: ((Milestone.PATIENT_IN_ROOM, Milestone.ANESTHESIA_READY, (Stage.INDUCTION,)), _INDUCED),
    Stage.LEAD_IN: ((Milestone.ANESTHESIA_READY, Milestone.INCISION, (Stage.LEAD_IN,)), _INDUCED),
    Stage.CLOSURE: ((Milestone.CLOSURE_START, Milestone.PROCEDURE_FINISH, (Stage.CLOSURE,)),),
    Stage.EMERGENCE: ((Milestone.PROCEDURE_FINISH, Milestone.PATIENT_OUT_OF_ROOM, (Stage.EMERGENCE,)),),
    Stage.PACU: ((Milestone.PACU_ARRIVAL, Milestone.PACU_READY, (Stage.PACU,)), _RECOVERED),
    Stage.PACU_BOARDING: ((Milestone.PACU_READY, Milestone.PACU_DISCHARGE, (Stage.PACU_BOARDING,)), _RECOVERED),
    Stage.TRANSPORT: ((Milestone.PATIENT_SENT_FOR, Milestone.PATIENT_IN_HOLDING, (Stage.TRANSPORT,)),),
    Stage.TO_UNIT: ((Milestone.PACU_DISCHARGE, Milestone.UNIT_ARRIVAL, (Stage.TO_UNIT,)),),
}
"""Where a stage is seen: between which stamps, and what else lies between them; the finest first."""

_Span = tuple[datetime | None, datetime | None]

BEFORE_ROOM = (Milestone.PATIENT_IN_FACILITY, Milestone.PATIENT_SENT_FOR, Milestone.PATIENT_IN_HOLDING)


@dataclass(frozen=True, slots=True)
class Habits:
    """What a scenario takes over."""

    unrecorded: tuple[Milestone, ...] = ()
    """Milestones that the hospital doesn't stamp."""
    laws: tuple[StageLaw, ...] = STAGE_LAWS


def habits_of(
    twins: Iterable[PatientTwin], *, before: date | None = None, laws: tuple[StageLaw, ...] = STAGE_LAWS
) -> Habits:
    """Of all live cases; `before`: of another day, by what was seen before a day. There nothing has begun, so that a
    missing stamp says nothing anyway. `laws`: of the stages but the turnover."""
    live = [twin for twin in twins if twin.live]
    seen = live if before is None else [twin for twin in live if twin.day < before]
    return Habits(unrecorded_by(live) if before is None else (), _with_turnover(laws, live, seen))


def stage_laws_of(twins: Iterable[PatientTwin]) -> tuple[StageLaw, ...]:
    """The default laws, each median pulled towards what the finished cases took.

    ln of a median moves by n/(n + 20) of the median of ln(minutes/default). The spread stays. Stages without stamps of
    their own move with their neighbour's. Of cases long over: those of today that are finished are the short ones.
    """
    done = [twin for twin in twins if twin.status is CaseStatus.DONE]
    told = {stage: _log_ratio(done, stretches) for stage, stretches in _STRETCHES.items()}
    started = _shrunk([math.log(minutes / _usual_min((Stage.START_DELAY,))) for minutes in _starts_min(done)])
    told[Stage.START_DELAY] = started or 0.0
    return tuple(
        replace(law, law=replace(law.law, loc=law.law.loc + (_unit_ratio(done, law) or told.get(law.stage, 0.0))))
        for law in STAGE_LAWS
    )


def _log_ratio(done: Sequence[PatientTwin], stretches: Sequence[_Stretch]) -> float:
    for first, last, stages in stretches:
        usual = _usual_min(stages)
        ratios = [math.log(minutes / usual) for twin in done if (minutes := _minutes(twin, first, last)) is not None]
        if (told := _shrunk(ratios)) is not None:
            return told
    return 0.0


def _shrunk(log_ratios: Sequence[float]) -> float | None:
    """Their median, pulled to 0 as by 20 cases; None of too few."""
    n = len(log_ratios)
    return statistics.median(log_ratios) * n / (n + _PRIOR_STAGES) if n >= _LEAST_STAGES else None


def _unit_ratio(done: Sequence[PatientTwin], law: StageLaw) -> float | None:
    """Of the stay in the unit, for the care settings of its law: a day unit's and a ward's don't mix."""
    if law.stage is not Stage.UNIT:
        return None
    first, last = Milestone.UNIT_ARRIVAL, Milestone.FACILITY_DISCHARGE
    mine = [twin for twin in done if twin.setting in law.settings]
    stays = [_minutes(twin, first, last, most_min=law.law.upper_min) for twin in mine]
    return _shrunk([math.log(minutes / law.law.median) for minutes in stays if minutes is not None])


def _starts_min(done: Sequence[PatientTwin]) -> Iterator[float]:
    """Minutes from the origin of the start delay to the first entry of each room and day, where both are known.

    One that enters before the origin counts as at it; one hours late was moved, not late.
    """
    firsts: dict[tuple[str, date], PatientTwin] = {}
    for twin in done:
        if twin.room and twin.entered and twin.planned_in:
            known = firsts.get((twin.room, twin.day))
            if known is None or (known.entered and twin.entered < known.entered):
                firsts[twin.room, twin.day] = twin
    origin = stage_law(STAGE_LAWS, Stage.START_DELAY, CareSetting.UNKNOWN).origin_min
    for twin in firsts.values():
        entry = twin.times.get(Milestone.PATIENT_IN_ROOM)
        if entry and twin.planned_in and entry == twin.entered:
            minutes = minutes_between(twin.planned_in, entry) - origin
            if minutes <= _LATEST_START_MIN:
                yield max(minutes, _LEAST_MIN)


@cache
def _usual_min(stages: tuple[Stage, ...]) -> float:
    """The median of the default laws of some stages together: medians do not add."""
    levels = (np.arange(200) + 0.5) / 200
    laws = [stage_law(STAGE_LAWS, stage, CareSetting.UNKNOWN).law for stage in stages]
    total = laws[0].ppf(levels)
    for law in laws[1:]:
        total = np.add.outer(total, law.ppf(levels)).ravel()
    return float(np.median(total))


def _minutes(twin: PatientTwin, first: Milestone, last: Milestone, *, most_min: float = _MOST_MIN) -> float | None:
    times = {actual.milestone: actual for actual in twin.times.reached}
    start, end = times.get(first), times.get(last)
    if start is None or end is None or Provenance.ESTIMATED in (start.provenance, end.provenance):
        return None
    minutes = minutes_between(start.at, end.at)
    return minutes if _LEAST_MIN <= minutes <= most_min else None


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


def _with_turnover(
    laws: tuple[StageLaw, ...], live: Sequence[PatientTwin], seen: Sequence[PatientTwin]
) -> tuple[StageLaw, ...]:
    """With this hospital's turnover: the default, pulled by the gaps it books and by those seen."""
    default = next(law for law in laws if law.stage is Stage.TURNOVER)
    told = [default.law.median] * _PRIOR_GAPS
    booked = list(_gaps(live, lambda twin: (twin.planned_in, twin.planned_out)))
    if booked:
        told += [min(statistics.median(booked), default.law.median)] * _PRIOR_GAPS
    told += _gaps(seen, _stay)
    median = statistics.fmean(told)
    law = LogT.of_median(round(median, 1), default.law.scale, df=default.law.df, upper_min=default.law.upper_min)
    return tuple(replace(each, law=law) if each.stage is Stage.TURNOVER else each for each in laws)


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
