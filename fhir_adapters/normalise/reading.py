"""Reading the elements that all resources share, each ambiguous form with one reading and a finding that names it.

| reference | read as | finding |
| --- | --- | --- |
| `Type/id`, also absolute on the same base | that resource | |
| with `/_history/3` | the resource, whatever its version | |
| `#id` (contained) | nothing: it is no resource of the server | `contained-reference` |
| another base, `javascript:` and other schemes | nothing | `foreign-reference` |
| `urn:uuid:`, a search, or anything else | nothing | `unresolved-reference` |
| only an identifier | nothing: we look nobody up by an identifier | `logical-reference` |
| only a display | nothing | `display-reference` |
| of a type that the element doesn't take | nothing | `wrong-target` |

An unresolved room is an unknown room, not an error.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import NamedTuple, TypeVar

from fhir_adapters import dates, links
from fhir_adapters.normalise import structs, words
from fhir_adapters.normalise.mapping import Entry
from fhir_adapters.pseudonyms import Pseudonyms
from twin.facts import Code, Concept, Person, Stamp, StayRule
from twin.vocabulary import CareSetting, Provenance

PEOPLE = ("Practitioner", "PractitionerRole")
ACTORS = frozenset({"Patient", "Location", *PEOPLE})
NOT_HAPPENING = frozenset({"planned", "cancelled", "entered-in-error"})
"""Statuses of an Encounter whose times are plans or mistakes."""
_MAX_CODINGS = 20

_PLAIN = re.compile(r"([A-Z][A-Za-z]{1,63})/([A-Za-z0-9\-._]{1,64})", re.ASCII)

Span = tuple[datetime | None, datetime | None]
K = TypeVar("K")
V = TypeVar("V")


class UnreadableError(Exception):
    """The resource can't be read; the argument is the reason, without data. Ends as a `Quarantined`."""


class Known(dict[K, V]):
    """What a pure function gave for what it was asked lately: codes, places and people come again and again."""

    __slots__ = ("_ask",)
    MOST = 32_768
    """Beyond so many all are forgotten: memory is bounded whatever a server sends."""

    def __init__(self, ask: Callable[[K], V]) -> None:
        """Of a function of one hashable value."""
        super().__init__()
        self._ask = ask

    def __missing__(self, key: K) -> V:
        """Asked for the first time."""
        if len(self) >= self.MOST:
            self.clear()
        value = self[key] = self._ask(key)
        return value


class Target(NamedTuple):
    """What a reference's text leads to; `finding` where it is no resource of the server."""

    type: str = ""
    id: str = ""
    finding: str = ""
    kind: str = ""
    """The type that the text names, whether it resolves or not."""


class Rules:
    """What is the same for every resource of one server, and what was read of it lately."""

    def __init__(
        self,
        base: links.Base | None,
        pseudonyms: Pseudonyms,
        zone: tzinfo,
        *,
        entries: Mapping[tuple[str, str], tuple[Entry, ...]],
        settings: Mapping[str, CareSetting],
        results: frozenset[str] = frozenset(),
    ) -> None:
        """`entries` by resource type and path; `results`: `system|code` of the results that are kept."""
        self.pseudonyms = pseudonyms
        self.zone = zone
        self.settings = settings
        self.results = results
        self.entries = entries
        self.holding = Known(self._holding)
        """Entries of a resource type, path and status or code."""
        self.states = Known(self._states)
        """Stamps without an instant, of a resource type, a status and what is not told beside it (start, end or "")."""
        self.stay_rules = Known(self._stay_rules)
        """What the times of an Encounter's stays are, by its status."""
        self.targets = Known(self._target)
        self.patients = Known(pseudonyms.patient)
        self.concepts = Known(self._concept)
        self.people = Known(_person)
        self._base = base

    def _holding(self, key: tuple[str, str, str | None]) -> tuple[Entry, ...]:
        resource, path, code = key
        return tuple(entry for entry in self.entries.get((resource, path), ()) if entry.holds_for(code))

    def _states(self, key: tuple[str, str, str]) -> tuple[Stamp, ...]:
        resource, status, untold = key
        return tuple(
            Stamp(entry.milestone, None, Provenance.DERIVED, without_visit=entry.without_visit)
            for entry in self.holding[resource, "status", status]
            if entry.unless_told == untold
        )

    def _stay_rules(self, status: str) -> tuple[StayRule, ...]:
        if status in NOT_HAPPENING:
            return ()
        return tuple(
            StayRule(part, entry.milestone, entry.place, entry.known, entry.without_visit)
            for part in ("start", "end")
            for entry in self.holding["Encounter", f"location.period.{part}", status]
        )

    def _target(self, reference: str) -> Target:
        if (plain := _PLAIN.fullmatch(reference)) and links.is_id(plain[2]):
            return Target(plain[1], plain[2], kind=plain[1])
        kind = _kind(reference)
        if reference.startswith("#"):
            return Target(finding="contained-reference", kind=kind)
        path: str | None = reference
        if ":" in reference:
            path = self._base.relative(reference) if self._base else None
            if not path:
                finding = "unresolved-reference" if reference.startswith("urn:") else "foreign-reference"
                return Target(finding=finding, kind=kind)
        parts = (path or "").split("/")
        if len(parts) == 4 and parts[2] == "_history":
            del parts[2:]
        if len(parts) != 2 or not links.is_type(parts[0]) or not links.is_id(parts[1]):
            return Target(finding="unresolved-reference", kind=kind)
        return Target(parts[0], parts[1], kind=kind)

    def _concept(self, value: structs.CodeableConcept) -> Concept | None:
        codings = tuple(
            Code(words.kept(one.system), words.kept(one.code), words.kept(one.display))
            for one in (value.coding or ())[:_MAX_CODINGS]
            if words.kept(one.code)
        )
        texts = concept_texts(value)
        if not codings and not texts:
            return None
        text_hash = None if codings else self.pseudonyms.text(value.text or texts[0])
        return Concept(codings, text_hash, words.is_surgical(texts, concept_codes(value)))


