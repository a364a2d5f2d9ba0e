"""Why a duration was predicted: one sentence and the numbers behind it."""

import math
from dataclasses import dataclass
from datetime import datetime

from twin.durations.case import CaseFeatures, Covariate
from twin.durations.model import (
    SITE,
    DurationModel,
    Tally,
    log_booked,
    pair_key,
    procedure_key,
    specialty_key,
)


@dataclass(frozen=True, slots=True)
class Explanation:
    """A sentence for a person, and what it rests on. Minutes."""

    sentence: str
    p10_min: float
    p50_min: float
    p90_min: float
    pair_cases: int
    pair_typical_min: float | None
    procedure_cases: int
    procedure_typical_min: float | None
    specialty_cases: int
    specialty_typical_min: float | None
    booked_min: float | None
    weight_of_booking: float
    """Share of the booking in loc."""
    weight: float
    """W"""
    effects: tuple[tuple[str, float], ...] = ()
    """What is known of the patient, and the ratio by which it moves this case, largest first."""


def explain(model: DurationModel, features: CaseFeatures, at: datetime | None = None) -> Explanation:
    """Why the model predicts what it predicts for a case."""
    prediction = model.predict(features, at)
    pair, procedure = model.tally(pair_key(features)), model.tally(procedure_key(features))
    specialty = model.tally(specialty_key(features))
    booked = features.booked_min if log_booked(features) is not None else None
    low, middle, high = prediction.distribution.ppf([0.1, 0.5, 0.9]).tolist()
    return Explanation(
        sentence=", ".join([*_history(model, features), *_booking(booked), *_patient(model, features, middle)]),
        p10_min=low,
        p50_min=middle,
        p90_min=high,
        pair_cases=pair.cases,
        pair_typical_min=_typical(pair),
        procedure_cases=procedure.cases,
        procedure_typical_min=_typical(procedure),
        specialty_cases=specialty.cases,
        specialty_typical_min=_typical(specialty),
        booked_min=booked,
        weight_of_booking=0.0 if booked is None else model.constants.kappa / prediction.weight,
        weight=prediction.weight,
        effects=_effects(model, features),
    )


def _history(model: DurationModel, features: CaseFeatures) -> list[str]:
    """The nearest level that has cases, first."""
    pair, procedure = model.tally(pair_key(features)), model.tally(procedure_key(features))
    specialty, site = model.tally(specialty_key(features)), model.tally(SITE)
    if pair.cases:
        return [f"{_cases(pair)} of this procedure by this surgeon", _told(pair)]
    if procedure.cases:
        whom = ["none by this surgeon"] if features.surgeon else []
        return [f"{_cases(procedure)} of this procedure", _told(procedure), *whom]
    unseen = "no earlier case of this procedure" if features.procedure else "procedure not known"
    if specialty.cases:
        return [unseen, f"{_cases(specialty)} of this specialty", _told(specialty)]
    if site.cases:
        return [unseen, f"{_cases(site)} here", _told(site)]
    return ["no earlier case", f"{math.exp(model.prior_loc):.0f} assumed"]


def _booking(booked: float | None) -> list[str]:
    return ["no booked time"] if booked is None else [f"booked {booked:.0f}"]


def _cases(tally: Tally) -> str:
    return f"{tally.cases} earlier case{'' if tally.cases == 1 else 's'}"


def _told(tally: Tally) -> str:
    return f"typical {tally.typical_min:.0f}"


def _typical(tally: Tally) -> float | None:
    return tally.typical_min if tally.cases else None


def _effects(model: DurationModel, features: CaseFeatures) -> tuple[tuple[str, float], ...]:
    shares = model.regressors.shares(features.covariates)
    return tuple((_words(name, value), math.exp(share)) for name, value, share in shares)


def _patient(model: DurationModel, features: CaseFeatures, median_min: float) -> list[str]:
    """What is known of the patient, where it moves the median by a minute; the parts that do so by themselves."""
    moved = median_min * -math.expm1(-model.regressors.shift(features.covariates))
    if abs(moved) < 1:
        return []
    shares = model.regressors.shares(features.covariates)
    parts = [(_words(name, value), median_min * -math.expm1(-share)) for name, value, share in shares]
    told = ", ".join(f"{words} {minutes:+.0f}" for words, minutes in parts if abs(minutes) >= 1)
    return [f"the patient {moved:+.0f} min" + (f" ({told})" if told else "")]


def _words(name: str, value: Covariate) -> str:
    shown = f"{value:.3g}" if isinstance(value, float) else value.rpartition("|")[2]
    return f"{name.replace('_', ' ')} {shown}"
