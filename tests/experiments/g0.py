"""G0, the pinned generator of durations (design: Experiments): a clinic's year, not made by the twin's model."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from twin.durations.batch import Ints
from twin.durations.case import CaseFeatures, FinishedCase
from twin.durations.closed_form import Floats

CASES, SPECIALTIES, PROCEDURES, SURGEONS = 17_000, 8, 300, 40
YEAR_START = datetime(2026, 1, 1, tzinfo=UTC)
COMPLICATED, INTERRUPTED = 0.06, 0.05


@dataclass(frozen=True, slots=True, eq=False)
class Year:
    """Cases in time order; `center` is e^(all effects), what the noise multiplies, and `cv` the noise's."""

    procedure: Ints
    surgeon: Ints
    specialty: Ints
    booked_min: Floats
    actual_min: Floats
    center_min: Floats
    cv: Floats

    def finished(self) -> list[FinishedCase]:
        """As the twin sees them, evenly over the year."""
        step = timedelta(days=365) / len(self.procedure)
        rows = zip(
            self.procedure.tolist(), self.surgeon.tolist(), self.specialty.tolist(),
            self.booked_min.tolist(), self.actual_min.tolist(), strict=True,
        )  # fmt: skip
        return [
            FinishedCase(CaseFeatures(f"p{p}", f"s{s}", f"g{g}", booked), actual, YEAR_START + number * step)
            for number, (p, s, g, booked, actual) in enumerate(rows)
        ]


def year(seed: int, cases: int = CASES) -> Year:
    """A year of cases."""
    rng = np.random.default_rng(seed)
    typical = np.log(rng.uniform(35, 150, SPECIALTIES))
    specialty_of = rng.integers(SPECIALTIES, size=PROCEDURES)
    mu = typical[specialty_of] + rng.normal(0, 0.45, PROCEDURES)
    zipf = 1 / np.arange(1, PROCEDURES + 1)
    procedure = rng.choice(PROCEDURES, size=cases, p=zipf / zipf.sum())
    specialty = specialty_of[procedure]
    surgeon = _surgeons(rng, specialty)
    own, habit = rng.normal(0, 0.15, (PROCEDURES, SURGEONS)), rng.normal(0, 0.08, SURGEONS)
    at = np.arange(cases) / cases
    step_at, step, phase = rng.random(SURGEONS), rng.normal(0, 0.10, SURGEONS), rng.random(SURGEONS)
    drift = step[surgeon] * (at >= step_at[surgeon]) + 0.07 * np.sin(2 * np.pi * (at + phase[surgeon]))
    pair = own[procedure, surgeon]
    center = np.exp(mu[procedure] + pair + habit[surgeon] + drift)
    cv = rng.uniform(0.22, 0.42, PROCEDURES)[procedure]
    actual = noisy(rng, center, cv)
    of_procedure, of_surgeon = rng.normal(0, 0.15, PROCEDURES), rng.normal(0, 0.15, SURGEONS)
    said = mu[procedure] + pair / 2 + habit[surgeon] - 0.05 + of_procedure[procedure] + of_surgeon[surgeon]
    booked = np.maximum(np.round(np.exp(said + rng.normal(0, 0.10, cases)) / 15) * 15, 15)
    return Year(procedure, surgeon, specialty, booked, actual, center, cv)


def noisy(rng: np.random.Generator, center_min: Floats, cv: Floats) -> Floats:
    """Actual minutes: Gamma noise, complications, interruptions, rounded to 5."""
    shape = 1 / cv**2
    minutes = center_min * rng.gamma(shape, 1 / shape, np.shape(center_min)) * complications(rng, np.shape(center_min))
    interrupted = rng.random(np.shape(center_min)) < INTERRUPTED
    minutes = minutes + interrupted * rng.uniform(10, 30, np.shape(center_min))
    return np.maximum(np.round(minutes / 5) * 5, 5)


def complications(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """6 % of the cases take 1.3 to 2.2 times as long."""
    return np.where(rng.random(shape) < COMPLICATED, rng.uniform(1.3, 2.2, shape), 1.0)


def _surgeons(rng: np.random.Generator, specialty: Ints) -> Ints:
    """40 surgeons, each in one specialty, whose cases they share by Dirichlet(1)."""
    surgeon = np.empty(len(specialty), dtype=np.int64)
    for number in range(SPECIALTIES):
        own = np.flatnonzero(np.arange(SURGEONS) % SPECIALTIES == number)
        cases = np.flatnonzero(specialty == number)
        surgeon[cases] = rng.choice(own, size=len(cases), p=rng.dirichlet(np.ones(len(own))))
    return surgeon
