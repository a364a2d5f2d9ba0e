"""How a server takes our writes, learned from what it answers."""

import re
from dataclasses import dataclass, field

import structlog

from fhir_adapters.errors import FhirServerError

_NO_PATCH_STATUS = frozenset({405, 406, 415, 501})
REFUSALS = (400, 422, 500)
"""What servers answer to a failed `test`, and to a patch that they don't understand."""
_NO_PATCH = re.compile(rb"(?i)not.{0,20}(supported|implemented|allowed)|unsupported")
_ABOUT_PATCH = re.compile(rb"(?i)patch|content.?type|media.?type")
_REFUSED = (
    "the server refuses our extensions: nothing is annotated any more until the program starts again; make their "
    'profiles known to the server, or set write_back.mode = "companion": predictions in resources of our own'
)

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class ServerTraits:
    """What writing to one server taught; kept for the life of the program."""

    json_patch: bool = True
    patched: bool = False
    """True once a patch was done: refusals of others are about what is in them."""
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

    def has_no_json_patch(self) -> None:
        """Whole resources are written from now on."""
        self.json_patch = False
        _log.info("the server has no JSON Patch: whole resources are written, with our extensions spliced in")

    def ignores_if_match(self) -> None:
        """It let an update be overwritten; said once."""
        if self.if_match is not False:
            _log.warning("the server ignores If-Match: it accepted a write over a version that we had not seen")
        self.if_match = False

    @property
    def complaints(self) -> list[str]:
        """What a person has to know of writing to the server."""
        said = [self.off] if self.off else []
        said += [f"{name} is no longer written: {reason}" for name, reason in sorted(self.refuses.items())]
        if self.if_match is False:
            said.append("the server ignores If-Match: what is written is read again and compared")
        return said


def says_no_patch(error: FhirServerError) -> bool:
    """True for an answer that means: no JSON Patch here."""
    if error.status in _NO_PATCH_STATUS:
        return True
    return error.status in REFUSALS and bool(_NO_PATCH.search(error.body)) and bool(_ABOUT_PATCH.search(error.body))
