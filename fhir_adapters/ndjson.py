"""Files of resources: a folder of NDJSON as a Bulk Data export writes it, and Bundles; each line or entry by itself.

| found | read as |
| --- | --- |
| `*.ndjson`, `*.jsonl`, `*.json`, also with `.gz` | resources of any type; other files are passed over |
| folders in the folder | as well; those that a link leads to are not |
| a byte order mark, CRLF, empty lines | nothing |
| a Bundle of any kind, as a line or a file | its entries; a DELETE of a history closes the resource |
| an array | what is in it |
| a `*.json` whose first line is one JSON object | one resource or Bundle a line |
| any other `*.json` | one resource or Bundle; where it is no JSON, one finding |
| a line that is no JSON, not an object, or over 64 MiB | quarantined under its file and line |
| a file that is not in UTF-8, a Bundle over 1 GiB | quarantined as a whole |
| a resource type that the twin doesn't read | counted under its name |
| no lastUpdated | known since the file was written, so that loading it again changes nothing |
| references that are no `Type/id` | as `file_links` tells |
"""

import codecs
import gzip
import os
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, TypeVar, cast

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
_BOM = codecs.BOM_UTF8
_LINE_END = b"\n"
_BYTE = re.compile(r"\(byte (\d+)\)")
T = TypeVar("T")


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
    request: msgspec.Raw = msgspec.Raw()
    response: msgspec.Raw = msgspec.Raw()


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
    named = (Path(parent, name) for parent, _, names in os.walk(folder, onerror=_unlisted) for name in names)
    found = sorted(path for path in named if _NAMES.fullmatch(path.name) and path.is_file())
    if not found:
        raise BadSourceError("the folder holds no *.ndjson, *.json or *.gz of them: name another one")
    return found


def _unlisted(error: OSError) -> NoReturn:
    raise BadSourceError(f"a folder can't be listed ({type(error).__name__}): give this user the right to read it")


def chunks_of(path: Path, *, chunk_bytes: int = CHUNK_BYTES) -> Iterator[Chunk]:
    """A file in pieces, in its order. Raises BadSourceError where it can't be read to its end."""
    place = path.name if _PLAIN_NAME.fullmatch(path.name) else "a file"
    try:
        written_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        with _opened(path) as file:
            head = file.readline(CHUNK_BYTES)
            if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in head[:4]:
                raise BadSourceError(f"{place} is in UTF-16 or UTF-32: convert it to UTF-8")
            file.seek(0)
            if ".ndjson" in path.name.lower() or ".jsonl" in path.name.lower() or _is_object(head):
                for first, text in blocks(file, chunk_bytes):
                    yield Chunk(place, first, text, written_at)
                return
            text = file.read(MAX_BUNDLE_BYTES + 1)
            if len(text) > MAX_BUNDLE_BYTES:
                raise BadSourceError(f"{place} is over {MAX_BUNDLE_BYTES >> 30} GiB: give a resource a line (*.ndjson)")
            yield Chunk(place, 1, text, written_at, whole=True)
    except (OSError, EOFError, zlib.error) as error:
        raise BadSourceError(f"{place} can't be read to its end ({type(error).__name__}): get it anew") from None


def _opened(path: Path) -> BinaryIO:
    if path.suffix.lower() == ".gz":
        return cast(BinaryIO, gzip.open(path, "rb"))
    return path.open("rb")


def _is_object(line: bytes) -> bool:
    """True for a line that is a JSON object by itself."""
    text = line.removeprefix(_BOM).strip()
    try:
        return text.startswith(b"{") and bool(msgspec.json.decode(text, type=msgspec.Raw))
    except (msgspec.MsgspecError, RecursionError):
        return False


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
    into = _Reading(normaliser, own_base, observed_at or min(chunk.written_at, datetime.now(UTC)))
    for number, text in enumerate(chunk.texts, start=chunk.first):
        if len(text) > MAX_LINE_BYTES and not chunk.whole:
            into.refuse(f"a line of more than {MAX_LINE_BYTES >> 20} MiB ({chunk.place} line {number})")
            continue
        stripped = text.removeprefix(_BOM) if number == 1 else text
        stripped = stripped.lstrip() if chunk.whole else stripped.strip()  # the end of a large text costs a copy of it
        if stripped:
            yield from into.take_text(stripped, chunk.place if chunk.whole else f"{chunk.place} line {number}")
    yield into.loaded


