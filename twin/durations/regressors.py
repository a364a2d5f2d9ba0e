"""Regressors on ln minutes: x'γ with γ ~ N(0, .05²), x centered on the site, by recursive ridge (design: Durations).

A number is standardized and cut at ±3 sd; a category is one column for each value with enough cases; where some rows
lack a number, that it is missing is a column too. What is unknown counts as the site's mean: no effect.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from twin.durations.case import Covariate

Floats = NDArray[np.float64]
Covariates = tuple[tuple[str, Covariate], ...]

PRIOR_SD = 0.05
_CUT_SD = 3.0
_LEAST_CASES = 10
"""A value seen in fewer cases has no column of its own."""
_MOST_VALUES = 30
_NOTHING: Floats = np.zeros(0)


@dataclass(frozen=True, slots=True)
class Column:
    """One regressor: a number (`value` None), a category's value, or that the number is missing (`value` "")."""

    name: str
    value: str | None
    center: float
    """Mean over the site: of the number, or share of the cases."""
    scale: float = 1.0

    @property
    def label(self) -> str:
        """For a person: "bmi", "asa = 4", "bmi missing"."""
        if self.value is None:
            return self.name
        return f"{self.name} = {self.value}" if self.value else f"{self.name} missing"


def columns_of(rows: Sequence[Covariates]) -> tuple[Column, ...]:
    """The columns that some cases can carry, estimated with the nightly constants."""
    values: dict[str, list[Covariate]] = {}
    for row in rows:
        for name, value in row:
            values.setdefault(name, []).append(value)
    return tuple(column for name in sorted(values) for column in _columns(name, values[name], len(rows)))


def _columns(name: str, values: list[Covariate], cases: int) -> Iterable[Column]:
    numbers = [value for value in values if isinstance(value, float)]
    if len(numbers) >= _LEAST_CASES:
        center, scale = float(np.mean(numbers)), float(np.std(numbers))
        if scale > 1e-9 * max(abs(center), 1.0):
            yield Column(name, None, center, scale)
    missing = cases - len(numbers)
    if numbers and _LEAST_CASES <= missing <= cases - _LEAST_CASES:
        yield Column(name, "", missing / cases)
    told = Counter(value for value in values if isinstance(value, str))
    for value, count in sorted(told.most_common(_MOST_VALUES)):
        if _LEAST_CASES <= count <= cases - _LEAST_CASES:
            yield Column(name, value, count / cases)


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of x, where the values of a case go in it, and x of a case of which nothing is told."""

    columns: tuple[Column, ...] = ()
    places: Mapping[tuple[str, str | None], int] = field(init=False, compare=False, repr=False)
    untold: Floats = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        places = {(column.name, column.value): place for place, column in enumerate(self.columns)}
        object.__setattr__(self, "places", places)
        object.__setattr__(self, "untold", np.array([_untold(column) for column in self.columns], dtype=np.float64))

    def encoded(self, covariates: Covariates) -> Floats:
        """x of a case, one number a column."""
        x = self.untold.copy()
        for name, value in covariates:
            if isinstance(value, float):
                self._set_number(x, name, value)
            elif (place := self.places.get((name, value))) is not None:
                x[place] = 1.0 - self.columns[place].center
        return x

    def _set_number(self, x: Floats, name: str, value: float) -> None:
        place, missing = self.places.get((name, None)), self.places.get((name, ""))
        if place is not None:
            column = self.columns[place]
            x[place] = min(max((value - column.center) / column.scale, -_CUT_SD), _CUT_SD)
        if missing is not None:
            x[missing] = -self.columns[missing].center


def _untold(column: Column) -> float:
    return 0.0 if column.value is None else (1.0 if column.value == "" else 0.0) - column.center


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
    def prior(cls, columns: tuple[Column, ...]) -> "Regressors":
        """No case yet: no effect, ± 5 %."""
        return cls(Layout(columns), np.zeros(len(columns)), np.eye(len(columns)) * PRIOR_SD**2)

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

    def updated(self, x: Floats, error: float, variance: float) -> "Regressors":
        """After a case whose y missed its loc by `error`, at predictive `variance`: one step of recursive ridge."""
        if not self.columns:
            return self
        direction = self.covariance @ x
        gain = direction / (variance + float(x @ direction))
        return replace(self, gamma=self.gamma + gain * error, covariance=self.covariance - np.outer(gain, direction))

    def effects(self) -> list[tuple[str, float, float, float]]:
        """By column: label, ratio of the minutes (of one sd of a number) and its 95 % interval."""
        sd = np.sqrt(np.diagonal(self.covariance))
        return [
            (column.label, math.exp(g), math.exp(g - 1.96 * s), math.exp(g + 1.96 * s))
            for column, g, s in zip(self.columns, self.gamma, sd, strict=True)
        ]
