"""What became of a write, and what it taught about the server."""

import random
from dataclasses import dataclass, field
from typing import Any

import structlog

from fhir_adapters.errors import AdapterError, FhirServerError
from twin.timeline import WriteOrder, WriteOutcome

Json = dict[str, Any]

_BACKOFF_S = 5.0
_REFUSED = (
    "the server refuses our extensions: nothing is annotated any more until the program starts again; make their "
    'profiles known to the server, or set write_back.mode = "companion": predictions in resources of our own'
)

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class WriteResult:
    """What became of an order. `body` is the newest representation of the hospital's resource seen after a write, to
    be read like any version.

    A dry run's outcome has the status `planned`: `patch` is the patch of an annotation; `request` the method and
    `companion` the resource (None: deleted) of a prediction in a resource of our own.
    """

    outcome: WriteOutcome
    body: Json | None = None
    patch: list[Json] | None = None
    carrier: str = ""
    """The hospital's resource that a resource of our own is about."""
    request: str = ""
    companion: Json | None = None

    @property
    def ref(self) -> str:
        """`Type/id` that the order named."""
        return self.carrier or self.outcome.ref


@dataclass(slots=True)
class ServerTraits:
    """What writing to one server taught; kept for the life of the program."""

    json_patch: bool = True
    if_match: bool | None = None
    """True once it refused a stale version, False once it let an update be overwritten, None not known."""
    refuses: dict[str, str] = field(default_factory=dict)
    """Why resources of a type are no longer written: the server drops our extensions on them, or has no such type."""
    off: str | None = None
    """Why nothing is annotated any more: the server refused our extensions. What is there may still be taken off."""
    pause_s: float = 0.0
    """How long the server wants to be, or had better be, left alone, said by the last write."""

    def refuse(self, resource_type: str, reason: str) -> None:
        """Resources of a type are no longer written; said once."""
        if resource_type not in self.refuses:
            _log.warning(f"{resource_type} is no longer written: {reason}")
        self.refuses[resource_type] = reason

    def turn_off(self) -> None:
        """Nothing is annotated any more; said once."""
        if self.off is None:
            _log.error(_REFUSED)
        self.off = _REFUSED

    @property
    def complaints(self) -> list[str]:
        """What a person has to know of writing to the server."""
        said = [self.off] if self.off else []
        said += [f"{name} is no longer written: {reason}" for name, reason in sorted(self.refuses.items())]
        if self.if_match is False:
            said.append("the server ignores If-Match: what is written is read again and compared")
        return said


def failed(order: WriteOrder, error: AdapterError | ValueError, traits: ServerTraits | None) -> WriteResult:
    """The result of a write that ended with an error; a server that is away is to be left alone for a while."""
    if isinstance(error, FhirServerError) and error.temporary and traits is not None:
        told = error.retry_after_s
        traits.pause_s = _BACKOFF_S * (0.5 + random.random()) if told is None else told
    return WriteResult(WriteOutcome(order.ref, "failed", reason=str(error)), carrier=order.ref if order.beside else "")
