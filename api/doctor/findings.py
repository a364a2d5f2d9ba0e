"""Findings as values: what was looked at, how it stands, what was found in numbers, and what to do."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

SCHEMA = 1
"""Goes up when a key of `--json` changes its meaning or goes."""


class Level(StrEnum):
    """How a thing stands. A problem makes the line useless; a warning makes it worse."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    PROBLEM = "problem"


class Section(StrEnum):
    """The parts of a report, in their order."""

    SERVER = "The server"
    SEARCH = "Searching"
    VERSIONS = "Versions and writing"
    DATA = "The data"
    WRITING = "What would be written"
    TRIED = "Tried on the tagged resource"


class Check(StrEnum):
    """What is looked at: the stable names of `--json`, explained in docs/doctor.md."""

    REACH = "reach"
    LATENCY = "latency"
    TLS = "tls"
    SOFTWARE = "software"
    SIGN_IN = "sign-in"
    TYPES = "types"
    CLOCK = "clock"
    PAGE_SIZE = "page-size"
    PAGING = "paging"
    TOTAL = "total"
    FILTERS = "filters"
    SORT = "sort"
    SELF_LINK = "self-link"
    FRESHNESS = "freshness"
    VERSIONS = "versions"
    LAST_UPDATED = "last-updated"
    HISTORY = "history"
    INSTANCE_HISTORY = "instance-history"
    PATCH = "patch"
    IF_MATCH = "if-match"
    READING = "reading"
    QUARANTINE = "quarantine"
    READINGS = "readings"
    ROOMS = "rooms"
    UNUSED_ROOMS = "unused-rooms"
    PACU = "pacu"
    BLOCKS = "blocks"
    CASES = "cases"
    INCOMPLETE = "incomplete-cases"
    NOT_SURGICAL = "not-surgical"
    MILESTONES = "milestones"
    MISSING_STAMPS = "missing-stamps"
    LATE_STAMPS = "late-stamps"
    CONTRADICTIONS = "contradictions"
    WOULD_WRITE = "would-write"
    ANNOTATIONS = "annotations"
    OTHERS = "other-installations"
    TRY_WRITE = "try-write"
    TRY_GUARD = "try-if-match"
    TRY_TEST = "try-patch-test"
    TRY_FRESH = "try-freshness"
    TRY_REMOVED = "try-removed"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found. `numbers` are plain JSON values with documented keys; none is data of a patient."""

    check: Check
    level: Level
    found: str
    todo: str = ""
    numbers: Mapping[str, Any] = field(default_factory=dict)
    details: tuple[str, ...] = ()
    """Lines for a person; what they say is in `numbers` too."""

    def values(self) -> dict[str, Any]:
        """The finding for `--json`."""
        return {
            "check": str(self.check),
            "level": str(self.level),
            "found": self.found,
            "todo": self.todo,
            "numbers": dict(self.numbers),
        }


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All findings about one server."""

    server: str
    at: datetime
    """Site time."""
    reached: bool
    findings: Mapping[Section, tuple[Finding, ...]]
    settings: str = ""
    """A starting settings file; empty where too little was found out."""

    @property
    def works(self) -> bool:
        """True where the line can work on this server: reached, and no problem."""
        return self.reached and not any(one.level is Level.PROBLEM for one in self.all())

    def all(self) -> Iterable[Finding]:
        """Every finding in the order of the report."""
        for section in Section:
            yield from self.findings.get(section, ())

    def values(self) -> dict[str, Any]:
        """The documented keys of `--json`."""
        return {
            "schema": SCHEMA,
            "server": self.server,
            "at": self.at.isoformat(timespec="seconds"),
            "reached": self.reached,
            "works": self.works,
            "findings": [one.values() for one in self.all()],
        }


def ok(check: Check, found: str, **numbers: Any) -> Finding:
    """As it should be."""
    return Finding(check, Level.OK, found, numbers=numbers)


def note(check: Check, found: str, todo: str = "", **numbers: Any) -> Finding:
    """Good to know."""
    return Finding(check, Level.NOTE, found, todo, numbers)


def warning(check: Check, found: str, todo: str, **numbers: Any) -> Finding:
    """The line works, less well."""
    return Finding(check, Level.WARNING, found, todo, numbers)


def problem(check: Check, found: str, todo: str, **numbers: Any) -> Finding:
    """The line can't work."""
    return Finding(check, Level.PROBLEM, found, todo, numbers)


def counted(count: int, one: str, many: str = "") -> str:
    """`1 room`, `3 rooms`."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def listed(counts: Mapping[str, int], limit: int = 8) -> str:
    """`b 5, a 3`: the most frequent first."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    more = f" and {len(ordered) - limit} more" if len(ordered) > limit else ""
    return ", ".join(f"{name} {count}" for name, count in ordered[:limit]) + more
