"""The field's words as constants; the French terms are in docs/glossary.md.

Milestones follow the procedural times glossary of the AACD (Association of Anesthesia Clinical Directors) where it
has one, with American spelling as FHIR codes use.
"""

from enum import StrEnum


class Milestone(StrEnum):
    """An instant of one case's pathway, in the order of the pathway."""

    PATIENT_IN_FACILITY = "patient_in_facility"
    PATIENT_SENT_FOR = "patient_sent_for"
    PATIENT_IN_HOLDING = "patient_in_holding"
    ROOM_READY = "room_ready"
    PATIENT_IN_ROOM = "patient_in_room"
    ANESTHESIA_START = "anesthesia_start"
    ANESTHESIA_READY = "anesthesia_ready"
    INCISION = "incision"
    CLOSURE_START = "closure_start"
    PROCEDURE_FINISH = "procedure_finish"
    PATIENT_OUT_OF_ROOM = "patient_out_of_room"
    ROOM_CLEANUP_FINISH = "room_cleanup_finish"
    PACU_ARRIVAL = "pacu_arrival"
    PACU_READY = "pacu_ready"
    PACU_DISCHARGE = "pacu_discharge"
    UNIT_ARRIVAL = "unit_arrival"
    FACILITY_DISCHARGE = "facility_discharge"

    @property
    def rank(self) -> int:
        """Position in the pathway, 0 first."""
        return _RANK[self]


_RANK = {milestone: rank for rank, milestone in enumerate(Milestone)}

ROOM_MILESTONES = frozenset({Milestone.ROOM_READY, Milestone.ROOM_CLEANUP_FINISH})
"""Milestones of the room, not of the patient: neither says anything about the other's."""


class Provenance(StrEnum):
    """How a time is known."""

    EXPLICIT = "explicit"
    """The resource says this time for this milestone."""
    DERIVED = "derived from version"
    """The resource shows a state without an instant: the time of the first version that showed it."""
    ESTIMATED = "estimated"
    """Read from an element that means something near it, or implied by another case."""


class CareSetting(StrEnum):
    """Under what regime the patient stays."""

    AMBULATORY = "ambulatory"
    INPATIENT = "inpatient"
    EMERGENCY = "emergency"
    UNKNOWN = "unknown"


class CaseStatus(StrEnum):
    """What has become of a case. The first three are live, the others are closed."""

    PLANNED = "planned"
    IN_PROGRESS = "in_progress"
    DONE = "done"
    CANCELLED = "cancelled"
    NO_SHOW = "no_show"
    ENTERED_IN_ERROR = "entered_in_error"
    DELETED = "deleted"

    @property
    def withdrawn(self) -> bool:
        """True where the case doesn't take place: it counts nowhere and carries no prediction."""
        return self in _WITHDRAWN


_WITHDRAWN = frozenset({CaseStatus.CANCELLED, CaseStatus.NO_SHOW, CaseStatus.ENTERED_IN_ERROR, CaseStatus.DELETED})


class PlaceKind(StrEnum):
    """What a Location is to the suite."""

    ROOM = "room"
    SUITE = "suite"
    PACU = "pacu"
    HOLDING = "holding"
    WARD = "ward"
    DAY_UNIT = "day_unit"
    INTENSIVE_CARE = "intensive_care"
    BED = "bed"
    CONSULTATION = "consultation"
    ELSEWHERE = "elsewhere"


class Stage(StrEnum):
    """A stretch of a case's pathway that takes time; durations are drawn per stage."""

    ARRIVAL = "arrival"
    """Planned entry to presence in the facility: how late the patient is."""
    TRANSPORT = "transport"
    HOLDING = "holding"
    START_DELAY = "start_delay"
    """Delay of the first case of a list against its booking."""
    LIST_DELAY = "list_delay"
    """From the earliest early start to the entry of a later case of a list, where the room waits for the booking."""
    INDUCTION = "induction"
    LEAD_IN = "lead_in"
    ROOM_TIME = "room_time"
    SURGICAL_TIME = "surgical_time"
    CLOSURE = "closure"
    EMERGENCE = "emergence"
    TURNOVER = "turnover"
    PACU = "pacu"
    PACU_BOARDING = "pacu_boarding"
    TO_UNIT = "to_unit"
    UNIT = "unit"
    STERILIZATION = "sterilization"
    """Of the instruments, from wheels out until they can be used again."""


class ResourceKind(StrEnum):
    """What a place, a person or a thing that cases share is to a case; the order is that in which they are taken."""

    ROOM = "room"
    """Told only where its capacity changes: a room of a case is there anyway, under the same name."""
    PORTER = "porter"
    HOLDING = "holding"
    SURGEON = "surgeon"
    """A person of a team is one under the same name, told only where its capacity changes."""
    ANESTHETIST = "anesthetist"
    NURSES = "nurses"
    EQUIPMENT = "equipment"
    INSTRUMENTS = "instruments"
    """Sets that go through sterilization before the next case has them."""
    CREW = "crew"
    """Restores the room."""
    PACU_NURSE = "pacu_nurse"
    PACU = "pacu"
    ICU = "icu"
    """In place of the PACU."""
    BED = "bed"
    """Of a ward or a day unit."""


class BookedInterval(StrEnum):
    """What the hospital's booked minutes cover."""

    SKIN_TO_SKIN = "skin_to_skin"
    ROOM = "room"
    ROOM_AND_CLEANING = "room_and_cleaning"
