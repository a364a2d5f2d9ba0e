"""Our Subscriptions on a FHIR server: made, found again, looked at, removed. Functions over values.

A Subscription of ours asks for an empty notification of every change of one type: what changed is read, never believed.
`Subscription.reason`, which every server keeps, names the installation.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import urlsplit

from fhir_adapters import links
from fhir_adapters.answers import Answer
from fhir_adapters.client import FhirClient
from fhir_adapters.errors import BadAnswerError, NotFoundError, RejectedError

SECRET_HEADER = "X-Jumeau-Secret"
SEND_DELETES = "http://hapifhir.io/fhir/StructureDefinition/subscription-send-delete-messages"
"""HAPI tells deletes only where the channel has this; others pass over it."""

State = Literal["requested", "active", "error", "off", "missing"]
_STATES: dict[str, State] = {"requested": "requested", "active": "active", "error": "error", "off": "off"}


@dataclass(frozen=True, slots=True)
class Hook:
    """Where notifications of one Subscription are to come, and the secret that they bring."""

    endpoint: str = field(repr=False)
    secret: str = field(repr=False)


def subscription(
    resource_type: str, hook: Hook, *, source: str, until: datetime, deletes: bool = True
) -> dict[str, Any]:
    """The resource: every change of a type, without payload, until an instant."""
    channel: dict[str, Any] = {
        "type": "rest-hook",
        "endpoint": hook.endpoint,
        "header": [f"{SECRET_HEADER}: {hook.secret}"],
    }
    if deletes:
        channel["extension"] = [{"url": SEND_DELETES, "valueBoolean": True}]
    return {
        "resourceType": "Subscription",
        "status": "requested",
        "reason": reason_of(source),
        "end": until.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "criteria": f"{resource_type}?",
        "channel": channel,
    }


def reason_of(source: str) -> str:
    """What the Subscriptions of an installation say of themselves."""
    return f"Jumeau {source}: wakes the reading, carries no data"


async def create(client: FhirClient, resource_type: str, hook: Hook, *, source: str, until: datetime) -> str:
    """`Subscription/id` of a new one; without the word for deletes where the server does not accept that.

    Raises FhirServerError.
    """
    try:
        answer = await client.create("Subscription", subscription(resource_type, hook, source=source, until=until))
    except RejectedError as error:
        if error.status not in (400, 422):
            raise
        plain = subscription(resource_type, hook, source=source, until=until, deletes=False)
        answer = await client.create("Subscription", plain)
    return _ref_of(answer)


async def find_ours(client: FhirClient, source: str) -> list[str]:
    """`Subscription/id` of every one that this installation has made; [] where the server has no Subscriptions.

    Reads them all: no search parameter of theirs is sure. Raises FhirServerError.
    """
    mine, found = reason_of(source), []
    try:
        async for page in client.search("Subscription"):
            entries = page.bundle.get("entry")
            for entry in entries if isinstance(entries, list) else []:
                resource = entry.get("resource") if isinstance(entry, dict) else None
                if isinstance(resource, dict) and resource.get("reason") == mine and links.is_id(resource.get("id")):
                    found.append(f"Subscription/{resource['id']}")
    except NotFoundError:
        return []
    return found


async def state_of(client: FhirClient, ref: str) -> State:
    """What the server says of one. Raises FhirServerError."""
    try:
        resource = (await client.read(ref)).json()
    except NotFoundError:
        return "missing"
    told = resource.get("status") if isinstance(resource, dict) else None
    return _STATES.get(told, "error") if isinstance(told, str) else "error"


async def remove(client: FhirClient, refs: Iterable[str]) -> int:
    """Delete them; how many there were. One that is gone already is no error. Raises FhirServerError."""
    removed = 0
    for ref in refs:
        try:
            await client.delete(ref)
        except NotFoundError:
            continue
        removed += 1
    return removed


def _ref_of(answer: Answer) -> str:
    """The id that the server gave: in the body, else in Location."""
    try:
        resource = answer.json()
    except BadAnswerError:
        resource = None
    given = resource.get("id") if isinstance(resource, dict) else None
    if not links.is_id(given):
        parts = urlsplit(answer.headers.get("location", "")).path.split("/")
        given = parts[parts.index("Subscription") + 1] if "Subscription" in parts[:-1] else None
    if not links.is_id(given):
        raise BadAnswerError("a new resource has no id", method="POST", resource="Subscription", status=answer.status)
    return f"Subscription/{given}"
