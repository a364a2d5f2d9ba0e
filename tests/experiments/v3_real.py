"""V3: real cardiothoracic cases (4,087, MIT licence, F.P.J. Nijweide 2021), 3 x 5 folds.

The file is not part of the project: `JUMEAU_TEST_CARDIOTHORACIC`, else ../shared/data/cardiothoracic/cases.csv.
"""

import os
from pathlib import Path

import numpy as np

from tests.experiments import Figure
from twin.durations.batch import Batch
from twin.durations.case import CaseFeatures
from twin.durations.evaluation.compare import Plan, compare
from twin.durations.evaluation.methods import Model, Runs
from twin.durations.evaluation.splits import folds_of
from twin.durations.history.cases import Columns, History, history_of
from twin.durations.history.table import read_table
from twin.durations.model import DurationModel
from twin.durations.scoring import per_case
from twin.site import DurationOptions

VARIABLE = "JUMEAU_TEST_CARDIOTHORACIC"
MAPPED = {
    "procedure": "Operatietype",
    "surgeon": "Chirurg",
    "booked_min": "Geplande operatieduur",
    "actual_min": "Operatieduur",
}
KNOWN_BEFORE = (
    *("Anesthesioloog", "Benadering", "OK", "Casustype", "Dagdeel", "Leeftijd", "Geslacht", "AF"),
    *("Chronische longziekte", "Extracardiale vaatpathie", "Eerdere hartchirurgie", "Actieve endocarditis"),
    *("Kritische preoperatieve status", "Myocard infact <90 dagen", "Aorta chirurgie", "Pulmonale hypertensie"),
    *("Linker ventrikel functie", "Euroscore1", "Euroscore2", "Nierfunctie", "Slechte mobiliteit", "BMI", "DM"),
    *("Hypercholesterolemie", "Hypertensie", "Perifeer vaatlijden", "CCS", "NYHA", "HLM"),
)
"""Not the number of anastomoses nor the days of stay: those are known afterwards only."""

AGES = {"under 50 years": 50.0, "50 to 64 years": 65.0, "65 to 74 years": 75.0, "75 years and over": 200.0}
"""Bands, with the age that each is below."""
OBESE = 35.0
GROUPS = (*AGES, "elective", "urgent", "BMI 35 and over")


def file() -> Path:
    """Where the cases are; FileNotFoundError says how to name the place."""
    told = os.environ.get(VARIABLE)
    path = Path(told) if told else Path(__file__).parents[3] / "shared/data/cardiothoracic/cases.csv"
    if not path.is_file():
        raise FileNotFoundError(f"V3 reads real cases: set {VARIABLE} to their file, or leave V3 out with --only")
    return path


def figures(seed: int) -> list[Figure]:
    """Without covariates, and with all that is known before the case."""
    table = read_table(file().read_bytes())
    plain = compare(history_of(table, Columns(MAPPED)), Plan(seed=seed, challenger=False))
    full = compare(history_of(table, Columns(MAPPED, KNOWN_BEFORE)), Plan(seed=seed))
    model, challenger = plain.methods["model"], full.methods["challenger"]
    return [
        Figure("V3", f"MAE, booked (n = {plain.n})", plain.methods["booked"].mae),
        Figure("V3", "MAE, closed form", model.mae, high=45.5),
        Figure("V3", "cov80, closed form", model.cov80, 0.78, 0.86),
        Figure("V3", "MAE, closed form, patient known", full.methods["model"].mae, high=45.5),
        Figure("V3", "cov80, closed form, patient known", full.methods["model"].cov80, 0.78, 0.86),
        Figure("V3", "MAE, challenger, patient known", challenger.mae, high=41.0),
        Figure("V3", "cov80, challenger, patient known", challenger.cov80, 0.78, 0.86),
        *_by_group(history_of(table, Columns(MAPPED, KNOWN_BEFORE)), seed),
    ]


def _by_group(history: History, seed: int) -> list[Figure]:
    """Is the closed form (patient known) as sure of every group of patients? One line a group, without a mark."""
    batch = Batch.of([row.case for row in history.rows])
    method = Model(Runs(batch, DurationModel.without_history(DurationOptions())))
    splits = [split for each in range(3) for split in folds_of(len(batch), folds=5, seed=seed + each)]
    scored = np.concatenate([per_case(method.forecast(split), np.exp(batch.y)[split.predicted]) for split in splits])
    names = [_groups(batch.cases[number].features) for split in splits for number in split.predicted.tolist()]
    figures = []
    for name in GROUPS:
        rows = scored[[name in mine for mine in names]]
        figures.append(Figure("V3", f"cov80, {name} (n = {len(rows) // 3})", float(rows[:, 5].mean())))
        figures.append(Figure("V3", f"bias (actual - median), {name}, min", float(rows[:, 7].mean())))
    return figures


def _groups(features: CaseFeatures) -> set[str]:
    told = dict(features.covariates)
    groups = {"urgent" if told["Casustype"] != "Electief" else "elective"} if "Casustype" in told else set[str]()
    if isinstance(age := told.get("Leeftijd"), float):
        groups.add(next(name for name, below in AGES.items() if age < below))
    if isinstance(bmi := told.get("BMI"), float) and bmi >= OBESE:
        groups.add(GROUPS[-1])
    return groups
