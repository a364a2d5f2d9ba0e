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

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo

from fhir_adapters import dates, links
from fhir_adapters.normalise import structs, words
from fhir_adapters.normalise.mapping import Entry
from fhir_adapters.pseudonyms import Pseudonyms
from twin.facts import Code, Concept, Person
from twin.vocabulary import CareSetting

PEOPLE = ("Practitioner", "PractitionerRole")
_MAX_CODINGS = 20

Span = tuple[datetime | None, datetime | None]


class UnreadableError(Exception):
    """The resource can't be read; the argument is the reason, without data. Ends as a `Quarantined`."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What is the same for every resource of one server."""

    base: links.Base | None
    pseudonyms: Pseudonyms
    zone: tzinfo
    entries: Mapping[tuple[str, str], tuple[Entry, ...]]
    settings: Mapping[str, CareSetting]


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
        start, end = self.instant(period.start), self.instant(period.end)
        if start and end and end < start:
            self.found("end-before-start")
            return start, None
        return start, end

    # References

    def ref(self, value: structs.Reference | None, *types: str) -> str | None:
        """`Type/id` of one of the types, a Patient's id as pseudonym; None with a finding where it is unresolved."""
        target = None if value is None else self._target(value)
        if target is None:
            return None
        resource_type, resource_id = target
        if resource_type not in types:
            self.found("wrong-target")
            return None
        if resource_type == "Patient":
            self.patients.add(resource_id)
            resource_id = self.rules.pseudonyms.patient(resource_id)
        return f"{resource_type}/{resource_id}"

    def refs(self, values: Iterable[structs.Reference | None] | None, *types: str) -> tuple[str, ...]:
        """Each that resolves, once, in order."""
        return unique(self.ref(value, *types) for value in values or ())

    def patient(self, value: structs.Reference | None) -> str | None:
        """The pseudonym of the patient that is referred to."""
        ref = self.ref(value, "Patient")
        return ref and ref.partition("/")[2]

    def _target(self, value: structs.Reference) -> tuple[str, str] | None:
        if not value.reference:
            self.found("logical-reference" if value.identifier else "display-reference")
            return None
        path = self._relative(value.reference)
        if path is None:
            return None
        parts = path.split("/")
        if len(parts) == 4 and parts[2] == "_history":
            del parts[2:]
        if len(parts) != 2 or not links.is_type(parts[0]) or not links.is_id(parts[1]):
            self.found("unresolved-reference")
            return None
        return parts[0], parts[1]

    def _relative(self, reference: str) -> str | None:
        if reference.startswith("#"):
            self.found("contained-reference")
            return None
        if ":" not in reference:
            return reference
        path = self.rules.base and self.rules.base.relative(reference)
        if not path:
            self.found("unresolved-reference" if reference.startswith("urn:") else "foreign-reference")
        return path or None

    # Concepts and people

    def concept(self, value: structs.CodeableConcept | None) -> Concept | None:
        """Codings kept; words only as a hash, and only where no coding has a code; None where it says nothing."""
        if value is None:
            return None
        codings = tuple(
            Code(words.kept(one.system), words.kept(one.code), words.kept(one.display))
            for one in (value.coding or ())[:_MAX_CODINGS]
            if words.kept(one.code)
        )
        texts = concept_texts(value)
        if not codings and not texts:
            return None
        text_hash = None if codings else self.rules.pseudonyms.text(value.text or texts[0])
        return Concept(codings, text_hash, words.is_surgical(texts, concept_codes(value)))

    def concepts(self, *values: structs.CodeableConcept | None) -> tuple[Concept, ...]:
        """Each that says something, in order."""
        return tuple(concept for concept in map(self.concept, values) if concept is not None)

    def person(self, actor: structs.Reference | None, roles: Iterable[structs.CodeableConcept | None]) -> Person | None:
        """A member of the team with the role that words or codes tell."""
        ref = self.ref(actor, *PEOPLE)
        if ref is None:
            return None
        told = [role for role in roles if role is not None]
        texts = [text for role in told for text in concept_texts(role)]
        return Person(ref, words.role(texts, [code for role in told for code in concept_codes(role)]))


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
        if person is not None and not known.get(person.ref, Person("")).role:
            known[person.ref] = person
    return tuple(known.values())


def unique(values: Iterable[str | None]) -> tuple[str, ...]:
    """Each value once, in order, without None."""
    return tuple(dict.fromkeys(value for value in values if value is not None))
