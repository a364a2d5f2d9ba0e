"""The closed form of the duration model (design: Durations), written once for one case and for arrays of cases.

m_0   mean of y = ln D over the site (no case yet: the prior)
m_g   = (n_g·ȳ_g + 5·m_0)/(n_g + 5)                 specialty
m_p   = (n_p·ȳ_p + k_p·m_g)/(n_p + k_p)             procedure
K     = k_s(n_p + k_p)/(k_s + n_p + k_p),   W = n_ps + K + κ·[b' known]
loc   = [n_ps·ȳ_ps + K·m_p + κ·[b' known]·(ln b' + β_s)]/W
β_0   = n·mean(y - ln b')/(n + 10),   β_s = (n_s·mean_s(y - ln b') + 10·β_0)/(n_s + 10)
s²    = (ν0·σ0² + SS_p)/ν,   ν = ν0 + n_p,   y ~ t_ν(loc, s²(1 + 1/W)) cut at 24 h

Every sum is kept in multiples of 2⁻²², so that adding is exact: the same cases give the same bits, one by one or
all at once. Only +, -, x and / are used here, which are the same to the bit for a float and for an array.
"""

import math
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from twin.site import DurationOptions

Floats = NDArray[np.float64]
Number = TypeVar("Number", float, Floats)

SPECIALTY_WEIGHT = 5.0
BIAS_WEIGHT = 10.0
SIGMA0_WEIGHT = 200.0
WINSOR_Z = 4.0
MOST_HALF_LIVES = 500.0
_GRAIN = float(2**22)


@dataclass(frozen=True, slots=True)
class Constants:
    """What is estimated each night, on how many cases (0: the defaults)."""

    k_procedure: float
    k_surgeon: float
    kappa: float
    sigma0: float
    cases: int = 0
    unseen: float = 1.0
    """Variance of a booked case of a procedure never seen, relative to that of others."""
    widths: tuple[float, ...] = ()
    """By column of the regressors: what it adds to the logarithm of the variance."""

    def width(self, x: Floats) -> float:
        """Variance of a case with these regressors, relative to that of the site's mean case."""
        return math.exp(float(x @ np.array(self.widths))) if self.widths else 1.0

    @classmethod
    def default(cls, options: DurationOptions) -> "Constants":
        """Those of the options."""
        return cls(options.k_procedure, options.k_surgeon, options.kappa, options.sigma0, unseen=options.unseen)


class Evidence(NamedTuple, Generic[Number]):
    """Counts (n) and sums behind a case, at the weight they have at its time; 0 where a level is missing or unseen."""

    site_n: Number
    site_sum: Number
    specialty_n: Number
    specialty_sum: Number
    procedure_n: Number
    procedure_sum: Number
    procedure_squares: Number
    pair_n: Number
    pair_sum: Number
    bias_n: Number
    bias_sum: Number
    surgeon_bias_n: Number
    surgeon_bias_sum: Number
    booked: Number
    """1 where booked minutes are known, else 0."""
    log_booked: Number
    """ln b', 0 where not known."""


class Law(NamedTuple, Generic[Number]):
    """Location of y, W, ν, s² and the squared scale s²(1 + 1/W)."""

    loc: Number
    weight: Number
    nu: Number
    variance: Number
    spread: Number


def law_of(e: Evidence[Number], prior_loc: float, nu0: float, *, constants: Constants) -> Law[Number]:
    """The predictive law of a case on its evidence, without covariates."""
    unseen = (e.site_n == 0) * 1.0
    site = (e.site_sum + unseen * prior_loc) / (e.site_n + unseen)
    specialty = (e.specialty_sum + SPECIALTY_WEIGHT * site) / (e.specialty_n + SPECIALTY_WEIGHT)
    own = e.procedure_n + constants.k_procedure
    procedure = (e.procedure_sum + constants.k_procedure * specialty) / own
    prior_weight = constants.k_surgeon * own / (constants.k_surgeon + own)
    site_bias = e.bias_sum / (e.bias_n + BIAS_WEIGHT)
    bias = (e.surgeon_bias_sum + BIAS_WEIGHT * site_bias) / (e.surgeon_bias_n + BIAS_WEIGHT)
    booked_weight = constants.kappa * e.booked
    weight = e.pair_n + prior_weight + booked_weight
    loc = (e.pair_sum + prior_weight * procedure + booked_weight * (e.log_booked + bias)) / weight
    nu = nu0 + e.procedure_n
    return Law(loc, weight, nu, *spread_of(e, nu0, weight, constants=constants))


def spread_of(e: Evidence[Number], nu0: float, weight: Number, *, constants: Constants) -> tuple[Number, Number]:
    """s² and the squared scale of a case.

    Bookings err by procedure, and that of one never seen is not corrected yet: its s² is wider, as far as the site's
    bookings are known to err at all.
    """
    first = (e.procedure_n == 0) * e.booked
    widened = 1.0 + first * (constants.unseen - 1.0) * (e.bias_n / (e.bias_n + BIAS_WEIGHT))
    variance = widened * (nu0 * (constants.sigma0 * constants.sigma0) + e.procedure_squares) / (nu0 + e.procedure_n)
    return variance, variance * (1.0 + 1.0 / weight)


def grains(value: float) -> float:
    """A value as the nearest multiple of 2⁻²²."""
    return round(value * _GRAIN) / _GRAIN


def grains_of(values: Floats) -> Floats:
    """`grains` of an array."""
    rounded: Floats = np.rint(values * _GRAIN) / _GRAIN
    return rounded


def inflation(days: float, half_life_days: float) -> float:
    """Weight of a case `days` after the first one, relative to the first: newer cases weigh more.

    What has weight n at its own inflation has n/inflation(now) now.
    """
    return grains(math.exp2(min(days / half_life_days, MOST_HALF_LIVES)))
