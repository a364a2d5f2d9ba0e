"""What each case has still to go through, drawn for all replications at once, conditional on what has passed.

A stage that is running is drawn as a conditional residual (design: Time remaining); the others as a whole. In the room,
induction, lead-in and emergence are drawn and multiplied by min(1, .6·D/their sum); the act is D minus them, so that
the room time D is kept. After incision the act is the residual of surgical time; after the finish only emergence is
left.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np

from twin.durations.distribution import LogT
from twin.durations.stages import stage_law
from twin.simulation.draws import Key, Seconds, sample
from twin.simulation.exits import since_left
from twin.simulation.scenario import CaseInput, Scenario
from twin.vocabulary import CareSetting, Milestone, Stage

_ANY_SETTING = CareSetting.UNKNOWN
_ENTRY = (Milestone.PATIENT_IN_ROOM, Milestone.ANESTHESIA_START, Milestone.ANESTHESIA_READY)


@dataclass(frozen=True, slots=True, eq=False)
class CasePath:
    """One case's way through the suite. Arrays of whole seconds, shape (replications,)."""

    case: CaseInput
    planned: int | None
    """The booked entry, seconds since now."""
    team: tuple[str, ...]
    """In the order of their names, each once."""
    first: bool
    """It is the first of its room's day, and not in yet."""
    arrival: Seconds
    """Since now; 0 where the patient is there."""
    callable_from: Seconds
    """The earliest instant, since now, at which the patient can be sent for."""
    to_holding: Seconds
    holding: Seconds
    """The least time in holding."""
    earliest: Seconds
    """The earliest instant, since now, at which the booking lets the case enter."""
    in_room: dict[Milestone, Seconds]
    """Up to the procedure's finish: since entry, or since now where the patient is in the room."""
    emergence: Seconds
    turnover: Seconds
    """Since the patient left the room, or since now where that is past."""
    recovery: dict[Milestone, Seconds]
    """From the PACU on: since the patient left the room, or since now where that is past."""
    since_left: Seconds
    """Where the patient has left the room without a record: seconds since then; 0 where not. `turnover` and `recovery`
    are then what is left of them now; `in_room` and `emergence` remain those of a patient who is still inside."""

    @property
    def waiting(self) -> bool:
        """Not in the room yet."""
        return not self.case.passed(Milestone.PATIENT_IN_ROOM)

    @property
    def sent(self) -> bool:
        """On the way to the room, or further."""
        return self.case.passed(Milestone.PATIENT_SENT_FOR)

    @property
    def running(self) -> bool:
        """In the room."""
        return not self.waiting and not self.out

    @property
    def out(self) -> bool:
        """Has left the room."""
        return self.case.passed(Milestone.PATIENT_OUT_OF_ROOM)

    @property
    def recovering(self) -> bool:
        """Has left the room and not yet the PACU."""
        return self.out and not self.case.passed(Milestone.PACU_DISCHARGE)


def draw_path(scenario: Scenario, case: CaseInput, *, first: bool) -> CasePath:
    """The path of one case; `first` where it opens its room's day."""
    draws = _Draws(scenario, case)
    arrival = draws.arrival()
    in_room, emergence = _room(draws)
    gone = since_left(scenario, case)
    turnover = draws.stage(Stage.TURNOVER, Milestone.ROOM_CLEANUP_FINISH, Milestone.PATIENT_OUT_OF_ROOM)
    return CasePath(
        case=case,
        planned=None if case.planned_in is None else scenario.seconds(case.planned_in),
        team=tuple(sorted(set(case.team))),
        first=first,
        arrival=arrival,
        callable_from=np.maximum(arrival, draws.allowed_less(scenario.options.call_before_min)),
        to_holding=draws.stage(Stage.TRANSPORT, Milestone.PATIENT_IN_HOLDING, Milestone.PATIENT_SENT_FOR),
        holding=draws.holding(),
        earliest=np.maximum(draws.earliest(first=first), draws.at_least(case.not_before)),
        in_room=in_room,
        emergence=emergence,
        turnover=np.maximum(turnover - gone, 0),
        recovery={milestone: np.maximum(seconds - gone, 0) for milestone, seconds in _recovery(draws).items()},
        since_left=gone,
    )


def cleaning_left(scenario: Scenario, room: str, since: datetime) -> Seconds:
    """What is left of a room's cleaning since its last patient left, where no case of the scenario is that patient."""
    law = stage_law(scenario.laws, Stage.TURNOVER, _ANY_SETTING).law
    key = scenario.draw_key(room, Stage.TURNOVER)
    return _left(law, key, scenario.elapsed_min(since), seen=Milestone.ROOM_CLEANUP_FINISH not in scenario.unrecorded)


def cleaned(scenario: Scenario, since: datetime) -> bool:
    """True once a room has been empty for longer than any turnover lasts."""
    return scenario.elapsed_min(since) >= stage_law(scenario.laws, Stage.TURNOVER, _ANY_SETTING).law.upper_min


