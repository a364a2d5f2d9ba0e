"""References in files that lead elsewhere than the settings' server: made those of the files' own resources.

| found | read as |
| --- | --- |
| a reference `urn:uuid:…` that is the `fullUrl` of an entry of the same Bundle | that entry's `Type/id` |
| an entry without an id, and `urn:uuid:ID` as its `fullUrl` | that id, as it is in every reading of the file |
| an absolute reference below the base that the first one of these files shows | `Type/id`: an export's own server |
| below any other base | as it is: foreign |
"""

import re
from collections.abc import Mapping

from fhir_adapters import links
from fhir_adapters.normalise import TYPES

_URN = re.compile(r"urn:(?:uuid|oid):(.+)", re.IGNORECASE)
_TO_URN = re.compile(rb'("reference"\s*:\s*")(urn:[^"\\]+)"')
_TO_BASE = re.compile(rb'"reference"\s*:\s*"(https?://[^"\\]+?)/(?:%s)/' % "|".join(TYPES).encode())


class OwnBase:
    """The base that the files' absolute references have, once one was seen; one of these for all files of a folder."""

    def __init__(self, server: str) -> None:
        """`server`: the settings' base, whose references are understood anyway."""
        self._server = server.rstrip("/")
        self.found: str | None = None
        """None before the first; empty where that is the settings' own."""
        self._pattern = _TO_BASE

    def relative(self, text: bytes) -> bytes:
        """JSON text with the references below that base made `Type/id`."""
        if b"://" not in text:
            return text
        if self.found is None:
            self.look(text)
        return self._pattern.sub(rb"\1", text) if self.found else text

    def look(self, text: bytes) -> None:
        """See which base its references have, where none was seen before."""
        match = _TO_BASE.search(text) if self.found is None else None
        if match is None:
            return
        told = match[1].decode("utf-8", "replace")
        self.found = "" if told.rstrip("/") == self._server else told
        self._pattern = re.compile(rb'("reference"\s*:\s*")' + re.escape(match[1]) + rb"/")


def ref_of(full_url: str, kind: str, given: str) -> str:
    """`Type/id` of an entry: its own id, else the one in its URN; empty where it has neither."""
    found = _URN.fullmatch(full_url)
    ref = f"{kind}/{given or (found[1] if found else '')}"
    return ref if links.is_reference(ref) else ""


def resolved(text: bytes, ids: Mapping[str, str]) -> bytes:
    """JSON text of an entry with the references to other entries (by their URN) made `Type/id`."""
    if not ids or b"urn:" not in text:
        return text

    def one(match: re.Match[bytes]) -> bytes:
        target = ids.get(match[2].decode("utf-8", "replace"))
        return match[0] if target is None else match[1] + target.encode() + b'"'

    return _TO_URN.sub(one, text)
