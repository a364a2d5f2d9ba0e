"""V3: real cardiothoracic cases (4,087, MIT licence, F.P.J. Nijweide 2021), 3 x 5 folds.

The file is not part of the project: `JUMEAU_TEST_CARDIOTHORACIC`, else ../shared/data/cardiothoracic/cases.csv.
"""

import os
from pathlib import Path

from tests.experiments import Figure
from twin.durations.evaluation.compare import Plan, compare
from twin.durations.history.cases import Columns, history_of
from twin.durations.history.table import read_table

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
    ]
