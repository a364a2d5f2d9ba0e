"""The nightly constants: (k_p, k_s, κ) by prequential log score, σ0, and the columns of the regressors."""

import math
from dataclasses import replace
from itertools import product

import numpy as np
from scipy import special

from twin.durations.batch import Batch, Mask, Replay, replay
from twin.durations.closed_form import Constants, Floats, Law
from twin.durations.model import DurationModel
from twin.durations.regressors import Regressors, columns_of

LEAST_CASES = 500
"""Under it the defaults hold."""
SCORED_DAYS = 365.0
GRID = tuple(product((0.25, 0.5, 1.0, 2.0), (1.0, 3.0, 6.0, 12.0), (1.0, 3.0, 6.0, 12.0)))
"""(k_p, k_s, κ)."""
UNSEEN_WEIGHT = 50.0
"""Cases' worth of information in the default of `unseen` (guess)."""
WIDTH_SD = 0.3
"""Prior sd of what a column adds to the log variance (guess)."""
_SCORING_STEPS = 8
_MOST_CASES = 20_000
"""Newest cases that the grid is tried on."""


def estimated(model: DurationModel, batch: Batch, *, gaps: bool = False) -> DurationModel:
    """A model without history, with the constants and columns that these finished cases, in order, are best told by.

    Fold the cases into it afterwards: the statistics depend on the constants. `gaps`: see `columns_of`.
    """
    blank = replace(model, tallies={}, first_at=None, last_at=None, constants=Constants.default(model.options))
    columns = columns_of([case.features.covariates for case in batch.cases], model.options.scales, gaps=gaps)
    blank = replace(blank, regressors=Regressors.prior(columns))
    first = replay(blank, batch)
    constants = replace(blank.constants, sigma0=first.model.estimated_sigma0(), cases=len(batch))
    if len(batch) >= LEAST_CASES:
        unshifted = replace(batch, y=batch.y - first.shift)
        constants = _best(replace(blank, regressors=Regressors()), _newest(unshifted), constants)
        tuned = replay(blank.with_constants(constants), batch).model
        constants = replace(constants, sigma0=tuned.estimated_sigma0())
        told = replay(blank.with_constants(constants), batch)
        constants = replace(
            constants, unseen=_unseen(batch, told, constants.unseen), widths=_widths(batch, told, blank.regressors)
        )
    return blank.with_constants(constants)


def _unseen(batch: Batch, told: Replay, before: float) -> float:
    """How much wider the first cases of procedures are: a step of EM for the scale of a t, from what is said before.

    E[(ν + 1)z²/(ν + z²)] = 1 where the scale is right; a wild case counts at most ν + 1.
    """
    codes = batch.levels.procedure.codes
    first = np.unique(codes, return_index=True)[1]
    first = first[(codes[first] >= 0) & (batch.booked[first] > 0)]
    z2 = (batch.y[first] - told.law.loc[first]) ** 2 / told.law.spread[first]
    weighed = (told.law.nu[first] + 1.0) * z2 / (told.law.nu[first] + z2)
    return before * float(UNSEEN_WEIGHT + weighed.sum()) / (UNSEEN_WEIGHT + len(first))


def _widths(batch: Batch, told: Replay, regressors: Regressors) -> tuple[float, ...]:
    """What each column adds to the log variance, from what is said before: Fisher scoring of the t, shrunk to 0.

    Gradient ½Σx(w z² - 1) - δ/τ², information ½Σxx'ν/(ν + 3) + I/τ² (Lange, Little and Taylor 1989).
    """
    if not regressors.columns:
        return ()
    x = np.array([regressors.encoded(case.features.covariates) for case in batch.cases])
    nu, z2 = told.law.nu, (batch.y - told.law.loc) ** 2 / told.law.spread
    prior = np.eye(x.shape[1]) / WIDTH_SD**2
    information = (x * (nu / (nu + 3.0) / 2)[:, None]).T @ x + prior
    widths = np.zeros(x.shape[1])
    for _ in range(_SCORING_STEPS):
        own = z2 * np.exp(-x @ widths)
        score = x.T @ ((nu + 1.0) * own / (nu + own) - 1.0) / 2 - widths @ prior
        widths = widths + np.linalg.solve(information, score)
    return tuple(widths.tolist())


def log_scores(y: Floats, law: Law[Floats]) -> Floats:
    """Log density of ln minutes under each law, without the cut at 24 h."""
    z2 = (y - law.loc) ** 2 / law.spread
    half = (law.nu + 1.0) / 2.0
    constant = special.gammaln(half) - special.gammaln(law.nu / 2.0) - 0.5 * np.log(law.nu * math.pi * law.spread)
    return np.asarray(constant - half * np.log1p(z2 / law.nu))


def _best(blank: DurationModel, batch: Batch, start: Constants) -> Constants:
    scored = _scored(batch)
    tried = [replace(start, k_procedure=k_p, k_surgeon=k_s, kappa=kappa) for k_p, k_s, kappa in GRID]
    return max(tried, key=lambda each: _score(blank.with_constants(each), batch, scored))


def _score(model: DurationModel, batch: Batch, scored: Mask) -> float:
    return float(np.mean(log_scores(batch.y, replay(model, batch).law)[scored]))


def _newest(batch: Batch) -> Batch:
    return batch.take(np.arange(max(len(batch) - _MOST_CASES, 0), len(batch)))


def _scored(batch: Batch) -> Mask:
    """The cases of the last 12 months; the later half where the instants are not known."""
    instants = [case.at for case in batch.cases if case.at is not None]
    if len(instants) < len(batch):
        return np.arange(len(batch)) >= len(batch) // 2
    last = max(instants)
    return np.array([(last - at).total_seconds() <= SCORED_DAYS * 86_400 for at in instants])
