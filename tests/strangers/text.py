"""JSON that keeps the literal of every number, as a server that respects its clients does."""

import json
from typing import Any


class Number:
    """A number as it was written."""

    __slots__ = ("literal",)

    def __init__(self, literal: str) -> None:
        self.literal = literal

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Number) and self.literal == other.literal

    def __hash__(self) -> int:
        return hash(self.literal)

    def as_double(self) -> "Number":
        """What is left of it after a double."""
        is_small = self.literal.lstrip("-").isdigit() and len(self.literal) < 16
        return self if is_small else Number(repr(float(self.literal)))


def loads(text: bytes | str) -> Any:
    """JSON with every number as a `Number`."""
    return json.loads(text, parse_float=Number, parse_int=Number)


def dumps(value: Any) -> str:
    """The text of what `loads` gave."""
    if isinstance(value, Number):
        return value.literal
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(name)}:{dumps(one)}" for name, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(dumps(one) for one in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def doubles(value: Any) -> Any:
    """The same with every number as a double would keep it."""
    if isinstance(value, Number):
        return value.as_double()
    if isinstance(value, dict):
        return {name: doubles(one) for name, one in value.items()}
    return [doubles(one) for one in value] if isinstance(value, list) else value
