"""What a route may know of the running program: a snapshot of the twins and how the feed is doing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Annotated, Protocol

from fastapi import Depends, Request
from prometheus_client import CollectorRegistry

from api.scenarios.answer import Answer
from api.scenarios.model import WhatIf
from api.schemas import DecisionGiven, DecisionKept, RecalibrationShown, ScoreCardShown
from twin.prediction.models import Models
from twin.projections.places import Places
from twin.projections.suite_twin import SuiteTwin
from twin.site import SiteOptions
from twin.timeline import PredictedRoomEnd, PredictedTimeline


@dataclass(frozen=True, slots=True)
class RunInfo:
    """The prediction run that a snapshot shows."""

    id: str
    at: datetime
    """Site time."""
    seed: int
    replications: int
    seconds: float | None
    """Wall time that it took; not kept of past runs."""


PAST = 0
"""Number of the snapshots of past instants."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The twins and the newest predictions at one instant; replaced as a whole, never changed. Numbers count up."""

    number: int
    suite: SuiteTwin
    places: Places
    timelines: Mapping[str, PredictedTimeline]
    """By case id."""
    room_ends: Mapping[str, tuple[PredictedRoomEnd, ...]]
    """By room ref, one per block of the day."""
    run: RunInfo | None
    models: Mapping[date, Models] = field(default_factory=dict)
    """What is known of durations, by the day predicted; nothing of past snapshots."""


@dataclass(frozen=True, slots=True)
class Feed:
    """How reading the FHIR server is doing. Ages are wall seconds."""

    server: str
    """Base URL without credentials."""
    age_s: float | None
    """Since the last read that succeeded; None before the first."""
    failing: str | None
    """Why the last read failed, None where it did not."""
    quarantined: int
    """Entries that could not be read since the start."""
    writing: str
    """off, annotate, companion, or why writing stopped."""
    push: str = "off"
    """off, by hand, starting, active, or why the server doesn't tell its changes."""


class BusyError(Exception):
    """Too many wait for the same thing; try again in a moment."""


class Source(Protocol):
    """Where a snapshot is from: its site, its clock, and how its feed is doing."""

    @property
    def site(self) -> SiteOptions:
        """The site's options."""

    @property
    def feed(self) -> Feed:
        """How reading is doing now."""

    def now(self) -> datetime:
        """Site time now."""


class Program(Source, Protocol):
    """The running program, as routes see it."""

    @property
    def metrics(self) -> CollectorRegistry:
        """What `/metrics` shows."""

    @property
    def snapshot(self) -> Snapshot | None:
        """The newest snapshot, None before the first fold."""

    async def past(self, at: datetime) -> Snapshot:
        """The snapshot as it was known at a past site instant. Raises BusyError or JournalError."""

    async def what_if(self, asked: WhatIf) -> Answer:
        """What hazards would change from the newest snapshot on.

        Raises BusyError, SimulationError, or SettingsError where they do not fit it.
        """

    async def recalibrations(self) -> list[RecalibrationShown]:
        """Bookings that are too short or too long."""

    async def decide(self, offer_id: str, given: DecisionGiven) -> DecisionKept:
        """Keep a person's decision on one of them. Raises SettingsError, or JournalError where it isn't proposed."""

    async def score_card(self, days: int) -> ScoreCardShown:
        """Predictions of the last days against what happened."""

    def notified(self, name: str, secret: str) -> bool:
        """A notification came in for the Subscription `name`; False, without effect, where the two don't belong."""

    async def newer(self, number: int, timeout_s: float) -> Snapshot | None:
        """Wait for a snapshot with a higher number than `number`; None when the time is over or the program ends."""


def program_of(request: Request) -> Program:
    """The running program, from the application's state."""
    program: Program = request.app.state.program
    return program


TheProgram = Annotated[Program, Depends(program_of)]
