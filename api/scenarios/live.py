"""The live state that hazards happen to: the twins of a suite, what is known of durations, and the day to simulate."""

from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from twin.durations.stages import STAGE_LAWS
from twin.errors import SettingsError
from twin.prediction.habits import habits_of
from twin.prediction.models import History, Models, models_of
from twin.prediction.predict import scenario_of
from twin.projections.suite_twin import SuiteTwin
from twin.simulation.scenario import Scenario
from twin.site import DurationOptions, SimulationOptions, SiteOptions
from twin.vocabulary import Milestone

MOST_ROOMS = 500
MOST_CASES = 5_000
MOST_FUTURES = 4_000_000
"""Cases times replications, of all days that are compared: what one machine does in some minutes."""


@dataclass(frozen=True, slots=True)
class Live:
    """Where a scenario starts."""

    suite: SuiteTwin
    models: Models
    scenario: Scenario
    """Without hazards."""
    site: SiteOptions
    notes: tuple[str, ...] = ()
    """What of the start was not read."""

    @property
    def zone(self) -> ZoneInfo:
        """The site's time zone."""
        return self.site.timezone

    @property
    def day(self) -> date:
        """The day that is simulated."""
        return self.suite.day

    def name(self, key: str) -> str:
        """The resource that a case is known by; of a case that a hazard brings, its key."""
        twin = self.suite.cases.get(key)
        return key if twin is None else twin.carrier or twin.links.anchors[0]

    def room_name(self, key: str) -> str:
        """A room's name for a screen."""
        return next((room.name for room in self.suite.rooms if room.ref == key), key.removeprefix("Location/"))

    def room_end(self, key: str) -> datetime | None:
        """The end of a room's last session of the day."""
        ends = [block.end for room in self.suite.rooms if room.ref == key for block in room.blocks]
        return max(ends, default=None)

    def has_entered(self, key: str) -> bool:
        """True where a case's patient is in the room, or further."""
        return self._passed(key, Milestone.PATIENT_IN_ROOM)

    def has_left(self, key: str) -> bool:
        """True where a case's patient is out of the room."""
        return self._passed(key, Milestone.PATIENT_OUT_OF_ROOM)

    def _passed(self, key: str, milestone: Milestone) -> bool:
        return any(case.passed(milestone) for case in self.scenario.cases if case.key == key)


def live_of(
    suite: SuiteTwin,
    *,
    site: SiteOptions,
    durations: DurationOptions,
    options: SimulationOptions,
    models: Models | None = None,
    history: History | None = None,
) -> Live:
    """The suite's day as it stands, ready to be simulated. SettingsError where it is larger than any suite."""
    cases = suite.cases.values()
    known = models or models_of(cases, durations, history=history)
    habits = habits_of(cases, laws=history.laws if history else STAGE_LAWS)
    if len(suite.rooms) > MOST_ROOMS:
        raise SettingsError(f"a scenario has at most {MOST_ROOMS} rooms")
    scenario = scenario_of(suite, suite.day, known, habits, site=site, options=options)
    if len(scenario.cases) > MOST_CASES:
        raise SettingsError(f"a scenario has at most {MOST_CASES} cases of a day")
    return Live(suite, known, scenario, site)
