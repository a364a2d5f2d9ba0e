"""The raw JSON text of a resource: our extensions replaced in it, not another byte changed.

A resource that went through a parser and back may have lost digits of its decimals, or the order of its keys. So the
text itself is edited: the spans of the top-level members and of the elements of `extension` are found with the
standard library's scanner, and only spans of ours are cut or put in.
"""

import json
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from fhir_adapters.canonical import is_ours

_SPACE = re.compile(r"[ \t\n\r]*")
_INTEGER = re.compile(r"-?\d{1,16}")
_FIRST_INEXACT = 2**53
_NOT_THE_HOSPITALS = frozenset({"meta", "text"})


@dataclass(frozen=True, slots=True)
class Number:
    """A JSON number as it was written: 2.50 is not 2.5."""

    literal: str


@dataclass(frozen=True, slots=True)
class _Span:
    """Where something stands in a text; a member's span begins at its key, its value at `value`."""

    start: int
    end: int
    key: str = ""
    value: int = 0


_DECODER = json.JSONDecoder(parse_float=Number, parse_int=Number)


def literal(body: bytes) -> Any:
    """JSON values of a text in UTF-8, every number as a Number. Raises ValueError where it isn't JSON."""
    return _DECODER.decode(_text(body))


def splice(body: bytes, owned: Collection[int], wanted: Sequence[dict[str, Any]]) -> bytes:
    """The text of a resource with the elements `owned` of its `extension` array cut out and `wanted` put at its end.

    The member goes where the array would be empty, and comes last where there was none. Raises ValueError where the
    text is not one JSON object with at most one `extension`, which is an array.
    """
    text = _checked_text(body)
    members = list(_members(text))
    arrays = [index for index, member in enumerate(members) if member.key == "extension"]
    if len(arrays) > 1:
        raise ValueError("the resource has several members named extension")
    new = [json.dumps(one, ensure_ascii=False, separators=(",", ":")) for one in wanted]
    if arrays:
        spliced = _in_array(text, members, arrays[0], owned, new)
    else:
        spliced = _as_last_member(text, members, new) if new else text
    return spliced.encode("utf-8")


def entries(bundle: bytes) -> list[bytes]:
    """The texts of the resources in a Bundle's entries, in their order; entries without one are left out.

    Raises ValueError where it isn't a JSON object.
    """
    text = _checked_text(bundle)
    found = []
    for member in _members(text):
        if member.key == "entry":
            for entry in _elements(text, member.value):
                parts = _members(text, entry.start) if text[entry.start] == "{" else iter(())
                found += [text[part.value : part.end].encode("utf-8") for part in parts if part.key == "resource"]
    return found


def has_delicate_numbers(body: bytes) -> bool:
    """True where a number outside our own extensions is not an integer below 2^53: a server may turn it into a double.

    Raises ValueError where the text isn't JSON.
    """
    resource = literal(body)
    theirs = _theirs(resource, frozenset()) if isinstance(resource, dict) else resource
    return any(_is_delicate(number.literal) for number in _numbers(theirs))


def untouched(before: bytes, after: bytes) -> bool:
    """True where both have the same elements, array order and number literals outside meta, text and our urls.

    Raises ValueError where one of them isn't JSON.
    """
    one, other = literal(before), literal(after)
    if not isinstance(one, dict) or not isinstance(other, dict):
        return False
    return _theirs(one, _NOT_THE_HOSPITALS) == _theirs(other, _NOT_THE_HOSPITALS)


def _theirs(resource: dict[str, Any], without: Collection[str]) -> dict[str, Any]:
    said = {name: value for name, value in resource.items() if name not in without}
    extensions = said.get("extension")
    if isinstance(extensions, list):
        said["extension"] = [one for one in extensions if not (isinstance(one, dict) and is_ours(one.get("url")))]
        if not said["extension"]:
            del said["extension"]
    return said


def _numbers(value: object) -> Iterator[Number]:
    if isinstance(value, Number):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _numbers(one)
    elif isinstance(value, list):
        for one in value:
            yield from _numbers(one)


def _is_delicate(number: str) -> bool:
    return not _INTEGER.fullmatch(number) or abs(int(number)) >= _FIRST_INEXACT


def _text(body: bytes) -> str:
    # A byte order mark is no part of JSON; servers that send one don't take it back.
    return body.decode("utf-8-sig")


def _checked_text(body: bytes) -> str:
    # Scanning for spans takes a well-formed text for granted.
    text = _text(body)
    _DECODER.decode(text)
    return text


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _value_end(text: str, start: int) -> int:
    _, end = _DECODER.raw_decode(text, start)
    return end


def _members(text: str, start: int = 0) -> Iterator[_Span]:
    """Spans of the members of the object that begins at `start`."""
    at = _skip(text, start)
    if text[at : at + 1] != "{":
        raise ValueError("not a JSON object")
    at = _skip(text, at + 1)
    while text[at] != "}":
        key, key_end = _DECODER.raw_decode(text, at)
        value = _skip(text, _skip(text, key_end) + 1)
        end = _value_end(text, value)
        yield _Span(at, end, key, value)
        at = _next(text, end)


def _elements(text: str, start: int) -> Iterator[_Span]:
    """Spans of the elements of the array that begins at `start`."""
    if text[start] != "[":
        raise ValueError("not a JSON array")
    at = _skip(text, start + 1)
    while text[at] != "]":
        end = _value_end(text, at)
        yield _Span(at, end)
        at = _next(text, end)


def _next(text: str, end: int) -> int:
    at = _skip(text, end)
    return _skip(text, at + 1) if text[at] == "," else at


def _in_array(text: str, members: list[_Span], index: int, owned: Collection[int], new: list[str]) -> str:
    member = members[index]
    elements = list(_elements(text, member.value))
    kept = [(number, element) for number, element in enumerate(elements) if number not in owned]
    if not kept and not new:
        return _without_member(text, members, index)
    before = {number + 1: text[one.end : other.start] for number, (one, other) in enumerate(pairwise(elements))}
    opened = elements[0].start if elements else member.value + 1
    closed = elements[-1].end if elements else member.end - 1
    pieces = [(before.get(number, ","), text[element.start : element.end]) for number, element in kept]
    usual = next(iter(before.values()), ",")
    pieces += [(usual, one) for one in new]
    inside = "".join(one if not place else comma + one for place, (comma, one) in enumerate(pieces))
    return text[:opened] + inside + text[closed:]


def _without_member(text: str, members: list[_Span], index: int) -> str:
    if index:
        return text[: members[index - 1].end] + text[members[index].end :]
    following = members[1].start if len(members) > 1 else members[0].end
    return text[: members[0].start] + text[following:]


def _as_last_member(text: str, members: list[_Span], new: list[str]) -> str:
    member = f'"extension":[{",".join(new)}]'
    if not members:
        at = text.index("{") + 1
        return text[:at] + member + text[at:]
    at = members[-1].end
    comma = text[members[-2].end : members[-1].start] if len(members) > 1 else ","
    return text[:at] + comma + member + text[at:]
