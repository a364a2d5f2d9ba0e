"""Facts: what one version of one resource asserts, completely, after redaction.

A fact holds no name, identifier, birth date or free text: a patient is a keyed pseudonym and bands, a procedure told
only in words is a keyed hash. References are `Type/id` strings on the same server; references to patients hold the
pseudonym. Instants are aware; `last_updated` is wall time of the FHIR server, stamps are site time.
"""

from collections.abc import Iterator
from datetime import date, datetime
from typing import NamedTuple

import msgspec

from twin.timeline import Annotation
from twin.vocabulary import CareSetting, Milestone, PlaceKind, Provenance


class Code(msgspec.Struct, frozen=True, gc=False):
    """One coding of a concept."""

    system: str
    code: str
    display: str = ""


class Concept(msgspec.Struct, frozen=True, gc=False):
    """A CodeableConcept: its codings, and the keyed hash of its text where it has no coding."""

    codings: tuple[Code, ...] = ()
    text_hash: str | None = None
    surgical: bool | None = None
    """What its words say, read before redaction: True surgery, False consultation or other, None nothing known."""

    @property
    def key(self) -> str | None:
        """A stable name for statistics: `system|code` of the first coding, else the hash of the text."""
        if self.codings:
            return f"{self.codings[0].system}|{self.codings[0].code}"
        return self.text_hash

    @property
    def label(self) -> str:
        """Words for a screen; empty where only a text was given."""
        return next((code.display or code.code for code in self.codings), "")


class Stamp(msgspec.Struct, frozen=True, gc=False):
    """A milestone that a version asserts, by the milestone mapping."""

    milestone: Milestone
    at: datetime | None
    """None: the version shows the state without an instant; the fold gives the time of the first version that did."""
    provenance: Provenance
    location: str | None = None
    """`Location/id` that the time belongs to."""
    place: PlaceKind | None = None
    """The stamp holds only where `location` is a place of this kind."""
    without_visit: Milestone | None = None
    """Read as this milestone instead, estimated, where no Encounter tells when the patient was in the room."""


class Person(msgspec.Struct, frozen=True, gc=False):
    """A member of the team: `Practitioner/id` and, where told, the role."""

    ref: str
    role: str = ""
    """surgeon, anesthetist, nurse, or empty where not told."""


class AppointmentFact(msgspec.Struct, frozen=True, gc=False):
    """A booking. `status` is the FHIR code; times are None where the booking has none."""

    status: str
    start: datetime | None = None
    end: datetime | None = None
    minutes: float | None = None
    patient: str | None = None
    locations: tuple[str, ...] = ()
    team: tuple[Person, ...] = ()
    services: tuple[Concept, ...] = ()
    """serviceType, serviceCategory and appointmentType."""
    specialties: tuple[Concept, ...] = ()
    reasons: tuple[Concept, ...] = ()
    requests: tuple[str, ...] = ()
    """`ServiceRequest/id` it is based on."""
    stamps: tuple[Stamp, ...] = ()


class Stay(msgspec.Struct, frozen=True, gc=False):
    """One entry of Encounter.location: where the patient was, is, or will be."""

    location: str
    status: str = ""
    start: datetime | None = None
    end: datetime | None = None
    own: frozenset[str] = frozenset()
    """Which of the two (`start`, `end`) the entry doesn't tell, so that it is the Encounter's own."""

    def told(self) -> Iterator[tuple[str, datetime]]:
        """`start` and `end` with the times that the entry tells; a planned or reserved place tells none."""
        if self.status not in ("planned", "reserved"):
            for part, at in (("start", self.start), ("end", self.end)):
                if at is not None and part not in self.own:
                    yield part, at


class StayRule(NamedTuple):
    """The milestone that the `start` or the `end` of a stay is, by the milestone mapping, at a place of a kind."""

    part: str
    milestone: Milestone
    place: PlaceKind | None = None
    """None: of any kind."""
    provenance: Provenance = Provenance.EXPLICIT
    without_visit: Milestone | None = None


class EncounterFact(msgspec.Struct, frozen=True, gc=False):
    """A stay or a movement (`part_of` names the stay)."""

    status: str
    setting: CareSetting = CareSetting.UNKNOWN
    patient: str | None = None
    part_of: str | None = None
    appointments: tuple[str, ...] = ()
    requests: tuple[str, ...] = ()
    start: datetime | None = None
    end: datetime | None = None
    stays: tuple[Stay, ...] = ()
    stay_rules: tuple[StayRule, ...] = ()
    """What the times of the stays are: told once, since which hold is known only with the kinds of the places."""
    team: tuple[Person, ...] = ()
    stamps: tuple[Stamp, ...] = ()
    """All others."""


class ProcedureFact(msgspec.Struct, frozen=True, gc=False):
    """An act, planned, running or done."""

    status: str
    patient: str | None = None
    encounter: str | None = None
    location: str | None = None
    part_of: str | None = None
    requests: tuple[str, ...] = ()
    code: Concept = Concept()
    category: Concept = Concept()
    start: datetime | None = None
    end: datetime | None = None
    team: tuple[Person, ...] = ()
    stamps: tuple[Stamp, ...] = ()


