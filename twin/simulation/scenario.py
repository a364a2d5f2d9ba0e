"""What a simulation starts from: frozen values that can be pickled, and compared by content."""

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime

from twin.durations.distribution import LogT
from twin.durations.stages import STAGE_LAWS, StageLaw
from twin.errors import SettingsError
from twin.simulation.draws import Key
from twin.simulation.resources import ResourceInput
from twin.site import SimulationOptions
from twin.vocabulary import ROOM_MILESTONES, CareSetting, Milestone, Stage

MOST_REPLICATIONS = 100_000


@dataclass(frozen=True, slots=True)
class CaseInput:
    """One live case. Instants are aware; `room_time` and `surgical_time` are the laws of the whole, in minutes.

    The simulation itself conditions the laws on what is already `reached`.
    """

    key: str
    """Stable: it names the case's random numbers."""
    room: str | None
    """None: the case uses no room of the suite, just its own time and its team."""
    planned_in: datetime | None
    """None: not booked (an emergency): as soon as possible."""
    planned_out: datetime | None
    setting: CareSetting
    room_time: LogT
    surgical_time: LogT
    team: tuple[str, ...] = ()
    """Persons who can be in only one place, held from wheels in to the procedure's finish."""
    reached: tuple[tuple[Milestone, datetime], ...] = ()
    """Actual times so far."""
    list_rank: int = 0
    """Position in its room; the cases that have not entered it do so in this order."""
    needs: tuple[str, ...] = ()
    """Resources of the scenario by name, one place each; those for all cases aren't named."""
    room_choice: tuple[str, ...] = ()
    """Rooms that would do, the best first, for a case without a `room`: whichever is free first, between the lists."""
    urgency: int | None = None
    """Class of an emergency, 1 the most urgent; it goes before all that is booked."""
    no_show: float = 0.0
    """Probability that the patient does not come; the rest of the list is then free to go on."""
    not_before: datetime | None = None
    """The patient comes as planned, and may not enter the room before: not fasted, or instruments that come late."""
    shifts: tuple[tuple[Stage, float], ...] = ()
    """Stages that take this patient longer or shorter than the law has it: by so much on ln minutes."""

    @property
    def furthest(self) -> Milestone | None:
        """The patient's last milestone reached, by the pathway's order; None where none is."""
        patient = [milestone for milestone, _ in self.reached if milestone not in ROOM_MILESTONES]
        return max(patient, key=lambda milestone: milestone.rank, default=None)

    def passed(self, milestone: Milestone) -> bool:
        """True where the patient is at or past a milestone of theirs."""
        furthest = self.furthest
        return furthest is not None and furthest.rank >= milestone.rank

    def reached_at(self, *milestones: Milestone) -> datetime | None:
        """When the first of these milestones that has a time was reached, in the order given."""
        times = dict(self.reached)
        return next((times[milestone] for milestone in milestones if milestone in times), None)


@dataclass(frozen=True, slots=True)
class RoomInput:
    """A room. Cases of a room that isn't given find it free at once."""

    key: str
    free_from: datetime | None = None
    """Not past now: when its last patient left, it is being cleaned since. Later than now: closed until then."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """The live state of one day at `now`, which may be well before the first case."""

    now: datetime
    cases: tuple[CaseInput, ...]
    rooms: tuple[RoomInput, ...] = ()
    pacu_places: int | None = None
    """None: never full."""
    options: SimulationOptions = field(default_factory=SimulationOptions)
    laws: tuple[StageLaw, ...] = STAGE_LAWS
    unrecorded: tuple[Milestone, ...] = ()
    """Milestones that this hospital does not stamp: that one is missing then says nothing about the stage before it."""
    lags_min: tuple[tuple[Milestone, float], ...] = ()
    """Mean minutes from a milestone to its record; none told: recorded at once."""
    resources: tuple[ResourceInput, ...] = ()
    """Beyond rooms, teams and `pacu_places`."""
    absent: tuple[str, ...] = ()
    """Persons who do not come any more: whose case has not begun must be somebody else's."""
    first_replication: int = 0
    """The number of its first replication: parts of a large run draw what the whole would."""

    def __post_init__(self) -> None:
        if len({case.key for case in self.cases}) != len(self.cases):
            raise SettingsError("two cases of a scenario have the same key: give each its own")
        if self.pacu_places is not None and self.pacu_places < 1:
            raise SettingsError("pacu_places must be at least 1, or None for no limit")
        if self.options.replications < 1:
            raise SettingsError("a simulation needs at least 1 replication")
        if self.options.replications > MOST_REPLICATIONS:
            raise SettingsError(f"a simulation has at most {MOST_REPLICATIONS} replications")
        self._check_needs()

    def _check_needs(self) -> None:
        names = {resource.name for resource in self.resources}
        if len(names) != len(self.resources):
            raise SettingsError("two resources of a scenario have the same name: give each its own")
        if any(name not in names for case in self.cases for name in case.needs):
            raise SettingsError("a case needs a resource that is none of the scenario's: see needs and resources")
        if any(case.room is not None and case.room_choice for case in self.cases):
            raise SettingsError("a case has a room or a room_choice, not both")
        waiting = (case for case in self.cases if not case.passed(Milestone.PATIENT_IN_ROOM))
        if any(person in self.absent for case in waiting for person in case.team):
            raise SettingsError("a case that has not begun needs a person who is absent: give it another team")
        if not all(0 <= case.no_show <= 1 for case in self.cases):
            raise SettingsError("no_show is a probability: from 0 to 1")

    @property
    def content_key(self) -> str:
        """Equal for equal content in any process: a name for a cached result."""
        return hashlib.blake2b(repr(self).encode(), digest_size=16).hexdigest()

    def seconds(self, instant: datetime) -> int:
        """Whole seconds from now to an instant, negative where it is past."""
        return round((instant.astimezone(UTC) - self.now.astimezone(UTC)).total_seconds())

    def draw_key(self, name: str, stage: str) -> Key:
        """Of the random numbers of a stage of a case, or of another thing that has a name."""
        return Key(self.options.seed, name, stage, self.options.replications, self.first_replication)

    def lag_min(self, milestone: Milestone) -> float:
        """Mean minutes until a milestone is recorded; 0 where nothing is told."""
        return dict(self.lags_min).get(milestone, 0.0)

    def elapsed_min(self, since: datetime | None) -> float:
        """Minutes since an instant; 0 where there is none or it is still to come."""
        return 0.0 if since is None else max(-self.seconds(since), 0) / 60
