"""Room time and surgical time by a closed-form hierarchical log-normal with Student-t prediction (design: Durations).

m_0   mean of y = ln D over the site (no case yet: ln of the median booked, else ln 75)
m_g   = (n_g·ȳ_g + 5·m_0)/(n_g + 5)                 specialty
m_p   = (n_p·ȳ_p + k_p·m_g)/(n_p + k_p)             procedure
K     = k_s(n_p + k_p)/(k_s + n_p + k_p),   W = n_ps + K + κ·[b' known]
loc   = [n_ps·ȳ_ps + K·m_p + κ·[b' known]·(ln b' + β_s)]/W
β_0   = n·mean(y - ln b')/(n + 10),   β_s = (n_s·mean_s(y - ln b') + 10·β_0)/(n_s + 10)
s²    = (ν0·σ0² + SS_p)/ν,   ν = ν0 + n_p,   y ~ t_ν(loc, s²(1 + 1/W)) cut at 24 h
"""

import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from twin.durations.distribution import LogT
from twin.site import DurationOptions

_SPECIALTY_WEIGHT = 5.0
_BIAS_WEIGHT = 10.0
_SIGMA0_WEIGHT = 200.0
_WINSOR_Z = 4.0

Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CaseFeatures:
    """What is known of a case before it is done. `booked_min` is already of the interval that the model predicts."""

    procedure: str | None = None
    surgeon: str | None = None
    specialty: str | None = None
    booked_min: float | None = None


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
    """n_p"""
    pair_cases: int
    """n_ps, of this procedure by this surgeon."""


@dataclass(frozen=True, slots=True)
class Tally:
    """A count and a mean, and the weighted squares of the prediction errors where they are kept (SS_p)."""

    n: int = 0
    mean: float = 0.0
    squares: float = 0.0

    def with_value(self, value: float, squares: float = 0.0) -> "Tally":
        """One value more."""
        n = self.n + 1
        return Tally(n, self.mean + (value - self.mean) / n, self.squares + squares)

    def shrunk(self, towards: float, weight: float) -> float:
        """The mean, pulled towards a prior that counts as `weight` values."""
        return (self.n * self.mean + weight * towards) / (self.n + weight)


_NONE = Tally()


def _site() -> Key:
    return ("site",)


def _specialty(specialty: str) -> Key:
    return ("specialty", specialty)


def _procedure(procedure: str) -> Key:
    return ("procedure", procedure)


def _pair(procedure: str, surgeon: str) -> Key:
    return ("pair", procedure, surgeon)


def _bias(*surgeon: str) -> Key:
    """Of y - ln b': the site's, or a surgeon's."""
    return ("bias", *surgeon)