class LocationFact(msgspec.Struct, frozen=True, gc=False):
    """A place. Names are kept: they are not a person's."""

    name: str = ""
    aliases: tuple[str, ...] = ()
    types: tuple[Concept, ...] = ()
    type_texts: tuple[str, ...] = ()
    physical: str = ""
    """physicalType code: si, wi, ro, bd, area…"""
    part_of: str | None = None
    status: str = ""
    operational: str = ""
    """v2-0116 bed status: C closed, H housekeeping, I isolated, K contaminated, O occupied, U unoccupied."""
    timezone: str | None = None


class PatientFact(msgspec.Struct, frozen=True, gc=False):
    """A patient as pseudonym, bands and the patients that the record was merged with (pseudonyms)."""

    age_band: str | None = None
    gender: str | None = None
    active: bool = True
    replaced_by: tuple[str, ...] = ()
    replaces: tuple[str, ...] = ()


class ServiceRequestFact(msgspec.Struct, frozen=True, gc=False):
    """An order: what somebody wants done. Read only where it decides whether a booking is one of surgery."""

    status: str
    patient: str | None = None
    code: Concept = Concept()
    categories: tuple[Concept, ...] = ()

    @property
    def surgical(self) -> bool | None:
        """True where its category or code says surgery, False where one says another thing, None where neither does."""
        said = {concept.surgical for concept in (*self.categories, self.code)}
        return False if False in said else True if True in said else None


class Value(msgspec.Struct, frozen=True, gc=False):
    """One value of a result: what it is of, and the number or the codes that tell it; never words."""

    of: tuple[str, ...]
    """`system|code`."""
    number: float | None = None
    unit: str = ""
    """UCUM code of the number, empty where none is told."""
    levels: tuple[str, ...] = ()
    """`system|code`."""


class ResultFact(msgspec.Struct, frozen=True, gc=False):
    """An Observation or RiskAssessment that the site names: its values and when they were known, nothing else of it."""

    status: str
    patient: str | None = None
    encounter: str | None = None
    at: datetime | None = None
    """When it was known: the later of what it is of and when it was issued."""
    values: tuple[Value, ...] = ()


class ScheduleFact(msgspec.Struct, frozen=True, gc=False):
    """Whose time the Slots that name it are."""

    active: bool = True
    locations: tuple[str, ...] = ()
    """`Location/id` among its actors."""


class SlotFact(msgspec.Struct, frozen=True, gc=False):
    """A stretch of a Schedule. `status` is the FHIR code."""

    status: str
    schedule: str | None = None
    start: datetime | None = None
    end: datetime | None = None


class Deleted(msgspec.Struct, frozen=True, gc=False):
    """The resource is no longer on the server."""


Assertion = (
    AppointmentFact
    | EncounterFact
    | ProcedureFact
    | LocationFact
    | PatientFact
    | ServiceRequestFact
    | ResultFact
    | ScheduleFact
    | SlotFact
    | Deleted
)


class VersionKey(msgspec.Struct, frozen=True, gc=False):
    """Names one version. `version_id` is opaque; servers without versions get the content's hash."""

    server: str
    type: str
    id: str
    version_id: str
    last_updated: datetime

    @property
    def ref(self) -> str:
        """`Type/id`."""
        return f"{self.type}/{self.id}"


class Carried(msgspec.Struct, frozen=True, gc=False):
    """What of our annotations a version carries."""

    annotation: Annotation | None = None
    """Ours (this installation's source), where it can be read."""
    present: bool = False
    """Any extension of ours, readable or not."""
    foreign: tuple[str, ...] = ()
    """Sources of other installations found."""


class Fact(msgspec.Struct, frozen=True, gc=False):
    """What one version asserts. Equal content hash: nothing of the hospital's changed."""

    key: VersionKey
    content_hash: str
    assertion: Assertion
    carried: Carried = Carried()
    findings: tuple[str, ...] = ()
    """Readings that were not obvious, by name (`end-before-start`); never data of a patient."""


_OVER = frozenset(
    {
        *("fulfilled", "cancelled", "noshow", "entered-in-error"),
        *("finished", "completed", "stopped", "not-done"),
    }
)


def over_since(assertion: Assertion, *, deleted: bool = False) -> datetime | None:
    """The last time that an Appointment, Encounter, Procedure or Slot tells, where it is over by then; else None.

    A booking or a Slot of the past is over whatever its status; an Encounter or an act needs a status that says so,
    or to be `deleted`.
    """
    if not isinstance(assertion, AppointmentFact | EncounterFact | ProcedureFact | SlotFact):
        return None
    if isinstance(assertion, EncounterFact | ProcedureFact) and not deleted and assertion.status not in _OVER:
        return None
    times = [assertion.start, assertion.end]
    if isinstance(assertion, EncounterFact):
        for stay in assertion.stays:
            times += (stay.start, stay.end)
    return max([at for at in times if at is not None], default=None)


class Quarantined(msgspec.Struct, frozen=True, gc=False):
    """An entry that could not be read, and why; the others of its page went on."""

    server: str
    type: str
    id: str
    version_id: str
    reason: str


class Horizon(msgspec.Struct, frozen=True, gc=False):
    """Days that the live twin keeps, both included."""

    first: date
    last: date
