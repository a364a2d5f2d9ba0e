"""The state of a model as JSON, and back to the bit."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

import numpy as np

from twin.durations.closed_form import Constants
from twin.durations.model import DurationModel, Tally
from twin.durations.regressors import Column, Layout, Regressors
from twin.errors import SettingsError
from twin.site import DurationOptions
from twin.vocabulary import BookedInterval

FORMAT = "jumeau-durations"
VERSION = 2


def values_of(model: DurationModel) -> dict[str, Any]:
    """Everything the model knows, for `json.dumps`. Floats keep all their digits."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "options": asdict(model.options),
        "prior_loc": model.prior_loc,
        "constants": asdict(model.constants),
        "first_at": model.first_at and model.first_at.isoformat(),
        "last_at": model.last_at and model.last_at.isoformat(),
        "regressors": regressors_told(model.regressors),
        "tallies": [[list(key), *tally] for key, tally in sorted(model.tallies.items())],
    }


def model_of(values: Mapping[str, Any]) -> DurationModel:
    """The model that `values_of` told; SettingsError for anything else."""
    if not isinstance(values, Mapping) or values.get("format") != FORMAT:
        raise SettingsError("no duration model: give a file written by `jumeau durations learn`")
    if values.get("version") != VERSION:
        raise SettingsError(f"a duration model of version {VERSION} is needed: learn it again with this program")
    try:
        return _model(values)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SettingsError("the duration model is damaged: learn it again") from error


def regressors_told(regressors: Regressors) -> dict[str, Any]:
    """What is estimated of the regressors, for `json.dumps`."""
    return {
        "columns": [asdict(column) for column in regressors.columns],
        "gamma": regressors.gamma.tolist(),
        "covariance": regressors.covariance.tolist(),
    }


def regressors_of(told: Mapping[str, Any]) -> Regressors:
    """The regressors of `regressors_told`; KeyError, TypeError or ValueError for anything else."""
    columns = tuple(Column(**column) for column in told["columns"])
    return Regressors(
        Layout(columns),
        np.array(told["gamma"], dtype=np.float64),
        np.array(told["covariance"], dtype=np.float64).reshape(len(columns), len(columns)),
    )


def _model(values: Mapping[str, Any]) -> DurationModel:
    options = dict(values["options"])
    options["booked_interval"] = BookedInterval(options["booked_interval"])
    options["scales"] = tuple((str(name), float(at), float(by)) for name, at, by in options.get("scales", ()))
    return DurationModel(
        DurationOptions(**options),
        float(values["prior_loc"]),
        {
            tuple(key): Tally(float(n), float(total), float(ss), int(cases))
            for key, n, total, ss, cases in values["tallies"]
        },
        Constants(**{**values["constants"], "widths": tuple(values["constants"].get("widths", ()))}),
        regressors_of(values["regressors"]),
        _instant(values["first_at"]),
        _instant(values["last_at"]),
    )


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
