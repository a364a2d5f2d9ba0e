"""Many cases at once: the fold of the closed form in arrays, equal to the bit to one case after the other."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from twin.durations.case import CaseFeatures, FinishedCase
from twin.durations.closed_form import (
    MOST_HALF_LIVES,
    WINSOR_Z,
    Evidence,
    Floats,
    Law,
    grains_of,
    inflation,
    law_of,
    spread_of,
)
from twin.durations.model import (
    BIAS,
    DAY_S,
    NO_TALLY,
    SITE,
    DurationModel,
    Key,
    Tally,
    days_between,
    latest_of,
    log_booked,
    pair_key,
    procedure_key,
    specialty_key,
    surgeon_bias_key,
)

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]
_ROUNDS = 40
"""Rounds of winsorising before the fold is made case by case."""


@dataclass(frozen=True, slots=True, eq=False)
class Level:
    """The groups of one level: their keys and, by case, the group's number (-1: none)."""

    keys: tuple[Key, ...]
    codes: Ints

    @classmethod
    def of(cls, keys: Sequence[Key | None]) -> Self:
        numbers: dict[Key, int] = {}
        codes = [-1 if key is None else numbers.setdefault(key, len(numbers)) for key in keys]
        return cls(tuple(numbers), np.array(codes, dtype=np.int64))

    def take(self, index: Ints) -> "Level":
        """The level of some of the cases."""
        return Level(self.keys, self.codes[index])


class Levels(NamedTuple):
    """The six levels that keep sums."""

    site: Level
    specialty: Level
    procedure: Level
    pair: Level
    bias: Level
    surgeon_bias: Level


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Cases in columns. The minutes of a case that is only predicted may be anything positive."""

    cases: tuple[FinishedCase, ...]
    levels: Levels
    y: Floats
    booked: Floats
    log_booked: Floats

    @classmethod
    def of(cls, cases: Sequence[FinishedCase]) -> Self:
        """Columns of cases, in their order."""
        features = [case.features for case in cases]
        booked = [log_booked(each) for each in features]
        site, bias = (np.zeros(len(cases), np.int64), np.array([-(value is None) for value in booked], np.int64))
        levels = Levels(
            Level((SITE,), site),
            _level(features, specialty_key),
            _level(features, procedure_key),
            _level(features, pair_key),
            Level((BIAS,), bias),
            Level.of(
                [None if value is None else surgeon_bias_key(f) for f, value in zip(features, booked, strict=True)]
            ),
        )
        logs = np.array([value or 0.0 for value in booked])
        return cls(
            tuple(cases), levels, np.array([math.log(c.actual_min) for c in cases]), np.asarray(bias + 1.0), logs
        )

    def __len__(self) -> int:
        return len(self.cases)

    def take(self, index: Ints) -> "Batch":
        """Some of the cases, in another order too."""
        cases = tuple(self.cases[each] for each in index.tolist())
        levels = Levels(*(level.take(index) for level in self.levels))
        return Batch(cases, levels, self.y[index], self.booked[index], self.log_booked[index])


@dataclass(frozen=True, slots=True, eq=False)
class Replay:
    """The law of every case as it was predicted, regressors included, and the model after all of them."""

    law: Law[Floats]
    shift: Floats
    """What the regressors added to loc."""
    model: DurationModel


def replay(model: DurationModel, batch: Batch, learned: Mask | None = None) -> Replay:
    """Predict each case and then learn it, in order; cases that are not `learned` are only predicted."""
    mask = np.ones(len(batch), np.bool_) if learned is None else learned
    if model.regressors.columns:
        return _stepwise(model, batch, mask)
    return _at_once(model, batch, mask) or _stepwise(model, batch, mask)


def _level(features: Sequence[CaseFeatures], key: Callable[[CaseFeatures], Key | None]) -> Level:
    return Level.of([key(each) for each in features])


def _stepwise(model: DurationModel, batch: Batch, learned: Mask) -> Replay:
    model = replace(model, tallies=dict(model.tallies))
    laws, shifts = [], []
    for case, is_learned in zip(batch.cases, learned.tolist(), strict=True):
        if is_learned:
            law, shift, model = model.step(case)
        else:
            law, shift = model.law(case.features, case.at)
        laws.append(law)
        shifts.append(shift)
    columns = [np.array(column) for column in zip(*laws, strict=True)] if laws else [np.zeros(0)] * len(Law._fields)
    return Replay(Law(*columns), np.array(shifts), model)


@dataclass(frozen=True, slots=True, eq=False)
class _Sums:
    """Running sums over the groups of a level, from what the model knows already."""

    level: Level
    order: Ints
    starts: Ints
    lengths: Ints
    known: tuple[Tally, ...]

    @classmethod
    def of(cls, level: Level, model: DurationModel) -> "_Sums":
        order = np.argsort(level.codes, kind="stable")
        codes = level.codes[order]
        starts = np.flatnonzero(np.diff(codes, prepend=-2))
        lengths = np.diff(starts, append=len(codes))
        return cls(level, order, starts, lengths, tuple(model.tallies.get(key, NO_TALLY) for key in level.keys))

    def before(self, values: Floats, known: Floats) -> Floats:
        """Sum of a group's values before each case; 0 where it is in no group."""
        ordered = values[self.order]
        sums = np.cumsum(ordered) - ordered
        found = np.empty_like(sums)
        found[self.order] = sums - np.repeat(sums[self.starts], self.lengths)
        inside = self.level.codes >= 0
        return np.where(inside, found + known[self.level.codes], 0.0) if len(known) else np.zeros_like(found)

    def column(self, name: str) -> Floats:
        return np.array([getattr(tally, name) for tally in self.known], dtype=np.float64)

    def after(self, values: Floats, name: str) -> Floats:
        """By group: the sum with all its values."""
        inside = self.level.codes >= 0
        return self.column(name) + np.bincount(self.level.codes[inside], values[inside], minlength=len(self.level.keys))


