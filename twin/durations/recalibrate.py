""" "Booked 1h30, takes 2 h": when a booking habit is far enough from what happens to be told (design: Durations).

r̄ = mean ln(actual/booked) of a cell (procedure x surgeon, else procedure), W = n + κ, typical ratio = exp(n·r̄/W) with
sd = s/√W of its logarithm; the next case has sd s√(1 + 1/W). s is the cell's own, drawn to σ0 like that of a procedure.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy import special

from twin.site import DurationOptions

LEAST_CASES = 8
LONGER, SHORTER = 1.10, 0.90
SURE = 0.95
_Z80, _Z95 = 1.2815515655446004, 1.959963984540054


@dataclass(frozen=True, slots=True)
class Habit:
    """What the finished cases of a cell say of its booked minutes."""

    cases: int
    log_ratio: float
    """Logarithm of the typical actual/booked, shrunk towards none."""
    weight: float
    """W"""
    sd: float
    """s: of ln(actual/booked) from case to case."""

    @property
    def ratio(self) -> float:
        """Typical actual/booked."""
        return math.exp(self.log_ratio)

    @property
    def p_longer(self) -> float:
        """P(the typical ratio is over 1.10)."""
        return float(special.ndtr((self.log_ratio - math.log(LONGER)) / self._sd_typical))

    @property
    def p_shorter(self) -> float:
        """P(the typical ratio is under 0.90)."""
        return float(special.ndtr((math.log(SHORTER) - self.log_ratio) / self._sd_typical))

    @property
    def proposed(self) -> bool:
        """Enough cases, and sure enough that the booking is too short or too long."""
        return self.cases >= LEAST_CASES and max(self.p_longer, self.p_shorter) >= SURE

    def typical_min(self, booked_min: float) -> tuple[float, float, float]:
        """Typical minutes of a case booked so, and the 95 % interval of it."""
        return self._around(booked_min, _Z95 * self._sd_typical)

    def next_min(self, booked_min: float) -> tuple[float, float, float]:
        """Minutes of the next case booked so, and the 80 % interval of it."""
        return self._around(booked_min, _Z80 * self.sd * math.sqrt(1 + 1 / self.weight))

    @property
    def _sd_typical(self) -> float:
        return self.sd / math.sqrt(self.weight)

    def _around(self, booked_min: float, reach: float) -> tuple[float, float, float]:
        middle = booked_min * self.ratio
        return middle, middle * math.exp(-reach), middle * math.exp(reach)


def habit_of(log_ratios: Sequence[float], options: DurationOptions, sigma0: float | None = None) -> Habit:
    """The habit of a cell from ln(actual/booked) of its finished cases; `sigma0`: the site's, else the default."""
    n = len(log_ratios)
    weight = n + options.kappa
    mean = math.fsum(log_ratios) / n if n else 0.0
    squares = math.fsum((each - mean) ** 2 for each in log_ratios)
    prior = options.sigma0 if sigma0 is None else sigma0
    sd = math.sqrt((options.nu0 * prior * prior + squares) / (options.nu0 + max(n - 1, 0)))
    return Habit(n, n * mean / weight, weight, sd)