class _Draws:
    """The random numbers of one case."""

    def __init__(self, scenario: Scenario, case: CaseInput) -> None:
        self.scenario, self.case = scenario, case

    def stage(self, stage: Stage, end: Milestone, *begin: Milestone) -> Seconds:
        """Seconds that a stage still takes: nothing once `end` is passed, a residual once `begin` is, else the whole.

        Of several milestones in `begin` the first that has a time counts, and any of them passed means it runs.
        """
        if self._over(end):
            return self.none()
        law = stage_law(self.scenario.laws, stage, self.case.setting).law
        if shift := next((by for moved, by in self.case.shifts if moved is stage), 0.0):
            law = replace(law, loc=law.loc + shift)
        return self.law(stage, law, *begin, seen=self.sees(end))

    def law(self, stage: Stage, law: LogT, *begin: Milestone, seen: bool = True) -> Seconds:
        """Seconds of a law: what is left since `begin` where it is passed, else the whole."""
        if any(self.case.passed(milestone) for milestone in begin):
            elapsed_min = self.scenario.elapsed_min(self.case.reached_at(*begin))
            return _left(law, self.key(stage), elapsed_min, seen=seen)
        return sample(law, self.key(stage))

    def sees(self, end: Milestone) -> bool:
        """True where the hospital stamps a milestone, so that a missing stamp means that it is still to come."""
        return end not in self.scenario.unrecorded

    def arrival(self) -> Seconds:
        """When the patient is in the facility; where arrivals are stamped, given that they have not come so far."""
        if self.case.planned_in is None or self.case.furthest is not None:
            return self.none()
        if self.case.urgency is not None:
            return self.booked_less(0.0)
        expected = self.case.planned_in - timedelta(minutes=self.scenario.options.arrive_before_min)
        return self._instant(Stage.ARRIVAL, expected, seen=self.sees(Milestone.PATIENT_IN_FACILITY))

    def holding(self) -> Seconds:
        """What is left of the least time in holding. Its end is not stamped, so it isn't conditioned on."""
        if self.case.passed(Milestone.PATIENT_IN_ROOM):
            return self.none()
        spent = round(60 * self.scenario.elapsed_min(self.case.reached_at(Milestone.PATIENT_IN_HOLDING)))
        return np.maximum(self.stage(Stage.HOLDING, Milestone.PATIENT_IN_ROOM) - spent, 0)

    def earliest(self, *, first: bool) -> Seconds:
        """When the booking lets the case enter: the day's first case of a room after its start delay, a later one about
        on time. No later one is held up by it once the booking is past."""
        early = self.booked_less(0.0 if self.case.room is None else self.scenario.options.early_start_min)
        if self.case.planned_in is None or self.case.room is None or self.case.passed(Milestone.PATIENT_IN_ROOM):
            return early
        if first:
            return np.maximum(early, self._instant(Stage.START_DELAY, self.case.planned_in))
        opens = self.case.planned_in - timedelta(minutes=self.scenario.options.early_start_min)
        return self._instant(Stage.LIST_DELAY, opens, seen=False)

    def booked_less(self, before_min: float) -> Seconds:
        """The booked entry less some minutes, not before now."""
        return self.at_least(self.case.planned_in, before_min)

    def allowed_less(self, before_min: float) -> Seconds:
        """The booked entry, or the first one allowed where that is later, less some minutes, not before now."""
        return np.maximum(self.booked_less(before_min), self.at_least(self.case.not_before, before_min))

    def at_least(self, instant: datetime | None, before_min: float = 0.0) -> Seconds:
        """An instant less some minutes, not before now."""
        seconds = 0 if instant is None else self.scenario.seconds(instant) - round(60 * before_min)
        return np.full(self.scenario.options.replications, max(seconds, 0), dtype=np.int64)

    def key(self, stage: Stage) -> Key:
        """Of the random numbers of a stage."""
        return self.scenario.draw_key(self.case.key, stage)

    def none(self) -> Seconds:
        """No time at all."""
        return np.zeros(self.scenario.options.replications, dtype=np.int64)

    def _instant(self, stage: Stage, expected: datetime, *, seen: bool = True) -> Seconds:
        """When a delay against an expected instant ends: not before now; where it is seen, given it has not so far."""
        delay = stage_law(self.scenario.laws, stage, self.case.setting)
        origin = self.scenario.seconds(expected) + round(60 * delay.origin_min)
        return max(origin, 0) + _left(delay.law, self.key(stage), max(-origin, 0) / 60, seen=seen)

    def _over(self, end: Milestone) -> bool:
        if end is Milestone.ROOM_CLEANUP_FINISH:
            return self.case.reached_at(end) is not None
        return self.case.passed(end)


