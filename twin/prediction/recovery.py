"""How what is known of a patient moves the stay in the recovery room and in the unit (design: Durations, stages).

y = ln(minutes / the stage's usual minutes in that care setting); the same recursive ridge as of room time, so that few
cases move little. Learned once a night from the cases of before: it stands still during the day.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from twin.durations.case import Covariate
from twin.durations.closed_form import WINSOR_Z, Floats
from twin.durations.regressors import Regressors, Scales, columns_of
from twin.durations.stages import StageLaw, stage_law
from twin.projections.factors import SETTING
from twin.projections.patient_twin import PatientTwin
from twin.timebase import minutes_between
from twin.vocabulary import CareSetting, Milestone, Provenance, Stage

_Stretch = tuple[Milestone, Milestone, tuple[Stage, ...]]
_STRETCHES: dict[Stage, tuple[_Stretch, ...]] = {
    Stage.PACU: (
        (Milestone.PACU_ARRIVAL, Milestone.PACU_READY, (Stage.PACU,)),
        (Milestone.PACU_ARRIVAL, Milestone.PACU_DISCHARGE, (Stage.PACU, Stage.PACU_BOARDING)),
    ),
    Stage.UNIT: ((Milestone.UNIT_ARRIVAL, Milestone.FACILITY_DISCHARGE, (Stage.UNIT,)),),
}
"""Where a stay is seen, the finest first; what else lies between the stamps."""
_LEAST_MIN = 0.5
_PRIOR_SD = 0.2
"""Of γ on ln minutes: patients matter more here than for room time, where it is .05 (guess)."""
_PRIOR_CASES = 20
"""Cases' worth of information in the spread of the law (guess)."""
_LEVELS = (np.arange(200) + 0.5) / 200


@dataclass(frozen=True, slots=True)
class Stays:
    """Regressors of the stays, by stage."""

    regressors: Mapping[Stage, Regressors] = field(default_factory=dict)

    def shifts(self, factors: tuple[tuple[str, Covariate], ...]) -> tuple[tuple[Stage, float], ...]:
        """What a case's stages move by on ln minutes; those that don't move are left out."""
        told = ((stage, mine.shift(_told(stage, factors))) for stage, mine in self.regressors.items())
        return tuple((stage, shift) for stage, shift in told if shift)


NO_STAYS = Stays()


def _told(stage: Stage, factors: tuple[tuple[str, Covariate], ...]) -> tuple[tuple[str, Covariate], ...]:
    """The unit's law is one of the care setting already: it must not count twice."""
    return factors if stage is not Stage.UNIT else tuple(each for each in factors if each[0] != SETTING)


def stays_of(done: Iterable[PatientTwin], laws: tuple[StageLaw, ...], scales: Scales = ()) -> Stays:
    """Learn from finished cases, in their order, against the laws that hold for all of them."""
    cases = list(done)
    found = {stage: _learned(stage, cases, laws, scales) for stage in _STRETCHES}
    return Stays({stage: mine for stage, mine in found.items() if mine.columns})


def _learned(stage: Stage, cases: list[PatientTwin], laws: tuple[StageLaw, ...], scales: Scales) -> Regressors:
    usual = _Usual(laws)
    rows = [(twin, _told(stage, twin.factors), seen) for twin in cases if (seen := _seen(twin, stage)) is not None]
    mine = Regressors.prior(columns_of([factors for _, factors, _ in rows], scales), _PRIOR_SD)
    if not mine.columns:
        return mine
    told = [math.log(minutes / usual.min(twin.setting, stages)) for twin, _, (minutes, stages) in rows]
    errors = np.array(told) - np.median(told)  # what moves all cases alike is the law's, not a patient's
    reach = WINSOR_Z * stage_law(laws, stage, CareSetting.UNKNOWN).law.scale
    errors = np.clip(errors, -reach, reach)
    variance = _variance(errors, reach / WINSOR_Z)
    for (_, factors, _), error in zip(rows, errors.tolist(), strict=True):
        x = mine.encoded(factors)
        mine = mine.updated(x, error - mine.shift_of(x), variance)
    return mine


def _variance(errors: Floats, scale: float) -> float:
    """Of a case about the usual minutes: the law's, pulled towards what the cases show."""
    squares = _PRIOR_CASES * scale**2 + float(np.sum(errors**2))
    return squares / (_PRIOR_CASES + len(errors))


def _seen(twin: PatientTwin, stage: Stage) -> tuple[float, tuple[Stage, ...]] | None:
    times = {actual.milestone: actual for actual in twin.times.reached}
    for first, last, stages in _STRETCHES[stage]:
        start, end = times.get(first), times.get(last)
        if start and end and Provenance.ESTIMATED not in (start.provenance, end.provenance):
            minutes = minutes_between(start.at, end.at)
            if minutes >= _LEAST_MIN:
                return minutes, stages
    return None


class _Usual:
    """Medians of some stages together: medians do not add."""

    def __init__(self, laws: tuple[StageLaw, ...]) -> None:
        self._laws = laws
        self._known: dict[tuple[CareSetting, tuple[Stage, ...]], float] = {}

    def min(self, setting: CareSetting, stages: tuple[Stage, ...]) -> float:
        if (setting, stages) not in self._known:
            laws = [stage_law(self._laws, stage, setting).law for stage in stages]
            total = laws[0].ppf(_LEVELS)
            for law in laws[1:]:
                total = np.add.outer(total, law.ppf(_LEVELS)).ravel()
            self._known[setting, stages] = float(np.median(total))
        return self._known[setting, stages]
