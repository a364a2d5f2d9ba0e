"""What the duration model knows of a case: before it is done, and once it is."""

from dataclasses import dataclass
from datetime import datetime

Covariate = float | str
"""A number, or the name of a category. A missing value is left out."""


@dataclass(frozen=True, slots=True)
class CaseFeatures:
    """What is known of a case before it is done. `booked_min` is already of the interval that the model predicts."""

    procedure: str | None = None
    surgeon: str | None = None
    specialty: str | None = None
    booked_min: float | None = None
    covariates: tuple[tuple[str, Covariate], ...] = ()
    """Name and value of anything else known of the patient or the case, such as ("asa", "3")."""


@dataclass(frozen=True, slots=True)
class FinishedCase:
    """A case that is over: how long it took, and when it ended (None: not known, it never loses weight)."""

    features: CaseFeatures
    actual_min: float
    at: datetime | None = None
    case_id: str = ""
