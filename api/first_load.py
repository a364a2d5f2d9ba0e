"""Which days are kept, read again and again, or read once; and the first load of the latter, week by week."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta

import structlog

from api.sections import LIVE_PAST_DAYS
from fhir_adapters import bulk
from fhir_adapters.client import FhirClient, Params
from fhir_adapters.errors import BadAddressError, FhirServerError
from fhir_adapters.gathering import Batch
from fhir_adapters.normalise import Normaliser
from fhir_adapters.partitions import DATED, Take, Week, load, weeks_of
from twin.facts import Fact, Horizon
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

    async def run(
        self, spans: Iterable[Horizon], take: Callable[[Batch], Awaitable[None]], *, exported: bool = False
    ) -> tuple[str, ...]:
        """Load the weeks of these days that are not done. `take` keeps a batch and its cursor; the warnings.

        `exported`: by the server's Bulk Data export, where nothing of it was loaded before.
        """
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
        if exported:
            try:
                return await self._export(missing, took)
            except (FhirServerError, BadAddressError) as error:
                _log.warning("the export failed: weeks are read instead", reason=str(error))
        return await load(self._client, self._normaliser, missing, took, extra=self._extra)

    async def _export(self, missing: list[Week], took: Take) -> tuple[str, ...]:
        """Everything at once; only what belongs to the weeks that are asked for is kept."""
        mondays = {week.monday for week in missing}
        first, last = min(mondays), max(mondays) + timedelta(days=6)
        at: dict[str, datetime] = {}
        async for batch in bulk.export(self._client, self._normaliser, DATED):
            at.update(batch.cursor)
            facts = tuple(fact for fact in batch.facts if _is_between(fact, first, last))
            await took("", replace(batch, facts=facts))
        for week in missing:
            await took(week.name, Batch(cursor={week.type: at[week.type]} if week.type in at else {}))
        return ()

    def behind(self, cursor: Mapping[str, datetime], known: Mapping[str, datetime]) -> dict[str, datetime]:
        """Where changes go on: at the cursor that was `known`, else at the first week of the type's first load.

        A change of a day that is not read again must come with the next changes.
        """
        return {
            name: min([at, known[name]] if name in known else [at, *self._times(name)]) for name, at in cursor.items()
        }

    def _times(self, resource_type: str) -> list[datetime]:
        return [at for name, at in self.weeks.items() if name.startswith(f"{resource_type}/")]


def _is_between(fact: Fact, first: date, last: date) -> bool:
    """True for what has a time of these days, a day of margin on both sides, or none."""
    times = [at for name in ("start", "end") if (at := getattr(fact.assertion, name, None)) is not None]
    day = timedelta(days=1)
    return not times or (min(times).date() <= last + day and max(times).date() >= first - day)


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
