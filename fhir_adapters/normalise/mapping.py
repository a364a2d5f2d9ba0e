"""The milestone mapping: which element is which milestone. Declared in milestones.toml, or in a file of the site."""

from functools import cache
from importlib.resources import files
from pathlib import Path

import msgspec

from fhir_adapters.errors import BadMappingError
from twin.vocabulary import CareSetting, Milestone, PlaceKind, Provenance

PATHS = {
    "Appointment": frozenset({"status"}),
    "Encounter": frozenset(
        {
            "status",
            "statusHistory.period.start",
            "period.start",
            "period.end",
            "location.period.start",
            "location.period.end",
        }
    ),
    "Procedure": frozenset({"status", "performed.start", "performed.end", "extension"}),
}
_PROVENANCES = ("explicit", "estimated")


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One element that is a milestone; the fields are explained in milestones.toml."""

    resource: str
    path: str
    milestone: Milestone
    code: frozenset[str] = frozenset()
    place: PlaceKind | None = None
    without_visit: Milestone | None = None
    whole_stay: bool = False
    unless_told: str = ""
    url: str = ""
    provenance: str = "explicit"

    @property
    def known(self) -> Provenance:
        """Estimated where the element only means something near the milestone."""
        return Provenance.ESTIMATED if self.provenance == "estimated" else Provenance.EXPLICIT

    def holds_for(self, code: str | None) -> bool:
        """True where it holds for a status or code."""
        return not self.code or code in self.code

    def fault(self) -> str | None:
        """What is wrong with it, None if nothing."""
        if self.path not in PATHS.get(self.resource, ()):
            return f"no such path: {self.resource}.{self.path}"
        if self.place is not None and not self.path.startswith("location."):
            return "place goes with location.period only"
        if (self.path == "extension") != bool(self.url):
            return "url goes with the path extension, and with it only"
        if self.unless_told not in ("", "start", "end") or self.provenance not in _PROVENANCES:
            return "unless_told is start or end, provenance explicit or estimated"
        return None


class Mapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The entries in the order of the file, and the care setting of each Encounter.class."""

    milestone: tuple[Entry, ...] = ()
    care_setting: dict[str, CareSetting] = {}

    def entries(self, resource: str, path: str) -> tuple[Entry, ...]:
        """What one path of one resource type means."""
        return tuple(entry for entry in self.milestone if entry.resource == resource and entry.path == path)

    def canonical(self) -> bytes:
        """The table as text, the same in every process; a `repr` of sets is not."""
        return msgspec.json.encode(self, order="deterministic")


@cache
def default_mapping() -> Mapping:
    """The shipped mapping."""
    return parse_mapping(files(__package__).joinpath("milestones.toml").read_text("utf-8"))


def load_mapping(path: Path) -> Mapping:
    """The mapping of a site's file. Raises BadMappingError that names what is wrong."""
    try:
        return parse_mapping(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise BadMappingError(f"the milestone mapping {path.name} can't be read") from error


def parse_mapping(text: str) -> Mapping:
    """The mapping written in TOML. Raises BadMappingError that names the entry, counted from 1."""
    try:
        mapping = msgspec.toml.decode(text, type=Mapping)
    except (msgspec.DecodeError, ValueError) as error:
        raise BadMappingError(f"the milestone mapping is wrong: {error}") from error
    for number, entry in enumerate(mapping.milestone, start=1):
        fault = entry.fault()
        if fault is not None:
            raise BadMappingError(f"the milestone mapping is wrong: {fault} (entry {number})")
    return mapping
