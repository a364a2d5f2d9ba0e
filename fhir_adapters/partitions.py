"""A first load of much: each type in weeks of its clinical date, many at once, each done or not done by itself.

A week is named by its type and Monday, whatever day it is loaded on, so that what is done stays done after a kill.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from fhir_adapters.client import FhirClient, Params, may_be_the_search
from fhir_adapters.errors import EndlessError, FhirServerError, NotFoundError
from fhir_adapters.gathering import Batch, Gathered, together
from fhir_adapters.normalise import Normaliser
from fhir_adapters.sync import ENDLESS, PAGE_SIZE, ignored_filters
from twin.facts import Horizon

DATED = ("Appointment", "Encounter", "Procedure")
"""Types that are loaded by `date`."""
AT_ONCE = 16
"""Requests in flight."""
_BEGUN = 2 * AT_ONCE
"""Weeks begun at a time: more than are asked for at once, so that the last of them don't leave requests unused."""
_WEEK = timedelta(days=7)
_COUNT = ("_count", str(PAGE_SIZE))

Take = Callable[[str, Batch], Awaitable[None]]
"""Called with the name of a week and what it held; the week is done when it returns. "" while there is more to come."""


@dataclass(frozen=True, slots=True)
class Week:
    """Seven days of one type."""

    type: str
    monday: date

    @property
    def name(self) -> str:
        """Under which it is remembered."""
        return f"{self.type}/{self.monday}"


def weeks_of(spans: Iterable[Horizon], done: Iterable[str] = ()) -> list[Week]:
    """The weeks that these days touch and that are not done."""
    known = frozenset(done)
    mondays: set[date] = set()
    for span in spans:
        monday = span.first - timedelta(days=span.first.weekday())
        while monday <= span.last:
            mondays.add(monday)
            monday += _WEEK
    weeks = (Week(kind, monday) for monday in sorted(mondays) for kind in DATED)
    return [week for week in weeks if week.name not in known]


class WholeTypeError(Exception):
    """The server doesn't search this type by date: it has to be walked through."""


async def load(
    client: FhirClient,
    normaliser: Normaliser,
    weeks: Iterable[Week],
    take: Take,
    *,
    extra: Mapping[str, Params] | None = None,
) -> tuple[str, ...]:
    """Read these weeks, some at once, and hand each over. The warnings.

    A type of which the server refuses or ignores the date is read whole, page by page. One that it doesn't know is left
    out. Raises FhirServerError; weeks handed over before stay done.
    """
    given, warnings, slots = extra or {}, list[str](), asyncio.Semaphore(_BEGUN)
    by_type: dict[str, list[Week]] = {}
    for week in weeks:
        by_type.setdefault(week.type, []).append(week)

    async def of_type(kind: str, mine: list[Week]) -> None:
        async def one(week: Week) -> None:
            async with slots:
                await take(week.name, await _read_week(client, normaliser, week, given.get(kind, ())))

        try:
            await together(one(week) for week in mine)
        except WholeTypeError:
            warnings.append(f"{kind}: the server does not search by date; all of it is read")
            async with slots:
                await _walk(client, normaliser, mine, take)
        except NotFoundError:
            warnings.append(f"{kind}: the server does not offer it")

    await together(of_type(kind, mine) for kind, mine in by_type.items())
    return tuple(warnings)


async def _read_week(client: FhirClient, normaliser: Normaliser, week: Week, extra: Params) -> Batch:
    last = week.monday + _WEEK - timedelta(days=1)
    params = [("date", f"ge{week.monday}"), ("date", f"le{last}"), *extra, _COUNT]
    into, number = Gathered(normaliser), 0
    try:
        async for page in client.search(week.type, params):
            number = page.number
            if number == 1 and "date" in ignored_filters(page.self_link, week.type, params):
                raise WholeTypeError
            await into.add(page, week.type)
    except EndlessError:
        into.warnings.append(f"{week.type}: {ENDLESS}")
    except FhirServerError as error:
        if number or not may_be_the_search(error):
            raise
        raise WholeTypeError from None
    await into.complete(client)
    return into.batch(week.type)


async def _walk(client: FhirClient, normaliser: Normaliser, weeks: list[Week], take: Take) -> None:
    """All of a type along its `next` links; its weeks are done when it is through."""
    first: datetime | None = None
    async for batch in _pages(client, normaliser, weeks[0].type):
        first = first or next(iter(batch.cursor.values()), None)
        await take("", batch)
    for week in weeks:
        await take(week.name, Batch(cursor={week.type: first} if first else {}))


async def _pages(client: FhirClient, normaliser: Normaliser, kind: str) -> AsyncIterator[Batch]:
    for params in ([_COUNT], []):
        number = 0
        try:
            async for page in client.search(kind, params):
                number = page.number
                into = Gathered(normaliser)
                await into.add(page, kind)
                await into.complete(client)
                yield replace(into.batch(kind), complete=frozenset())
        except EndlessError:
            yield Batch(warnings=(f"{kind}: {ENDLESS}",))
        except FhirServerError as error:
            if number or not params or not may_be_the_search(error):
                raise
            continue
        return
