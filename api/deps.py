"""What a route may know of the running program: a snapshot of the twins and how the feed is doing."""

from datetime import datetime
from typing import Annotated, Protocol

from fastapi import Depends, Request
from prometheus_client import CollectorRegistry

from api.scenarios.answer import Answer
from api.scenarios.model import WhatIf
from api.schemas import DecisionGiven, DecisionKept, RecalibrationShown, ScoreCardShown
from api.snapshot import Snapshot, Source


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
