"""Bodies of a FHIR server: parsed with limits, compared by what the hospital said in them.

Readings of what JSON leaves open: of a key given twice the last value holds; a byte order mark is skipped; `NaN` and
`Infinity` are not JSON; a number that isn't a plain integer keeps its literal (2.50 is not 2.5); a lone surrogate stays
in its string and never reaches an encoder that refuses it.
"""

import json
import re
from collections.abc import Mapping
from itertools import accumulate
from typing import Any, NoReturn

import msgspec

from fhir_adapters.canonical import is_ours
from fhir_adapters.errors import BadAnswerError
from fhir_adapters.pseudonyms import Pseudonyms

MAX_DEPTH = 40
"""Of one resource."""
MAX_BODY_DEPTH = 200
"""Of a body: a page with one resource that is too deep is still read, without that resource."""
MAX_PLAIN_DIGITS = 19
MODIFIER = b"modifierExtension"
"""Without its quotes, of which a text is full: it is found not to be there in half the time."""

_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEP = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


class Real(float):
    """A JSON number that isn't a plain integer, with the `literal` it was written as."""

    __slots__ = ("literal",)

    literal: str

    def __new__(cls, literal: str) -> "Real":
        """The number nearest to the literal; infinite where it is beyond a double."""
        number = super().__new__(cls, literal)
        number.literal = literal
        return number


def parse(body: bytes) -> Any:
    """JSON values of a body in UTF-8; numbers with a fraction, an exponent or over 19 digits are `Real`.

    Raises BadAnswerError where it isn't JSON or is nested deeper than 200.
    """
    return parse_seen(body)[0]


def parse_seen(body: bytes) -> tuple[Any, bool]:
    """The same, and True where the text shows that `is_flat` holds for the values and for all in them."""
    try:
        return _parsed(body)
    except (ValueError, RecursionError):
        pass  # what the fast parser refuses is JSON to the patient one, or it tells why not
    if depth(body) > MAX_BODY_DEPTH:
        raise BadAnswerError(f"the body is nested deeper than {MAX_BODY_DEPTH}")
    try:
        return _DECODER.decode(body.decode("utf-8-sig")), False
    except (ValueError, RecursionError):
        # The cause is not chained: it holds the body.
        raise BadAnswerError("the body is not JSON in UTF-8") from None


def _parsed(body: bytes) -> tuple[Any, bool]:
    """The same for plain JSON, many times faster. Raises ValueError or RecursionError for anything else."""
    if _LONG_NUMBER in body.translate(_AS_ZEROS):
        raise ValueError("not plain")
    shallow = body.count(b"{") + body.count(b"[") < MAX_DEPTH
    if not shallow:
        laid_out = msgspec.json.format(body, indent=1)
        shallow = not _reaches(laid_out, MAX_DEPTH)
        if not shallow and _reaches(laid_out, MAX_BODY_DEPTH):
            raise ValueError("not plain")
    # A name may be written with escapes, which the text doesn't show.
    return _FAST_DECODER.decode(body), shallow and MODIFIER not in body and b"\\" not in body


def _reaches(laid_out: bytes, levels: int) -> bool:
    """True for JSON with a value that deep: laid out line by line, each level is one space of indentation.

    No string holds a line break as it is, so that nothing else looks like one.
    """
    return b"\n" + b" " * levels in laid_out


def entries(bundle: Mapping[str, Any]) -> list[Any]:
    """The entries of a parsed Bundle, whatever they are."""
    found = bundle.get("entry")
    return found if isinstance(found, list) else []


def depth(body: bytes) -> int:
    """How deep the brackets of a JSON text are nested; strings are not looked into."""
    brackets = _STRING.sub(b"", body).translate(None, _NOT_BRACKETS)
    return max(accumulate(map(_STEP.__getitem__, brackets)), default=0)


def is_flat(value: object) -> bool:
    """True for parsed values that are nested no deeper than a resource may be and have no modifierExtension.

    It is the quick question, asked of every resource; False may also mean that the answer is not that quick.
    """
    try:
        text = _FAST_ENCODER.encode(value)
        return MODIFIER not in text and not _reaches(msgspec.json.format(text, indent=1), MAX_DEPTH)
    except (ValueError, RecursionError):
        return False


def is_too_deep(value: object, limit: int = MAX_DEPTH) -> bool:
    """True for parsed values that are nested deeper than `limit`."""
    level = [value]
    for _ in range(limit):
        level = [child for node in level for child in _children(node)]
        if not level:
            return False
    return True


def _children(node: object) -> list[object]:
    if isinstance(node, dict):
        return list(node.values())
    return node if isinstance(node, list) else []


def semantic_hash(resource: Mapping[str, Any], pseudonyms: Pseudonyms) -> str:
    """Keyed hash of what the hospital says: the resource without meta, text and extensions of ours.

    The order of keys doesn't matter, that of arrays and the literal of a number do. Taken before redaction, with the
    key, so that it tells nothing about the values.
    """
    said = dict(resource)
    said.pop("meta", None)
    said.pop("text", None)
    theirs = _without_ours(said.pop("extension", None))
    if theirs not in (None, []):
        said["extension"] = theirs
    return pseudonyms.digest("content", _canonical(said))


def content_version(resource: Mapping[str, Any], pseudonyms: Pseudonyms) -> str:
    """A version id for a server that gives none: keyed hash of the whole resource except meta, ours included."""
    return "h" + pseudonyms.digest("version", _canonical({k: v for k, v in resource.items() if k != "meta"}))


def _without_ours(extensions: object) -> object:
    if not isinstance(extensions, list):
        return extensions
    return [one for one in extensions if not (isinstance(one, dict) and is_ours(one.get("url")))]


def _canonical(value: object) -> bytes:
    """JSON with sorted keys; in ASCII where a text is no Unicode (half a surrogate pair)."""
    try:
        return _SORTED_ENCODER.encode(value)
    except (ValueError, TypeError, RecursionError):
        return _ENCODER.encode(_literal(value)).encode("ascii")


def _literal(value: object) -> object:
    if isinstance(value, dict):
        return {name: _literal(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_literal(one) for one in value]
    # An object of one unusual key can't be mistaken for a string that looks like the number.
    if isinstance(value, Real):
        return {"\x00": value.literal}
    if isinstance(value, int) and value.bit_length() > 64:
        return {"\x00": hex(value)}  # Python refuses to write integers over 4,300 digits
    return value


def _exact(value: object) -> object:
    """What the fast encoders write for a `Real`, and refuse for anything else."""
    if isinstance(value, Real):
        return {"\x00": value.literal}
    raise TypeError("no JSON value")


def _integer(literal: str) -> int | Real:
    # Python refuses integers over 4,300 digits; what a double can't hold is only ever compared.
    return int(literal) if len(literal) <= MAX_PLAIN_DIGITS else Real(literal)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"))
_DECODER = json.JSONDecoder(parse_float=Real, parse_int=_integer, parse_constant=_refuse)
_FAST_DECODER = msgspec.json.Decoder(float_hook=Real)
_FAST_ENCODER = msgspec.json.Encoder(enc_hook=lambda value: None)
_SORTED_ENCODER = msgspec.json.Encoder(enc_hook=_exact, order="sorted")
_AS_ZEROS = bytes.maketrans(b"123456789", b"000000000")
_LONG_NUMBER = b"0" * MAX_PLAIN_DIGITS  # a minus sign counts as well
