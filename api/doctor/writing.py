"""What would be written, what of ours is there, and what other installations wrote."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from statistics import median
from typing import Any

from api.doctor.findings import Check, Finding, Level, counted, listed, note, ok, warning
from api.once import ANNOTATED_TYPES
from api.worker import Worker
from fhir_adapters import extensions
from fhir_adapters.server import ServerCapabilities
from twin.projections.ledger import Ledger
from twin.timeline import WriteOrder

SHOWN_TYPES = ("Appointment", "Location")
"""Only of these a patch is shown, and only their ids."""


def claim_findings(said: ServerCapabilities) -> list[Finding]:
    """What the CapabilityStatement claims of patching and of If-Match."""
    patch = {name: said.json_patch(name) for name in ANNOTATED_TYPES}
    heeds = {name: said.heeds_if_match(name) for name in ANNOTATED_TYPES}
    formats = sorted(said.patch_formats)
    return [_patch(patch, formats), _if_match(heeds)]


def _patch(claims: Mapping[str, bool | None], formats: list[str]) -> Finding:
    numbers = {"json_patch": dict(claims), "formats": formats}
    denied = [name for name, claim in claims.items() if claim is False]
    if denied:
        said = f"JSON Patch is denied for {', '.join(denied)}"
        return note(Check.PATCH, said, "whole resources are written there, our extensions spliced in", **numbers)
    if all(claims.values()):
        return ok(Check.PATCH, "JSON Patch is offered", **numbers)
    return note(Check.PATCH, "whether there is JSON Patch is not told", "--try-write finds it out", **numbers)


def _if_match(claims: Mapping[str, bool | None]) -> Finding:
    denied = [name for name, claim in claims.items() if claim is False]
    numbers = {"heeded": dict(claims)}
    if denied:
        said = f"no versions, so no If-Match, for {', '.join(denied)}"
        return warning(Check.IF_MATCH, said, "turn versioning on before anything is written", **numbers)
    if all(claims.values()):
        return ok(Check.IF_MATCH, "a stale If-Match is refused, as the server says", **numbers)
    return note(
        Check.IF_MATCH, "whether a stale If-Match is refused is not told", "--try-write finds it out", **numbers
    )


async def would_write_findings(worker: Worker) -> list[Finding]:
    """The patches that `run --once` would send with writing on, counted; one of them shown."""
    orders = worker.orders().orders
    return [await _would_write(worker, orders), *annotation_findings(worker.ledger, worker.parts.source)]


async def _would_write(worker: Worker, orders: Iterable[WriteOrder]) -> Finding:
    zone = worker.parts.site.timezone
    types = Counter(order.ref.partition("/")[0] for order in orders)
    reasons = Counter(order.reason for order in orders)
    sizes = [len(json.dumps(extensions.build(order.annotation, zone)).encode()) for order in orders if order.annotation]
    numbers: dict[str, Any] = {
        "count": sum(types.values()),
        "by_type": dict(types),
        "by_reason": dict(reasons),
        "bytes_median": round(median(sizes)) if sizes else 0,
        "bytes_max": max(sizes, default=0),
    }
    if not types:
        return note(Check.WOULD_WRITE, "nothing is to be written now", **numbers, example=None)
    example = await _example(worker, orders)
    numbers["example"] = example
    said = f"{counted(numbers['count'], 'resource')} would be annotated or cleaned ({listed(types)})"
    said += f", {numbers['bytes_median']} bytes each (at most {numbers['bytes_max']})"
    details = tuple(_summary(example)) if example else ()
    todo = 'see them all with `run --once --dry-run`; turn it on with write_back.mode = "annotate" (or "companion")'
    return Finding(Check.WOULD_WRITE, Level.OK, said, todo, numbers, details)


async def _example(worker: Worker, orders: Iterable[WriteOrder]) -> dict[str, Any] | None:
    """One patch, of a type whose ids may be shown; without the references to other resources."""
    fitting = sorted(
        (order for order in orders if order.annotation and order.ref.partition("/")[0] in SHOWN_TYPES),
        key=lambda order: (SHOWN_TYPES.index(order.ref.partition("/")[0]), order.ref),
    )
    for order in fitting[:3]:
        result = await worker.parts.writer.plan(order)
        if result.patch:
            return {"resource": order.ref, "patch": [_shown(operation) for operation in result.patch]}
    return None


def _summary(example: Mapping[str, Any]) -> Iterable[str]:
    """The patch in a few lines: what it tests, and which extensions it brings."""
    yield f"for example {example['resource']}:"
    for operation in example["patch"]:
        value = operation.get("value")
        brought = value if isinstance(value, list) else [value] if isinstance(value, dict) else []
        said = ", ".join(f"{one['url'].rpartition('/')[2]}{_told(one)}" for one in brought) or json.dumps(value)
        yield f"  {operation['op']} {operation['path']} {said if value is not None else ''}".rstrip()


def _told(extension: Mapping[str, Any]) -> str:
    if "valueDateTime" in extension:
        return f" {extension['valueDateTime']}"
    parts = extension.get("extension", [])
    stages = sum(part.get("url") == "stage" for part in parts)
    p50 = next((part["valueDateTime"] for part in parts if part.get("url") == "p50"), "")
    return f" of {counted(stages, 'milestone')}" if stages else f" {p50}".rstrip()


def _shown(value: Any) -> Any:
    """The same without ids of stays and acts: `basedOn` names them."""
    if isinstance(value, dict):
        return {name: _shown(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_shown(one) for one in value]
    if isinstance(value, str) and "/_history/" in value and value.partition("/")[0] not in SHOWN_TYPES:
        return f"{value.partition('/')[0]}/…"
    return value


def annotation_findings(ledger: Ledger, source: str) -> list[Finding]:
    """What resources carry of this installation, and of others."""
    carried = [resource.newest.carried for resource in ledger.resources.values() if not resource.deleted]
    ours = sum(one.present for one in carried)
    unreadable = sum(one.present and one.annotation is None for one in carried)
    found = []
    if ours:
        numbers = {"count": ours, "unreadable": unreadable, "source": source}
        said = f"{counted(ours, 'resource')} carry predictions of this installation"
        said += f", {unreadable} of them unreadable" if unreadable else ""
        found.append(note(Check.ANNOTATIONS, said, "`jumeau write-back --remove` takes them off", **numbers))
    others = Counter(name for one in carried for name in one.foreign)
    if others:
        said = f"predictions of {counted(len(others), 'other installation')}: {listed(others, 3)}"
        todo = "two programs must not annotate one resource: stop one, or set write_back.source if it is this one"
        found.append(warning(Check.OTHERS, said, todo, sources=dict(others)))
    else:
        found.append(ok(Check.OTHERS, "no other installation annotates here", sources={}))
    return found
