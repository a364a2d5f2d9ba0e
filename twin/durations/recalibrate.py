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
class BookedCase:
    """What one finished case says about its booking. Minutes, both positive and of the same interval."""


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


@dataclass(slots=True)
class _Cell:
    n: int = 0
    mean: float = 0.0
    squares: float = 0.0
    booked: deque[float] = field(default_factory=lambda: deque(maxlen=_RECENT))
    raised: _Raised | None = None

    def add(self, case: BookedCase, options: DurationOptions) -> None:
        if self.raised is not None:
            self.raised.judge(case)
        self.n += 1
        value = math.log(case.actual_min / case.booked_min)
        away = value - self.mean
        self.mean += away / self.n
        self.squares += away * (value - self.mean)
        self.booked.append(case.booked_min)
        if self.raised is None and self.ratio(options).verdict():
            self.raised = _Raised(self.ratio(options).typical)

    def ratio(self, options: DurationOptions) -> Ratio:
        nu0 = options.nu0
        s = math.sqrt((nu0 * options.sigma0**2 + self.squares) / (nu0 + self.n))
        return Ratio(self.n, self.mean, s, options.kappa)


class Recalibration:
    """A fold of finished cases and of decisions, in the order in which they came."""

    def __init__(self, options: DurationOptions | None = None) -> None:
        self._options = options or DurationOptions()
        self._cells: dict[CellKey, _Cell] = {}

    def learn(self, cases: Iterable[BookedCase]) -> None:
        """More finished cases. One whose minutes aren't both positive says nothing of its booking."""
        for case in cases:
            if case.booked_min > 0 and case.actual_min > 0:
                for key in {CellKey(case.procedure, case.surgeon or ""), CellKey(case.procedure)}:
                    self._cells.setdefault(key, _Cell()).add(case, self._options)

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
        return held.ratio(self._options) if held else None

    def _proposal(self, key: CellKey, cell: _Cell) -> Proposal | None:
        ratio = cell.ratio(self._options)
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


def habit_of(log_ratios: Sequence[float], options: DurationOptions, sigma0: float | None = None) -> Habit:
    """The habit of a cell from ln(actual/booked) of its finished cases; `sigma0`: the site's, else the default."""
    n = len(log_ratios)
    weight = n + options.kappa
    mean = math.fsum(log_ratios) / n if n else 0.0
    squares = math.fsum((each - mean) ** 2 for each in log_ratios)
    prior = options.sigma0 if sigma0 is None else sigma0
    sd = math.sqrt((options.nu0 * prior * prior + squares) / (options.nu0 + max(n - 1, 0)))
    return Habit(n, n * mean / weight, weight, sd)