class _Reading:
    """Texts and values of one file into facts."""

    def __init__(self, normaliser: Normaliser, own_base: file_links.OwnBase, observed_at: datetime) -> None:
        self.loaded = Loaded()
        self._normaliser = normaliser
        self._own_base = own_base
        self._observed_at = observed_at
        self._size = 0

    def take_text(self, text: bytes, place: str) -> Iterator[Loaded]:
        """One JSON text, or an array of them; a large Bundle in several pieces."""
        if text.startswith(b"[") and (found := _decoded(text, list[msgspec.Raw])) is not None:
            for number, one in enumerate(found, start=1):
                yield from self._take_value(bytes(one), f"{place}, entry {number}")
                yield from self._full(len(bytes(one)))
        else:
            yield from self._take_value(text, place)

    def _take_value(self, text: bytes, place: str) -> Iterator[Loaded]:
        bundle = _decoded(text, _Bundle) if b"Bundle" in text else None
        if bundle is not None and bundle.resource_type == "Bundle":
            ids = _ids(entry for entry in map(_entry, bundle.entry) if entry is not None)
            for number, one in enumerate(bundle.entry, start=1):
                self._take_entry(_entry(one), ids, f"{place}, entry {number}")
                yield from self._full(len(bytes(one)))
            return
        value, flat = self._parsed(text, place)
        if isinstance(value, dict) and value.get("resourceType") == "Bundle":
            for number, entry in enumerate(content.entries(value), start=1):
                self._take(entry.get("resource") if isinstance(entry, dict) else entry, f"{place}, entry {number}")
        elif value is not None:
            self._take(value, place, flat=flat)

    def _parsed(self, text: bytes, place: str, ids: Mapping[str, str] | None = None) -> tuple[Any, bool]:
        """A JSON value, and whether it is flat; None where it can't be read, which is noted, and for null."""
        if len(text) > MAX_LINE_BYTES:
            self.refuse(f"no JSON, or a resource of more than {MAX_LINE_BYTES >> 20} MiB ({place})")
            return None, False
        try:
            return content.parse_seen(file_links.resolved(self._own_base.relative(text), ids or {}))
        except BadAnswerError as error:
            self.refuse(f"{error} ({place}{_where(text)})")
            return None, False

    def _full(self, size: int) -> Iterator[Loaded]:
        self._size += size
        if self._size >= CHUNK_BYTES:
            yield self.loaded
            self.loaded, self._size = Loaded(), 0

    def _take_entry(self, entry: _Entry | None, ids: dict[str, str], place: str) -> None:
        if entry is None:
            self.refuse(f"not an object ({place})")
        elif bytes(entry.resource) in (b"", b"null"):
            self._gone(entry)
        else:
            value, flat = self._parsed(bytes(entry.resource), place, ids)
            if isinstance(value, dict) and "id" not in value and entry.full_url in ids:
                value["id"] = ids[entry.full_url].partition("/")[2]
            if value is not None:
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
        request, response = (_decoded(bytes(one), dict[str, Any]) or {} for one in (entry.request, entry.response))
        url = request.get("url")
        parts = url.split("?")[0].strip("/").split("/_history")[0].split("/")[-2:] if isinstance(url, str) else []
        if len(parts) != 2 or parts[0] not in TYPES or not links.is_id(parts[1]):
            self.loaded.ignored["other"] += 1
            return
        kind, name = parts
        told = dates.instant(response.get("lastModified"))
        self.loaded.facts.append(self._normaliser.gone(kind, name, told or self._observed_at))

    def refuse(self, reason: str, kind: str = "") -> None:
        """Note what can't be read, and why."""
        self.loaded.quarantined.append(Quarantined(self._normaliser.server, kind, "", "", reason))


def _decoded(text: bytes, kind: type[T]) -> T | None:
    """A JSON text as that; None for anything else."""
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.MsgspecError, RecursionError):
        return None


def _entry(text: msgspec.Raw) -> _Entry | None:
    return _decoded(bytes(text), _Entry)


def _where(text: bytes) -> str:
    """The line of a text of several on which it stops being JSON, where that can be told."""
    if b"\n" not in text:
        return ""
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except (msgspec.MsgspecError, RecursionError) as error:
        at = _BYTE.search(str(error))
        before = text[: int(at[1])] if at else b""
        return f" line {before.count(_LINE_END) + 1}" if at else ", which ends too early"
    return ""


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
