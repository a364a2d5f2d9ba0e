"""One resource brought to carry an annotation: read, written under guard, compared, and done again where needed.

fresh GET -> guarded JSON Patch (or the spliced raw text by PUT) -> the answer compared with what was read
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeGuard
from zoneinfo import ZoneInfo

from fhir_adapters import extensions, links, splice
from fhir_adapters.answers import Answer
from fhir_adapters.canonical import CANONICAL
from fhir_adapters.client import FhirClient
from fhir_adapters.errors import (
    AdapterError,
    BadAnswerError,
    ConflictError,
    FhirServerError,
    NotFoundError,
    RejectedError,
    SlowError,
    UnreachableError,
)
from fhir_adapters.history import version_texts
from fhir_adapters.manners import REFUSALS, ServerTraits, says_no_patch
from fhir_adapters.outcomes import WriteResult, failed
from fhir_adapters.patching import plan_patch, version_of
from twin.facts import Carried
from twin.timeline import Annotation, PredictedRoomEnd, PredictedTimeline, WriteOrder, WriteOutcome

Json = dict[str, Any]
Sleep = Callable[[float], Awaitable[None]]

TRIES = 3
FIRST_WAIT_S = 0.1
_PARTIAL = frozenset({"SUBSETTED", "REDACTED"})


async def write(
    client: FhirClient,
    order: WriteOrder,
    *,
    zone: ZoneInfo,
    source: str,
    dry_run: bool = False,
    take_over: bool = False,
    traits: ServerTraits | None = None,
    sleep: Sleep = asyncio.sleep,
) -> WriteResult:
    """Bring one resource to carry the order's annotation, in at most 3 tries; never raises an AdapterError.

    `traits` is what earlier writes taught about the server, and takes what this one teaches. `zone` gives the offset
    that times are written with.
    """
    try:
        job = _Write(client, order, traits or ServerTraits(), zone=zone, source=source, take_over=take_over)
        return await job.run(sleep, dry_run=dry_run)
    except NotFoundError:
        return _result(order, "gone")
    except (AdapterError, ValueError) as error:
        return failed(order, error, traits)


def _result(
    order: WriteOrder, status: str, *, reason: str = "", version: str | None = None, body: Json | None = None
) -> WriteResult:
    return WriteResult(WriteOutcome(order.ref, status, version_id=version, reason=reason), body)


@dataclass(frozen=True, slots=True)
class _Seen:
    """One version of the resource as the server gave it; `tag` is what If-Match takes."""

    body: bytes
    resource: Json
    version: str
    tag: str

    @property
    def extensions(self) -> object:
        return self.resource.get("extension", [])


class _Write:
    """One order under way."""

    def __init__(
        self,
        client: FhirClient,
        order: WriteOrder,
        traits: ServerTraits,
        *,
        zone: ZoneInfo,
        source: str,
        take_over: bool,
    ) -> None:
        self._client = client
        self._order = order
        self._traits = traits
        self._source = source
        self._take_over = take_over
        self._type, self._id = links.reference(order.ref)
        self._shown = None if order.annotation is None else extensions.published(order.annotation, zone)
        self._wanted = [] if order.annotation is None else extensions.build(order.annotation, zone)
        if extensions.reader(source)(self._wanted).foreign:
            raise ValueError("the annotation names another source than the one that writes it")
        self._tries_left = TRIES
        self._rejected_version: str | None = None
        self._stale_version: str | None = None
        self._by_put = False
        self._untried = False
        """A patch was refused twice: perhaps the server has none, and takes the whole resource."""

    async def run(self, sleep: Sleep, *, dry_run: bool) -> WriteResult:
        problem, reason = "conflict", ""
        while self._tries_left:
            self._tries_left -= 1
            before = await self._read()
            self._learn_from(before)
            result = self._without_writing(before, dry_run=dry_run)
            if result is None:
                try:
                    result = await self._written(before)
                except ConflictError as error:
                    problem, reason = "conflict", str(error)
                    self._stale_version = before.version if self._by_put or error.status == 412 else None
                except RejectedError as error:
                    problem, reason = "conflict", str(error)
                    result = self._after_rejection(before, error)
                except (UnreachableError, SlowError, BadAnswerError) as error:
                    problem, reason = "failed", str(error)
                    result = await self._after_lost_answer(before, error)
            if result is not None:
                return result
            if self._tries_left:
                await sleep(FIRST_WAIT_S * max(1, TRIES - self._tries_left) * (0.5 + random.random()))
        return self._end(problem, reason=reason)

    def _end(self, status: str, *, reason: str = "", seen: _Seen | None = None) -> WriteResult:
        if seen is None:
            return _result(self._order, status, reason=reason)
        return _result(self._order, status, reason=reason, version=seen.version, body=seen.resource)

    # Reading

    async def _read(self) -> _Seen:
        answer = await self._client.read(self._order.ref)
        if not self._is_whole(answer.json()):
            raise BadAnswerError("the answer to a read is not the whole resource", method="GET", resource=self._type)
        seen = self._seen(answer)
        if seen is None:
            raise ValueError("no version to guard with: the server gives neither meta.versionId nor an ETag")
        return seen

    def _seen(self, answer: Answer) -> _Seen | None:
        """The resource in an answer; None where it holds another one, not all of it, or tells no version."""
        resource = answer.json() if answer.body.strip() else None
        version = answer.version_id
        if version is None or not self._is_whole(resource):
            return None
        return _Seen(answer.body, resource, version, answer.tag or version)

    def _is_whole(self, resource: object) -> TypeGuard[Json]:
        if not isinstance(resource, dict):
            return False
        meta = resource.get("meta")
        labels = [*_list(meta, "tag"), *_list(meta, "security")]
        partial = any(isinstance(label, dict) and label.get("code") in _PARTIAL for label in labels)
        return (resource.get("resourceType"), resource.get("id")) == (self._type, self._id) and not partial

    async def _history(self) -> list[_Seen]:
        """The latest versions, newest first; [] where the server offers no history."""
        bodies = await version_texts(self._client, self._order.ref)
        seen = [self._seen(Answer(200, {}, body)) for body in bodies]
        found = [one for one in seen if one is not None]
        if all(one.version.isdecimal() for one in found):
            found.sort(key=lambda one: int(one.version), reverse=True)
        return found

    # Deciding

    def _without_writing(self, before: _Seen, *, dry_run: bool) -> WriteResult | None:
        carried = extensions.reader(self._source)(before.extensions)
        if self._wanted and carried.foreign and not self._take_over:
            return self._end("foreign", reason="another installation annotates it; take over to replace it")
        if self._is_current(carried):
            return self._end("unchanged", seen=before)
        patch = self._patch(before)
        if not patch:
            return self._end("unchanged", seen=before)
        return WriteResult(WriteOutcome(self._order.ref, "planned"), patch=patch) if dry_run else None

    def _is_current(self, carried: Carried) -> bool:
        if carried.annotation is None or self._shown is None or (carried.foreign and self._take_over):
            return False
        same = extensions.same_content(carried.annotation, self._shown)
        return same and is_valid_still(carried.annotation, self._shown, renewal=self._order.reason == "renewal")

    def _patch(self, before: _Seen) -> list[Json]:
        return plan_patch(before.resource, self._wanted, self._source, take_over=self._take_over)

    def _owned(self, seen: _Seen) -> list[int]:
        return extensions.owned(seen.extensions, self._source, take_over=self._take_over)

    def _has_arrived(self, seen: _Seen) -> bool:
        carried = extensions.reader(self._source)(seen.extensions)
        return not carried.present if self._shown is None else carried.annotation == self._shown

    # Writing

    async def _written(self, before: _Seen) -> WriteResult | None:
        untried = self._untried and not self._traits.patched
        self._by_put = untried or not self._traits.json_patch or splice.has_delicate_numbers(before.body)
        if not self._by_put:
            answer = await self._patched(before)
        elif self._traits.if_match is False:
            return self._end("failed", reason="the server ignores If-Match: replacing a whole resource is not safe")
        else:
            answer = await self._put(before, over=before)
        if answer is None:
            return None
        if untried and self._traits.json_patch:
            self._traits.has_no_json_patch()
        return await self._checked(before, answer)

    async def _patched(self, before: _Seen) -> Answer | None:
        """None where PATCH is not found and the resource is: the server has no route for it."""
        try:
            answer = await self._client.patch(self._order.ref, self._patch(before), if_match=before.tag)
        except NotFoundError:
            await self._read()
            self._learn_no_json_patch()
            return None
        self._traits.patched = True
        return answer

    async def _put(self, told: _Seen, *, over: _Seen) -> Answer:
        body = splice.splice(told.body, self._owned(told), self._wanted)
        return await self._client.update(self._order.ref, body, if_match=over.tag)

    async def _checked(self, before: _Seen, answer: Answer) -> WriteResult | None:
        """The result by what the server answered; None where another one wrote and it has to be done again."""
        if answer.status == 201:
            return self._end("failed", reason="created: the resource was gone and the server made it anew; delete it")
        after = self._seen(answer) or await self._read()
        if not self._has_arrived(after):
            return self._dropped() if splice.untouched(before.body, after.body) else None
        sure = self._traits.if_match or (not self._by_put and version_of(before.resource) is not None)
        if sure and splice.untouched(before.body, after.body):
            return self._end("written", seen=after)
        history = await self._history()
        mine = next((at for at, one in enumerate(history) if one.version == after.version), None)
        return await self._judged(before, after, history, mine=mine)

    def _dropped(self) -> WriteResult:
        reason = "dropped by server: it answers success but does not do what we asked"
        self._traits.refuse(self._type, reason)
        return self._end("failed", reason=reason)

    async def _judged(
        self, before: _Seen, after: _Seen, history: list[_Seen], *, mine: int | None
    ) -> WriteResult | None:
        """Compares our version, `mine` in the history, with the one before it, whoever wrote that."""
        previous = history[mine + 1] if mine is not None and mine + 1 < len(history) else before
        if previous.version == before.version:
            previous = before
        else:
            self._traits.ignores_if_match()
            if self._by_put:
                return await self._restored(previous, after, is_newest=mine == 0)
        if splice.untouched(previous.body, after.body):
            return self._end("written", seen=after)
        return self._end("touched", reason="more than our extensions changed with our write", seen=after)

    async def _restored(self, lost: _Seen, after: _Seen, *, is_newest: bool) -> WriteResult | None:
        """Puts back the hospital's update that our PUT replaced, with our extensions in it."""
        replaced = self._end("touched", reason="an update of the hospital was replaced by our write", seen=after)
        if not is_newest or not self._tries_left:
            return replaced
        self._tries_left -= 1
        try:
            answer = await self._put(lost, over=after)
            return await self._checked(_Seen(lost.body, lost.resource, after.version, after.tag), answer)
        except FhirServerError:
            return replaced

    # Failing

    def _learn_from(self, now: _Seen) -> None:
        """A refused write and another version than it was for: the server heeds If-Match."""
        if self._stale_version not in (None, now.version) and self._traits.if_match is None:
            self._traits.if_match = True

    def _after_rejection(self, before: _Seen, error: RejectedError) -> WriteResult | None:
        """None where it may have been a failed `test`: read again; the same refusal of the same version is final."""
        if not self._by_put and says_no_patch(error):
            self._learn_no_json_patch()
            return None
        may_be_test = not self._by_put and error.status in REFUSALS and self._rejected_version != before.version
        if may_be_test:
            self._rejected_version = before.version
            return None
        if self._may_have_no_patch(error):
            return None
        if CANONICAL.encode() in error.body:
            self._traits.turn_off()
        return self._end("failed", reason=f"rejected ({error.status})")

    def _may_have_no_patch(self, error: FhirServerError) -> bool:
        """Try a whole resource where no patch was ever done here and the refusal is not about our extensions."""
        about_us = CANONICAL.encode() in error.body
        self._untried = error.status in REFUSALS and not (self._by_put or self._traits.patched or about_us)
        return self._untried

    def _learn_no_json_patch(self) -> None:
        self._traits.has_no_json_patch()
        self._tries_left += 1

    async def _after_lost_answer(self, before: _Seen, error: FhirServerError) -> WriteResult | None:
        """The server may have written all the same: only what it holds now tells."""
        if not self._by_put and says_no_patch(error):
            self._learn_no_json_patch()
            return None
        now = await self._read()
        if not self._has_arrived(now):
            self._may_have_no_patch(error)
            return None
        if splice.untouched(before.body, now.body):
            return self._end("written", seen=now)
        history = await self._history()
        mine = 0
        while mine + 1 < len(history) and self._has_arrived(history[mine + 1]):
            mine += 1
        if not history:
            return self._end("written", reason="the answer was lost and the server has no history", seen=now)
        return await self._judged(before, history[mine], history, mine=mine)


def _list(meta: object, name: str) -> list[Any]:
    value = meta.get(name) if isinstance(meta, dict) else None
    return value if isinstance(value, list) else []


def is_valid_still(carried: Annotation, wanted: Annotation, *, renewal: bool) -> bool:
    """True where what the server carries needs no renewal; by a third of its validity unless one was ordered."""
    pairs = zip(_dated(carried), _dated(wanted), strict=True)
    return all(_lasts(one, other, renewal=renewal) for one, other in pairs)


def _dated(annotation: Annotation) -> list[PredictedTimeline | PredictedRoomEnd]:
    return [*([annotation.timeline] if annotation.timeline else []), *annotation.room_ends]


def _lasts(
    carried: PredictedTimeline | PredictedRoomEnd, wanted: PredictedTimeline | PredictedRoomEnd, *, renewal: bool
) -> bool:
    if carried.valid_until >= wanted.valid_until:
        return True
    left, whole = carried.valid_until - wanted.generated_at, wanted.valid_until - wanted.generated_at
    return not renewal and left * 3 >= whole
