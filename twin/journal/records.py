"""What the journal keeps besides facts: runs and what became of writes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from twin.timeline import PredictedRoomEnd, PredictedTimeline, WriteOutcome


@dataclass(frozen=True, slots=True)
class Run:
    """One prediction run: enough to make its result again from the journal."""

    id: str
    """`urn:uuid:`."""
    at: datetime
    """Site time that it predicted from."""
    seed: int
    replications: int
    code_version: str
    wall_at: datetime
    model: str = ""
    result_hash: str = ""
    position: int | None = None
    """Journal position of the newest fact it had folded; None: all that the journal holds when the run is appended."""
    context: str = ""
    """Settings and clock that it was made under, as text; empty where they are not known."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person decided on something that the program proposed."""

    kind: str
    """What was proposed: recalibration."""
    subject: str
    choice: str
    """accepted, changed or refused."""
    person: str
    reason: str
    content: str
    """What was proposed and what was chosen, as JSON."""
    at: datetime
    """Site time."""
    wall_at: datetime


@dataclass(frozen=True, slots=True)
class Learned:
    """What was learned from the facts up to a position, as text."""

    position: int
    at: datetime
    """Site time."""
    content: str


@dataclass(frozen=True, slots=True)
class KeptOutcome:
    """What became of one write order, the run it came from (empty for a removal by hand) and when (wall time)."""

    outcome: WriteOutcome
    run: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Predictions:
    """The newest run of a stretch of time and, of each case and room, the newest prediction kept in it."""

    run: Run | None
    timelines: Mapping[str, PredictedTimeline]
    """By case id."""
    room_ends: Mapping[str, tuple[PredictedRoomEnd, ...]]
    """By `Location/id`."""
