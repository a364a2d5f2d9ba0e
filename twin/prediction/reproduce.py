"""A prediction made again from its twins: the same suite, options and seed give the same numbers to the bit."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from twin.durations.stages import STAGE_LAWS
from twin.durations.start import Start
from twin.prediction.habits import habits_of
from twin.prediction.models import History, Models, models_of
from twin.prediction.predict import Issue, days_to_predict, result_hash, room_ends_of, scenario_of, timelines_of
from twin.projections.suite_twin import SuiteTwin
from twin.simulation.replications import simulate
from twin.site import DurationOptions, SimulationOptions, SiteOptions
from twin.timeline import PredictedRoomEnd, PredictedTimeline


@dataclass(frozen=True, slots=True)
class Remade:
    """What a run predicted."""

    timelines: Mapping[str, PredictedTimeline]
    """By case id."""
    room_ends: Mapping[str, tuple[PredictedRoomEnd, ...]]
    models: Mapping[date, Models]
    """What it had learned of durations, by the day predicted."""

    @property
    def result_hash(self) -> str:
        """Equal to the run's where it was made again to the bit."""
        return result_hash(self.timelines, self.room_ends)


def remade(
    suite: SuiteTwin,
    issue: Issue,
    *,
    site: SiteOptions,
    durations: DurationOptions,
    simulation: SimulationOptions,
    history: History | None = None,
    start: Start | None = None,
) -> Remade:
    """Learn, simulate and predict as the run did. Raises SimulationError."""
    timelines: dict[str, PredictedTimeline] = {}
    room_ends: dict[str, tuple[PredictedRoomEnd, ...]] = {}
    learned: dict[date, Models] = {}
    cases = suite.cases.values()
    for day in days_to_predict(suite):
        before = None if day == suite.day else suite.day
        learned[day] = models_of(cases, durations, before=before, history=history, start=start)
        habits = habits_of(cases, before=before, laws=history.laws if history else STAGE_LAWS)
        scenario = scenario_of(suite, day, learned[day], habits, site=site, options=simulation)
        if not scenario.cases:
            continue
        futures = simulate(scenario)
        timelines.update(timelines_of(suite, day, futures, issue, site.timezone))
        if day == suite.day:
            room_ends = room_ends_of(suite, futures, issue, site.timezone)
    return Remade(timelines, room_ends, learned)