def _kind(reference: str) -> str:
    path = reference.partition("/_history/")[0].split("/")
    return path[-2] if len(path) > 1 and links.is_type(path[-2]) else ""


def _person(key: tuple[str, tuple[structs.CodeableConcept | None, ...]]) -> Person:
    ref, roles = key
    told = [role for role in roles if role is not None]
    texts = [text for role in told for text in concept_texts(role)]
    return Person(ref, words.role(texts, [code for role in told for code in concept_codes(role)]))


@dataclass(slots=True)
class Reader:
    """Reads one resource; `findings` and the real ids of `patients` are gathered on the way."""

    rules: Rules
    observed_at: datetime
    findings: dict[str, None] = field(default_factory=dict)
    patients: set[str] = field(default_factory=set)

    def found(self, finding: str) -> None:
        """Notes a reading that wasn't obvious; once each, in order."""
        self.findings[finding] = None

    def code(self, value: str | None, allowed: frozenset[str]) -> str:
        """A required code. Raises UnreadableError for an unknown one."""
        if value not in allowed:
            raise UnreadableError("no-status" if value is None else "unknown-status")
        return value

    # Times

    def instant(self, value: str | None) -> datetime | None:
        """A time of day on a day; None with a finding for a day alone or what is no date."""
        if value is None:
            return None
        read = dates.instant(value, self.rules.zone)
        if read is None:
            self.found("day-only" if dates.is_partial(value) else "bad-date")
        return read

    def span(self, period: structs.Period | None) -> Span:
        """Start and end; an end before the start is dropped."""
        if period is None:
            return None, None
        start = None if period.start is None else self.instant(period.start)
        end = None if period.end is None else self.instant(period.end)
        if start and end and end < start:
            self.found("end-before-start")
            return start, None
        return start, end

    # References

    def ref(self, value: structs.Reference | None, *types: str) -> str | None:
        """`Type/id` of one of the types, a Patient's id as pseudonym; None with a finding where it is unresolved."""
        if value is None:
            return None
        if not value.reference:
            self.found("logical-reference" if value.identifier else "display-reference")
            return None
        kind, _, name = value.reference.partition("/")
        if kind in types and links.is_id(name):  # what nearly every server writes
            return self._stored(kind, name)
        target = self.rules.targets[value.reference]
        if target.finding or target.type not in types:
            self.found(target.finding or "wrong-target")
            return None
        return self._stored(target.type, target.id)

    def _stored(self, kind: str, name: str) -> str:
        if kind != "Patient":
            return f"{kind}/{name}"
        self.patients.add(name)
        return f"Patient/{self.rules.patients[name]}"

    def refs(self, values: Iterable[structs.Reference | None] | None, *types: str) -> tuple[str, ...]:
        """Each that resolves, once, in order."""
        return unique([self.ref(value, *types) for value in values]) if values else ()

    def patient(self, value: structs.Reference | None) -> str | None:
        """The pseudonym of the patient that is referred to."""
        ref = self.ref(value, "Patient")
        return ref and ref.partition("/")[2]

    def kind(self, actor: structs.Reference | None) -> str:
        """The type of an actor as its reference tells, or without one its `type`; "" where nothing does."""
        if actor is None:
            return ""
        if not actor.reference:
            return actor.type or ""
        kind, _, name = actor.reference.partition("/")
        return kind if kind in ACTORS and "/" not in name else self.rules.targets[actor.reference].kind

    # Concepts and people

    def concept(self, value: structs.CodeableConcept | None) -> Concept | None:
        """Codings kept; words only as a hash, and only where no coding has a code; None where it says nothing."""
        return None if value is None else self.rules.concepts[value]

    def concepts(self, *values: structs.CodeableConcept | None) -> tuple[Concept, ...]:
        """Each that says something, in order."""
        return tuple([concept for concept in map(self.concept, values) if concept is not None])

    def person(
        self, actor: structs.Reference | None, roles: tuple[structs.CodeableConcept | None, ...]
    ) -> Person | None:
        """A member of the team with the role that words or codes tell."""
        ref = self.ref(actor, *PEOPLE)
        return None if ref is None else self.rules.people[ref, roles]


def concept_texts(value: structs.CodeableConcept) -> list[str]:
    """All its words: text and displays."""
    displays = (one.display for one in (value.coding or ())[:_MAX_CODINGS])
    return [text for text in (value.text, *displays) if text]


def concept_codes(value: structs.CodeableConcept) -> list[str]:
    """Its codes as `system|code`."""
    return [f"{one.system}|{one.code}" for one in (value.coding or ())[:_MAX_CODINGS] if one.code]


def team(people: Iterable[Person | None]) -> tuple[Person, ...]:
    """Everyone once, in order, with a role where any mention tells it."""
    known: dict[str, Person] = {}
    for person in people:
        if person is not None and (person.ref not in known or not known[person.ref].role):
            known[person.ref] = person
    return tuple(known.values())


def unique(values: Iterable[str | None]) -> tuple[str, ...]:
    """Each value once, in order, without None."""
    return tuple(dict.fromkeys(value for value in values if value is not None))
