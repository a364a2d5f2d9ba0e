"""V2: the model against booked minutes, against booked x the surgeon's error law, and against one who knows G0."""

import numpy as np

from tests.experiments import Figure
from tests.experiments.g0 import noisy
from tests.experiments.prequential import Run
from twin.durations.closed_form import Floats
from twin.durations.evaluation.methods import BookedByError
from twin.durations.evaluation.splits import Block, Split
from twin.durations.scoring import LEVELS, crps

DRAWS = 600
WARM_UP = 500


def figures(seed: int, first: Run) -> list[Figure]:
    """CRPS ratios over one year."""
    actual = first.year.actual_min[WARM_UP:]
    model = crps(first.quantiles()[WARM_UP:], actual).mean()
    booked = np.abs(first.year.booked_min - first.year.actual_min)[WARM_UP:].mean()
    fair = crps(_fair(first), actual).mean()
    oracle = crps(_oracle(seed, first)[WARM_UP:], actual).mean()
    return [
        Figure("V2", "CRPS / booked", model / booked, high=0.65),
        Figure("V2", "CRPS / oracle", model / oracle, high=1.08),
        Figure("V2", "(fair - model)/(fair - oracle)", (fair - model) / (fair - oracle), low=0.50),
    ]


def _fair(first: Run) -> Floats:
    """Booked x the empirical error law, case after case."""
    number = np.arange(WARM_UP, len(first.batch))
    blocks = tuple(Block(np.array([each]), np.array([each])) for each in number)
    return BookedByError(first.batch).forecast(Split(np.arange(WARM_UP), blocks))


def _oracle(seed: int, first: Run) -> Floats:
    """Quantiles of G0's own law of each case."""
    rng = np.random.default_rng(seed + 77)
    year, parts = first.year, []
    for some in np.array_split(np.arange(len(year.center_min)), 20):
        draws = np.broadcast_to(year.center_min[some, None], (len(some), DRAWS))
        parts.append(np.quantile(noisy(rng, draws, year.cv[some, None]), LEVELS, axis=1).T)
    return np.concatenate(parts)
