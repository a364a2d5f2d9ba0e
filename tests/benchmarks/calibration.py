"""Learning a year of 17,000 cases, against LightGBM quantiles on the same cases, one core each; and one more, online.

Both learn from columns that are in memory. The known answer: on the last fifth of the year, each trained on the rest,
the pinball loss of the closed form is no worse. `python -m tests.benchmarks.calibration [--json]`.
"""

import sys
import time
from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from tests.benchmarks import Row
from tests.experiments.g0 import Year, year
from twin.durations.batch import Batch, replay
from twin.durations.case import FinishedCase
from twin.durations.closed_form import Floats
from twin.durations.distribution import DAY_MIN, student_quantiles
from twin.durations.estimate import estimated
from twin.durations.model import DurationModel

if TYPE_CHECKING:
    from lightgbm import Booster

LEVELS = np.linspace(0.05, 0.95, 19)
LEAST_RATIO, MOST_UPDATE_US = 150.0, 50.0
UNIT = "cases learned"
_ROUNDS = 300
_SETTINGS = {
    "objective": "quantile", "learning_rate": 0.05, "num_leaves": 31, "min_data_in_leaf": 20, "seed": 0,
    "deterministic": True, "force_col_wise": True, "num_threads": 1, "verbosity": -1,
}  # fmt: skip


def run() -> list[Row]:
    """Speeds in one run; AssertionError where a mark is missed."""
    made = year(0)
    cases = made.finished()
    batch, model = Batch.of(cases), DurationModel()
    ours, theirs = _losses(made, batch)
    assert ours <= theirs, f"pinball {ours:.3f} is worse than {theirs:.3f}"
    peer = _best(lambda: _boosted(made, len(cases)), rounds=1)
    columns = _best(lambda: replay(model, batch), rounds=9)
    records = _best(lambda: replay(model, Batch.of(cases)), rounds=5)
    update = _update_s(replay(model, batch).model, cases[:2000])
    assert peer / columns >= LEAST_RATIO, f"{peer / columns:.0f} times is under {LEAST_RATIO:.0f} times"
    assert update * 1e6 <= MOST_UPDATE_US, f"an update takes {update * 1e6:.0f} µs"
    speeds = {
        f"closed form, pinball {ours:.3f} min": columns / len(cases),
        "closed form, from records of cases": records / len(cases),
        f"closed form, one online update ({update * 1e6:.0f} µs)": update,
        f"LightGBM, {len(LEVELS)} quantiles, {theirs:.3f} min (peer)": peer / len(cases),
    }
    return [Row("calibration", name, 1 / s, unit=UNIT, ratio=peer / len(cases) / s) for name, s in speeds.items()]


def _losses(made: Year, batch: Batch) -> tuple[float, float]:
    """Mean pinball loss on the last fifth of the year: the closed form's, case after case, and LightGBM's."""
    known = len(batch) * 4 // 5
    model = estimated(DurationModel(), batch.take(np.arange(known)))
    learned = np.arange(len(batch)) < known  # the boosters don't learn on the way either
    law = replay(model, batch, learned).law
    ours = student_quantiles(LEVELS, law.loc, np.sqrt(law.spread), df=law.nu, upper_min=DAY_MIN)[known:]
    boosters = _boosted(made, known)
    features = _features(made)[known:]
    theirs = np.array([booster.predict(features) for booster in boosters], dtype=np.float64).T
    actual = made.actual_min[known:]
    return _pinball(ours, actual), _pinball(np.exp(np.sort(theirs, axis=1)), actual)


def _features(made: Year) -> Floats:
    at = np.arange(len(made.procedure)) / len(made.procedure)
    return np.column_stack([made.procedure, made.surgeon, made.specialty, np.log(made.booked_min), at])


def _boosted(made: Year, count: int) -> list["Booster"]:
    import lightgbm

    features, target = _features(made)[:count], np.log(made.actual_min[:count])
    quiet = {"verbosity": -1}
    return [
        lightgbm.train(
            {**_SETTINGS, "alpha": float(level)},
            lightgbm.Dataset(features, target, categorical_feature=[0, 1, 2], params=quiet),
            _ROUNDS,
        )
        for level in LEVELS
    ]


def _pinball(quantiles: Floats, actual: Floats) -> float:
    missed = actual[:, None] - quantiles
    return float(np.mean(np.maximum(LEVELS * missed, (LEVELS - 1) * missed)))


def _update_s(model: DurationModel, cases: list[FinishedCase]) -> float:
    """Seconds of one more case in a model that knows a year, the median."""
    times = [time.perf_counter()]
    for case in cases:
        model = model.learn(case.features, case.actual_min, case.at)
        times.append(time.perf_counter())
    return float(np.median([later - earlier for earlier, later in pairwise(times)]))


def _best(work: Callable[[], object], *, rounds: int) -> float:
    """The shortest of some rounds, seconds."""
    taken = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return min(taken)


if __name__ == "__main__":
    from tests.benchmarks.__main__ import alone

    sys.exit(alone(run, sys.argv[1:]))
