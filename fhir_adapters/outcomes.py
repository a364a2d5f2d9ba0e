"""What became of a write."""

import random
from dataclasses import dataclass
from typing import Any

from fhir_adapters.errors import AdapterError, FhirServerError
from fhir_adapters.manners import ServerTraits
from twin.timeline import WriteOrder, WriteOutcome

Json = dict[str, Any]

_BACKOFF_S = 5.0


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


def failed(order: WriteOrder, error: AdapterError | ValueError, traits: ServerTraits | None) -> WriteResult:
    """The result of a write that ended with an error; a server that is away is to be left alone for a while."""
    if isinstance(error, FhirServerError) and error.temporary and traits is not None:
        told = error.retry_after_s
        traits.pause_s = _BACKOFF_S * (0.5 + random.random()) if told is None else told
    return WriteResult(WriteOutcome(order.ref, "failed", reason=str(error)), carrier=order.ref if order.beside else "")
