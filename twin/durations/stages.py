"""Default laws of the stages other than room and surgical time: one table, each row with its source or "(guess)".

Room time comes from the closed form; induction, lead-in and emergence are parts of it, the act is what is left.
"""

from dataclasses import dataclass
from functools import cache

from twin.durations.distribution import LogT
from twin.vocabulary import CareSetting, Stage


@dataclass(frozen=True, slots=True)
class StageLaw:
    """Minutes that a stage takes, counted from `origin_min` after the instant it is measured against.

    A negative origin makes a delay that can be early: the law of (delay + 25) with origin -25.
    """

    stage: Stage
    law: LogT
    source: str
    origin_min: float = 0.0
    settings: tuple[CareSetting, ...] = tuple(CareSetting)
    """Care settings it holds for."""


_HOURS = 60.0
_DAYS = 1440.0
_STAYS_OVERNIGHT = (CareSetting.INPATIENT, CareSetting.EMERGENCY)
_HOME_TODAY = (CareSetting.AMBULATORY, CareSetting.UNKNOWN)


def _law(median_min: float, scale: float, upper_min: float = _DAYS) -> LogT:
    return LogT.of_median(median_min, scale, df=8.0, upper_min=upper_min)


STAGE_LAWS: tuple[StageLaw, ...] = (
    # Against the arrival expected (booked entry - arrive_before): median on time, 1 in 10 more than 19 min late.
    StageLaw(Stage.ARRIVAL, _law(25, 0.40, 12 * _HOURS), "(guess)", origin_min=-25),
    StageLaw(Stage.TRANSPORT, _law(8, 0.40, 4 * _HOURS), "(guess)"),
    # The least time in holding: identity and checklist. Waiting for the room comes on top, by simulation.
    StageLaw(Stage.HOLDING, _law(8, 0.40, 4 * _HOURS), "(guess)"),
    # Against the booked entry: median 5 min late, 1 in 4 more than 12 min.
    StageLaw(Stage.START_DELAY, _law(20, 0.40, 12 * _HOURS), "(guess)", origin_min=-15),
    # From 15 min before the booked entry: median on time. Counts only while the room is free and waits.
    StageLaw(Stage.LIST_DELAY, _law(15, 0.40, 4 * _HOURS), "(guess)"),
    # Wheels in to anesthesia ready.
    StageLaw(Stage.INDUCTION, _law(14, 0.45, 3 * _HOURS), "(guess)"),
    StageLaw(Stage.LEAD_IN, _law(11, 0.45, 3 * _HOURS), "(guess)"),
    StageLaw(Stage.CLOSURE, _law(12, 0.45, 3 * _HOURS), "(guess)"),
    StageLaw(Stage.EMERGENCE, _law(9, 0.45, 3 * _HOURS), "(guess)"),
    # Wheels out to the room restored. A gap over 60 min is idle time, not turnover (design: Intervals), hence the cut.
    StageLaw(Stage.TURNOVER, _law(20, 0.35, 1 * _HOURS), "median (guess), bound: design, Intervals"),
    StageLaw(Stage.PACU, _law(65, 0.45, 12 * _HOURS), "(guess)"),
    # Fit to leave, waiting for a porter or a bed.
    StageLaw(Stage.PACU_BOARDING, _law(10, 0.80, 12 * _HOURS), "(guess)"),
    StageLaw(Stage.TO_UNIT, _law(8, 0.40, 4 * _HOURS), "(guess)"),
    StageLaw(Stage.UNIT, _law(2.5 * _HOURS, 0.40, 14 * _HOURS), "day unit (guess)", settings=_HOME_TODAY),
    StageLaw(Stage.STERILIZATION, _law(4 * _HOURS, 0.20, 12 * _HOURS), "washing, packing, autoclave, cooling (guess)"),
    StageLaw(Stage.UNIT, _law(2.5 * _DAYS, 0.70, 60 * _DAYS), "ward (guess)", settings=_STAYS_OVERNIGHT),
)


def stage_law(laws: tuple[StageLaw, ...], stage: Stage, setting: CareSetting) -> StageLaw:
    """The law of a stage in a care setting; KeyError where the table has none."""
    for law in laws:
        if law.stage is stage and setting in law.settings:
            return law
    raise KeyError(f"no law of {stage} in {setting}")


def default_mean_min(*stages: Stage, laws: tuple[StageLaw, ...] = STAGE_LAWS) -> float:
    """Mean minutes of some stages together: means add, medians do not."""
    return sum(stage_law(laws, stage, CareSetting.UNKNOWN).law.mean for stage in stages)


@cache
def default_nonsurgical_min() -> float:
    """Mean minutes of room time that are not surgical time: induction, lead-in and emergence."""
    return default_mean_min(Stage.INDUCTION, Stage.LEAD_IN, Stage.EMERGENCE)


@cache
def default_turnover_min() -> float:
    """Mean minutes from wheels out to the room restored."""
    return default_mean_min(Stage.TURNOVER)
