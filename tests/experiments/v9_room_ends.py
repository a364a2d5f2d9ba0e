"""V9: when rooms end, told at 9, 12 and 15 h of 60 days by the simulator, against the bookings."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from tests.experiments import Figure
from tests.experiments.room_days import (
    BOOKED_TURNOVER,
    Listed,
    Lists,
    RoomDay,
    as_it_is,
    chain_end,
    instant,
    room_days,
    scenario_at,
)
from twin.durations.closed_form import Floats
from twin.durations.distribution import LogT
from twin.durations.stages import STAGE_LAWS, stage_law
from twin.simulation.replications import simulate
from twin.vocabulary import CareSetting, Stage

HOURS = (9, 12, 15)
BASELINE_REPLICATIONS = 400


class Look(NamedTuple):
    """A room at an instant: does it end after its block, what was said of it, and was its end in the 80 % band?"""

    late: bool
    twin: float
    booked: float
    error_law: float
    inside: bool


def figures(seed: int) -> list[Figure]:
    """Brier skills and coverage, all instants together."""
    looks = np.array(list(_looks(room_days(seed), seed)), dtype=np.float64)
    late = looks[:, 0]
    twin, booked, law = (float(np.mean((looks[:, column] - late) ** 2)) for column in (1, 2, 3))
    return [
        Figure("V9", f"room ends late, share (n = {len(looks)})", float(late.mean())),
        Figure("V9", "Brier of the twin", twin),
        Figure("V9", "Brier skill over the booked chain", 1 - twin / booked, low=0.40),
        Figure("V9", "Brier skill over booked x error law", 1 - twin / law, low=0.12),
        Figure("V9", "cov80 of the room's end", float(looks[:, 4].mean()), 0.75, 0.88),
    ]


def _looks(lists: Lists, seed: int) -> Iterator[Look]:
    rng = np.random.default_rng([seed, 99])
    days: dict[int, list[RoomDay]] = {}
    for room in lists.rooms:
        days.setdefault(room.day, []).append(room)
    for day, rooms in days.items():
        for hour in HOURS:
            now = 60.0 * hour
            alive = [room for room in rooms if room.ends > now]
            futures = (
                simulate(scenario_at([(room, as_it_is(room, now)) for room in alive], now, seed=seed + day))
                if alive
                else None
            )
            for room in alive:
                assert futures is not None
                ends = futures.room_last_out[room.key]
                low, _, high = futures.quantiles(ends)
                yield Look(
                    late=room.ends > room.block_end,
                    twin=futures.probability_after(ends, instant(room.block_end)),
                    booked=float(_booked_end(room, now) > room.block_end),
                    error_law=float(np.mean(_error_law_end(room, now, lists.ratios, rng) > room.block_end)),
                    inside=low <= 60 * (room.ends - now) <= high,
                )


def _booked_end(room: RoomDay, now: float) -> float:
    """A running case ends as booked, or now where it is longer; then booked minutes and booked turnovers."""
    return float(
        chain_end(
            room,
            as_it_is(room, now),
            stay=lambda case, entered: max(case.booked_min, 0.0 if entered is None else now - entered),
            turnover=lambda _case, _left: BOOKED_TURNOVER,
            delay=lambda _case: 0.0,
            floor=now,
        )
    )


def _error_law_end(room: RoomDay, now: float, ratios: Floats, rng: np.random.Generator) -> Floats:
    """Booked minutes times a ratio that the site has had, longer than what has passed; the twin's own turnovers."""

    def stay(case: Listed, entered: float | None) -> Floats:
        passed = 0.0 if entered is None else (now - entered) / case.booked_min
        possible = ratios[np.searchsorted(ratios, passed, side="right") :]
        drawn = rng.choice(possible if len(possible) else np.array([passed]), BASELINE_REPLICATIONS)
        return np.asarray(case.booked_min * drawn)

    def turnover(_case: Listed, left: float | None) -> Floats:
        law = _law(Stage.TURNOVER)
        u = rng.random(BASELINE_REPLICATIONS)
        return law.ppf(u) if left is None else now - left + law.residual_ppf(u, now - left)

    def delay(_case: Listed) -> Floats:
        law = stage_law(STAGE_LAWS, Stage.START_DELAY, CareSetting.UNKNOWN)
        return np.asarray(law.law.ppf(rng.random(BASELINE_REPLICATIONS)) + law.origin_min)

    return chain_end(room, as_it_is(room, now), stay=stay, turnover=turnover, delay=delay, floor=now)


def _law(stage: Stage) -> LogT:
    return stage_law(STAGE_LAWS, stage, CareSetting.UNKNOWN).law
