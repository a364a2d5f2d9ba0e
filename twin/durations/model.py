"""Room time and surgical time by the closed form: an immutable value, a fold of the finished cases.

One finished case is: predict, winsorise y at |z| = 4, update the regressors, then the sums of every level.
"""

import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NamedTuple, Self

from twin.durations.case import CaseFeatures, FinishedCase
from twin.durations.closed_form import (
    SIGMA0_WEIGHT,
    WINSOR_Z,
    Constants,
    Evidence,
    Law,
    grains,
    inflation,
    law_of,
)
from twin.durations.distribution import LogT
from twin.durations.regressors import Regressors
from twin.site import DurationOptions

Key = tuple[str, ...]
DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Prediction:
    """A predictive law and what it rests on."""

    distribution: LogT
    loc: float
    s: float
    nu: float
    weight: float
    """W: cases' worth of information behind loc."""
    procedure_cases: int
    """Earlier cases of this procedure."""
    pair_cases: int
    """Earlier cases of this procedure by this surgeon."""


class Tally(NamedTuple):
    """Weighted count, sum and squared prediction errors (SS_p, procedures only) of a level; `cases` as they are."""

    n: float = 0.0
    total: float = 0.0
    squares: float = 0.0
    cases: int = 0

    def with_value(self, value: float, weight: float, squares: float = 0.0) -> "Tally":
        """One value more."""
        return Tally(
            self.n + weight,
            self.total + grains(weight * value),
            self.squares + grains(weight * squares),
            self.cases + 1,
        )

    @property
    def typical_min(self) -> float:
        """exp of the mean: the geometric mean of the minutes."""
        return math.exp(self.total / self.n)


NO_TALLY = Tally()
SITE: Key = ("site",)
BIAS: Key = ("bias",)


@dataclass(frozen=True, slots=True)
class DurationModel:
    """Sufficient statistics of the finished cases; an immutable value. Room time and surgical time have one each."""

    options: DurationOptions = field(default_factory=DurationOptions)
    prior_loc: float = math.log(75.0)
    """m_0 while no case is finished."""
    tallies: Mapping[Key, Tally] = field(default_factory=dict)
    constants: Constants = field(default_factory=lambda: Constants.default(DurationOptions()))
    regressors: Regressors = field(default_factory=Regressors)
    first_at: datetime | None = None
    """End of the first dated case learned: weights are counted from it."""
    last_at: datetime | None = None
    """End of the latest dated case learned: now, where no instant is given."""

    @classmethod
    def without_history(cls, options: DurationOptions, booked_min: Iterable[float] = ()) -> Self:
        """No finished case: m_0 is ln of the median booked minutes, without any ln of the site's default."""
        booked = [minutes for minutes in booked_min if minutes > 0]
        prior = statistics.median(booked) if booked else options.default_room_min
        return cls(options, math.log(prior), constants=Constants.default(options))

    def predict(self, features: CaseFeatures, at: datetime | None = None) -> Prediction:
        """The law of one case. Anything missing or unseen falls back one level; without booked its term is dropped.

        `at`: the instant it is predicted at, by which older cases have lost weight; None: that of the latest case.
        """
        law, _ = self.law(features, at)
        procedure, pair = self.tally(procedure_key(features)), self.tally(pair_key(features))
        return Prediction(
            LogT(law.loc, math.sqrt(law.spread), law.nu, self.options.upper_min),
            law.loc,
            math.sqrt(law.variance),
            law.nu,
            weight=law.weight,
            procedure_cases=procedure.cases,
            pair_cases=pair.cases,
        )

    def law(self, features: CaseFeatures, at: datetime | None = None) -> tuple[Law[float], float]:
        """The numbers of `predict`, and what the regressors add to loc."""
        law = self._law(features, self._inflation(at))
        if not self.regressors.columns:
            return law, 0.0
        x = self.regressors.encoded(features.covariates)
        shift = self.regressors.shift_of(x)
        return _widened(law._replace(loc=law.loc + shift), self.constants.width(x)), shift

    def learn(self, features: CaseFeatures, actual_min: float, at: datetime | None = None) -> "DurationModel":
        """The model after one more finished case."""
        return self.learn_all([FinishedCase(features, actual_min, at)])

    def learn_all(self, finished: Iterable[FinishedCase]) -> "DurationModel":
        """The model after more finished cases, in the order they finished."""
        model = replace(self, tallies=dict(self.tallies))
        for case in finished:
            model = model.step(case).model
        return model

    def with_constants(self, constants: Constants) -> "DurationModel":
        """The same statistics under the constants of another night."""
        return replace(self, constants=constants)

    def with_sigma0(self) -> "DurationModel":
        """The model with σ0² = (200·.30² + ΣSS_p)/(200 + Σn_p) of the cases so far; a nightly step, not one a case."""
        return self.with_constants(replace(self.constants, sigma0=self.estimated_sigma0()))

    def estimated_sigma0(self) -> float:
        """σ0 as the cases so far have it, at the weight they have at the latest one."""
        now = self._inflation(None)
        procedures = [tally for key, tally in self.tallies.items() if key[0] == "procedure"]
        squares = SIGMA0_WEIGHT * self.options.sigma0**2 + math.fsum(tally.squares for tally in procedures) / now
        return math.sqrt(squares / (SIGMA0_WEIGHT + math.fsum(tally.n for tally in procedures) / now))

    def tally(self, key: Key | None) -> Tally:
        """What is known of a level; nothing where there is no key."""
        return NO_TALLY if key is None else self.tallies.get(key, NO_TALLY)

    def step(self, case: FinishedCase) -> "Step":
        """One finished case predicted, then learned.

        Works in the very dict of this model's tallies: for folds that own it.
        """
        assert isinstance(self.tallies, dict)
        first_at, last_at = self.first_at or case.at, latest_of(self.last_at, case.at)
        weight = inflation(days_between(first_at, case.at or last_at), self.options.half_life_days)
        law = self._law(case.features, weight)
        x = self.regressors.encoded(case.features.covariates)
        shift = self.regressors.shift_of(x)
        width = self.constants.width(x)
        law = _widened(law._replace(loc=law.loc + shift), width)
        reach = WINSOR_Z * math.sqrt(law.spread)
        y = min(max(math.log(case.actual_min), law.loc - reach), law.loc + reach)
        regressors = self.regressors.updated(x, y - law.loc, law.spread)
        _add(
            self.tallies,
            case.features,
            y - regressors.shift_of(x),
            weight=weight,
            squares=_scored(y - law.loc, law) / width,
        )
        if regressors is self.regressors and first_at is self.first_at and last_at is self.last_at:
            return Step(law, shift, self)
        return Step(law, shift, replace(self, regressors=regressors, first_at=first_at, last_at=last_at))

    def _inflation(self, at: datetime | None) -> float:
        return inflation(days_between(self.first_at, at or self.last_at), self.options.half_life_days)

    def _law(self, features: CaseFeatures, now: float) -> Law[float]:
        site, procedure, pair = self.tallies.get(SITE, NO_TALLY), procedure_key(features), pair_key(features)
        specialty, surgeon = specialty_key(features), surgeon_bias_key(features)
        g, p, ps = self.tally(specialty), self.tally(procedure), self.tally(pair)
        b, bs = self.tallies.get(BIAS, NO_TALLY), self.tally(surgeon)
        booked = log_booked(features)
        evidence = Evidence(
            site.n / now, site.total / now, g.n / now, g.total / now, p.n / now, p.total / now, p.squares / now,
            ps.n / now, ps.total / now, b.n / now, b.total / now, bs.n / now, bs.total / now,
            0.0 if booked is None else 1.0, booked or 0.0,
        )  # fmt: skip
        return law_of(evidence, self.prior_loc, self.options.nu0, constants=self.constants)


