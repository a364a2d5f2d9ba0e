"""Which days are kept, read again and again, or read once; and the first load of the latter, week by week."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta

import structlog

from api.sections import LIVE_PAST_DAYS
from fhir_adapters.client import FhirClient, Params
from fhir_adapters.gathering import Batch
from fhir_adapters.normalise import Normaliser
from fhir_adapters.partitions import Week, load, weeks_of
from twin.facts import Horizon
from twin.timebase import monotonic, wall_now

NEAR_AHEAD_DAYS = 62
"""Bookings so far ahead are read whole at each reconcile; later ones once, and then as they change."""
LOG_EVERY_S = 5.0

Progress = Callable[[int, int, int], None]
"""Called with the resources read so far, and the parts done and in all."""
_log = structlog.get_logger(__name__)


def live(today: date, past: int, ahead: int) -> Horizon:
    """The days of the live twin."""
    return Horizon(today - timedelta(days=min(past, LIVE_PAST_DAYS)), today + timedelta(days=ahead))


def near(today: date, past: int, ahead: int) -> Horizon:
    """The days that are read whole again and again; what changes beyond them is told by the changes."""
    return live(today, past, min(ahead, NEAR_AHEAD_DAYS))


def far(today: date, past: int, ahead: int) -> list[Horizon]:
    """The other days that are asked for: read once."""
    kept, day = near(today, past, ahead), timedelta(days=1)
    spans = (
        Horizon(today - timedelta(days=past), kept.first - day),
        Horizon(kept.last + day, today + timedelta(days=ahead)),
    )
    return [span for span in spans if span.first <= span.last]


class FirstLoad:
    """What is read once: it goes on where it was killed, since each week's mark is kept with its facts."""

    def __init__(self, client: FhirClient, normaliser: Normaliser, extra: Mapping[str, Params]) -> None:
        """`extra` gives more search parameters per type."""
        self.weeks: dict[str, datetime] = {}
        """Weeks that are done, by name, and the server's time when they were read."""
        self.progress: Progress = _LogLines()
        self._client = client
        self._normaliser = normaliser
        self._extra = extra

    async def run(self, spans: Iterable[Horizon], take: Callable[[Batch], Awaitable[None]]) -> tuple[str, ...]:
        """Load the weeks of these days that are not done. `take` keeps a batch and its cursor; the warnings."""
        missing: list[Week] = weeks_of(spans, self.weeks)
        done = read = 0

        async def took(name: str, batch: Batch) -> None:
            nonlocal done, read
            at = next(iter(batch.cursor.values()), None) or wall_now()
            await take(replace(batch, cursor={name: at} if name else {}, complete=frozenset()))
            read += batch.read
            if name:
                self.weeks[name] = at
                done += 1
            self.progress(read, done, len(missing))

        if not missing:
            return ()
        return await load(self._client, self._normaliser, missing, took, extra=self._extra)

    def behind(self, cursor: Mapping[str, datetime], known: Mapping[str, datetime]) -> dict[str, datetime]:
        """Where changes go on: at the cursor that was `known`, else at the first week of the type's first load.

        A change of a day that is not read again must come with the next changes.
        """
        return {
            name: min([at, known[name]] if name in known else [at, *self._times(name)]) for name, at in cursor.items()
        }

    def _times(self, resource_type: str) -> list[datetime]:
        return [at for name, at in self.weeks.items() if name.startswith(f"{resource_type}/")]


class _LogLines:
    """A line now and then."""

    def __init__(self) -> None:
        self._started = self._last = monotonic()

    def __call__(self, resources: int, done: int, total: int) -> None:
        now = monotonic()
        if done in (1, total) or now - self._last >= LOG_EVERY_S:
            if done == 1:
                self._started = now
            self._last = now
            rate = round(resources / (now - self._started)) if now > self._started else 0
            _log.info("first load", resources=resources, done=f"{done / total:.0%}", per_second=rate)
