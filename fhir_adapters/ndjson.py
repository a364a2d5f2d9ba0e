"""Files of resources: a folder of NDJSON as a Bulk Data export writes it, and Bundles; each line or entry by itself.

| found | read as |
| --- | --- |
| `*.ndjson`, `*.jsonl`, `*.json`, also with `.gz` | resources of any type; other files are passed over |
| a byte order mark, CRLF, empty lines | nothing |
| a Bundle of any kind, as a line or a file | its entries; a DELETE of a history closes the resource |
| a whole file that is one resource | that resource |
| a line that is no JSON, not an object, or over 64 MiB | quarantined under its file and line |
| a resource type that the twin doesn't read | counted under its name |
| no lastUpdated | known since the file was written, so that loading it again changes nothing |
| references that are no `Type/id` | as `file_links` tells |
"""

import gzip
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec

from fhir_adapters import content, dates, file_links, links
from fhir_adapters.errors import BadAnswerError, BadSourceError
from fhir_adapters.normalise import TYPES, Normaliser
from twin.facts import Fact, Quarantined

MAX_LINE_BYTES = 64 * 2**20
MAX_BUNDLE_BYTES = 2**30
CHUNK_BYTES = 2 * 2**20
"""So much text is read, kept and forgotten at a time."""
_NAMES = re.compile(r".+\.(?:ndjson|jsonl|json)(?:\.gz)?", re.IGNORECASE)
_PLAIN_NAME = re.compile(r"[\w.-]{1,60}", re.ASCII)
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some lines of one file, or all of a file that is one JSON value."""

    place: str
    """Where they stand, as a message may name it."""
    first: int
    """Number of the first line."""
    text: bytes
    written_at: datetime
    """When the file was last written."""
    whole: bool = False

    @property
    def texts(self) -> list[bytes]:
        """Each a JSON value, or what should be one."""
        return [self.text] if self.whole else self.text.split(b"\n")


@dataclass(slots=True)
class Loaded:
    """What some chunks gave."""

    facts: list[Fact] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)
    """By resource type; `other` for what has no name of one."""
    patient_ids: set[str] = field(default_factory=set)
    """Real ids of the patients referred to: never to be stored."""


class _Entry(msgspec.Struct, gc=False):
    full_url: Any = msgspec.field(name="fullUrl", default=None)
    resource: msgspec.Raw = msgspec.Raw()
    request: Any = None
    response: Any = None


class _Bundle(msgspec.Struct):
    resource_type: str = msgspec.field(name="resourceType")
    entry: list[msgspec.Raw] = []


class _Named(msgspec.Struct):
    resource_type: str = msgspec.field(name="resourceType", default="")
    id: str = ""


def files_of(folder: Path) -> list[Path]:
    """The files to load, in the order of their names. Raises BadSourceError where there are none."""
    if not folder.is_dir():
        raise BadSourceError("there is no such folder: name one that holds *.ndjson files")
    found = sorted(path for path in folder.rglob("*") if path.is_file() and _NAMES.fullmatch(path.name))
    if not found:
        raise BadSourceError("the folder holds no *.ndjson, *.json or *.gz of them: name another one")
    return found


def chunks_of(path: Path, *, chunk_bytes: int = CHUNK_BYTES) -> Iterator[Chunk]:
    """A file in pieces, in its order. Raises BadSourceError where it can't be read to its end."""
    place = path.name if _PLAIN_NAME.fullmatch(path.name) else "a file"
    written_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    try:
        with _opened(path) as file:
            if ".ndjson" in path.name.lower() or ".jsonl" in path.name.lower():
                for first, text in blocks(file, chunk_bytes):
                    yield Chunk(place, first, text, written_at)
            else:
                yield Chunk(place, 1, file.read(MAX_BUNDLE_BYTES + 1), written_at, whole=True)
    except (OSError, EOFError, zlib.error) as error:
        raise BadSourceError(f"{place} can't be read to its end ({type(error).__name__}): get it anew") from None


def _opened(path: Path) -> BinaryIO:
    if path.suffix.lower() == ".gz":
        return cast(BinaryIO, gzip.open(path, "rb"))
    return path.open("rb")


def blocks(file: BinaryIO, size: int) -> Iterator[tuple[int, bytes]]:
    """Whole lines of about so many bytes, with the number of the first; of a line that is too long the beginning."""
    number = 1
    while block := file.read(size):
        rest = b"" if block.endswith(b"\n") else file.readline(MAX_LINE_BYTES)
        yield number, block + rest
        number += block.count(b"\n") + bool(rest)
        while len(rest) == MAX_LINE_BYTES and not rest.endswith(b"\n"):
            rest = file.readline(MAX_LINE_BYTES)


def read_chunk(
    normaliser: Normaliser,
    chunk: Chunk,
    own_base: file_links.OwnBase | None = None,
    *,
    observed_at: datetime | None = None,
) -> Iterator[Loaded]:
    """What its texts assert, in pieces of a bounded size. `own_base`: the same one for all files of a folder.

    `observed_at`: when it was so, instead of when the file was written.
    """
    own_base = own_base or file_links.OwnBase(normaliser.server)
    into = _Reading(normaliser, observed_at or min(chunk.written_at, datetime.now(UTC)))
    for number, text in enumerate(chunk.texts, start=chunk.first):
        if len(text) > MAX_LINE_BYTES and not chunk.whole:
            into.refuse(f"a line of more than {MAX_LINE_BYTES >> 20} MiB ({chunk.place} line {number})")
            continue
        stripped = text.removeprefix(_BOM).strip() if number == 1 else text.strip()
        if stripped:
            yield from into.take_text(own_base.relative(stripped), f"{chunk.place} line {number}")
    yield into.loaded


