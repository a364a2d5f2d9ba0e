"""What can go wrong between us and a FHIR server.

    AdapterError
    ├── BadAddressError          an address, reference or version that must not be put into a request
    ├── BadKeyError              the pseudonym key can't be read or made
    ├── BadMappingError          the milestone mapping names something that doesn't exist
    ├── BadSourceError           a folder or file of resources can't be read
    └── FhirServerError
        ├── UnreachableError     connection lost, 5xx                              [temporary]
        │   └── NoConnectionError  nobody answers at the address
        ├── SlowError            no whole answer before the deadline               [temporary]
        ├── ThrottledError       429 or 503: asked to wait (`retry_after_s`)       [temporary]
        ├── RefusedError         401, 403
        ├── NotFoundError        404
        │   └── GoneError        410
        ├── ConflictError        409, 412
        ├── RejectedError        400, 422 and every other 4xx
        ├── WrongServerError     a server of another FHIR version than R4 and R4B
        └── BadAnswerError       not JSON, too large, too deep, a redirect, a link that must not be followed
            └── EndlessError     pages that lead back to one read before, or never end

*Temporary*: the same request may succeed later. Messages give the method, the resource type and the status, never a
body, an id or a query value; `body` holds the answer for the program and is never shown.
"""

from datetime import datetime


class AdapterError(Exception):
    """Root of the adapters' errors."""

    temporary = False


class BadAddressError(AdapterError):
    """An address, reference or version that must not be put into a request."""


class BadKeyError(AdapterError):
    """The pseudonym key can't be read or made."""


class BadMappingError(AdapterError):
    """The milestone mapping is wrong; the message names the entry."""


class BadSourceError(AdapterError):
    """A folder or file of resources can't be read."""


class FhirServerError(AdapterError):
    """The FHIR server didn't give what was asked for."""

    def __init__(
        self,
        reason: str,
        *,
        method: str = "",
        resource: str = "",
        status: int | None = None,
        retry_after_s: float | None = None,
        server_time: datetime | None = None,
        body: bytes = b"",
    ) -> None:
        request = f"{method} {resource}".strip()
        answered = "" if status is None else f" ({status})"
        super().__init__(f"{request}: {reason}{answered}" if request else f"{reason}{answered}")
        self.method = method
        self.resource = resource
        self.status = status
        self.retry_after_s = retry_after_s
        self.server_time = server_time
        self.body = body


class UnreachableError(FhirServerError):
    """No connection, a connection lost half-way, or a 5xx. A write may have been done all the same: re-read."""

    temporary = True


class NoConnectionError(UnreachableError):
    """Nobody answers at the address: nothing was sent."""


class SlowError(FhirServerError):
    """No whole answer before the deadline. A write may have been done all the same: re-read."""

    temporary = True


class ThrottledError(FhirServerError):
    """The server asks to wait: 429, or 503."""

    temporary = True


class RefusedError(FhirServerError):
    """401 or 403: the credentials are missing, old, or don't allow this."""


class NotFoundError(FhirServerError):
    """404: nothing there, or nothing that we may see."""


class GoneError(NotFoundError):
    """410: deleted."""


class ConflictError(FhirServerError):
    """409 or 412: another version is there than the one we saw."""


class RejectedError(FhirServerError):
    """400, 422 or another 4xx: the server doesn't accept what we sent."""


class WrongServerError(FhirServerError):
    """The server speaks another FHIR version than R4 and R4B."""


class BadAnswerError(FhirServerError):
    """An answer that can't be used: not JSON, too large, too deep, a redirect, or a link not to be followed."""


class EndlessError(BadAnswerError):
    """Pages that lead back to one that was read before, or never end: what they gave until then is good."""
