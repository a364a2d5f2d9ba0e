"""`--try-write`: a harmless annotation on one resource that is tagged for it, and everything as it was afterwards."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from api.doctor.asking import last_updated, page
from api.doctor.findings import Check, Finding, note, ok, problem, warning
from api.once import ANNOTATED_TYPES
from fhir_adapters import content, dates, links, splice
from fhir_adapters.answers import Answer
from fhir_adapters.canonical import is_ours
from fhir_adapters.client import FhirClient
from fhir_adapters.errors import AdapterError, BadAddressError, ConflictError, FhirServerError, NotFoundError
from fhir_adapters.guarded_write import write
from fhir_adapters.manners import ServerTraits
from fhir_adapters.outcomes import WriteResult
from fixtures.clinic.catalogue import TAGS
from twin.errors import SettingsError
from twin.timebase import site_date, wall_now
from twin.timeline import Annotation, PredictedRoomEnd, PredictedStage, PredictedTimeline, WriteOrder
from twin.vocabulary import Milestone

TEST_TAG = "jumeau-test"
VALID_FOR = timedelta(minutes=5)
MODEL = "jumeau doctor"
_NO_VERSION = "no-version-of-this-resource"


class NotTaggedError(SettingsError):
    """The resource named must not be written to."""


@dataclass(frozen=True, slots=True)
class Trial:
    """The resource as it was, before anything was written."""

    ref: str
    before: bytes
    tag: str
    """What If-Match took then."""

    @property
    def type(self) -> str:
        """Its resource type."""
        return self.ref.partition("/")[0]


async def chosen(client: FhirClient, ref: str) -> Trial:
    """The resource to try on. Raises NotTaggedError unless it is there, tagged, and carries nothing of ours."""
    try:
        resource_type, _ = links.reference(ref)
    except BadAddressError:
        raise NotTaggedError("--try-write: give a resource as Type/id") from None
    if resource_type not in ANNOTATED_TYPES:
        raise NotTaggedError(f"--try-write: predictions are written on {', '.join(ANNOTATED_TYPES)} only")
    try:
        answer = await client.read(ref)
    except NotFoundError:
        raise NotTaggedError(f"--try-write: there is no such {resource_type}") from None
    resource = answer.json()
    if not isinstance(resource, dict) or not is_tagged(resource):
        raise NotTaggedError(
            f"--try-write: this {resource_type} is not tagged for it; give it meta.tag "
            f'{{"system": "{TAGS}", "code": "{TEST_TAG}"}} if it is nobody\'s'
        )
    if _ours(resource):
        raise NotTaggedError(f"--try-write: this {resource_type} carries predictions; name one that doesn't")
    version = answer.tag or answer.version_id
    if version is None:
        raise NotTaggedError(f"--try-write: the server tells no version of this {resource_type} to guard a write with")
    return Trial(ref, answer.body, version)


def is_tagged(resource: Mapping[str, Any]) -> bool:
    """True where meta.tag says that a resource is for tests, or synthetic by our own system."""
    meta = resource.get("meta")
    tags = meta.get("tag") if isinstance(meta, dict) else None
    return any(
        isinstance(tag, dict)
        and (tag.get("code") == TEST_TAG or (tag.get("system"), tag.get("code")) == (TAGS, "synthetic"))
        for tag in (tags if isinstance(tags, list) else ())
    )


async def try_findings(client: FhirClient, trial: Trial, zone: ZoneInfo) -> list[Finding]:
    """Write, read back, be refused as one should, take off again, compare. Never raises an AdapterError."""
    source, traits = uuid.uuid4().urn, ServerTraits()
    findings = []
    try:
        before = (await _shown(client, trial, fresh=False), await _shown(client, trial, fresh=True))
        order = WriteOrder(trial.ref, _harmless(trial.type, source), "new")
        written = await write(client, order, zone=zone, source=source, traits=traits)
        findings.append(_written(written, traits))
        if written.outcome.status == "written":
            findings.append(await _freshness(client, trial, before))
            findings.append(await _guard(client, trial, by_patch=traits.json_patch))
            if traits.json_patch:
                findings.append(await _failed_test(client, trial))
    except AdapterError as error:
        findings.append(warning(Check.TRY_WRITE, str(error), "run it again; look into the server's log"))
    finally:
        removed = await write(client, WriteOrder(trial.ref, None, "removal"), zone=zone, source=source, traits=traits)
        findings.append(await _removed(client, trial, removed))
    return findings


def _harmless(resource_type: str, source: str) -> Annotation:
    """A prediction that says what it is, and that readers ignore after five minutes."""
    now = wall_now()
    until = now + VALID_FOR
    if resource_type == "Location":
        day = site_date(now, ZoneInfo("UTC"))
        end = PredictedRoomEnd(day, now, until, until, None, None, 0.5, now, until, source)
        return Annotation(room_ends=(end,))
    stage = PredictedStage(Milestone.PATIENT_IN_ROOM, p50=until, probability=0.5)
    run = uuid.uuid4().urn
    return Annotation(
        PredictedTimeline(now, until, MODEL, source, run, (f"{resource_type}/test/_history/0",), (stage,))
    )


def _written(result: WriteResult, traits: ServerTraits) -> Finding:
    outcome = result.outcome
    numbers = {"status": outcome.status, "json_patch": traits.json_patch}
    way = "JSON Patch" if traits.json_patch else "PUT, as the server has no JSON Patch"
    if outcome.status == "written":
        return ok(Check.TRY_WRITE, f"annotated by {way}, read back, nothing else changed", **numbers)
    said = f"not annotated ({outcome.status}): {outcome.reason}"
    return warning(Check.TRY_WRITE, said, "leave write_back.mode off until this is mended", **numbers)


async def _shown(client: FhirClient, trial: Trial, *, fresh: bool) -> bool | None:
    """Whether a search for what changed since shows the resource, asked for with or without no-cache; None: refused.

    Before the write it must not, and is so asked in the same words as after it: a server may keep the answer.
    """
    since = dates.instant(last_updated(content.parse(trial.before)))
    if since is None:
        return None
    after = (since.astimezone(UTC) + timedelta(milliseconds=1)).replace(tzinfo=None).isoformat(timespec="milliseconds")
    params = [("_id", trial.ref.partition("/")[2]), ("_lastUpdated", f"ge{after}Z")]
    try:
        return trial.ref in (await page(client, trial.type, trial.type, params, fresh=fresh)).refs
    except FhirServerError:
        return None


async def _freshness(client: FhirClient, trial: Trial, before: tuple[bool | None, ...]) -> Finding:
    """Whether a search shows the write at once, and whether it would without no-cache."""
    cached, shown = [await _shown(client, trial, fresh=fresh) for fresh in (False, True)]
    if before != (False, False) or shown is None:
        todo = "the server does not search by _id and _lastUpdated, or doesn't tell the latter: see filters"
        return note(Check.TRY_FRESH, "it can't be seen", todo, with_no_cache=None, without=None)
    numbers = {"with_no_cache": shown, "without": cached}
    if not shown:
        todo = "changes are seen late by the time that the server keeps results or takes to index"
        return warning(Check.TRY_FRESH, "a search does not show the write, even with no-cache", todo, **numbers)
    if not cached:
        said = "a search with no-cache shows the write at once, one without does not"
        return note(Check.TRY_FRESH, said, "the line asks with no-cache; other readers see changes late", **numbers)
    return ok(Check.TRY_FRESH, "a search shows the write at once", **numbers)


async def _guard(client: FhirClient, trial: Trial, *, by_patch: bool) -> Finding:
    """A write over the version of before. Were it let through, it would change nothing."""
    same = [{"op": "test", "path": "/resourceType", "value": trial.type}]
    try:
        if by_patch:
            answer = await client.patch(trial.ref, same, if_match=trial.tag)
        else:
            now = await client.read(trial.ref)
            answer = await client.update(trial.ref, now.body, if_match=trial.tag)
    except ConflictError as error:
        said = f"a stale If-Match is refused with {error.status}"
        return ok(Check.TRY_GUARD, said, heeded=True, status=error.status)
    except FhirServerError as error:
        said = f"a stale If-Match gives {error.status}, which may mean anything"
        todo = "409 or 412 were expected: compare with the server's documentation"
        return warning(Check.TRY_GUARD, said, todo, heeded=None, status=error.status)
    said = "a stale If-Match is let through: updates of the hospital could be lost"
    todo = "turn optimistic locking on in the server; only guarded patches are written, never whole resources"
    return warning(Check.TRY_GUARD, said, todo, heeded=False, status=answer.status)


async def _failed_test(client: FhirClient, trial: Trial) -> Finding:
    """A patch whose test fails must change nothing, and say so."""
    wrong = [{"op": "test", "path": "/meta/versionId", "value": _NO_VERSION}]
    try:
        answer = await client.patch(trial.ref, wrong, if_match=None)
    except FhirServerError as error:
        return ok(Check.TRY_TEST, f"a failed patch test answers {error.status}", honoured=True, status=error.status)
    said = f"a patch whose test fails answers {answer.status}"
    todo = "tests of a patch are no guard here: writing relies on If-Match alone"
    return warning(Check.TRY_TEST, said, todo, honoured=False, status=answer.status)


async def _removed(client: FhirClient, trial: Trial, removed: WriteResult) -> Finding:
    """The proof that the resource is as it was."""
    status = removed.outcome.status
    try:
        after: Answer = await client.read(trial.ref)
        resource = after.json()
        clean = isinstance(resource, dict) and not _ours(resource)
        same = splice.untouched(trial.before, after.body)
    except (AdapterError, ValueError) as error:
        return problem(Check.TRY_REMOVED, str(error), f"look at {trial.ref} by hand", status=status)
    numbers = {"status": status, "clean": clean, "same": same}
    if clean and same:
        return ok(Check.TRY_REMOVED, "taken off again; the resource is as it was, but for its version", **numbers)
    said = "the resource is not as it was" if not same else f"the annotation is still there: {removed.outcome.reason}"
    return problem(
        Check.TRY_REMOVED, said, f"compare the last versions of {trial.ref}; don't turn writing on", **numbers
    )


def _ours(resource: Mapping[str, Any]) -> bool:
    extensions = resource.get("extension")
    return any(
        isinstance(one, dict) and is_ours(one.get("url"))
        for one in (extensions if isinstance(extensions, list) else ())
    )
