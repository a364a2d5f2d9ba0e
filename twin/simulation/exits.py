"""Who may have left the room already though no exit is recorded (design: Late time stamps).

The exit's law is that of the time remaining: room time since the entry; after incision surgical time since then, and
emergence after it, which stands by its median; after the finish emergence alone. Where the hospital stamps the finish
and that is missing too, both would be late: with lags of their own, e^(-age/m) of the exit times e^(-(age + emergence)/
m') of the finish. Prompt stamps (m = 0) therefore prove that nobody has left.
"""

import math
from dataclasses import dataclass

import numpy as np

from twin.durations.late import UnrecordedEnd
from twin.durations.stages import stage_law
from twin.simulation.draws import Seconds, uniforms
from twin.simulation.scenario import CaseInput, Scenario
from twin.vocabulary import Milestone, Stage

LEFT = "left already"
"""Stage of the random numbers that decide who has."""
_IN, _OUT, _FINISH = Milestone.PATIENT_IN_ROOM, Milestone.PATIENT_OUT_OF_ROOM, Milestone.PROCEDURE_FINISH


@dataclass(frozen=True, slots=True)
class ExitDoubt:
    """What is known of a patient whose exit is not recorded."""

    probability: float
    """Of having left already."""
    check: bool
    """It is time to look at the stamp: 3 x P90 has passed."""
    end: UnrecordedEnd


def exit_doubt(scenario: Scenario, case: CaseInput) -> ExitDoubt | None:
    """Of a case that is in its room by what is recorded; None of others, and where exits are never stamped."""
    if not case.passed(_IN) or case.passed(_OUT) or _OUT in scenario.unrecorded:
        return None
    emergence = stage_law(scenario.laws, Stage.EMERGENCE, case.setting).law
    lag, odds = scenario.lag_min(_OUT), 1.0
    finish_missing = not case.passed(_FINISH) and _FINISH not in scenario.unrecorded
    if finish_missing:
        later = scenario.lag_min(_FINISH)
        odds = math.exp(-emergence.median / later) if later > 0 else 0.0
        lag = 1 / (1 / lag + 1 / later) if lag > 0 and later > 0 else 0.0
    incision, finish = case.reached_at(Milestone.INCISION), case.reached_at(_FINISH)
    if finish is not None:
        end = UnrecordedEnd(emergence, scenario.elapsed_min(finish), lag)
    elif incision is not None:
        passed = scenario.elapsed_min(incision) - emergence.median
        end = UnrecordedEnd(case.surgical_time, max(passed, 0.0), lag)
    else:
        entry = case.reached_at(_IN, Milestone.ANESTHESIA_START, Milestone.ANESTHESIA_READY)
        end = UnrecordedEnd(case.room_time, scenario.elapsed_min(entry), lag)
    share = end.probability * odds
    return ExitDoubt(share / (share + 1 - end.probability) if share else 0.0, end.worth_a_check, end)


def since_left(scenario: Scenario, case: CaseInput) -> Seconds:
    """Seconds since the patient left without a record, 0 in the futures in which they are still in the room."""
    nobody = np.zeros(scenario.options.replications, dtype=np.int64)
    doubt = exit_doubt(scenario, case)
    if doubt is None or doubt.probability == 0:
        return nobody
    u = uniforms(scenario.draw_key(case.key, LEFT))
    left = u < doubt.probability
    ages = np.rint(60 * doubt.end.ages_min(np.minimum(u / doubt.probability, 1.0))).astype(np.int64)
    return np.where(left, np.maximum(ages, 1), nobody)
