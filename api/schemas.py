"""What the API answers, in snake_case. Instants are ISO 8601 with the site's offset, to the second."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

from twin.projections.suite_twin import RoomState
from twin.vocabulary import CareSetting, CaseStatus, Milestone, Provenance

Instant = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
Day = Annotated[str, Field(json_schema_extra={"format": "date"})]
Probability = Annotated[float, Field(ge=0, le=1)]

Percent = Annotated[float, PlainSerializer(lambda value: round(value, 1))]
Minutes = Annotated[float, PlainSerializer(lambda value: round(value, 1))]
Share = Annotated[float, PlainSerializer(lambda value: round(value, 2))]
Brier = Annotated[float, PlainSerializer(lambda value: round(value, 3))]


class _Answer(BaseModel):
    model_config = ConfigDict(use_attribute_docstrings=True)


class Live(_Answer):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Ready(_Answer):
    """Whether what is served is whole and fresh; `degraded` is still served."""

    status: Literal["ready", "degraded", "starting"]
    data_age_s: float | None
    reasons: list[str]


class FeedShown(_Answer):
    """Where the data come from and whether reading and writing work."""

    server: str
    failing: str | None
    """Why the last read failed."""
    quarantined: int
    """Entries that could not be read since the start."""
    writing: str
    """off, annotate, companion, or why writing stopped."""
    push: str
    """off, by hand, starting, active, or why the server doesn't tell its changes."""


class Moment(_Answer):
    """What time it is at the site, and how old the data are."""

    now: Instant
    data_age_s: float | None
    """Wall seconds since the last read that succeeded."""
    feed: FeedShown


class Quantiles(_Answer):
    """A predicted instant."""

    p10: Instant | None
    p50: Instant | None
    p90: Instant | None


class RunShown(_Answer):
    """The prediction run that is shown."""

    id: str
    at: Instant
    seed: int
    replications: int
    seconds: float | None
    """Wall time that it took; null with `at`, since it is not kept."""


class BlockShown(_Answer):
    """An opening of a room (vacation)."""

    start: Instant
    end: Instant
    assumed: bool


class RoomEnd(_Answer):
    """When a room will be done in one of its blocks."""

    session_start: Instant
    session_end: Instant
    p10: Instant | None
    p50: Instant
    p90: Instant | None
    overrun_probability: Probability


class Room(_Answer):
    """A room on the site's day. `cases` is its list in order."""

    id: str
    name: str
    reason: str
    """Why this Location is a room."""
    state: RoomState
    blocks: list[BlockShown]
    current_case: str | None
    cases: list[str]
    last_out: Instant | None
    ends: list[RoomEnd]


class Figures(_Answer):
    """The day in numbers. Withdrawn cases count nowhere."""

    operated: int
    planned: int
    """Cases of the day: done, under way and still to come."""
    occupied_rooms: int
    rooms: int
    pacu_present: int
    pacu_places: int | None
    pacu_places_assumed: bool
    """True where nothing tells the places: taken as unlimited."""
    late_rooms: int
    """Rooms that pass the end of a block with a probability of at least one half."""


class Suite(Moment):
    """The whole suite. In a document of the day, `now` and the age are those of its making."""

    site: str
    day: Day
    as_of: Instant
    """Site time at which the twins were folded; with `at`, that instant."""
    figures: Figures
    rooms: list[Room]
    queue: list[str]
    """Cases whose patient is in the facility and not yet in a room."""
    run: RunShown | None


class CaseSummary(_Answer):
    """One case in short."""

    case_id: str
    status: CaseStatus
    day: Day
    room: str | None
    setting: CareSetting
    procedure: str
    specialty: str
    planned_in: Instant | None
    planned_out: Instant | None
    booked_min: float | None
    reached: Milestone | None
    """The furthest milestone of the patient that is known."""
    actual_in: Instant | None
    """Entry to the room, else the first thing known to have happened in it."""
    actual_out: Instant | None
    """Exit from the room, else the first thing known after it."""
    in_room_since: Instant | None
    predicted_sent_for: Quantiles | None
    predicted_in: Quantiles | None
    predicted_out: Quantiles | None
    delay_min: int | None
    """Entry (actual, else P50) after the booked one; negative: before it."""


class Actual(_Answer):
    """A time that was reached, and how it is known."""

    at: Instant
    provenance: Provenance
    source: str


class Predicted(Quantiles):
    """A milestone still to come."""

    probability: float | None


class CaseStage(_Answer):
    """One milestone of a case."""

    milestone: Milestone
    planned: Instant | None
    actual: Actual | None
    predicted: Predicted | None


class SetAside(_Answer):
    """A stamp that contradicts better known ones or lies in the future."""

    milestone: Milestone
    at: Instant
    provenance: Provenance
    source: str
    recorded_at: Instant


class VisitShown(_Answer):
    """A stretch of an Encounter in one room."""

    encounter: str
    room: str
    start: Instant | None
    end: Instant | None


