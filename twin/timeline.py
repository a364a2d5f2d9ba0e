"""Predictions as values: what is shown, stored and written back. Instants are aware."""

from dataclasses import dataclass
from datetime import date, datetime

from twin.vocabulary import Milestone

QUANTILE_LEVELS = tuple(round(0.05 * step, 2) for step in range(1, 20))
"""Levels of `PredictedStage.quantiles_s`: .05 to .95."""


@dataclass(frozen=True, slots=True)
class PredictedStage:
    """One milestone not yet reached. p10 and p90 are both given or both None; p50 or probability is given."""

    milestone: Milestone
    p50: datetime | None = None
    p10: datetime | None = None
    p90: datetime | None = None
    probability: float | None = None
    quantiles_s: tuple[int, ...] = ()
    """At `QUANTILE_LEVELS`, whole seconds since `generated_at`, where the stage is scored; kept, never written."""


@dataclass(frozen=True, slots=True)
class PredictedTimeline:
    """All milestones of one case that are not yet reached, in the pathway's order."""

    generated_at: datetime
    valid_until: datetime
    model: str
    source: str
    run: str
    """`urn:uuid:` of the run that made it."""
    based_on: tuple[str, ...]
    """`Type/id/_history/version` of the hospital's own versions it was made from."""
    stages: tuple[PredictedStage, ...]
    left_already: float | None = None
    """P(the patient has left the room without a record), where that is to be told; kept, never written."""
    check_stamp: bool = False
    """The exit's stamp is overdue by so much that somebody should look; kept, never written."""

    def stage(self, milestone: Milestone) -> PredictedStage | None:
        """The prediction of one milestone, None where it is reached or not predicted."""
        return next((stage for stage in self.stages if stage.milestone is milestone), None)


@dataclass(frozen=True, slots=True)
class PredictedRoomEnd:
    """When a room will be done in one of its blocks of one day."""

    day: date
    session_start: datetime
    session_end: datetime
    p50: datetime
    p10: datetime | None
    p90: datetime | None
    overrun_probability: float
    """P(the last patient leaves after the block's end)."""
    generated_at: datetime
    valid_until: datetime
    source: str


@dataclass(frozen=True, slots=True)
class Annotation:
    """Everything of ours on one resource: a case's timeline, or a room's ends."""

    timeline: PredictedTimeline | None = None
    room_ends: tuple[PredictedRoomEnd, ...] = ()


@dataclass(frozen=True, slots=True)
class WriteOrder:
    """Bring one resource of the hospital's server to carry `annotation`; None removes all of ours.

    With `beside` a resource of our own about it carries the annotation instead, and is what is removed.
    """

    ref: str
    annotation: Annotation | None
    reason: str
    """new, material, renewal, unreadable, over, take over, removal."""
    beside: bool = False


@dataclass(frozen=True, slots=True)
class WriteOutcome:
    """What became of a write order. `version_id` is the version that the server made, where one was made."""

    ref: str
    status: str
    """written, unchanged, conflict, failed, gone, foreign, touched."""
    version_id: str | None = None
    reason: str = ""
