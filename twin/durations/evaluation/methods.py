"""The methods that are compared. Each tells, for a split, the quantiles (cases x LEVELS, or x 1: a point)."""

import statistics
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from twin.durations.batch import Batch, Ints, replay
from twin.durations.challenger import LEAST_CASES, Challenger
from twin.durations.closed_form import Floats, Law
from twin.durations.estimate import estimated
from twin.durations.evaluation.splits import Split, folds_of
from twin.durations.model import DurationModel
from twin.durations.scoring import LEVELS, law_quantiles

_SURGEON_CASES = 200
_SURGEON_LEAST = 20
_SITE_CASES = 10_000


class Method(Protocol):
    """Predicts the cases of a split; NaN where it has nothing to go by."""

    def forecast(self, split: Split) -> Floats:
        """Quantiles of `split.predicted`, minutes."""


def _point(minutes: Sequence[float]) -> Floats:
    return np.array(minutes, dtype=np.float64)[:, None]


@dataclass(frozen=True, slots=True)
class Booked:
    """The booked minutes as they are."""

    batch: Batch

    def forecast(self, split: Split) -> Floats:
        """One column: all quantiles the same."""
        return _point([self.batch.cases[each].features.booked_min or np.nan for each in split.predicted.tolist()])


@dataclass(frozen=True, slots=True)
class BookedByError:
    """Booked minutes x the law of actual/booked: the surgeon's last 200 cases, the site's under 20."""

    batch: Batch

    def forecast(self, split: Split) -> Floats:
        """Empirical quantiles of the ratio, times what is booked."""
        law = _Ratios()
        law.learn(self.batch, split.known)
        parts = []
        for block in split.blocks:
            parts += [law.quantiles(self.batch, each) for each in block.predicted.tolist()]
            law.learn(self.batch, block.learned)
        return np.array(parts)


@dataclass(slots=True)
class _Ratios:
    """ln actual/booked so far, by surgeon ("": the site), and their quantiles until more is learned."""

    logs: dict[str, deque[float]] = field(default_factory=dict)
    cache: dict[str, Floats] = field(default_factory=dict)

    def learn(self, batch: Batch, cases: Ints) -> None:
        for each in cases.tolist():
            if batch.booked[each]:
                ratio = float(batch.y[each] - batch.log_booked[each])
                for whose in {"", batch.cases[each].features.surgeon or ""}:
                    most = _SURGEON_CASES if whose else _SITE_CASES
                    self.logs.setdefault(whose, deque(maxlen=most)).append(ratio)
                    self.cache.pop(whose, None)

    def quantiles(self, batch: Batch, case: int) -> Floats:
        features = batch.cases[case].features
        whose = features.surgeon or ""
        if len(self.logs.get(whose, ())) < _SURGEON_LEAST:
            whose = ""
        if whose not in self.cache:
            logs = self.logs.get(whose)
            self.cache[whose] = np.exp(np.quantile(logs, LEVELS)) if logs else np.full(len(LEVELS), np.nan)
        return self.cache[whose] * (features.booked_min or np.nan)


@dataclass(frozen=True, slots=True)
class Median:
    """The median of earlier cases of the same procedure, or procedure and surgeon, falling back level by level."""

    batch: Batch
    by_surgeon: bool = False

    def forecast(self, split: Split) -> Floats:
        """One column: all quantiles the same."""
        groups = _Groups([self._keys(number) for number in range(len(self.batch))], np.exp(self.batch.y))
        groups.learn(split.known)
        parts: list[float] = []
        for block in split.blocks:
            parts += [groups.median(each) for each in block.predicted.tolist()]
            groups.learn(block.learned)
        return _point(parts)

    def _keys(self, number: int) -> list[tuple[str, ...]]:
        features = self.batch.cases[number].features
        keys: list[tuple[str, ...]] = []
        if features.procedure and features.surgeon and self.by_surgeon:
            keys.append((features.procedure, features.surgeon))
        if features.procedure:
            keys.append((features.procedure,))
        return [*keys, ()]


