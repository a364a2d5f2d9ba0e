"""Annotations brought onto the hospital's server: our extensions only, guarded, checked, at a pace.

`write` does one order and `Writer` many; `patching` says what to change, `guarded_write` changes it, `splice` edits raw
text where a server would spoil numbers. No write leaves anything else of a resource different; if one did, its outcome
is `touched` and the Writer stops. `beside` keeps predictions in resources of our own instead (`companion`).
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from typing import Any
from zoneinfo import ZoneInfo

import structlog

from fhir_adapters import companion, extensions, links
from fhir_adapters.beside import Companions
from fhir_adapters.client import FhirClient
from fhir_adapters.errors import EndlessError, NotFoundError, RejectedError
from fhir_adapters.guarded_write import Sleep, write
from fhir_adapters.manners import ServerTraits
from fhir_adapters.outcomes import WriteResult
from fhir_adapters.patching import plan_patch
from twin import timebase
from twin.timeline import WriteOrder, WriteOutcome

__all__ = ["ServerTraits", "WriteResult", "Writer", "find_ours", "plan_patch", "write"]

_HOUR_S = 3600.0

_log = structlog.get_logger(__name__)


class Writer:
    """Writes to one server at a pace, in wall time: `max_in_flight` at once and one per resource, `budget_per_s`
    orders a second, at least `min_interval_s` between two writes of a resource and at most `max_per_hour` of them.

    A server that asks to wait, or can't be reached, is left alone for a while: all its orders are held back.
    """

    def __init__(
        self,
        client: FhirClient,
        *,
        zone: ZoneInfo,
        source: str,
        take_over: bool = False,
        max_in_flight: int = 8,
        min_interval_s: float = 60.0,
        budget_per_s: float = 20.0,
        max_per_hour: int = 240,
        monotonic: Callable[[], float] = timebase.monotonic,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._client = client
        self._zone = zone
        self._source = source
        self._take_over = take_over
        self.companions = Companions(client, zone=zone, source=source, take_over=take_over)
        self._slots = asyncio.Semaphore(max_in_flight)
        self._min_interval_s = min_interval_s
        self._gap_s = 1.0 / budget_per_s
        self._max_per_hour = max_per_hour
        self._memory_s = max(_HOUR_S, min_interval_s)
        self._monotonic = monotonic
        self._sleep = sleep
        self._next_s = monotonic()
        self._paused_until_s = monotonic()
        self._in_flight: set[str] = set()
        self._tried: dict[str, deque[float]] = {}
        self.traits = ServerTraits()
        self.halted: str | None = None
        """Why nothing is written any more: a write changed more than our extensions, a person has to look."""

    def due(self, order: WriteOrder) -> bool:
        """True where `run` would write the order now; False: held back, offer it (or a newer one) again."""
        if _key(order) in self._in_flight or not self._may_write(order):
            return False
        tried, now = self._tried.get(_key(order), deque()), self._monotonic()
        while tried and now - tried[0] >= self._memory_s:
            tried.popleft()
        return not tried or (now - tried[-1] >= self._min_interval_s and len(tried) < self._max_per_hour)

    async def run(self, orders: Iterable[WriteOrder]) -> list[WriteResult]:
        """Write the newest order of each resource that is due. Those held back are not among the results."""
        newest = {_key(order): order for order in orders}
        self._forget()
        due = [order for order in newest.values() if self.due(order)]
        self._in_flight.update(map(_key, due))
        try:
            results = await asyncio.gather(*(self._one(order) for order in due))
        finally:
            self._in_flight.difference_update(map(_key, due))
        return [result for result in results if result is not None]

    async def _one(self, order: WriteOrder) -> WriteResult | None:
        async with self._slots:
            await self._turn()
            if not self._may_write(order):
                return None
            result = await self._write(order)
        self._note(order, result.outcome)
        return result

    async def _write(self, order: WriteOrder, *, dry_run: bool = False) -> WriteResult:
        if order.beside:
            return await self.companions.write(order, self.traits, sleep=self._sleep, dry_run=dry_run)
        return await write(
            self._client,
            order,
            zone=self._zone,
            source=self._source,
            dry_run=dry_run,
            take_over=self._take_over,
            traits=self.traits,
            sleep=self._sleep,
        )

    async def plan(self, order: WriteOrder) -> WriteResult:
        """What writing the order would send; nothing is sent but reads."""
        return await self._write(order, dry_run=True)

    def _may_write(self, order: WriteOrder) -> bool:
        written = companion.TYPE if order.beside else order.ref.partition("/")[0]
        refused = written in self.traits.refuses
        off = self.traits.off is not None and order.annotation is not None and not order.beside
        return not (self.halted or refused or off or self._monotonic() < self._paused_until_s)

    def _forget(self) -> None:
        now = self._monotonic()
        self._tried = {ref: tried for ref, tried in self._tried.items() if tried and now - tried[-1] < self._memory_s}

    async def _turn(self) -> None:
        now = self._monotonic()
        at = max(now, self._next_s)
        self._next_s = at + self._gap_s
        if at > now:
            await self._sleep(at - now)

    def _note(self, order: WriteOrder, outcome: WriteOutcome) -> None:
        if outcome.status == "touched":
            self.halted = outcome.reason
            _log.error("writing back is stopped: the journal names the resource, compare its last versions")
        if self.traits.pause_s:
            self._paused_until_s = self._monotonic() + self.traits.pause_s
            self.traits.pause_s = 0.0
        elif outcome.status not in ("unchanged", "gone"):
            tried = self._tried.setdefault(_key(order), deque())
            tried.append(self._monotonic())
            if len(tried) == self._max_per_hour:
                _log.warning("written too often, left alone for a while: who else writes it?", ref=order.ref)


def _key(order: WriteOrder) -> str:
    return f"{companion.TYPE} about {order.ref}" if order.beside else order.ref


async def find_ours(
    client: FhirClient, types: Iterable[str], source: str, *, take_over: bool = False
) -> AsyncIterator[str]:
    """`Type/id` of every resource of these types that carries an extension of the installation `source`.

    Reads them all, without a filter: no server is sure to find extensions; a type that it doesn't offer has none. With
    `take_over` those of others count too.
    """
    for resource_type in types:
        try:
            async for page in client.search(resource_type):
                for resource in _resources(page.bundle, resource_type):
                    if extensions.owned(resource.get("extension"), source, take_over=take_over):
                        yield f"{resource_type}/{resource['id']}"
        except EndlessError:
            _log.warning("pages lead back: run it again to see whether anything is left", type=resource_type)
        except (NotFoundError, RejectedError):
            _log.warning("the server does not offer it", type=resource_type)


def _resources(bundle: Mapping[str, Any], resource_type: str) -> Iterator[dict[str, Any]]:
    """The resources of a type in a page that have an id."""
    entries = bundle.get("entry")
    for entry in entries if isinstance(entries, list) else []:
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if (
            isinstance(resource, dict)
            and resource.get("resourceType") == resource_type
            and links.is_id(resource.get("id"))
        ):
            yield resource
