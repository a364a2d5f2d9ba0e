"""What words and codes say: surgery or something else, and the role of a person. The table is words.toml."""

import re
import unicodedata
from collections.abc import Iterable
from functools import cache
from importlib.resources import files

import msgspec

_KEPT_CHARS = 256
_HEARD_CHARS = 1000
# Controls, lone surrogates and overrides of the writing direction: stores refuse some, screens are fooled by others.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")


class Lexicon(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Beginnings of words, and codes as `system|code`, that say the same thing; `name` where it has one."""

    words: tuple[str, ...]
    codes: frozenset[str]
    name: str = ""

    def says(self, words: Iterable[str], codes: Iterable[str] = ()) -> bool:
        """True where one of the words (folded) or codes belongs to it."""
        pattern = _pattern(self.words)
        return any(code in self.codes for code in codes) or any(pattern.search(text) for text in words)


class Words(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole table."""

    surgical: Lexicon
    other: Lexicon
    role: tuple[Lexicon, ...]


@cache
def table() -> Words:
    """The shipped table."""
    return msgspec.toml.decode(files(__package__).joinpath("words.toml").read_bytes(), type=Words)


@cache
def _pattern(words: tuple[str, ...]) -> "re.Pattern[str]":
    each = (re.escape(word.removesuffix("$")) + (r"\b" if word.endswith("$") else "") for word in words)
    return re.compile(rf"\b(?:{'|'.join(each)})")


def is_surgical(texts: Iterable[str], codes: Iterable[str]) -> bool | None:
    """True for surgery, False for a consultation or another thing, None where nothing is known."""
    words, given = [folded(text) for text in texts], tuple(codes)
    if table().other.says(words, given):
        return False
    return True if table().surgical.says(words, given) else None


def role(texts: Iterable[str], codes: Iterable[str]) -> str:
    """surgeon, anesthetist or nurse; empty where nothing tells."""
    words, given = [folded(text) for text in texts], tuple(codes)
    by_words = next((one.name for one in table().role if one.says(words)), None)
    return by_words or next((one.name for one in table().role if one.says((), given)), "")


def folded(text: str) -> str:
    """Without case and accents."""
    if text.isascii():
        return text[:_HEARD_CHARS].casefold()
    return "".join(
        one for one in unicodedata.normalize("NFKD", text[:_HEARD_CHARS]) if not unicodedata.combining(one)
    ).casefold()


def kept(text: object) -> str:
    """Words that may be stored: at most 256 characters, none that a store or a screen would stumble over."""
    return _UNSAFE.sub("", text)[:_KEPT_CHARS].strip() if isinstance(text, str) else ""