def _at_once(model: DurationModel, batch: Batch, learned: Mask) -> Replay | None:
    """By arrays; None where winsorising does not settle."""
    weights, model = _weights(model, batch, learned)
    kept = np.where(learned, weights, 0.0)
    sums = [_Sums.of(level, model) for level in batch.levels]
    counts = [each.before(kept, each.column("n")) / weights for each in sums]
    y = batch.y
    for _ in range(_ROUNDS):
        law, values, squares = _laws(model, batch, (sums, counts), y=y, kept=kept, weights=weights)
        reach = WINSOR_Z * np.sqrt(law.spread)
        cut = np.where(learned, np.minimum(np.maximum(batch.y, law.loc - reach), law.loc + reach), y)
        if np.array_equal(cut, y):
            return Replay(
                law, np.zeros(len(batch)), _grown(model, sums, (kept, learned), values=values, squares=squares)
            )
        y = cut
    return None


def _laws(
    model: DurationModel,
    batch: Batch,
    groups: tuple[list[_Sums], list[Floats]],
    *,
    y: Floats,
    kept: Floats,
    weights: Floats,
) -> tuple[Law[Floats], list[Floats], Floats]:
    """Law of each case for minutes winsorised so far, and the values and squares that it adds to its levels."""
    sums, (site_n, specialty_n, procedure_n, pair_n, bias_n, surgeon_n) = groups
    value, error = grains_of(kept * y), grains_of(kept * (y - batch.log_booked))
    values = [value] * 4 + [error] * 2
    site, specialty, procedure, pair, bias, surgeon = (
        each.before(added, each.column("total")) / weights for each, added in zip(sums, values, strict=True)
    )
    evidence = Evidence(
        site_n, site, specialty_n, specialty, procedure_n, procedure, np.zeros_like(y), pair_n, pair,
        bias_n, bias, surgeon_n, surgeon, batch.booked, batch.log_booked,
    )  # fmt: skip
    law = law_of(evidence, model.prior_loc, model.options.nu0, constants=model.constants)
    missed = y - law.loc
    squares = grains_of(kept * (missed * missed / (1.0 + 1.0 / law.weight)))
    seen = sums[2].before(squares, sums[2].column("squares")) / weights
    evidence = evidence._replace(procedure_squares=seen)
    variance, spread = spread_of(evidence, model.options.nu0, law.weight, constants=model.constants)
    return law._replace(variance=variance, spread=spread), values, squares


def _weights(model: DurationModel, batch: Batch, learned: Mask) -> tuple[Floats, DurationModel]:
    """Inflation of each case at its instant, and the model with its first and last instants moved on."""
    first, last, half_life = model.first_at, model.last_at, model.options.half_life_days
    instants = [case.at for case in batch.cases]
    if first is None and not any(instants):
        return np.ones(len(batch)), model
    if learned.all() and last is None and all(instants):
        return _in_order([at for at in instants if at is not None], model)
    weights = []
    for at, is_learned in zip(instants, learned.tolist(), strict=True):
        if is_learned and at is not None:
            first, last = first or at, latest_of(last, at)
        weights.append(1.0 if first is None else inflation(days_between(first, at or last), half_life))
    return np.array(weights, dtype=np.float64), replace(model, first_at=first, last_at=last)


def _in_order(instants: list[datetime], model: DurationModel) -> tuple[Floats, DurationModel]:
    """The same for a whole history, every case of it dated."""
    grown = _growth(tuple(instants), model.options.half_life_days)
    return grown, replace(model, first_at=instants[0], last_at=max(instants))


@lru_cache(maxsize=2)
def _growth(instants: tuple[datetime, ...], half_life_days: float) -> Floats:
    """Inflation at each instant since the first: the same for every set of constants that is tried on a history."""
    days = [(at - instants[0]).total_seconds() / DAY_S for at in instants]
    weights = grains_of(np.array([math.exp2(min(max(each, 0.0) / half_life_days, MOST_HALF_LIVES)) for each in days]))
    weights.flags.writeable = False
    return weights


def _grown(
    model: DurationModel, sums: list[_Sums], kept: tuple[Floats, Mask], *, values: list[Floats], squares: Floats
) -> DurationModel:
    """The model with the sums of all cases that were learned."""
    weights, learned = kept
    tallies = dict(model.tallies)
    for number, (each, added) in enumerate(zip(sums, values, strict=True)):
        n, total = each.after(weights, "n"), each.after(added, "total")
        scored = each.after(squares, "squares") if number == 2 else each.column("squares")
        cases = each.after(np.asarray(learned * 1.0), "cases").astype(np.int64)
        rows = zip(each.level.keys, n.tolist(), total.tolist(), scored.tolist(), cases.tolist(), strict=True)
        tallies |= {key: Tally(*row) for key, *row in rows if row[-1]}
    return replace(model, tallies=tallies)
