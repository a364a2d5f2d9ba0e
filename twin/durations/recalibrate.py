"""`Booked 1h30, takes 2 h`: cases that are booked too short or too long, as proposals that a person decides on.

Cell = procedure x surgeon, else procedure. With r = ln(actual/booked) of its n finished cases and W = n + kappa:
typical ratio = exp(n·r̄/W), its sd (in the logarithm) s/√W, that of the next case s√(1 + 1/W), where
s² = (nu0·sigma0² + Σ(r - r̄)²)/(nu0 + n - 1), sigma0 of all procedures. Longer is proposed from 8 cases on when
P(ratio > 1.10) >= .95, shorter when P(ratio < .90) >= .95. What raised a proposal doesn't prove it: the cases after it
do.
Booked and actual are of the same interval. Surgeons are never ranked: proposals come in the order of their procedures.
"""

import math
import statistics
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from scipy import special

from twin.site import DurationOptions

MIN_CASES = 8
RATIOS = (0.90, 1.10)
CERTAINTY = 0.95
PROOF_CASES = 5
"""Cases after the ones that raised a proposal, from which on it counts as proved or not (guess)."""
_PRIOR_CASES = 200
_RECENT = 50
"""Newest bookings of a cell, of which the median is shown."""


@dataclass(frozen=True, slots=True, order=True)
class CellKey:
    """A procedure by a surgeon, or by anyone."""

    procedure: str
    surgeon: str = ""


@dataclass(frozen=True, slots=True)
class BookedCase:
    """What one finished case says about its booking. Minutes, both positive and of the same interval."""

    procedure: str
    surgeon: str | None
    booked_min: float
    actual_min: float


@dataclass(frozen=True, slots=True)
class Interval:
    """Minutes."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Proof:
    """The cases after a proposal was raised: mean absolute error of booking as usual, and of booking as proposed."""

    n: int
    booked_mae: float
    proposed_mae: float

    @property
    def verdict(self) -> str:
        """awaited, proved or not proved."""
        if self.n < PROOF_CASES:
            return "awaited"
        return "proved" if self.proposed_mae < self.booked_mae else "not proved"


@dataclass(frozen=True, slots=True)
class Proposal:
    """Book otherwise. Minutes for the cell's median booking."""

    cell: CellKey
    direction: str
    """longer or shorter."""
    n: int
    booked_min: float
    typical_min: float
    typical: Interval
    """95 % interval of what is typical."""
    next_case: Interval
    """80 % interval of the next case."""
    probability: float
    """P(ratio > 1.10), or P(ratio < .90)."""
    proof: Proof


@dataclass(slots=True)
class _Raised:
    """A proposal under proof: its ratio as it was when it was raised."""

    ratio: float
    n: int = 0
    booked_error: float = 0.0
    proposed_error: float = 0.0

    def judge(self, case: BookedCase) -> None:
        self.n += 1
        self.booked_error += abs(case.actual_min - case.booked_min)
        self.proposed_error += abs(case.actual_min - case.booked_min * self.ratio)

    def proof(self) -> Proof:
        n = max(self.n, 1)
        return Proof(self.n, self.booked_error / n, self.proposed_error / n)


@dataclass(frozen=True, slots=True)
class Ratio:
    """What n cases tell of actual/booked, in the logarithm; `s` is the spread of one case."""

    n: int
    mean: float
    s: float
    kappa: float = 3.0

    @property
    def weight(self) -> float:
        """W: n and the prior's kappa cases of ratio 1."""
        return self.n + self.kappa

    @property
    def typical(self) -> float:
        """exp(n·r̄/W)."""
        return math.exp(self.n * self.mean / self.weight)

    def beyond(self, ratio: float) -> float:
        """P(typical ratio > ratio)."""
        return float(special.ndtr((math.log(self.typical) - math.log(ratio)) * math.sqrt(self.weight) / self.s))

    def typical_interval(self, share: float = 0.95) -> tuple[float, float]:
        """Central interval of the typical ratio."""
        return self._interval(share, self.s / math.sqrt(self.weight))

    def next_interval(self, share: float = 0.80) -> tuple[float, float]:
        """Central interval of the next case's ratio."""
        return self._interval(share, self.s * math.sqrt(1 + 1 / self.weight))

    def verdict(self) -> tuple[str, float] | None:
        """longer or shorter, with its probability; None where there is nothing to propose."""
        if self.n < MIN_CASES:
            return None
        longer, shorter = self.beyond(RATIOS[1]), 1 - self.beyond(RATIOS[0])
        if longer >= CERTAINTY:
            return "longer", longer
        return ("shorter", shorter) if shorter >= CERTAINTY else None

    def _interval(self, share: float, sd: float) -> tuple[float, float]:
        reach = float(special.ndtri(0.5 + share / 2)) * sd
        return self.typical * math.exp(-reach), self.typical * math.exp(reach)