def _left(law: LogT, key: Key, elapsed_min: float, *, seen: bool = True) -> Seconds:
    """What is left of a running stage: never nothing where its end would be seen; unseen, it may be over already."""
    if not seen:
        return np.maximum(sample(law, key) - round(60 * elapsed_min), 0)
    left = sample(law, key, elapsed_min)
    return np.maximum(left, 1) if elapsed_min > 0 else left


def _room(draws: _Draws) -> tuple[dict[Milestone, Seconds], Seconds]:
    """Offsets of the milestones in the room, up to the finish, and emergence after it."""
    if draws.case.passed(Milestone.INCISION):
        return _after_incision(draws)
    total = draws.law(Stage.ROOM_TIME, draws.case.room_time, *_ENTRY)
    induction, lead_in = _before_incision(draws)
    emergence = draws.stage(Stage.EMERGENCE, Milestone.PATIENT_OUT_OF_ROOM, Milestone.PROCEDURE_FINISH)
    induction, lead_in, emergence = _fitted(total, induction, lead_in, emergence)
    finish = total - emergence
    offsets = {
        Milestone.ANESTHESIA_START: draws.none(),
        Milestone.ANESTHESIA_READY: induction,
        Milestone.INCISION: induction + lead_in,
        Milestone.CLOSURE_START: finish - _closure(draws, finish - induction - lead_in),
        Milestone.PROCEDURE_FINISH: finish,
    }
    return offsets, emergence


def _before_incision(draws: _Draws) -> tuple[Seconds, Seconds]:
    """What is left of induction, and of the lead-in after it."""
    induction = draws.stage(Stage.INDUCTION, Milestone.ANESTHESIA_READY, *_ENTRY[1::-1])
    lead_in = draws.stage(Stage.LEAD_IN, Milestone.INCISION, Milestone.ANESTHESIA_READY)
    if draws.sees(Milestone.INCISION) or draws.case.passed(Milestone.ANESTHESIA_READY):
        return induction, lead_in
    # Neither may have been seen: both together count from the entry, and may be over.
    entered = draws.case.reached_at(*_ENTRY[1::-1]) if draws.case.passed(Milestone.PATIENT_IN_ROOM) else None
    spent = round(60 * draws.scenario.elapsed_min(entered))
    whole = draws.law(Stage.INDUCTION, stage_law(draws.scenario.laws, Stage.INDUCTION, draws.case.setting).law)
    return induction, np.maximum(np.maximum(whole + lead_in - spent, 0) - induction, 0)


def _after_incision(draws: _Draws) -> tuple[dict[Milestone, Seconds], Seconds]:
    emergence = draws.stage(Stage.EMERGENCE, Milestone.PATIENT_OUT_OF_ROOM, Milestone.PROCEDURE_FINISH)
    if draws.case.passed(Milestone.CLOSURE_START):  # what is left of the act is what is left of the closure
        closure = draws.stage(Stage.CLOSURE, Milestone.PROCEDURE_FINISH, Milestone.CLOSURE_START)
        return {Milestone.CLOSURE_START: draws.none(), Milestone.PROCEDURE_FINISH: closure}, emergence
    act = draws.law(Stage.SURGICAL_TIME, draws.case.surgical_time, Milestone.INCISION)
    return {Milestone.CLOSURE_START: act - _closure(draws, act), Milestone.PROCEDURE_FINISH: act}, emergence


def _closure(draws: _Draws, act: Seconds) -> Seconds:
    """The act's last part, at most half of it."""
    return np.minimum(draws.stage(Stage.CLOSURE, Milestone.PROCEDURE_FINISH), act // 2)


def _fitted(total: Seconds, *parts: Seconds) -> tuple[Seconds, ...]:
    """The parts multiplied by min(1, .6·total/their sum), in whole seconds, by integers only."""
    sums = sum(parts, start=np.zeros_like(total))
    long = 10 * sums > 6 * total
    return tuple(np.where(long, part * 6 * total // np.maximum(10 * sums, 1), part) for part in parts)


def _recovery(draws: _Draws) -> dict[Milestone, Seconds]:
    out, arrival = Milestone.PATIENT_OUT_OF_ROOM, Milestone.PACU_ARRIVAL
    ready = draws.stage(Stage.PACU, Milestone.PACU_READY, arrival, out)
    discharge = ready + draws.stage(Stage.PACU_BOARDING, Milestone.PACU_DISCHARGE, Milestone.PACU_READY)
    unit = discharge + draws.stage(Stage.TO_UNIT, Milestone.UNIT_ARRIVAL, Milestone.PACU_DISCHARGE)
    home = unit + draws.stage(Stage.UNIT, Milestone.FACILITY_DISCHARGE, Milestone.UNIT_ARRIVAL)
    return {
        arrival: draws.none(),
        Milestone.PACU_READY: ready,
        Milestone.PACU_DISCHARGE: discharge,
        Milestone.UNIT_ARRIVAL: unit,
        Milestone.FACILITY_DISCHARGE: home,
    }
