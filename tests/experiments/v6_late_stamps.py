"""V6: entries and exits recorded late by Exp(12.25 min), 17 % of them wrong by 5 to 30 minutes either way.

Who has left though no exit is recorded; what that costs the simulator's prediction of a room's end; and which times
that run backwards the twin sets aside, as it reads them from FHIR resources.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from tests.experiments import Figure
from tests.experiments.room_days import Known, Listed, RoomDay, as_it_is, room_days, scenario_at
from tests.world import World, act, booking, stay
from twin.durations.closed_form import Floats
from twin.durations.late import UnrecordedEnd, mean_lag_min
from twin.projections.patient_twin import PatientTwin
from twin.projections.stamps import JITTER
from twin.simulation.replications import simulate
from twin.vocabulary import Milestone

LAG_MIN, WRONG, ERROR_MIN = 12.25, 0.17, (5.0, 30.0)
LEARNED_DAYS = 20
"""Days from which the mean lags are learned; the others are judged."""
LOOKS = tuple(range(8 * 60 + 15, 18 * 60, 30))
BINS = 10
WORLD_CASES = 3_000


@dataclass(frozen=True, slots=True)
class Stamp:
    """A time as told, and when it is recorded; minutes since midnight."""

    told: float
    recorded: float


class Stamps(NamedTuple):
    """Of one case."""

    entry: Stamp
    exit: Stamp


def figures(seed: int) -> list[Figure]:
    """Brier and calibration of "already left", the cost in minutes, and contradictions caught."""
    rng = np.random.default_rng([seed, 6])
    stamped = [
        (room, [Stamps(_stamp(case.entered, rng), _stamp(case.left, rng)) for case in room.cases])
        for room in room_days(seed).rooms
    ]
    lags = _lags(stamps for room, stamps in stamped if room.day < LEARNED_DAYS)
    judged = [(room, stamps) for room, stamps in stamped if room.day >= LEARNED_DAYS]
    told = np.array([each for room, stamps in judged for each in _already_left(room, stamps, lags[1])])
    left, said = told[:, 0], told[:, 1]
    never = float(np.mean(left**2))
    ends = np.array(list(_room_ends(judged, lags, seed)))
    late, perfect = np.abs(ends[:, :2] - ends[:, 2:]).mean(axis=0)
    caught = _contradictions(rng)
    return [
        Figure("V6", f"mean lag learned, exits (true {LAG_MIN})", lags[1]),
        Figure(
            "V6",
            f"already left: Brier / never (n = {len(told)})",
            float(np.mean((said - left) ** 2)) / never,
            high=0.75,
        ),
        Figure("V6", "already left: calibration error", _calibration_error(said, left), high=0.03),
        Figure("V6", "room's end, MAE, perfect stamps, min", float(perfect)),
        Figure("V6", f"room's end, MAE / perfect stamps (n = {len(ends)})", float(late / perfect), high=1.10),
        *caught,
    ]


def _stamp(true: float, rng: np.random.Generator) -> Stamp:
    wrong = rng.random() < WRONG
    error = rng.uniform(*ERROR_MIN) * rng.choice((-1, 1))
    return Stamp(true + wrong * float(error), true + rng.exponential(LAG_MIN))


def _lags(seen: Iterable[list[Stamps]]) -> tuple[float, float]:
    """Mean lags of entries and of exits, as a hospital's own records tell them."""
    cases = [case for room in seen for case in room]
    entries = mean_lag_min(case.entry.recorded - case.entry.told for case in cases)
    exits = mean_lag_min(case.exit.recorded - case.exit.told for case in cases)
    return entries, exits


def _as_recorded(stamps: Sequence[Stamps], now: float) -> list[Known]:
    """What is recorded by an instant; the entry of a patient proves that the one before has left."""
    known = [
        Known(*(stamp.told if stamp.recorded <= now and stamp.told <= now else None for stamp in case))
        for case in stamps
    ]
    for number, (one, following) in enumerate(pairwise(known)):
        if one.left is None and following.entered is not None:
            known[number] = Known(one.entered, following.entered)
    return known


