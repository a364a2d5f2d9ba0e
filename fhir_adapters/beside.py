"""The companions of one server: found by their identifiers, created once, kept up to date, deleted with their case.

The server is the only record of them: what a program finds at its start is what the one before it left.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import structlog

from fhir_adapters import companion, extensions, links
from fhir_adapters.answers import Answer
from fhir_adapters.canonical import CANONICAL, CASE_TIMELINE, PREDICTION_CODES
from fhir_adapters.client import FhirClient, Params, may_be_the_search
from fhir_adapters.companion import TYPE
from fhir_adapters.errors import (
    AdapterError,
    BadAnswerError,
    ConflictError,
    EndlessError,
    FhirServerError,
    NotFoundError,
    RefusedError,
    RejectedError,
    SlowError,
    UnreachableError,
)
from fhir_adapters.guarded_write import FIRST_WAIT_S, TRIES, Sleep, is_valid_still
from fhir_adapters.manners import ServerTraits
from fhir_adapters.outcomes import WriteResult, failed
from twin.facts import Carried
from twin.timeline import WriteOrder, WriteOutcome

Json = dict[str, Any]

_AGAIN = (ConflictError, UnreachableError, SlowError, BadAnswerError)
_log = structlog.get_logger()
_NO_TYPE = "the server has no RiskAssessment that we may read and write; predictions are in the API only"


@dataclass(frozen=True, slots=True)
class _Held:
    """One of ours as the server gave it."""

    resource: Json
    tag: str | None = None

    @property
    def ref(self) -> str:
        return f"{TYPE}/{self.resource['id']}"


class Companions:
    """RiskAssessments of the installation `source`, by the hospital's resource that each is about."""

    def __init__(self, client: FhirClient, *, zone: ZoneInfo, source: str, take_over: bool = False) -> None:
        self._client = client
        self._zone = zone
        self._source = source
        self._take_over = take_over
        self._refs: dict[str, list[str]] = {}
        self._conditional = True
        self.carried: dict[str, Carried] = {}
        """What each says, by carrier, as far as is known."""

    async def read(self, traits: ServerTraits | None = None) -> None:
        """Find out what is there. A server without the type, or that keeps it from us, has none, which `traits` learns.

        Raises FhirServerError where the server is away.
        """
        found: dict[str, list[_Held]] = {}
        try:
            async for carrier, one in self._found(""):
                found.setdefault(carrier, []).append(one)
        except FhirServerError as error:
            if not (isinstance(error, NotFoundError | RefusedError) or may_be_the_search(error)):
                raise
            if traits is not None:
                traits.refuse(TYPE, _NO_TYPE)
            return
        for carrier in self._refs.keys() - found.keys():
            # A search may lag behind what we created.
            found[carrier] = await self._known(carrier)
        self._refs, self.carried = {}, {}
        for carrier, held in found.items():
            self._keep(carrier, sorted(held, key=self._rank))

    def _keep(self, carrier: str, held: list[_Held]) -> None:
        self._refs.pop(carrier, None)
        self.carried.pop(carrier, None)
        if held:
            said = extensions.reader(self._source)(held[0].resource.get("extension", []))
            self._refs[carrier] = [one.ref for one in held]
            # Several about one carrier are no state to leave: the next order makes them one.
            self.carried[carrier] = said if len(held) == 1 else Carried(present=True)

    # Finding

    async def _found(self, carrier: str) -> AsyncIterator[tuple[str, _Held]]:
        """Those about a carrier, or all; where the server refuses the filter, they are picked out of everything."""
        by_method = ("method", f"{PREDICTION_CODES}|{CASE_TIMELINE}")
        try:
            async for found in self._picked(carrier, [by_method if self._take_over else self._identifier(carrier)]):
                yield found
        except FhirServerError as error:
            if not may_be_the_search(error):
                raise
            async for found in self._picked(carrier, []):
                yield found

    async def _picked(self, carrier: str, params: Params) -> AsyncIterator[tuple[str, _Held]]:
        try:
            async for page in self._client.search(TYPE, params):
                for entry in page.bundle.get("entry") or []:
                    resource = entry.get("resource") if isinstance(entry, dict) else None
                    about = self._about(resource)
                    if about is not None and resource is not None and carrier in ("", about):
                        yield about, _Held(resource)
        except EndlessError:
            _log.warning("pages lead back: what they gave until then counts", type=TYPE)

    def _identifier(self, carrier: str) -> tuple[str, str]:
        return "identifier", f"{self._source}|{carrier}"

    def _about(self, resource: object) -> str | None:
        if (
            not isinstance(resource, dict)
            or resource.get("resourceType") != TYPE
            or not links.is_id(resource.get("id"))
        ):
            return None
        return companion.carrier_of(resource, self._source, take_over=self._take_over)

    async def _known(self, carrier: str) -> list[_Held]:
        """Those that were found or made before, as they are now."""
        held = []
        for ref in self._refs.get(carrier, []):
            try:
                answer = await self._client.read(ref)
            except NotFoundError:
                continue
            resource = answer.json()
            if self._about(resource) == carrier:
                held.append(_Held(resource, answer.tag or answer.version_id))
        return held

    async def _held(self, carrier: str) -> list[_Held]:
        """Those about a carrier, each with what If-Match takes."""
        known = await self._known(carrier)
        if known:
            return known
        found = [held async for _, held in self._found(carrier)]
        self._refs[carrier] = [one.ref for one in sorted(found, key=self._rank)]
        return await self._known(carrier)

    def _rank(self, held: _Held) -> tuple[bool, str]:
        """Ours before those that are taken over."""
        return companion.carrier_of(held.resource, self._source) is None, held.ref

    # Writing

    async def write(
        self, order: WriteOrder, traits: ServerTraits, *, sleep: Sleep = asyncio.sleep, dry_run: bool = False
    ) -> WriteResult:
        """Bring the order's prediction about, in at most 3 tries; never raises an AdapterError.

        A lost answer is settled by looking again: what is found then was written.
        """
        status, reason = "conflict", "another program creates it at the same time"
        for turn in range(TRIES):
            try:
                result = await self._brought(order, traits, was_sent=turn > 0, dry_run=dry_run)
            except _AGAIN as error:
                status, reason = ("conflict" if isinstance(error, ConflictError) else "failed"), str(error)
                if isinstance(error, UnreachableError) and turn == TRIES - 1:
                    return failed(order, error, traits)
            except (AdapterError, ValueError) as error:
                if not (isinstance(error, NotFoundError) and error.method == "PUT"):
                    return self._given_up(order, error, traits)
                status, reason = "conflict", str(error)  # deleted between our read and our write
            else:
                if result is not None:
                    return result
            await sleep(FIRST_WAIT_S * (turn + 1) * (0.5 + random.random()))
        return self._result(order, status, reason=reason)

    def _given_up(self, order: WriteOrder, error: AdapterError | ValueError, traits: ServerTraits) -> WriteResult:
        if isinstance(error, NotFoundError | RefusedError):
            traits.refuse(TYPE, _NO_TYPE)
        elif isinstance(error, RejectedError) and (error.status == 405 or CANONICAL.encode() in error.body):
            traits.refuse(TYPE, f"the server does not accept ours ({error.status})")
        return failed(order, error, traits)

    async def _brought(
        self, order: WriteOrder, traits: ServerTraits, *, was_sent: bool, dry_run: bool
    ) -> WriteResult | None:
        held = await self._held(order.ref)
        if order.annotation is None:
            return self._planned(order, held, None) if dry_run else await self._removed(order, held)
        if len(held) == 1 and self._is_current(held[0], order):
            self._keep(order.ref, held)
            return self._result(order, "written" if was_sent else "unchanged", held[0].ref)
        body = companion.assessment(
            order.annotation, order.ref, base_url=self._client.base.url, source=self._source, zone=self._zone
        )
        if dry_run:
            return self._planned(order, held, body)
        answer = await self._sent(order.ref, body, held)
        return await self._checked(order, answer, traits) if answer is not None else None

    def _is_current(self, held: _Held, order: WriteOrder) -> bool:
        carried = extensions.reader(self._source)(held.resource.get("extension", []))
        if order.annotation is None or carried.annotation is None:
            return False
        shown = extensions.published(order.annotation, self._zone)
        same = extensions.same_content(carried.annotation, shown)
        return same and is_valid_still(carried.annotation, shown, renewal=order.reason == "renewal")

    async def _sent(self, carrier: str, body: Json, held: list[_Held]) -> Answer | None:
        """The answer to a create or an update; None where one is there that the search didn't show."""
        if not held:
            answer = await self._created(carrier, body)
            return answer if answer.status == 201 else None
        answer = await self._client.update(held[0].ref, {**body, "id": held[0].resource["id"]}, if_match=held[0].tag)
        for surplus in held[1:]:
            await self._deleted(carrier, surplus)
        return answer

    async def _created(self, carrier: str, body: Json) -> Answer:
        """Conditionally, where the server knows how; one that doesn't may answer 400. A search found none just now."""
        if self._conditional:
            try:
                return await self._client.create(TYPE, body, if_none_exist=[self._identifier(carrier)])
            except RejectedError as error:
                if CANONICAL.encode() in error.body:
                    raise
        answer = await self._client.create(TYPE, body)
        self._conditional = False
        return answer

    async def _checked(self, order: WriteOrder, answer: Answer, traits: ServerTraits) -> WriteResult:
        """The result by what the server holds now, which says what was sent, or is refused from now on."""
        now = await self._after(order.ref, answer)
        self._keep(order.ref, [now])
        carried = self.carried[order.ref].annotation
        if order.annotation is None or carried != extensions.published(order.annotation, self._zone):
            reason = "dropped by server: it answers success but does not do what we asked"
            traits.refuse(TYPE, reason)
            return self._result(order, "failed", now.ref, reason=reason)
        return self._result(order, "written", now.ref, version=answer.version_id or now.tag)

    async def _after(self, carrier: str, answer: Answer) -> _Held:
        resource = answer.json() if answer.body.strip() else None
        if resource is not None and self._about(resource) == carrier:
            return _Held(resource)
        named = answer.headers.get("location", "").partition("/_history/")[0].rpartition(f"{TYPE}/")[2]
        if links.is_id(named):
            self._refs[carrier] = [f"{TYPE}/{named}"]
        held = await self._held(carrier)
        if not held:
            raise BadAnswerError("a search does not find what was created", method="GET", resource=TYPE)
        return held[0]

    # Removing

    async def _removed(self, order: WriteOrder, held: list[_Held]) -> WriteResult:
        left = [one for one in held if not await self._deleted(order.ref, one)]
        self._keep(order.ref, [])
        if not held:
            return self._result(order, "unchanged")
        reason = "the server does not let it be deleted: it is cancelled, and predicts nothing" if left else ""
        return self._result(order, "written", held[0].ref, reason=reason)

    async def _deleted(self, carrier: str, held: _Held) -> bool:
        """Deleted; False where something refers to it (409), or it may not be deleted: then it is emptied instead."""
        try:
            await self._client.delete(held.ref)
        except NotFoundError:
            return True
        except (ConflictError, RejectedError, RefusedError):
            body = {**companion.cancelled(carrier, self._source), "id": held.resource["id"]}
            await self._client.update(held.ref, body, if_match=held.tag)
            return False
        return True

    # Telling

    def _planned(self, order: WriteOrder, held: list[_Held], body: Json | None) -> WriteResult | None:
        if body is None and not held:
            return self._result(order, "unchanged")
        request = "delete" if body is None else "update" if held else "create"
        outcome = WriteOutcome(held[0].ref if held else TYPE, "planned")
        return WriteResult(outcome, carrier=order.ref, request=request, companion=body)

    def _result(
        self, order: WriteOrder, status: str, ref: str = "", *, version: str | None = None, reason: str = ""
    ) -> WriteResult:
        return WriteResult(WriteOutcome(ref or order.ref, status, version_id=version, reason=reason), carrier=order.ref)