class Step(NamedTuple):
    """The law of a finished case as it was predicted, what the regressors added to its loc, and the model after it."""

    law: Law[float]
    shift: float
    model: DurationModel


def _widened(law: Law[float], width: float) -> Law[float]:
    return law._replace(variance=law.variance * width, spread=law.spread * width)


def _scored(error: float, law: Law[float]) -> float:
    return error * error / (1.0 + 1.0 / law.weight)


def specialty_key(features: CaseFeatures) -> Key | None:
    """Key of its specialty's tally."""
    return ("specialty", features.specialty) if features.specialty else None


def procedure_key(features: CaseFeatures) -> Key | None:
    """Key of its procedure's tally."""
    return ("procedure", features.procedure) if features.procedure else None


def pair_key(features: CaseFeatures) -> Key | None:
    """Key of the tally of its procedure by its surgeon."""
    if features.procedure and features.surgeon:
        return ("pair", features.procedure, features.surgeon)
    return None


def surgeon_bias_key(features: CaseFeatures) -> Key | None:
    """Key of the booking error of its surgeon."""
    return ("bias", features.surgeon) if features.surgeon else None


def log_booked(features: CaseFeatures) -> float | None:
    """ln b', None where no usable minutes are booked."""
    booked = features.booked_min
    return math.log(booked) if booked is not None and 0 < booked < math.inf else None


def _add(tallies: dict[Key, Tally], features: CaseFeatures, value: float, *, weight: float, squares: float) -> None:
    """One case more in the sums of every level it belongs to."""
    for key in (SITE, specialty_key(features), pair_key(features)):
        if key is not None:
            tallies[key] = tallies.get(key, NO_TALLY).with_value(value, weight)
    procedure, booked = procedure_key(features), log_booked(features)
    if procedure is not None:
        tallies[procedure] = tallies.get(procedure, NO_TALLY).with_value(value, weight, squares)
    if booked is not None:
        for key in (BIAS, surgeon_bias_key(features)):
            if key is not None:
                tallies[key] = tallies.get(key, NO_TALLY).with_value(value - booked, weight)


def days_between(first: datetime | None, at: datetime | None) -> float:
    """Days from the first instant to another; 0 where one is not known or comes before."""
    return max((at - first).total_seconds(), 0.0) / DAY_S if first is not None and at is not None else 0.0


def latest_of(one: datetime | None, other: datetime | None) -> datetime | None:
    """The later of two instants, of which either may be unknown."""
    return max((at for at in (one, other) if at is not None), default=None)
