"""What comes of a scenario, as a document: whole minutes, two decimals, the same bytes for the same scenario."""

from typing import Any

from pydantic import BaseModel, ConfigDict

from api.schemas import Day, Instant, Probability


class _Answer(BaseModel):
    model_config = ConfigDict(use_attribute_docstrings=True)


class Spread(_Answer):
    """An instant to come, to the minute, in the futures in which it happens; null where it happens in none."""

    p10: Instant | None
    p50: Instant | None
    p90: Instant | None


class CaseOutcome(_Answer):
    """A case of the day that is not over."""

    case: str
    """The resource that it is known by; of one that a hazard brings, its name."""
    case_id: str
    room: str | None
    """Name of its room; null: whichever is free."""
    procedure: str
    not_operated: Probability
    """That it does not take place in these futures."""
    urgency: int | None
    """Class of an emergency that a hazard brings."""
    past_target: Probability | None
    """That it is not in a room within the minutes of its class (site.urgency_targets_min)."""
    milestones: dict[str, Spread]


class RoomOutcome(_Answer):
    """A room with a case that is not over."""

    room: str
    id: str
    end: Spread
    """When its last patient is out."""
    session_end: Instant | None
    past_end: Probability | None
    """That its last patient is out after the end of its last session."""
    overtime_min: int | None
    """Mean minutes after it."""


class TeamOutcome(_Answer):
    """A surgeon's day. Overtime counts from the end of the last session of the rooms that they operate in."""

    surgeon: str
    session_end: Instant
    overtime_min: int


class StaffOutcome(_Answer):
    """People with shifts (site.resources): mean minutes that they work beyond them, all together."""

    staff: str
    overtime_min: int


class WaitOutcome(_Answer):
    """Who waits for a resource, on average."""

    resource: str
    minutes: int
    """Of all cases together."""
    share: Probability
    """Of all waiting for resources."""
    by_case: dict[str, int]
    """Of those who wait half a minute or more."""


class BedOutcome(_Answer):
    """Places of a bed resource that are taken, at each full hour from the start on."""

    unit: str
    hours: list[tuple[int, int, int]]
    """P10, P50, P90."""


class Outcome(_Answer):
    """What comes of one day."""

    cases: list[CaseOutcome]
    rooms: list[RoomOutcome]
    teams: list[TeamOutcome]
    staff: list[StaffOutcome]
    pacu_hold_min: int
    """Mean minutes that all rooms together are blocked by patients for whom the PACU has no place."""
    waits: list[WaitOutcome]
    """The longest first."""
    beds: list[BedOutcome]


class Shift(_Answer):
    """How much later (above 0) an instant is, in minutes."""

    p10: int
    p50: int
    p90: int


class Moved(_Answer):
    """A probability that moved, and the 95 % half-width of its Monte-Carlo error."""

    mean: float
    half_width: float


class MovedMinutes(_Answer):
    """Mean minutes that moved, and the 95 % half-width of their Monte-Carlo error."""

    mean: int
    half_width: int


class CaseShift(_Answer):
    """What moves of a case."""

    case: str
    case_id: str
    milestones: dict[str, Shift]


class RoomShift(_Answer):
    """What moves of a room."""

    room: str
    id: str
    end: Shift | None
    past_end: Moved | None
    overtime_min: MovedMinutes | None


class TeamShift(_Answer):
    """What moves of a surgeon's day."""

    surgeon: str
    overtime_min: MovedMinutes


class DifferenceShown(_Answer):
    """Future by future, with hazards less without, by the same random numbers. What does not move is left out."""

    cases: list[CaseShift]
    rooms: list[RoomShift]
    teams: list[TeamShift]
    staff: list[StaffOutcome]
    pacu_hold_min: int
    lost: list[str]
    """Cases that are cancelled."""
    added: list[str]


class AlternativeShown(_Answer):
    """The day with the hazards of all and those of an alternative, compared with the baseline."""

    name: str
    hazards: list[dict[str, Any]]
    outcome: Outcome
    difference: DifferenceShown


class Answer(_Answer):
    """What comes of a scenario."""

    name: str
    at: Instant
    """Where it starts."""
    day: Day
    replications: int
    seed: int
    model: str
    probability_half_width: float
    """Monte-Carlo error: each single probability here is no further from the exact one, 19 times of 20."""
    notes: list[str]
    """What of the start was not read, and what in the settings has no effect on this day."""
    hazards: list[dict[str, Any]]
    baseline: Outcome
    """Nothing goes wrong."""
    with_hazards: Outcome | None
    difference: DifferenceShown | None
    alternatives: list[AlternativeShown]
    """Those of a file, in its order."""
