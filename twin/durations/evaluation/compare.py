"""The comparison on a hospital's own history: every method on the same unseen cases, and what was left out."""

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np

from twin.durations.batch import Batch, Mask
from twin.durations.challenger import LEAST_CASES, installed
from twin.durations.closed_form import Floats
from twin.durations.evaluation.methods import Booked, BookedByError, Challenged, Median, Method, Model, Runs
from twin.durations.evaluation.splits import Split, folds_of, in_time_order
from twin.durations.history.cases import History, reasons
from twin.durations.model import DurationModel
from twin.durations.scoring import Scores, per_case, scores_of
from twin.errors import SettingsError
from twin.site import DurationOptions

LEAST_ROWS = 3
NAMES = {
    "booked": "booked",
    "booked_error": "booked × error distribution",
    "median_procedure": "median by procedure",
    "median_procedure_surgeon": "median by procedure and surgeon",
    "model": "the model",
    "challenger": "the challenger",
}
"""Methods by their key in JSON."""
NO_PROCEDURE, NO_BOOKED, NO_HISTORY = "procedure not known", "no booked time", "nothing ended before its day"


@dataclass(frozen=True, slots=True)
class Plan:
    """Random folds; `seed + i` shuffles repeat i. Cases that all have a start are taken in time order instead."""

    folds: int = 5
    repeats: int = 3
    seed: int = 0
    challenger: bool = True


@dataclass(frozen=True, slots=True)
class Comparison:
    """Scores by method on the cases that every method can predict, and the model's own on all."""

    in_time_order: bool
    repeats: int
    folds: int
    seed: int
    n: int
    """Cases compared."""
    left_out: dict[str, int]
    """Usable cases that are not compared, by reason; the model predicts them too."""
    methods: dict[str, Scores]
    everyone: Scores
    """The model on every usable case."""
    history: History
    notes: tuple[str, ...]


def compare(history: History, plan: Plan, options: DurationOptions | None = None) -> Comparison:
    """Evaluate; SettingsError where there are too few cases to hold any out."""
    if len(history.rows) < LEAST_ROWS:
        raise SettingsError(
            f"{len(history.rows)} usable cases of {history.read} rows are too few: at least {LEAST_ROWS} are needed"
            + reasons(history.set_aside)
        )
    batch = Batch.of([row.case for row in history.rows])
    rounds = _rounds(history, plan)
    methods, notes = _methods(batch, options or DurationOptions(), plan, largest=max(len(r.known) for r in rounds[0]))
    told, predicted = _told(batch, methods), np.zeros(len(batch), np.bool_)
    for split in rounds[0]:
        predicted[split.predicted] = True
    left_out = _left_out(batch, told, predicted, needs_procedure="median_procedure" in methods)
    compared = told & predicted
    if not compared.any():
        raise SettingsError("no case has all that the methods compared need: procedure and booked time")
    parts: dict[str, list[Floats]] = {name: [] for name in methods}
    everyone: list[Floats] = []
    actual = np.array([case.actual_min for case in batch.cases])
    for split in (split for splits in rounds for split in splits):
        at = split.predicted
        for name, method in methods.items():
            scored = per_case(method.forecast(split), actual[at])
            parts[name].append(scored[compared[at]])
            if name == "model":
                everyone.append(scored)
    scores = {name: replace(scores_of(found), n=int(compared.sum())) for name, found in parts.items()}
    return Comparison(
        in_time_order=history.dated,
        repeats=len(rounds),
        folds=len(rounds[0]),
        seed=plan.seed,
        n=int(compared.sum()),
        left_out=left_out,
        methods=scores,
        everyone=replace(scores_of(everyone), n=int(predicted.sum())),
        history=history,
        notes=notes,
    )


def _rounds(history: History, plan: Plan) -> list[list[Split]]:
    """The splits of every repeat."""
    if not history.dated:
        return [folds_of(len(history.rows), folds=plan.folds, seed=plan.seed + each) for each in range(plan.repeats)]
    started = [row.started_at for row in history.rows if row.started_at is not None]
    ended = [row.case.at for row in history.rows if row.case.at is not None]
    return [in_time_order(started, ended)]


def _methods(
    batch: Batch, options: DurationOptions, plan: Plan, *, largest: int
) -> tuple[dict[str, Method], tuple[str, ...]]:
    """The methods that this file allows, and why others are missing."""
    runs = Runs(batch, DurationModel.without_history(options))
    features = [case.features for case in batch.cases]
    has_procedure, has_surgeon = any(f.procedure for f in features), any(f.surgeon and f.procedure for f in features)
    methods: dict[str, Method] = {}
    notes = []
    if batch.booked.any():
        methods |= {"booked": Booked(batch), "booked_error": BookedByError(batch)}
    else:
        notes.append("no booked time: nothing to compare with it")
    if has_procedure:
        methods["median_procedure"] = Median(batch)
    else:
        notes.append("no procedure in any row: no medians by procedure")
    if has_surgeon:
        methods["median_procedure_surgeon"] = Median(batch, by_surgeon=True)
    elif has_procedure:
        notes.append("no surgeon: no medians by procedure and surgeon")
    methods["model"] = Model(runs)
    if not plan.challenger:
        return methods, tuple(notes)
    if not installed():
        notes.append("the challenger is not installed: pip install 'jumeau[ml]'")
    elif largest < LEAST_CASES:
        notes.append(f"the challenger needs {LEAST_CASES} cases to be trained on: it is left out")
    else:
        methods["challenger"] = Challenged(runs)
    return methods, tuple(notes)


def _told(batch: Batch, methods: dict[str, Method]) -> Mask:
    """Cases that have what every method needs."""
    told = np.ones(len(batch), np.bool_)
    if "booked" in methods:
        told &= batch.booked > 0
    if "median_procedure" in methods:
        told &= batch.levels.procedure.codes >= 0
    return told


def _left_out(batch: Batch, told: Mask, predicted: Mask, *, needs_procedure: bool) -> dict[str, int]:
    """Cases by the first reason that leaves them out."""
    reasons: Counter[str] = Counter()
    for number in np.flatnonzero(~(told & predicted)).tolist():
        if not predicted[number]:
            reasons[NO_HISTORY] += 1
        elif needs_procedure and batch.levels.procedure.codes[number] < 0:
            reasons[NO_PROCEDURE] += 1
        else:
            reasons[NO_BOOKED] += 1
    return dict(reasons)
