"""The duration models of the live twin: all finished cases of before, then those of these days, on the bookings."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime

from twin.durations.booked import booked_room_min, booked_surgical_min
from twin.durations.case import CaseFeatures, FinishedCase
from twin.durations.explain import explain
from twin.durations.late import mean_lag_min
from twin.durations.model import DurationModel
from twin.durations.stages import STAGE_LAWS, StageLaw
from twin.durations.start import Start
from twin.durations.watched import Watched
from twin.facts import Concept
from twin.prediction.habits import stage_laws_of
from twin.prediction.recovery import NO_STAYS, Stays, stays_of
from twin.projections.patient_twin import PatientTwin
from twin.projections.stamps import LAGGED
from twin.site import DurationOptions
from twin.timebase import minutes_between
from twin.vocabulary import CaseStatus, Milestone, Provenance

PLAUSIBLE_MIN = (5.0, 24 * 60.0)
"""Shorter or longer room times are stamps, not cases."""

NEWEST_LAGS = 1_000
"""Stamps of a kind whose lags are kept: habits of entering change (guess)."""
NO_LAGS: Mapping[Milestone, tuple[float, ...]] = {}


@dataclass(frozen=True, slots=True)
class Models:
    """Room time (wheels in to wheels out) and surgical time (incision to procedure finish), with their statistics."""

    room: Watched
    surgical: Watched
    options: DurationOptions
    stays: Stays = NO_STAYS
    """What moves the recovery room and the unit."""
    start: Start | None = None
    lags_min: Mapping[Milestone, float] = field(default_factory=dict)
    """Mean minutes from a milestone to its record, of `LAGGED`."""

    def features(self, twin: PatientTwin) -> CaseFeatures:
        """What is known of a case before it is done, booked minutes as room time."""
        return _features(twin, self.options, self.start)

    def why(self, twin: PatientTwin) -> str:
        """One sentence: the finished cases that the room time of a case rests on, and its booking."""
        return explain(self.room.model, self.features(twin)).sentence


@dataclass(frozen=True, slots=True)
class History:
    """What the finished cases of the days before `before` taught."""

    before: date
    room: Watched
    surgical: Watched
    laws: tuple[StageLaw, ...] = STAGE_LAWS
    """Of the stages."""
    stays: Stays = NO_STAYS
    lags: Mapping[Milestone, tuple[float, ...]] = field(default_factory=dict)
    """Of `LAGGED`: minutes from each of the newest stamps to its record."""


def history_of(
    twins: Iterable[PatientTwin], options: DurationOptions, *, before: date, start: Start | None = None
) -> History:
    """Learn from every finished case of the days before one, under constants that they tell: a nightly step.

    `start`: what room time was learned from a file, before the first of them.
    """
    known = [twin for twin in twins if twin.live and twin.day < before]
    booked, done = _booked(known, options), finished_of(known)
    laws = stage_laws_of(done)
    return History(
        before,
        Watched.of_history(options, booked, _room_cases(done, options, start), start=start.model if start else None),
        Watched.of_history(options, _acts_of(booked), _surgical_cases(done, options)),
        laws,
        stays_of(done, laws, options.scales),
        _lags(done),
    )


def models_of(
    twins: Iterable[PatientTwin],
    options: DurationOptions,
    *,
    before: date | None = None,
    history: History | None = None,
    start: Start | None = None,
) -> Models:
    """Learn from every finished case with well known times, in the order in which they finished.

    `history` has those of its days already, on top of `start`. `before` leaves out what finished on that day or later:
    what is said of other days then stands still during the day.
    """
    known = [twin for twin in twins if twin.live]
    booked = _booked(known, options)
    done = finished_of(
        twin
        for twin in known
        if (before is None or twin.day < before) and (history is None or twin.day >= history.before)
    )
    learned = history.room if history else Watched(start.model) if start else None
    room = _start(learned, booked, options)
    surgical = _start(history.surgical if history else None, _acts_of(booked), options)
    lags = {each: mean_lag_min(mine) for each, mine in _lags(done, history.lags if history else NO_LAGS).items()}
    return Models(
        room.after(_room_cases(done, options, start)),
        surgical.after(_surgical_cases(done, options)),
        options,
        history.stays if history else NO_STAYS,
        start,
        lags,
    )


def _lags(
    done: Iterable[PatientTwin], known: Mapping[Milestone, tuple[float, ...]] = NO_LAGS
) -> dict[Milestone, tuple[float, ...]]:
    found = {milestone: [*known.get(milestone, ())] for milestone in LAGGED}
    for actual in (actual for twin in done for actual in twin.times.reached):
        if actual.lag_min is not None:
            found[actual.milestone].append(actual.lag_min)
    return {milestone: tuple(mine[-NEWEST_LAGS:]) for milestone, mine in found.items()}


def _start(learned: Watched | None, booked: Sequence[float], options: DurationOptions) -> Watched:
    """What was learned; where that is nothing, the bookings of these days."""
    if learned is not None and learned.model.tallies:
        return learned
    return Watched(DurationModel.without_history(options, booked))


def _features(twin: PatientTwin, options: DurationOptions, start: Start | None = None) -> CaseFeatures:
    procedure, surgeon, specialty = twin.procedure.key, twin.surgeon(), twin.specialty.key
    if start is not None:
        procedure = start.name("procedure", procedure, _names(twin.procedure))
        specialty = start.name("specialty", specialty, _names(twin.specialty))
        surgeon = start.name("bias", surgeon, (surgeon.partition("/")[2],) if surgeon else ())
    return CaseFeatures(
        procedure=procedure,
        surgeon=surgeon,
        specialty=specialty,
        booked_min=booked_room_min(twin.booked_min, options.booked_interval),
        covariates=twin.factors,
    )


def _names(concept: Concept) -> tuple[str, ...]:
    """What a file may call it: its codes, then their words."""
    codings = concept.codings
    codes = (name for each in codings for name in (f"{each.system}|{each.code}", each.code))
    return (*codes, *(each.display for each in codings))


def _booked(twins: Iterable[PatientTwin], options: DurationOptions) -> list[float]:
    """Booked minutes as room time."""
    told = (booked_room_min(twin.booked_min, options.booked_interval) for twin in twins)
    return [minutes for minutes in told if minutes is not None]


def _acts_of(booked: Iterable[float]) -> list[float]:
    return [minutes for room in booked if (minutes := booked_surgical_min(room)) is not None]


def _room_cases(
    done: Iterable[PatientTwin], options: DurationOptions, start: Start | None = None
) -> list[FinishedCase]:
    return [
        FinishedCase(_features(twin, options, start), length, ended(twin), twin.case_id)
        for twin in done
        if (length := room_min(twin)) is not None
    ]


def _surgical_cases(done: Iterable[PatientTwin], options: DurationOptions) -> list[FinishedCase]:
    return [
        FinishedCase(_surgical(_features(twin, options)), length, ended(twin), twin.case_id)
        for twin in done
        if (length := _length(twin, Milestone.INCISION, Milestone.PROCEDURE_FINISH)) is not None
    ]


def finished_of(twins: Iterable[PatientTwin]) -> list[PatientTwin]:
    """The cases that took place, in the order in which they finished."""
    return sorted((twin for twin in twins if twin.status is CaseStatus.DONE), key=lambda t: (ended(t), t.case_id))


def room_min(twin: PatientTwin) -> float | None:
    """Room time in minutes, None where it is not well known."""
    return _length(twin, Milestone.PATIENT_IN_ROOM, Milestone.PATIENT_OUT_OF_ROOM)


def _surgical(features: CaseFeatures) -> CaseFeatures:
    return replace(features, booked_min=booked_surgical_min(features.booked_min))


def surgical_features(models: Models, twin: PatientTwin) -> CaseFeatures:
    """The features of a case with its booked minutes brought to surgical time."""
    return _surgical(_features(twin, models.options))


def ended(twin: PatientTwin) -> datetime:
    """When a case that took place ended, as far as told."""
    last = twin.times.get(Milestone.PATIENT_OUT_OF_ROOM) or twin.times.get(Milestone.PROCEDURE_FINISH)
    return last or twin.planned_in or _EPOCH


def _length(twin: PatientTwin, first: Milestone, last: Milestone) -> float | None:
    """Minutes between two well known times, None where one is missing, estimated or the span implausible."""
    times = {actual.milestone: actual for actual in twin.times.reached}
    start, end = times.get(first), times.get(last)
    if start is None or end is None or Provenance.ESTIMATED in (start.provenance, end.provenance):
        return None
    length = minutes_between(start.at, end.at)
    return length if PLAUSIBLE_MIN[0] <= length <= PLAUSIBLE_MIN[1] else None


_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
