"""The optional challenger of the closed form (extra `ml`): gradient boosting of its error's quantiles.

It is trained off-line on finished cases; the closed form's own prediction, made without the case, is among its
features. It never predicts in the live twin unless a person adopts it.
"""

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

from twin.durations.batch import Batch
from twin.durations.closed_form import Floats, Law
from twin.durations.scoring import LEVELS
from twin.errors import SettingsError

if TYPE_CHECKING:
    from lightgbm import Booster

LEAST_CASES = 200
"""Under it there is nothing for it to find."""
TRAINED = np.array([0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95])
_ROUNDS = 200
_SETTINGS: Mapping[str, Any] = {
    "objective": "quantile",
    "learning_rate": 0.05,
    "num_leaves": 15,
    "min_data_in_leaf": 20,
    "feature_fraction": 0.7,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "cat_smooth": 20.0,
    "max_bin": 127,
    "seed": 0,
    "deterministic": True,
    "force_col_wise": True,
    "num_threads": 1,
    "verbosity": -1,
}
_LEAST_IN_CATEGORY = 5
_MOST_CATEGORIES = 250
_WORKERS = 2
_HELD_OUT = 4
"""One case in four."""
_SHIFT_PRIOR = 50.0


def installed() -> bool:
    """The extra `ml` is there."""
    return find_spec("lightgbm") is not None


@dataclass(frozen=True, slots=True)
class Encoding:
    """Number of each category of a feature, most frequent first; what is rare or unseen has none."""

    name: str
    numbers: Mapping[Hashable, int] | None
    """None: the feature is a number."""

    @classmethod
    def of(cls, name: str, values: Sequence[object]) -> "Encoding":
        if any(isinstance(value, float) for value in values):
            return cls(name, None)
        counts = Counter(value for value in values if value is not None)
        kept = [value for value, count in counts.most_common(_MOST_CATEGORIES) if count >= _LEAST_IN_CATEGORY]
        return cls(name, {value: number for number, value in enumerate(kept)})

    def column(self, values: Sequence[object]) -> Floats:
        """As numbers, NaN where missing."""
        if self.numbers is None:
            return np.array([value if isinstance(value, float) else np.nan for value in values])
        return np.array([self.numbers.get(value, np.nan) for value in values], dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Challenger:
    """Trained boosters, one a quantile."""

    encodings: tuple[Encoding, ...]
    boosters: tuple["Booster", ...]
    shifts: Floats
    """By quantile: what it missed on cases held out of a first training, added to what it says."""

    @classmethod
    def trained(cls, batch: Batch, law: Law[Floats]) -> "Challenger":
        """Train on finished cases and the law that the closed form had of each without it."""
        if not installed():
            raise SettingsError("the challenger needs LightGBM: install jumeau[ml]")
        encodings = tuple(Encoding.of(name, values) for name, values in _named(batch).items())
        features = _features(batch, law, encodings)
        target = (batch.y - law.loc) / np.sqrt(law.spread)
        categories = [place for place, each in enumerate(encodings) if each.numbers is not None]
        out = np.random.default_rng(0).permutation(len(batch)) < len(batch) // _HELD_OUT
        first = _trained(features[~out], target[~out], categories)
        shifts = _shifts(target[out], _predicted(first, features[out]))
        return cls(encodings, _trained(features, target, categories), shifts)

    def quantiles(self, batch: Batch, law: Law[Floats], upper_min: float) -> Floats:
        """Quantiles (cases x LEVELS), never crossing, minutes."""
        features = _features(batch, law, self.encodings)
        z = np.sort(_predicted(self.boosters, features) + self.shifts, axis=1)
        spread = _between(z)
        logs = law.loc[:, None] + np.sqrt(law.spread)[:, None] * spread
        return np.asarray(np.exp(np.minimum(logs, np.log(upper_min))))


def _trained(features: Floats, target: Floats, categories: list[int]) -> tuple["Booster", ...]:
    with ThreadPoolExecutor(_WORKERS) as pool:
        return tuple(pool.map(lambda level: _boosted(features, target, categories, float(level)), TRAINED))


def _predicted(boosters: Sequence["Booster"], features: Floats) -> Floats:
    return np.array([booster.predict(features, num_threads=1) for booster in boosters], dtype=np.float64).T


def _shifts(target: Floats, predicted: Floats) -> Floats:
    """By quantile, the shift that puts its share of the held-out cases under it; drawn to 0 where they are few."""
    missed = [np.quantile(target - column, level) for column, level in zip(predicted.T, TRAINED, strict=True)]
    return np.asarray(missed) * len(target) / (len(target) + _SHIFT_PRIOR)


def _boosted(features: Floats, target: Floats, categories: list[int], level: float) -> "Booster":
    import lightgbm

    data = lightgbm.Dataset(features, target, categorical_feature=categories, params={"verbosity": -1, "max_bin": 127})
    return lightgbm.train({**_SETTINGS, "alpha": level}, data, _ROUNDS)


def _named(batch: Batch) -> dict[str, list[object]]:
    """Values by name of feature."""
    features = [case.features for case in batch.cases]
    named: dict[str, list[object]] = {
        "procedure": [each.procedure for each in features],
        "surgeon": [each.surgeon for each in features],
        "specialty": [each.specialty for each in features],
    }
    told = [dict(each.covariates) for each in features]
    for name in sorted({name for each in told for name in each}):
        named[f"covariate {name}"] = [each.get(name) for each in told]
    return named


def _features(batch: Batch, law: Law[Floats], encodings: Sequence[Encoding]) -> Floats:
    named = _named(batch)
    nothing: list[object] = [None] * len(batch)
    columns = [each.column(named.get(each.name, nothing)) for each in encodings]
    booked = np.where(batch.booked > 0, batch.log_booked, np.nan)
    return np.column_stack([*columns, booked, law.loc, booked - law.loc, np.sqrt(law.spread), np.log(law.weight)])


def _between(z: Floats) -> Floats:
    """From the trained quantiles to all LEVELS: straight lines on a normal's axis, the tails going on as they end."""
    known, wanted = special.ndtri(TRAINED), special.ndtri(LEVELS)
    place = np.clip(np.searchsorted(known, wanted) - 1, 0, len(known) - 2)
    share = (wanted - known[place]) / (known[place + 1] - known[place])
    return np.asarray(z[:, place] + share * (z[:, place + 1] - z[:, place]))
