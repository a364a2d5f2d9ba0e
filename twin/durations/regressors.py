"""Regressors on ln minutes: x'γ with γ ~ N(0, .05²), x centered on the site, by recursive ridge (design: Durations).

A number is standardized and cut at ±3 sd; a category is one column for each value that enough cases told, centered on
the cases that told one. What is unknown of a case moves nothing: its x is 0, the mean of what is known. Only of a file
whose gaps tell something, that a value is missing may be a column as well.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from twin.durations.case import Covariate

Floats = NDArray[np.float64]
Covariates = tuple[tuple[str, Covariate], ...]
Scales = tuple[tuple[str, float, float], ...]
"""Name, center and scale of a number that are used instead of the site's mean and sd."""

PRIOR_SD = 0.05
_CUT_SD = 3.0
_LEAST_CASES = 10
"""A value seen in fewer cases has no column of its own."""
_MOST_VALUES = 30
_NOTHING: Floats = np.zeros(0)
_Z95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Column:
    """One regressor: a number (`value` None), a category's value, or that nothing is told (`value` "")."""

    name: str
    value: str | None
    center: float
    """Of the number its mean over the site; of a value its share of the cases that told one; of a gap its share."""
    scale: float = 1.0
    cases: int = 0
    """That told the number, or this value, when the column was made."""

    @property
    def label(self) -> str:
        """For a person: "bmi", "asa = 4", "bmi missing"."""
        return self.name if self.value is None else _label(self.name, self.value)

    def told(self, value: Covariate) -> float:
        """Its x where a case tells the number, or this value."""
        if isinstance(value, str):
            return 1.0 - self.center
        return min(max((value - self.center) / self.scale, -_CUT_SD), _CUT_SD)


@dataclass(frozen=True, slots=True)
class Effect:
    """What a value, or `per` more of a number, does to the minutes against the site's mean: a ratio, its 95 % interval.

    As `cases` told it; near 1 with a wide interval where they tell little.
    """

    name: str
    value: str | None
    per: float | None
    cases: int
    ratio: float
    low: float
    high: float

    @property
    def label(self) -> str:
        """For a person: "bmi + 5.2", "asa = 4"."""
        return f"{self.name} + {self.per:.3g}" if self.per is not None else _label(self.name, self.value or "")

    @property
    def text(self) -> str:
        """For a person: "asa = 4: +9 % [+4 to +14], 132 cases"."""
        middle, low, high = (f"{100 * (ratio - 1):+.0f}" for ratio in (self.ratio, self.low, self.high))
        return f"{self.label}: {middle} % [{low} to {high}], {self.cases} cases"


def _label(name: str, value: str) -> str:
    return f"{name} = {value}" if value else f"{name} missing"


def columns_of(rows: Sequence[Covariates], scales: Scales = (), *, gaps: bool = False) -> tuple[Column, ...]:
    """The columns that some cases can carry, estimated with the nightly constants; with `gaps` those of gaps too."""
    values: dict[str, list[Covariate]] = {}
    for row in rows:
        for name, value in row:
            values.setdefault(name, []).append(value)
    given, most = {name: (center, scale) for name, center, scale in scales}, len(rows) if gaps else 0
    return tuple(
        column
        for name in sorted(values)
        for column in (*_columns(name, values[name], given.get(name)), *_gap(name, len(values[name]), most))
    )


def _gap(name: str, told: int, cases: int) -> Iterable[Column]:
    missing = cases - told
    if _LEAST_CASES <= missing <= cases - _LEAST_CASES:
        yield Column(name, "", missing / cases, cases=missing)