@dataclass(frozen=True, slots=True)
class DurationModel:
    """Sufficient statistics of the finished cases; an immutable value. Room time and surgical time have one each."""

    options: DurationOptions = field(default_factory=DurationOptions)
    prior_loc: float = math.log(75.0)
    """m_0 while no case is finished."""
    tallies: Mapping[Key, Tally] = field(default_factory=dict)
    sigma0: float | None = None
    """Site-wide sd of y where estimated, else the option's."""

    @classmethod
    def without_history(cls, options: DurationOptions, booked_min: Iterable[float] = ()) -> Self:
        """No finished case: m_0 is ln of the median booked minutes, without any ln of the site's default."""
        booked = [minutes for minutes in booked_min if minutes > 0]
        prior = statistics.median(booked) if booked else options.default_room_min
        return cls(options, math.log(prior))

    def predict(self, features: CaseFeatures) -> Prediction:
        """The law of one case. Anything missing or unseen falls back one level; without booked its term is dropped."""
        options, procedure = self.options, self._tally_of_procedure(features)
        pair = self._tally_of_pair(features)
        own = procedure.n + options.k_procedure
        prior_weight = options.k_surgeon * own / (options.k_surgeon + own)
        total = pair.n * pair.mean + prior_weight * procedure.shrunk(self._specialty_loc(features), options.k_procedure)
        weight = pair.n + prior_weight
        if features.booked_min is not None and features.booked_min > 0:
            total += options.kappa * (math.log(features.booked_min) + self._booking_bias(features))
            weight += options.kappa
        loc, nu = total / weight, options.nu0 + procedure.n
        sigma0 = options.sigma0 if self.sigma0 is None else self.sigma0
        s = math.sqrt((options.nu0 * sigma0**2 + procedure.squares) / nu)
        law = LogT(loc, s * math.sqrt(1 + 1 / weight), nu, options.upper_min)
        return Prediction(law, loc, s, nu, weight=weight, procedure_cases=procedure.n, pair_cases=pair.n)

    def learn(self, features: CaseFeatures, actual_min: float) -> "DurationModel":
        """The model after one more finished case."""
        return self.learn_all([(features, actual_min)])

    def learn_all(self, finished: Iterable[tuple[CaseFeatures, float]]) -> "DurationModel":
        """The model after more finished cases, in the order they finished: predict, winsorise at |z| = 4, update."""
        tallies = dict(self.tallies)
        model = replace(self, tallies=tallies)  # sees the updates below as they come
        for features, actual_min in finished:
            _update(tallies, model.predict(features), features, actual_min=actual_min)
        return replace(self, tallies=tallies)

    def with_sigma0(self) -> "DurationModel":
        """The model with σ0² = (200·.30² + ΣSS_p)/(200 + Σn_p) of the cases so far; a nightly step, not one a case."""
        procedures = [tally for key, tally in self.tallies.items() if key[0] == "procedure"]
        squares = _SIGMA0_WEIGHT * self.options.sigma0**2 + sum(tally.squares for tally in procedures)
        return replace(self, sigma0=math.sqrt(squares / (_SIGMA0_WEIGHT + sum(tally.n for tally in procedures))))

    def _tally_of_procedure(self, features: CaseFeatures) -> Tally:
        return self.tallies.get(_procedure(features.procedure), _NONE) if features.procedure else _NONE

    def _tally_of_pair(self, features: CaseFeatures) -> Tally:
        if features.procedure and features.surgeon:
            return self.tallies.get(_pair(features.procedure, features.surgeon), _NONE)
        return _NONE

    def _specialty_loc(self, features: CaseFeatures) -> float:
        site = self.tallies.get(_site(), _NONE)
        site_loc = site.mean if site.n else self.prior_loc
        specialty = self.tallies.get(_specialty(features.specialty), _NONE) if features.specialty else _NONE
        return specialty.shrunk(site_loc, _SPECIALTY_WEIGHT)

    def _booking_bias(self, features: CaseFeatures) -> float:
        site_bias = self.tallies.get(_bias(), _NONE).shrunk(0.0, _BIAS_WEIGHT)
        surgeon = self.tallies.get(_bias(features.surgeon), _NONE) if features.surgeon else _NONE
        return surgeon.shrunk(site_bias, _BIAS_WEIGHT)


def _keys(features: CaseFeatures) -> list[Key]:
    keys = [_site()]
    if features.specialty:
        keys.append(_specialty(features.specialty))
    if features.procedure:
        keys.append(_procedure(features.procedure))
        if features.surgeon:
            keys.append(_pair(features.procedure, features.surgeon))
    return keys


def _update(tallies: dict[Key, Tally], before: Prediction, features: CaseFeatures, *, actual_min: float) -> None:
    reach = _WINSOR_Z * before.distribution.scale
    y = min(max(math.log(actual_min), before.loc - reach), before.loc + reach)
    squares = (y - before.loc) ** 2 / (1 + 1 / before.weight)
    for key in _keys(features):
        tallies[key] = tallies.get(key, _NONE).with_value(y, squares if key[0] == "procedure" else 0.0)
    if features.booked_min is not None and features.booked_min > 0:
        for key in (_bias(), *([_bias(features.surgeon)] if features.surgeon else [])):
            tallies[key] = tallies.get(key, _NONE).with_value(y - math.log(features.booked_min))