def _already_left(room: RoomDay, stamps: Sequence[Stamps], lag_min: float) -> Iterator[tuple[float, float]]:
    """Of patients entered with no exit recorded: have they left, and how likely the twin thinks it."""
    for now in LOOKS:
        known = _as_recorded(stamps, now)
        for case, mine, record in zip(room.cases, stamps, known, strict=True):
            if record.entered is None or mine.exit.recorded <= now:
                continue
            proved = record.left is not None
            yield float(case.left <= now), 1.0 if proved else _end(case, now - record.entered, lag_min).probability


def _end(case: Listed, elapsed_min: float, lag_min: float) -> UnrecordedEnd:
    return UnrecordedEnd(case.law, max(elapsed_min, 0.0), lag_min)


def _calibration_error(said: Floats, happened: Floats) -> float:
    """Mean distance of what was said from what happened, by bins of what was said, weighted by their sizes."""
    bins = np.minimum((said * BINS).astype(int), BINS - 1)
    return float(sum(abs(np.sum(said[bins == each] - happened[bins == each])) for each in range(BINS)) / len(said))


def _room_ends(
    judged: Sequence[tuple[RoomDay, list[Stamps]]], lags: tuple[float, float], seed: int
) -> Iterator[tuple[float, float, float]]:
    """Median ends by the simulator from late and from perfect stamps, and the true one, at the looks before it."""
    days: dict[int, list[tuple[RoomDay, list[Stamps]]]] = {}
    for room, stamps in judged:
        days.setdefault(room.day, []).append((room, stamps))
    learned = ((Milestone.PATIENT_OUT_OF_ROOM, lags[1]),)
    for day, rooms in days.items():
        for now in LOOKS[::5]:
            alive = [(room, stamps) for room, stamps in rooms if now < room.ends]
            if not alive:
                continue
            late = _medians([(room, _as_recorded(stamps, now)) for room, stamps in alive], now, seed + day, learned)
            perfect = _medians([(room, as_it_is(room, now)) for room, _ in alive], now, seed + day)
            yield from zip(late, perfect, (room.ends for room, _ in alive), strict=True)


def _medians(
    rooms: Sequence[tuple[RoomDay, Sequence[Known]]],
    now: float,
    seed: int,
    lags_min: tuple[tuple[Milestone, float], ...] = (),
) -> list[float]:
    futures = simulate(scenario_at(rooms, now, seed=seed, lags_min=lags_min))
    return [now + max(float(np.median(futures.room_last_out[room.key])) / 60, 0.0) for room, _ in rooms]


def _told(rng: np.random.Generator) -> list[float]:
    """Entry, incision, finish and exit of a case, minutes since midnight, as told."""
    before, act_min, after = rng.uniform(10, 38), 60 * rng.gamma(6, 1 / 6), rng.uniform(4, 18)
    true = np.cumsum([rng.uniform(480, 720), before, max(act_min, 10.0), after])
    return [round(_stamp(float(each), rng).told) for each in true]


def _read(told: Sequence[float]) -> PatientTwin:
    """The case as the twin reads it from FHIR resources that tell these times."""
    entry, incision, finish, exit_ = (f"{int(each) // 60:02}:{int(each) % 60:02}" for each in told)
    return World(
        booking("a"),
        stay("e", ("salle-1", entry, exit_), booked="a"),
        act("p", incision, finish, status="completed", encounter="e"),
    ).case("23:00")


def _forward(twin: PatientTwin) -> bool:
    times = [actual.at for actual in twin.times.reached]
    return times == sorted(times)


def _contradictions(rng: np.random.Generator) -> list[Figure]:
    """Cases whose told times run backwards: by more than clocks differ, and by less."""
    far, near, sound = [], [], []
    for _ in range(WORLD_CASES):
        told = _told(rng)
        back = max((one - other for one, other in pairwise(told)), default=0.0)
        twin = _read(told)
        if back > JITTER.total_seconds() / 60:
            far.append(bool(twin.times.set_aside))
        elif back > 0:
            near.append(_forward(twin) and not twin.times.set_aside)
        else:
            sound.append(not twin.times.set_aside)
    return [
        Figure("V6", f"times in wrong order, set aside (n = {len(far)})", float(np.mean(far)), low=0.90),
        Figure("V6", f"within 5 min: put in order (n = {len(near)})", float(np.mean(near))),
        Figure("V6", f"in order: nothing set aside (n = {len(sound)})", float(np.mean(sound))),
    ]
