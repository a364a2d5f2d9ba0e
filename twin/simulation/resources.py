"""Kinds of places and people, each with the stretch of a case's pathway for which it is held: one table.

A new kind is one row here; a place of it is a `ResourceInput` of the scenario. The rows stand in the one published
order in which all cases take them, so that no two can wait for each other.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import IntEnum

from twin.errors import SettingsError
from twin.vocabulary import ResourceKind as ResourceKind


class Phase(IntEnum):
    """An instant of a case at which places are taken or given back, in order."""

    CALLED = 0
    HOLDING = 1
    ENTRY = 2
    FINISH = 3
    OUT = 4
    """Wheels out; what begins here is taken before the patient can leave the room, which is blocked until then."""
    CLEANING = 5
    """The patient has left, the room is to be restored."""
    CLEAN = 6
    PACU_OUT = 7
    """What begins here is taken before the patient can leave the PACU."""
    HOME = 8
    STERILE = 9
    """The instruments can be used again; beside the patient's way."""


HELD: dict[ResourceKind, tuple[Phase, Phase]] = {
    ResourceKind.ROOM: (Phase.ENTRY, Phase.CLEAN),
    ResourceKind.PORTER: (Phase.CALLED, Phase.HOLDING),
    ResourceKind.HOLDING: (Phase.HOLDING, Phase.ENTRY),
    ResourceKind.SURGEON: (Phase.ENTRY, Phase.FINISH),
    ResourceKind.ANESTHETIST: (Phase.ENTRY, Phase.OUT),
    ResourceKind.NURSES: (Phase.ENTRY, Phase.OUT),
    ResourceKind.EQUIPMENT: (Phase.ENTRY, Phase.FINISH),
    ResourceKind.INSTRUMENTS: (Phase.ENTRY, Phase.STERILE),
    ResourceKind.CREW: (Phase.CLEANING, Phase.CLEAN),
    ResourceKind.PACU_NURSE: (Phase.OUT, Phase.PACU_OUT),
    ResourceKind.PACU: (Phase.OUT, Phase.PACU_OUT),
    ResourceKind.ICU: (Phase.OUT, Phase.HOME),
    ResourceKind.BED: (Phase.PACU_OUT, Phase.HOME),
}
ORDER = {kind: rank for rank, kind in enumerate(ResourceKind)}

BEDS = (ResourceKind.ICU, ResourceKind.BED)
"""Of which the demand is told."""
STAFF = (ResourceKind.SURGEON, ResourceKind.ANESTHETIST, ResourceKind.NURSES)
"""Who stays with a case past the end of a shift; a case has one place of one resource at a time."""
FOR_ALL = frozenset(
    {ResourceKind.PORTER, ResourceKind.HOLDING, ResourceKind.CREW, ResourceKind.PACU_NURSE, ResourceKind.PACU}
)
"""Needed by every case where the scenario has some, without being named; of several resources any one will do."""


@dataclass(frozen=True, slots=True)
class ResourceInput:
    """Some equal places. None of a kind in the scenario: there are always enough of it."""

    name: str
    kind: ResourceKind
    places: int = 1
    changes: tuple[tuple[datetime, int], ...] = ()
    """(instant, places from then on): shifts, breaks, closures. Those up to the scenario's now hold from its start."""
    shifts: tuple[tuple[datetime, int], ...] | None = None
    """Where a hazard closes places: the changes without it, beyond which people work overtime."""

    def __post_init__(self) -> None:
        if self.places < 0 or any(places < 0 for _, places in self.changes):
            raise SettingsError(f"the number of places of a resource can't be negative ({self.kind})")

    @property
    def roster(self) -> "ResourceInput":
        """The same without what hazards close."""
        return self if self.shifts is None else replace(self, changes=self.shifts, shifts=None)
