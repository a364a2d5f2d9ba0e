"""Predictive laws of minutes: a log-Student-t cut at a bound, and what of it is left once some time has passed."""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from twin.errors import SettingsError

Floats = NDArray[np.float64]

DAY_MIN = 1440.0
_BARELY_CUT = 1e-9
"""Beyond the bound lies less than this: the cut moves no quantile that is looked at."""
_TINY = 1e-280
"""A survival below this is not held well in a double; the tail is then drawn from its hazard."""
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(128)


def _smooth_nodes() -> tuple[Floats, Floats]:
    """Probabilities and weights that integrate a quantile function over (0, 1), dense at both ends."""
    v, weights = (_NODES + 1) / 2, _WEIGHTS / 2
    slopes = np.ones_like(v)
    for _ in range(3):  # smoothstep on smoothstep: the steep ends of a quantile function become flat
        slopes = slopes * 6 * v * (1 - v)
        v = v * v * (3 - 2 * v)
    return v, weights * slopes


_PROBABILITIES, _PROBABILITY_WEIGHTS = _smooth_nodes()


@dataclass(frozen=True, slots=True)
class LogT:
    """Minutes D with (ln D - loc)/scale a Student t of `df` degrees (inf: log-normal), cut at `upper_min`.

    A log-t has no finite mean, so the law is always the cut one. All methods take scalars or arrays of any shape.
    """

    loc: float
    scale: float
    df: float = math.inf
    upper_min: float = DAY_MIN

    def __post_init__(self) -> None:
        if not (math.isfinite(self.loc) and 0 < self.scale < math.inf and self.df > 0 and self.upper_min > 0):
            raise SettingsError("a duration needs a finite loc, a positive scale, df and upper bound")

    @classmethod
    def of_median(cls, median_min: float, scale: float, *, df: float = math.inf, upper_min: float = DAY_MIN) -> Self:
        """The law whose uncut median is `median_min`, with `scale` the sd of its logarithm."""
        return cls(math.log(median_min), scale, df, upper_min)

    @classmethod
    def constant(cls, minutes: float) -> Self:
        """As good as exactly `minutes` (0 allowed), to far less than a second."""
        return cls(math.log(max(minutes, 1e-6)), 1e-12, upper_min=max(DAY_MIN, 2 * minutes))

    def cdf(self, minutes: ArrayLike) -> Floats:
        """P(D <= minutes)."""
        z = self._z(minutes)
        return np.asarray(np.minimum(self._lower(z) / self._lower(self._z_upper), 1.0))

    def sf(self, minutes: ArrayLike) -> Floats:
        """P(D > minutes), exact in the upper tail."""
        above = self._lower(-self._z(minutes)) - self._lower(-self._z_upper)
        return np.clip(above / self._lower(self._z_upper), 0.0, 1.0)

    def ppf(self, p: ArrayLike) -> Floats:
        """Minutes not passed with probability p."""
        return self._minutes(self._lower_inverse(np.asarray(p, dtype=np.float64) * self._lower(self._z_upper)))

    def residual_ppf(self, p: ArrayLike, elapsed_min: ArrayLike) -> Floats:
        """Minutes left, given that `elapsed_min` have passed without an end: F⁻¹(u + (F(upper) - u)p) - t, u = F(t).

        Positive and finite for any elapsed time; past the bound the law stands at its last minute. Before the median
        it is computed from below, past it from above, since 1 - F has no digits left in the tail.
        """
        p = np.asarray(p, dtype=np.float64)
        elapsed = np.clip(np.asarray(elapsed_min, dtype=np.float64), 0.0, self.upper_min - min(1.0, self.upper_min / 2))
        z = self._z(elapsed)
        below, above = self._lower(z), self._lower(-z)
        top, beyond = self._lower(self._z_upper), self._lower(-self._z_upper)
        left = above - (above - beyond) * p
        with np.errstate(all="ignore"):  # each branch is computed for all and taken only where it holds
            early = self._lower_inverse(below + (top - below) * p)
            late = -self._lower_inverse(left)
            inner = np.where(left < 0.5, late, early)
            end = np.where(above > _TINY, inner, self._tail(z, p))
        return np.maximum(self._minutes(end) - elapsed, 1e-9)

    def residual_mean(self, elapsed_min: float) -> float:
        """E[D - t | D > t] of the cut law, by quadrature of its quantiles."""
        return float(_PROBABILITY_WEIGHTS @ self.residual_ppf(_PROBABILITIES, elapsed_min))

    @property
    def median(self) -> float:
        """The median, minutes."""
        return float(self.ppf(0.5))

    @property
    def mean(self) -> float:
        """The mean of the cut law, minutes."""
        return self.residual_mean(0.0)

    @property
    def _z_upper(self) -> float:
        return (math.log(self.upper_min) - self.loc) / self.scale

    def _z(self, minutes: ArrayLike) -> Floats:
        with np.errstate(divide="ignore"):
            return np.asarray((np.log(np.asarray(minutes, dtype=np.float64)) - self.loc) / self.scale)

    def _minutes(self, z: Floats) -> Floats:
        log = np.minimum(self.loc + self.scale * z, math.log(self.upper_min))
        return np.asarray(np.exp(log))

    def _lower(self, z: Floats | float) -> Floats:
        """P(standard variable <= z)."""
        return np.asarray(special.ndtr(z) if math.isinf(self.df) else special.stdtr(self.df, z))

    def _lower_inverse(self, p: Floats) -> Floats:
        return np.asarray(special.ndtri(p) if math.isinf(self.df) else special.stdtrit(self.df, p))

    def _tail(self, z: Floats, p: Floats) -> Floats:
        """Where the survival underflows: exponential in z with the hazard at z of the t (of the normal: z itself)."""
        hazard = np.abs(z) if math.isinf(self.df) else (self.df + 1) * np.abs(z) / (self.df + z * z)
        reach = -np.expm1(-hazard * (self._z_upper - z))
        return z - np.log1p(-p * reach) / hazard


def student_quantiles(p: Floats, loc: Floats, scale: Floats, *, df: Floats, upper_min: float) -> Floats:
    """Quantiles (laws x p) of many `LogT` at once, minutes. Each df is looked up once."""
    z_upper = (math.log(upper_min) - loc) / scale
    freedoms, which = np.unique(df, return_inverse=True)
    z = special.stdtrit(freedoms[:, None], p[None, :])[which]
    inside = special.stdtr(df, z_upper)
    cut = inside < 1 - _BARELY_CUT
    z[cut] = special.stdtrit(df[cut, None], p[None, :] * inside[cut, None])
    return np.asarray(np.exp(np.minimum(loc[:, None] + scale[:, None] * z, math.log(upper_min))))


def lognormal_residual_mean(mu: float, sigma: float, elapsed_min: float) -> float:
    """E[D - t | D > t] of an uncut log-normal: e^(mu + sigma²/2)·Φ(sigma - a)/(1 - Φ(a)) - t, a = (ln t - mu)/sigma.

    By logarithms of the tails, so it stays finite where both underflow. Minutes; t > 0.
    """
    a = (math.log(elapsed_min) - mu) / sigma
    ratio = float(special.log_ndtr(sigma - a) - special.log_ndtr(-a))
    return math.exp(mu + sigma * sigma / 2 + ratio) - elapsed_min
