"""Time, passed in and never read elsewhere.

Two times are kept apart. *Wall* time is the machine's: polling, budgets and minimum intervals use it. *Site* time is
what the stamps on the FHIR server and all predictions are in; in production the two are equal, in a demo site time
runs faster, and `run --at` shifts it.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo


def wall_now() -> datetime:
    """Wall time, aware, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Clock:
    """Maps wall time to site time: site = anchor + speed * (wall - started).

    `anchor` None means site time is wall time. A clock is a value: `frozen_at` gives a stopped one.
    """

    anchor: datetime | None = None
    speed: float = 1.0
    started: datetime = field(default_factory=wall_now)
    wall: Callable[[], datetime] = wall_now

    def now(self) -> datetime:
        """Site time now."""
        return self.at(self.wall())

    def at(self, wall: datetime) -> datetime:
        """Site time at a wall instant (a resource's lastUpdated, say), in UTC."""
        if self.anchor is None:
            return wall.astimezone(UTC)
        # In UTC: between two times of one zone Python counts what the clocks show, wrong across their change.
        elapsed = wall.astimezone(UTC) - self.started.astimezone(UTC)
        return self.anchor.astimezone(UTC) + elapsed * self.speed

    def wall_at(self, site: datetime) -> datetime:
        """The wall instant at which it is `site` on this clock, in UTC; wall time now where the clock is stopped."""
        if self.anchor is None:
            return site.astimezone(UTC)
        if not self.speed:
            return self.wall().astimezone(UTC)
        return self.started.astimezone(UTC) + (site.astimezone(UTC) - self.anchor.astimezone(UTC)) / self.speed

    def standing_at(self, site: datetime) -> "Clock":
        """This clock as it showed a site instant; what the server did before or later keeps its own instant."""
        wall = self.wall_at(site)
        return replace(self, wall=lambda: wall)

    def frozen_at(self, site: datetime) -> "Clock":
        """A clock that stands at a site instant; what the server does later counts as known then."""
        return Clock(anchor=site, speed=0.0, started=self.started, wall=self.wall)


def shifted(at: datetime) -> Clock:
    """A clock on which it is now `at`, and that runs on from there at speed 1."""
    return Clock(anchor=at)


def minutes(value: float) -> timedelta:
    """A span of `value` minutes."""
    return timedelta(minutes=value)


def minutes_between(start: datetime, end: datetime) -> float:
    """Elapsed minutes from start to end, computed in UTC so that a change of the clocks does not matter."""
    return (end.astimezone(UTC) - start.astimezone(UTC)).total_seconds() / 60


def site_date(instant: datetime, zone: ZoneInfo) -> date:
    """The calendar day of an instant at the site."""
    return instant.astimezone(zone).date()


def day_start(day: date, zone: ZoneInfo) -> datetime:
    """Midnight at which a day of the site begins, in UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def with_offset(instant: datetime, zone: ZoneInfo) -> datetime:
    """The instant as the site's clocks show it, with the offset of that moment.

    A fixed offset, not the zone: between two times of one zone Python subtracts and compares what the clocks show, and
    a time that the clocks show twice equals nothing of another zone.
    """
    local = instant.astimezone(UTC).astimezone(zone)
    return local.replace(tzinfo=timezone(local.utcoffset() or timedelta()), fold=0)


def whole_minute(instant: datetime, zone: ZoneInfo) -> datetime:
    """The instant to the nearest minute with the site's offset, as predictions are published."""
    half_up = instant.astimezone(UTC) + timedelta(seconds=30)
    return with_offset(half_up.replace(second=0, microsecond=0), zone)


def monotonic() -> float:
    """Seconds of a clock that never goes back; only differences mean something."""
    return time.monotonic()
