"""A stay whose end is not recorded: has it ended all the same? Stamps are entered late (design: Late time stamps).

P(ended but not recorded | t) = A/(A + 1 - F(t)),  A = ∫₀ᵗ f(x)·e^(-(t-x)/m) dx

f and F are the stay's own predictive law, t the time since it began, m the mean lag from the end to its record, taken
as exponential. Where it has ended, the end has the density f(x)·e^(-(t-x)/m) on (0, t).
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from twin.durations.distribution import Floats, LogT
from twin.errors import SettingsError

LONGEST_LAG_MIN = 120.0
"""What is entered later, or that much too early, was not entered beside the patient: it is no lag (guess)."""
LEAST_LAGS = 20
"""Of fewer stamps nothing is said."""
_PROMPT_STAMPS = 10
"""Cases' worth of information in `stamps are prompt`, where the learning starts (guess)."""
_LATE_SHARE = 0.2
"""With more of them entered that late, stamps are entered in batches: that one is missing then tells nothing."""
_CELLS = 512
_SECOND_MIN = 1 / 60
_CHECK_P90S = 3.0


def mean_lag_min(lags_min: Iterable[float]) -> float:
    """m of one kind of stamp from recorded - occurred, pulled towards 0 (prompt) as by 10 prompt stamps.

    0 where they are fewer than 20, or entered in batches. A negative lag is a wrong time as often as one too long, so
    that the mean takes both.
    """
    lags = list(lags_min)
    known = [lag for lag in lags if abs(lag) <= LONGEST_LAG_MIN]
    if len(known) < LEAST_LAGS or len(lags) - len(known) > _LATE_SHARE * len(lags):
        return 0.0
    return max(math.fsum(known) / (len(known) + _PROMPT_STAMPS), 0.0)


@dataclass(frozen=True)
class UnrecordedEnd:
    """A stay begun `elapsed_min` ago under `law`, of whose end there is no record; m is `lag_min` (0: no lag)."""

    law: LogT
    elapsed_min: float
    lag_min: float

    def __post_init__(self) -> None:
        if not (0 <= self.elapsed_min < math.inf and 0 <= self.lag_min < math.inf):
            raise SettingsError("an unrecorded end needs a time since the start and a mean lag, neither negative")

    @cached_property
    def probability(self) -> float:
        """P(ended but not recorded)."""
        if self.lag_min == 0:
            return 0.0
        ended, running = float(self._ended[1][-1]), float(self.law.sf(self._elapsed))
        return ended / (ended + running) if ended > 0 else 0.0

    @property
    def worth_a_check(self) -> bool:
        """True after 3 x P90: a person should look at the stamp."""
        return self.elapsed_min > _CHECK_P90S * float(self.law.ppf(0.9))

    def ages_min(self, p: ArrayLike) -> Floats:
        """Minutes since the end, given that it has ended, not passed with probability 1 - p."""
        return np.asarray(self._elapsed - self.ppf(np.asarray(p, dtype=np.float64) * self.probability))

    def ppf(self, p: ArrayLike) -> Floats:
        """Minutes from the start to the end, not passed with probability p: one uniform draws the branch and the end.

        Below `probability` it has ended, in (0, elapsed); above, what is left is the law's conditional residual.
        """
        p = np.asarray(p, dtype=np.float64)
        share = self.probability
        running = self._elapsed + self.law.residual_ppf(
            np.clip((p - share) / max(1 - share, 1e-12), 0, 1), self._elapsed
        )
        if share == 0:
            return np.asarray(running)
        at, mass = self._ended
        return np.where(p < share, np.interp(np.minimum(p, share) / share * mass[-1], mass, at), running)

    @property
    def _elapsed(self) -> float:
        """At least a minute before the law's bound: past it nothing is known."""
        return min(self.elapsed_min, self.law.upper_min - min(1.0, self.law.upper_min / 2))

    @cached_property
    def _ended(self) -> tuple[Floats, Floats]:
        """Instants from 0 to the elapsed time, and the mass of A up to each. Cells grow with their age, squared."""
        age = self._elapsed * np.linspace(1.0, 0.0, _CELLS + 1) ** 2
        at = self._elapsed - age
        inside = np.diff(self.law.cdf(at))
        return at, np.concatenate([[0.0], np.cumsum(inside * self._kept(age))])

    def _kept(self, age: Floats) -> Floats:
        """By cell: the mean of e^(-age/m), the share of its ends that are not recorded yet."""
        if min(self.lag_min, self._elapsed) < _SECOND_MIN:
            return np.zeros(_CELLS)
        with np.errstate(under="ignore"):
            left = np.exp(-age / self.lag_min)
        return np.asarray(np.diff(left) * self.lag_min / -np.diff(age))
