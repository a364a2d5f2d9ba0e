"""The closed form on a year, each case predicted before it is learned, constants estimated anew each quarter."""

import math
from dataclasses import dataclass, replace

import numpy as np

from tests.experiments.g0 import Year, year
from twin.durations.batch import Batch, Ints, replay
from twin.durations.case import FinishedCase
from twin.durations.closed_form import Floats, Law
from twin.durations.distribution import DAY_MIN
from twin.durations.estimate import estimated
from twin.durations.model import DurationModel
from twin.durations.scoring import law_quantiles


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """A year and the law that each case had before it was known."""

    year: Year
    batch: Batch
    law: Law[Floats]
    unbooked: Law[Floats]
    """The same without the booked minutes, of the first case of each procedure."""
    first: Ints
    """The first case of each procedure."""
    pair_cases: Ints
    """Earlier cases of the procedure by the surgeon."""

    def quantiles(self) -> Floats:
        """Quantiles of the laws (cases x LEVELS)."""
        return quantiles_of(self.law)


def quantiles_of(law: Law[Floats]) -> Floats:
    """Quantiles of laws (cases x LEVELS), minutes."""
    return law_quantiles(law.loc, np.sqrt(law.spread), law.nu, DAY_MIN)


def run(seed: int) -> Run:
    """A year of G0, predicted."""
    made = year(seed)
    batch = Batch.of(made.finished())
    first = np.unique(made.procedure, return_index=True)[1]
    first.sort()
    stripped = [replace(batch.cases[n], features=replace(batch.cases[n].features, booked_min=None)) for n in first]
    parts, unbooked = [], []
    blank = DurationModel(prior_loc=math.log(float(np.median(made.booked_min))))
    quarter = len(batch) // 4
    for start in range(0, 4 * quarter, quarter):
        end = len(batch) if start == 3 * quarter else start + quarter
        model = estimated(blank, batch.take(np.arange(start))) if start else blank
        parts.append([column[start:] for column in replay(model, batch.take(np.arange(end))).law])
        unbooked.append(_without_booking(model, batch, stripped, first, within=(start, end)))
    law = Law(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
    bare = Law(*(np.concatenate(columns) for columns in zip(*unbooked, strict=True)))
    return Run(made, batch, law, bare, first, _earlier(batch.levels.pair.codes))


def _without_booking(
    model: DurationModel, batch: Batch, stripped: list[FinishedCase], first: Ints, *, within: tuple[int, int]
) -> Law[Floats]:
    """Laws of the first cases inside a stretch, each just before it is learned."""
    start, end = within
    inside = [place for place, number in enumerate(first.tolist()) if start <= number < end]
    cases: list[FinishedCase] = []
    learned: list[bool] = []
    wanted = {int(first[place]): stripped[place] for place in inside}
    for number in range(end):
        if number in wanted:
            cases.append(wanted[number])
            learned.append(False)
        cases.append(batch.cases[number])
        learned.append(True)
    mask = np.array(learned)
    law = replay(model, Batch.of(cases), mask).law
    return Law(*(column[~mask] for column in law))


def _earlier(codes: Ints) -> Ints:
    """How often each case's group came before it."""
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.diff(codes[order], prepend=-2))
    ranks = np.arange(len(codes)) - np.repeat(starts, np.diff(starts, append=len(codes)))
    found = np.empty_like(ranks)
    found[order] = ranks
    return found
