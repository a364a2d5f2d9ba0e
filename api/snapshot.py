"""The running program at one instant: its twins and predictions, and how its feed is doing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Protocol

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