class _Reading:
    """Texts and values of one file into facts."""

    def __init__(self, normaliser: Normaliser, observed_at: datetime) -> None:
        self.loaded = Loaded()
        self._normaliser = normaliser
        self._observed_at = observed_at
        self._size = 0

    def take_text(self, text: bytes, place: str) -> Iterator[Loaded]:
        """One JSON text; a large Bundle in several pieces."""
        try:
            value = _bundle(text) if b"Bundle" in text else None
            value, flat = content.parse_seen(text) if value is None else (value, False)
        except BadAnswerError as error:
            if b"\n" in text:  # lines in a file that is called otherwise
                for number, line in enumerate(text.splitlines(), start=1):
                    yield from self.take_text(line.strip() or b"null", f"{place.rpartition(' ')[0]} {number}")
            else:
                self.refuse(f"{error} ({place})")
            return
        if isinstance(value, _Bundle):
            entries = list(map(_entry, value.entry))
            ids = _ids(entry for entry in entries if entry is not None)
            for number, entry in enumerate(entries, start=1):
                if entry is None:
                    self.refuse(f"not an object ({place}, entry {number})")
                    continue
                self._take_entry(entry, ids, f"{place}, entry {number}")
                yield from self._full(len(bytes(entry.resource)))
        elif isinstance(value, dict) and value.get("resourceType") == "Bundle":
            for number, entry in enumerate(content.entries(value), start=1):
                self._take(entry.get("resource") if isinstance(entry, dict) else entry, f"{place}, entry {number}")
        elif value is not None or text != b"null":
            self._take(value, place, flat=flat)

    def _full(self, size: int) -> Iterator[Loaded]:
        self._size += size
        if self._size >= CHUNK_BYTES:
            yield self.loaded
            self.loaded, self._size = Loaded(), 0

    def _take_entry(self, entry: _Entry, ids: dict[str, str], place: str) -> None:
        if bytes(entry.resource) in (b"", b"null"):
            self._gone(entry)
            return
        try:
            value, flat = content.parse_seen(file_links.resolved(bytes(entry.resource), ids))
        except BadAnswerError as error:
            self.refuse(f"{error} ({place})")
            return
        if isinstance(value, dict) and "id" not in value and entry.full_url in ids:
            value["id"] = ids[entry.full_url].partition("/")[2]
        self._take(value, place, flat=flat)

    def _take(self, value: object, place: str, *, flat: bool = False) -> None:
        if not isinstance(value, dict):
            self.refuse(f"not an object ({place})")
            return
        kind = value.get("resourceType")
        if kind not in TYPES or not self._normaliser.wants(value):
            self.loaded.ignored[str(kind) if links.is_type(kind) else "other"] += 1
            return
        reading = self._normaliser.read(value, self._observed_at, flat=flat)
        self.loaded.patient_ids |= reading.patient_ids
        outcome = reading.outcome
        if isinstance(outcome, Fact):
            self.loaded.facts.append(outcome)
        elif outcome.id:
            self.loaded.quarantined.append(outcome)
        else:  # without an id only its place tells it from another one
            self.refuse(f"{outcome.reason} ({place})", kind)

    def _gone(self, entry: _Entry) -> None:
        """A delete of a history: which resource, and when."""
        url = entry.request.get("url") if isinstance(entry.request, dict) else None
        parts = url.split("?")[0].strip("/").split("/_history")[0].split("/")[-2:] if isinstance(url, str) else []
        if len(parts) != 2 or parts[0] not in TYPES or not links.is_id(parts[1]):
            self.loaded.ignored["other"] += 1
            return
        kind, name = parts
        told = dates.instant(entry.response.get("lastModified")) if isinstance(entry.response, dict) else None
        self.loaded.facts.append(self._normaliser.gone(kind, name, told or self._observed_at))

    def refuse(self, reason: str, kind: str = "") -> None:
        """Note what can't be read, and why."""
        self.loaded.quarantined.append(Quarantined(self._normaliser.server, kind, "", "", reason))


def _bundle(text: bytes) -> _Bundle | None:
    """A Bundle with its entries still as text; None for anything else."""
    try:
        found = msgspec.json.decode(text, type=_Bundle)
    except (msgspec.MsgspecError, RecursionError):
        return None
    return found if found.resource_type == "Bundle" else None


def _entry(text: msgspec.Raw) -> _Entry | None:
    try:
        return msgspec.json.decode(text, type=_Entry)
    except (msgspec.MsgspecError, RecursionError):
        return None


def _ids(entries: Iterable[_Entry]) -> dict[str, str]:
    """`Type/id` of the entries that are called by a URN."""
    out = {}
    for entry in entries:
        if isinstance(entry.full_url, str) and entry.full_url.startswith("urn:"):
            try:
                named = msgspec.json.decode(bytes(entry.resource), type=_Named)
            except msgspec.MsgspecError:
                continue  # it is quarantined when it is read
            if ref := file_links.ref_of(entry.full_url, named.resource_type, named.id):
                out[entry.full_url] = ref
    return out
