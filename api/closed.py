"""Since when all that is over without a date of its own was read: it is asked for once, then as it changes."""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from fhir_adapters.client import Params

_NEVER = datetime(9999, 1, 1, tzinfo=UTC)
NAME = "closed/"
"""How the names of the marks begin."""


class Closed:
    """Marks that the journal keeps beside the cursor: from a type's mark to its cursor nothing is missing."""

    def __init__(self, reading: str, extra: Mapping[str, Params]) -> None:
        """Another reading, or other search parameters, begin anew."""
        self._told = f"{reading}|{sorted((name, *params) for name, params in extra.items())}"
        self._from: dict[str, datetime] = {}

    def remember(self, kept: Mapping[str, datetime]) -> None:
        """Take the marks out of what the journal keeps."""
        self._from = {name: at for name, at in kept.items() if name.startswith(NAME)}

    def since(self, first: datetime, cursor: Mapping[str, datetime], *, overlap_s: float) -> dict[str, datetime]:
        """When to read each type from, so that nothing written since `first` is missing."""
        overlap = timedelta(seconds=overlap_s)
        return {
            kind: at - overlap for kind, at in cursor.items() if self._from.get(self._name(kind), _NEVER) <= first < at
        }

    def read(self, kinds: Iterable[str], first: datetime, *, restored: bool) -> dict[str, datetime]:
        """The marks after a reading since `first`. Of a restored server nothing is certain: the next one reads all."""
        for name in map(self._name, kinds):
            self._from[name] = _NEVER if restored else min(first, self._from.get(name, _NEVER))
        return dict(self._from)

    def _name(self, kind: str) -> str:
        digest = hashlib.blake2b(f"{kind}|{self._told}".encode(), digest_size=8).hexdigest()
        return f"{NAME}{kind}/{digest}"