def _columns(name: str, values: list[Covariate], scale: tuple[float, float] | None) -> Iterable[Column]:
    numbers = [value for value in values if isinstance(value, float)]
    if len(numbers) >= _LEAST_CASES:
        center, spread = float(np.mean(numbers)), float(np.std(numbers))
        if spread > 1e-9 * max(abs(center), 1.0):
            center, spread = scale or (center, spread)
            yield Column(name, None, center, spread, len(numbers))
    told = Counter(value for value in values if isinstance(value, str))
    for value, count in sorted(told.most_common(_MOST_VALUES)):
        if _LEAST_CASES <= count <= len(values) - _LEAST_CASES:
            yield Column(name, value, count / len(values), cases=count)


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of x, and where the values of a case go in it."""

    columns: tuple[Column, ...] = ()
    places: Mapping[tuple[str, str | None], int] = field(init=False, compare=False, repr=False)
    levels: Mapping[str, tuple[int, ...]] = field(init=False, compare=False, repr=False)
    """By name, the columns of its values."""
    untold: Floats = field(init=False, compare=False, repr=False)
    """x of a case of which nothing is told."""

    def __post_init__(self) -> None:
        places = {(column.name, column.value): place for place, column in enumerate(self.columns)}
        levels: dict[str, tuple[int, ...]] = {}
        for (name, value), place in places.items():
            if value:
                levels[name] = (*levels.get(name, ()), place)
        object.__setattr__(self, "places", places)
        object.__setattr__(self, "levels", levels)
        gaps = [1.0 - column.center if column.value == "" else 0.0 for column in self.columns]
        object.__setattr__(self, "untold", np.array(gaps, dtype=np.float64))

    def encoded(self, covariates: Covariates) -> Floats:
        """x of a case, one number a column."""
        x = self.untold.copy()
        for name, value in covariates:
            self._tell(x, name, value)
        return x

    def alone(self, name: str, value: Covariate) -> Floats:
        """x of one value, all the other names left out."""
        x = np.zeros(len(self.columns))
        self._tell(x, name, value)
        return x

    def _tell(self, x: Floats, name: str, value: Covariate) -> None:
        if isinstance(value, str) and value.isdecimal() and name not in self.levels and (name, None) in self.places:
            value = float(value)  # a class told as a category where a file told it as a number
        for place in self.levels.get(name, ()):
            x[place] = -self.columns[place].center
        if (gap := self.places.get((name, ""))) is not None:
            x[gap] = -self.columns[gap].center
        at = self.places.get((name, value if isinstance(value, str) else None))
        if at is not None:
            x[at] = self.columns[at].told(value)


@dataclass(frozen=True, slots=True, eq=False)
class Regressors:
    """γ and its covariance; the columns stay as they are until the next nightly estimate."""

    layout: Layout = field(default_factory=Layout)
    gamma: Floats = field(default_factory=lambda: _NOTHING)
    covariance: Floats = field(default_factory=lambda: np.zeros((0, 0)))

    @property
    def columns(self) -> tuple[Column, ...]:
        """The regressors, in the order of γ."""
        return self.layout.columns

    @classmethod
    def prior(cls, columns: tuple[Column, ...], sd: float = PRIOR_SD) -> "Regressors":
        """No case yet: no effect, ± 5 % or `sd`."""
        return cls(Layout(columns), np.zeros(len(columns)), np.eye(len(columns)) * sd**2)

    def __eq__(self, other: object) -> bool:
        """To the bit."""
        if not isinstance(other, Regressors):
            return NotImplemented
        return (
            self.columns == other.columns
            and np.array_equal(self.gamma, other.gamma)
            and np.array_equal(self.covariance, other.covariance)
        )

    def __hash__(self) -> int:
        return hash((self.columns, self.gamma.tobytes()))

    def encoded(self, covariates: Covariates) -> Floats:
        """x of a case, one number a column."""
        return self.layout.encoded(covariates) if self.layout.columns else _NOTHING

    def shift(self, covariates: Covariates) -> float:
        """x'γ: what the regressors add to ln minutes."""
        return self.shift_of(self.encoded(covariates)) if self.columns else 0.0

    def shift_of(self, x: Floats) -> float:
        """x'γ of an encoded case."""
        return float(x @ self.gamma) if self.columns else 0.0

    def shares(self, covariates: Covariates) -> tuple[tuple[str, Covariate, float], ...]:
        """What each known covariate of a case adds to ln minutes, the largest first: name, value, its part of x'γ."""
        parts = [(name, value, self.shift_of(self.layout.alone(name, value))) for name, value in covariates]
        return tuple(sorted((part for part in parts if part[2]), key=lambda part: -abs(part[2])))

    def updated(self, x: Floats, error: float, variance: float) -> "Regressors":
        """After a case whose y missed its loc by `error`, at predictive `variance`: one step of recursive ridge."""
        if not self.columns:
            return self
        direction = self.covariance @ x
        gain = direction / (variance + float(x @ direction))
        return Regressors(self.layout, self.gamma + gain * error, self.covariance - np.outer(gain, direction))

    def effects(self) -> tuple[Effect, ...]:
        """By column: a value against the site's mean, a number by one scale more."""
        return tuple(self._effect(column) for column in self.columns)

    def without_gaps(self) -> "Regressors":
        """The same where what is missing tells nothing: without the columns of gaps."""
        kept = [place for place, column in enumerate(self.columns) if column.value != ""]
        columns = tuple(self.columns[place] for place in kept)
        return Regressors(Layout(columns), self.gamma[kept], self.covariance[np.ix_(kept, kept)])

    def with_columns(self, columns: tuple[Column, ...]) -> "Regressors":
        """The same with columns more, of names that it does not know yet."""
        known = {column.name for column in self.columns}
        new = Regressors.prior(tuple(column for column in columns if column.name not in known))
        old, size = len(self.columns), len(self.columns) + len(new.columns)
        covariance = np.zeros((size, size))
        covariance[:old, :old], covariance[old:, old:] = self.covariance, new.covariance
        return Regressors(Layout((*self.columns, *new.columns)), np.concatenate([self.gamma, new.gamma]), covariance)

    def _effect(self, column: Column) -> Effect:
        x = self.layout.alone(column.name, column.center + column.scale if column.value is None else column.value)
        middle, sd = self.shift_of(x), math.sqrt(max(float(x @ self.covariance @ x), 0.0))
        low, high = middle - _Z95 * sd, middle + _Z95 * sd
        per = column.scale if column.value is None else None
        return Effect(column.name, column.value, per, column.cases, math.exp(middle), math.exp(low), math.exp(high))
