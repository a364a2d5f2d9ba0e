"""The text of a scenario file as plain values: YAML or JSON, with the line of each field, inside tight limits.

Of YAML only what JSON has too: mappings with texts as keys, lists, texts, numbers, true, false, null. Times and words
such as `no` stay texts; anchors, aliases and tags are refused, so no file is larger than it looks.
"""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from api.scenarios.errors import FieldPath
from twin.errors import SettingsError

MOST_BYTES = 256 * 1024
DEEPEST = 20


@dataclass(frozen=True, slots=True)
class Text:
    """What a file says. `lines` by the path of a field, counted from 1; JSON has none."""

    values: Any
    lines: dict[FieldPath, int] = field(default_factory=dict)

    def line(self, path: FieldPath) -> int | None:
        """Of a field, else of the nearest one around it."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.lines:
                return self.lines[path[:length]]
        return None


def read(file: Path) -> Text:
    """A scenario file. SettingsError says what is wrong with it, and where."""
    try:
        with file.open("rb") as opened:
            raw = opened.read(MOST_BYTES + 1)
    except OSError as error:
        raise SettingsError(f"{file}: can't be read ({error.strerror})") from None
    if len(raw) > MOST_BYTES:
        raise SettingsError(f"{file}: is larger than {MOST_BYTES // 1024} kB: patients belong into the bundle")
    try:
        text = raw.decode("utf-8-sig")
        return _json(text) if file.suffix.lower() == ".json" else _yaml(text)
    except UnicodeDecodeError:
        raise SettingsError(f"{file}: is not UTF-8 text") from None
    except RecursionError:
        raise SettingsError(f"{file}: is nested too deeply: at most {DEEPEST} levels") from None
    except SettingsError as error:
        raise SettingsError(f"{file}: {error}") from None


def _json(text: str) -> Text:
    try:
        values = json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        raise SettingsError(f"line {error.lineno}: is not JSON ({error.msg})") from None
    except ValueError:  # an integer of thousands of digits
        raise SettingsError("holds a number that is none") from None
    return Text(values)


def _once(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise SettingsError("a field is told twice in one object")
        found[key] = value
    return found


def _no_number(_told: str) -> Any:
    raise SettingsError("NaN and infinity are no numbers here")


def _yaml(text: str) -> Text:
    try:
        import yaml
    except ImportError:
        raise SettingsError("YAML needs the package PyYAML: install it, or write the file as JSON") from None
    try:
        # Events come one by one: nothing is built before it was looked at.
        return _Events(yaml, yaml.parse(text, Loader=yaml.SafeLoader)).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}: " if mark else ""
        raise SettingsError(f"{where}is not YAML ({error.problem or error.context})") from None
    except yaml.YAMLError:  # a character that YAML doesn't allow
        raise SettingsError("is not YAML: it holds a character that is not allowed") from None


class _Events:
    """Reads a YAML document from the parser's events."""

    def __init__(self, yaml: Any, events: Any) -> None:
        self._yaml, self._events = yaml, events
        self._lines: dict[FieldPath, int] = {}

    def document(self) -> Text:
        """The only document of the file; None where it is empty."""
        yaml, values, found = self._yaml, None, False
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                if found:
                    raise SettingsError(f"line {event.start_mark.line + 1}: a file holds one scenario")
                values, found = self._value(next(self._events), ()), True
        return Text(values, self._lines)

    def _value(self, event: Any, path: FieldPath) -> Any:
        yaml, line = self._yaml, event.start_mark.line + 1
        self._lines.setdefault(path, line)
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            raise SettingsError(f"line {line}: anchors and aliases are not read: write it out")
        if event.tag is not None:
            raise SettingsError(f"line {line}: tags (!) are not read")
        if len(path) > DEEPEST:
            raise SettingsError(f"line {line}: is nested too deeply: at most {DEEPEST} levels")
        if isinstance(event, yaml.ScalarEvent):
            return _scalar(event.value, line) if event.implicit[0] else event.value
        if isinstance(event, yaml.SequenceStartEvent):
            return self._list(path)
        return self._mapping(path)

    def _list(self, path: FieldPath) -> list[Any]:
        found: list[Any] = []
        while not isinstance(event := next(self._events), self._yaml.SequenceEndEvent):
            found.append(self._value(event, (*path, len(found))))
        return found

    def _mapping(self, path: FieldPath) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not isinstance(event := next(self._events), self._yaml.MappingEndEvent):
            line = event.start_mark.line + 1
            if not isinstance(event, self._yaml.ScalarEvent):
                raise SettingsError(f"line {line}: the name of a field is a word")
            key = event.value
            if key in found:
                raise SettingsError(f"line {line}: this field is told twice")
            self._lines[*path, key] = line
            found[key] = self._value(next(self._events), (*path, key))
        return found


_WORDS = {"": None, "~": None, "null": None, "true": True, "false": False}


def _scalar(told: str, line: int) -> Any:
    """What a plain word is: JSON's own words and numbers, else a text."""
    if told in _WORDS:
        return _WORDS[told]
    try:
        number = json.loads(told, parse_constant=_no_number)
    except (json.JSONDecodeError, RecursionError):
        return told
    except ValueError:
        raise SettingsError(f"line {line}: holds a number that is none") from None
    if isinstance(number, float) and math.isinf(number):
        raise SettingsError(f"line {line}: holds a number that is none")
    return number if isinstance(number, int | float) else told