class Resources(_Answer):
    """The resources that the case is made of."""

    appointment: str | None
    procedures: list[str]
    encounters: list[str]
    visits: list[VisitShown]
    estimated: bool
    """True where no link joins them, only the same patient, room and time."""


class Member(_Answer):
    """A member of the team, by reference."""

    ref: str
    role: str


class Timeline(_Answer):
    """The milestones of a case. What signs the prediction is null where nothing is predicted any more."""

    case_id: str
    generated_at: Instant | None
    valid_until: Instant | None
    model: str | None
    run: str | None
    based_on: list[str]
    """The hospital's versions that the prediction was made from."""
    stages: list[CaseStage]


class Case(CaseSummary):
    """A whole case."""

    aliases: list[str]
    """Ids that it had before its resources were linked."""
    room_name: str
    planned_room: str | None
    team: list[Member]
    resources: Resources
    carrier: str | None
    """The resource that carries our annotation."""
    stages: list[CaseStage]
    set_aside: list[SetAside]
    generated_at: Instant | None
    why: str | None
    """What its room time rests on, in one sentence; none once it is done, nor of past instants."""
    left_already: float | None = None
    """Probability that the patient has left the room without a record; the predicted times are of one still inside."""
    check_stamp: bool = False
    """The exit is overdue by so much that the stamp should be looked at."""


class DayDocument(_Answer):
    """All that the page of the day shows."""

    suite: Suite
    cases: list[CaseSummary]


class _Scored(_Answer):
    model_config = ConfigDict(from_attributes=True)


class CoverageShown(_Scored):
    """Share of truths inside a band, with its 95 % interval (Wilson)."""

    share: Share
    low: Share
    high: Share


class LineShown(_Scored):
    """The scores of one group, in minutes."""

    n: int
    crps: Minutes
    """Continuous ranked probability score: of a point forecast it would be the absolute error."""
    pinball: Minutes
    """Mean pinball loss of P10, P50 and P90."""
    bias: Minutes
    """Truth less P50: above 0, things happen later than said."""
    mae: Minutes
    coverage: dict[int, CoverageShown]
    """By nominal coverage in percent."""
    pit: tuple[int, ...]
    """Histogram of the probability integral transform in ten bins; level is honest."""


class RoomLineShown(_Scored):
    """`This room ends late` at one lead time."""

    n: int
    late: int
    brier: Brier
    brier_base: Brier
    """What always saying the share of late rooms would have scored."""


class ReviewShown(_Scored):
    """A service whose cases have become longer or shorter than predicted: somebody should look."""

    service: str
    direction: Literal["longer", "shorter"]
    cases: int
    """Finished cases of the service when it was noticed."""
    case_id: str
    """The case at which it was noticed."""
    at: Instant


class EffectShown(_Scored):
    """What a value known of a patient, or `per` more of a number, does to the minutes against the mean of all."""

    name: str
    value: str | None
    per: float | None
    cases: int
    """That told it when the columns were last chosen."""
    percent: Percent
    percent_95: tuple[Percent, Percent]
    """95 % interval; around 0 where the cases tell little."""


class ScoreCardShown(_Scored):
    """Predictions of the last days against what happened. Lines by group, then by the group's value."""

    days: int = 0
    n: int
    """Predictions judged: each case counts once per milestone and lead time."""
    cases: int
    lines: dict[str, dict[str, LineShown]]
    rooms: dict[str, RoomLineShown]
    """By lead time in minutes."""
    reviews: list[ReviewShown] = []
    """Opened in these days, the newest first. They change nothing by themselves."""
    multipliers: dict[str, Share] = {}
    """By service: above 1, room times are predicted wider than the model has them, so that bands keep their coverage.
    """
    effects: dict[str, list[EffectShown]] = {}
    """By what is predicted (room_time, surgical_time, pacu, unit): how what is known of patients moves it."""


class RecalibrationShown(_Answer):
    """A procedure, by a surgeon or by anyone, that takes another time than booked. Whole minutes."""

    id: str
    procedure: str
    surgeon: str | None
    direction: Literal["longer", "shorter"]
    cases: int
    booked_min: int
    typical_min: int
    typical_95_min: tuple[int, int]
    """95 % interval of what is typical."""
    next_case_80_min: tuple[int, int]
    """80 % interval of the next case."""
    probability: Probability
    """That the typical case takes over 1.10 times (shorter: under .90 times) what is booked."""
    later_cases: int
    """Finished since the proposal was raised: they prove it or not."""
    later_mae_booked_min: float
    later_mae_proposed_min: float
    verdict: Literal["awaited", "proved", "not proved"]


class DecisionGiven(BaseModel):
    """What a person decides on a proposal."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    choice: Literal["accepted", "changed", "refused"]
    person: Annotated[str, Field(min_length=1, max_length=100)]
    reason: Annotated[str, Field(min_length=1, max_length=500)]
    minutes: Annotated[float, Field(ge=5, le=1440)] | None = None
    """With a change: book so long."""


class DecisionKept(_Answer):
    """A decision as the journal keeps it."""

    id: str
    choice: Literal["accepted", "changed", "refused"]
    person: str
    reason: str
    at: Instant