def ratio_of(n: int, mean: float, squares: float, options: DurationOptions, sigma0: float) -> Ratio:
    """From the count, mean and summed squared deviations of r; `sigma0` is the site's spread of one case."""
    s = math.sqrt((options.nu0 * sigma0**2 + squares) / (options.nu0 + max(n - 1, 0)))
    return Ratio(n, mean, s, options.kappa)


@dataclass(slots=True)
class _Cell:
    n: int = 0
    mean: float = 0.0
    squares: float = 0.0
    booked: deque[float] = field(default_factory=lambda: deque(maxlen=_RECENT))
    raised: _Raised | None = None

    def add(self, case: BookedCase, options: DurationOptions, sigma0: float) -> None:
        if self.raised is not None:
            self.raised.judge(case)
        self.n += 1
        value = math.log(case.actual_min / case.booked_min)
        away = value - self.mean
        self.mean += away / self.n
        self.squares += away * (value - self.mean)
        self.booked.append(case.booked_min)
        ratio = self.ratio(options, sigma0)
        if self.raised is None and ratio.verdict():
            self.raised = _Raised(ratio.typical)

    def ratio(self, options: DurationOptions, sigma0: float) -> Ratio:
        return ratio_of(self.n, self.mean, self.squares, options, sigma0)


class Recalibration:
    """A fold of finished cases and of decisions, in the order in which they came."""

    def __init__(self, options: DurationOptions | None = None) -> None:
        self._options = options or DurationOptions()
        self._cells: dict[CellKey, _Cell] = {}
        self._n = 0
        self._squares = 0.0

    def learn(self, cases: Iterable[BookedCase]) -> None:
        """More finished cases. One whose minutes aren't both positive says nothing of its booking."""
        for case in cases:
            if case.booked_min > 0 and case.actual_min > 0:
                for key in {CellKey(case.procedure, case.surgeon or ""), CellKey(case.procedure)}:
                    cell = self._cells.setdefault(key, _Cell())
                    before = cell.squares
                    cell.add(case, self._options, self.sigma0)
                    if not key.surgeon:
                        self._n, self._squares = self._n + 1, self._squares + cell.squares - before

    @property
    def sigma0(self) -> float:
        """Spread of one case over all procedures, in the logarithm: (200·.30² + Σ squares)/(200 + Σn), its root."""
        return math.sqrt((_PRIOR_CASES * self._options.sigma0**2 + self._squares) / (_PRIOR_CASES + self._n))

    def decide(self, cell: CellKey) -> None:
        """A person has accepted, changed or refused: the cell starts anew, by the cases after the decision."""
        self._cells.pop(cell, None)

    def proposals(self) -> tuple[Proposal, ...]:
        """What to book otherwise, by procedure. One of a procedure as such stands for the surgeons without an own."""
        found = {key: told for key, cell in self._cells.items() if (told := self._proposal(key, cell)) is not None}
        return tuple(found[key] for key in sorted(found))

    def ratio(self, cell: CellKey) -> Ratio | None:
        """What the cases of a cell tell; None for a cell without a case."""
        held = self._cells.get(cell)
        return held.ratio(self._options, self.sigma0) if held else None

    def _proposal(self, key: CellKey, cell: _Cell) -> Proposal | None:
        ratio = cell.ratio(self._options, self.sigma0)
        verdict = ratio.verdict()
        if verdict is None or cell.raised is None:
            return None
        booked = statistics.median(cell.booked)
        return Proposal(
            cell=key,
            direction=verdict[0],
            n=cell.n,
            booked_min=booked,
            typical_min=booked * ratio.typical,
            typical=Interval(*(booked * each for each in ratio.typical_interval())),
            next_case=Interval(*(booked * each for each in ratio.next_interval())),
            probability=verdict[1],
            proof=cell.raised.proof(),
        )