@dataclass(slots=True)
class _Groups:
    """Minutes by group; a median is kept until its group grows."""

    keys: list[list[tuple[str, ...]]]
    minutes: Floats
    groups: dict[tuple[str, ...], list[float]] = field(default_factory=lambda: defaultdict(list))
    cache: dict[tuple[str, ...], float] = field(default_factory=dict)

    def learn(self, cases: Ints) -> None:
        for each in cases.tolist():
            for key in self.keys[each]:
                self.groups[key].append(float(self.minutes[each]))
                self.cache.pop(key, None)

    def median(self, case: int) -> float:
        key = next((key for key in self.keys[case] if key in self.groups), None)
        if key is None:
            return float("nan")
        if key not in self.cache:
            self.groups[key].sort()
            self.cache[key] = statistics.median(self.groups[key])
        return self.cache[key]


@dataclass(frozen=True, slots=True, eq=False)
class ModelRun:
    """The closed form on a split."""

    model: DurationModel
    """Without history, its constants estimated on the known cases."""
    known: int
    law: Law[Floats]
    """Of the predicted cases."""

    @classmethod
    def of(cls, batch: Batch, split: Split, blank: DurationModel) -> "ModelRun":
        """Constants from the known cases only, then one fold over everything in order."""
        model = estimated(blank, batch.take(split.known), gaps=True)
        parts, learned = [split.known], [np.ones(len(split.known), np.bool_)]
        for block in split.blocks:
            parts += [block.predicted, block.learned]
            learned += [np.zeros(len(block.predicted), np.bool_), np.ones(len(block.learned), np.bool_)]
        mask = np.concatenate(learned)
        law = replay(model, batch.take(np.concatenate(parts)), mask).law
        return cls(model, len(split.known), Law(*(column[~mask] for column in law)))


class Runs:
    """The closed form on a split, made once for the methods that ask for the same one in turn."""

    def __init__(self, batch: Batch, blank: DurationModel) -> None:
        self.batch = batch
        self.upper_min = blank.options.upper_min
        self._blank = blank
        self._last: tuple[Split, ModelRun] | None = None

    def of(self, split: Split) -> ModelRun:
        """The run on a split."""
        if self._last is None or self._last[0] is not split:
            self._last = split, ModelRun.of(self.batch, split, self._blank)
        return self._last[1]


@dataclass(frozen=True, slots=True)
class Model:
    """The closed form, its constants estimated on the known cases."""

    runs: Runs

    def forecast(self, split: Split) -> Floats:
        """Quantiles of the predictive laws, cut at 24 h."""
        return _closed(self.runs.of(split), self.runs.upper_min)


@dataclass(frozen=True, slots=True)
class Challenged:
    """The challenger, trained on the known cases; where they are too few, the closed form itself."""

    runs: Runs

    def forecast(self, split: Split) -> Floats:
        """Quantiles of the boosters, and of the closed form's law before they can be trained."""
        run, batch = self.runs.of(split), self.runs.batch
        if run.known < LEAST_CASES:
            return _closed(run, self.runs.upper_min)
        known = batch.take(split.known)
        challenger = Challenger.trained(known, held_out(run.model, known))
        return challenger.quantiles(batch.take(split.predicted), run.law, self.runs.upper_min)


def _closed(run: ModelRun, upper_min: float) -> Floats:
    return law_quantiles(run.law.loc, np.sqrt(run.law.spread), run.law.nu, upper_min)


def held_out(model: DurationModel, batch: Batch, folds: int = 5) -> Law[Floats]:
    """The law of each case by a fold over the other cases, a fifth of them left out at a time."""
    columns = [np.empty(len(batch)) for _ in Law._fields]
    for split in folds_of(len(batch), folds=folds, seed=0):
        out = split.predicted
        mask = np.ones(len(batch), np.bool_)
        mask[out] = False
        order = np.concatenate([np.flatnonzero(mask), out])
        law = replay(model, batch.take(order), mask[order]).law
        for column, found in zip(columns, law, strict=True):
            column[out] = found[-len(out) :]
    return Law(*columns)
