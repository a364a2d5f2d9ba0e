"""A duration model with the watch on it: what it predicts is as wide as its past predictions had to be."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

from scipy import special

from twin.durations.batch import Batch, replay
from twin.durations.case import CaseFeatures, FinishedCase
from twin.durations.closed_form import Floats, Law
from twin.durations.estimate import LEAST_CASES, estimated
from twin.durations.model import DurationModel, Prediction
from twin.durations.monitor import Monitor
from twin.site import DurationOptions


@dataclass(frozen=True, slots=True)
class Watched:
    """A fold of finished cases in the order in which they finished; an immutable value."""

    model: DurationModel
    monitor: Monitor = field(default_factory=Monitor)

    @classmethod
    def of_history(
        cls,
        options: DurationOptions,
        booked_min: Iterable[float],
        cases: Sequence[FinishedCase],
        *,
        start: DurationModel | None = None,
    ) -> Self:
        """All these cases under the constants that they are best told by: a nightly step.

        `booked_min`: of bookings known; their median stands in where no case is finished. `start`: a model that knows
        other cases, learned on; its constants stand while there are fewer cases than it was estimated on.
        """
        blank = start or DurationModel.without_history(options, booked_min)
        if not cases:
            return cls(blank)
        told = estimated(blank, Batch.of(cases))
        return cls(_continued(start, told) if start else told).after(cases)

    def predict(self, features: CaseFeatures) -> Prediction:
        """The law of one case now, its s multiplied by the one of its service."""
        told = self.model.predict(features)
        ratio = self.monitor.multiplier(service_of(features))
        law = replace(told.distribution, scale=told.distribution.scale * ratio)
        return replace(told, distribution=law, s=told.s * ratio)

    def after(self, cases: Sequence[FinishedCase]) -> Self:
        """More finished cases: each is judged as it was predicted, then learned."""
        if not cases:
            return self
        told = replay(self.model, Batch.of(cases))
        return replace(self, model=told.model, monitor=self._judged(cases, told.law))

    def _judged(self, cases: Sequence[FinishedCase], law: Law[Floats]) -> Monitor:
        monitor, log_upper = self.monitor, math.log(self.model.options.upper_min)
        rows = zip(cases, law.loc.tolist(), law.spread.tolist(), law.nu.tolist(), strict=True)
        for case, loc, spread, nu in rows:
            service = service_of(case.features)
            scale = math.sqrt(spread) * monitor.multiplier(service)
            inside = special.stdtr(nu, (log_upper - loc) / scale)
            pit = min(float(special.stdtr(nu, (math.log(case.actual_min) - loc) / scale) / inside), 1.0)
            monitor = monitor.after(service, pit, case.case_id, at=case.at)
        return monitor


def _continued(start: DurationModel, told: DurationModel) -> DurationModel:
    regressors = start.regressors.with_columns(told.regressors.columns)
    constants = told.constants if told.constants.cases >= max(LEAST_CASES, start.constants.cases) else start.constants
    return replace(start, constants=constants, regressors=regressors)


def service_of(features: CaseFeatures) -> str:
    """The stream that a case is watched in."""
    return features.specialty or "unknown"
