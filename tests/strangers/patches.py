"""JSON Patch (RFC 6902), as far as a server needs it here."""

import copy
from typing import Any


def applied(resource: Any, operations: list[dict[str, Any]]) -> Any:
    """The patched resource; None where a test fails or a path isn't there."""
    out = copy.deepcopy(resource)
    try:
        for operation in operations:
            *way, last = operation["path"].split("/")[1:]
            _apply(_walk(out, way), last, operation)
    except (KeyError, IndexError, ValueError):
        return None
    return out


def _walk(at: Any, way: list[str]) -> Any:
    for step in way:
        at = at[int(step)] if isinstance(at, list) else at[step]
    return at


def _apply(at: Any, last: str, operation: dict[str, Any]) -> None:
    key: Any = (len(at) if last == "-" else int(last)) if isinstance(at, list) else last
    match operation["op"]:
        case "test":
            if at[key] != operation["value"]:
                raise ValueError(last)
        case "add" if isinstance(at, list):
            at.insert(key, operation["value"])
        case "add":
            at[key] = operation["value"]
        case "replace":
            at[key]  # must be there
            at[key] = operation["value"]
        case "remove":
            del at[key]
        case other:
            raise ValueError(other)
