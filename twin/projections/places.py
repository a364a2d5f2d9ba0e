"""What each Location is to the suite: rooms found without configuration, recovery room, holding, wards.

A room is a Location *used* by an Appointment, a Procedure or an Encounter, whose type or name, or that of a `partOf`
ancestor, is that of a room or suite (`places.toml`); also any other Location that a Procedure uses, or an Appointment
with a surgical service or specialty; never one that the table knows by its own type or name as something else.
"""

import re
import tomllib
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from importlib.resources import files

from twin.facts import AppointmentFact, Concept, EncounterFact, LocationFact, ProcedureFact
from twin.projections.ledger import Ledger
from twin.site import SiteOptions
from twin.vocabulary import PlaceKind

_MAX_ANCESTORS = 20
_THEATRE = frozenset({PlaceKind.ROOM, PlaceKind.SUITE})
_UNITS = frozenset({PlaceKind.WARD, PlaceKind.DAY_UNIT})
_NO_ROOM_INSIDE = frozenset({PlaceKind.CONSULTATION, PlaceKind.PACU, PlaceKind.HOLDING, PlaceKind.INTENSIVE_CARE})
"""Use alone makes no room of a place inside these; a ward or a day unit may well have one."""


@dataclass(frozen=True, slots=True)
class Place:
    """One Location as the suite sees it."""

    ref: str
    name: str
    kind: PlaceKind | None
    reason: str
    """Why it is what it is, for a person to check."""
    unit: str | None = None
    """Ref of the nearest place around it that is known (the recovery room of a bed, say)."""
    operational: str = ""
    bed: bool = False
    """True for one bed or place of a unit (physicalType bd)."""


@dataclass(frozen=True, slots=True)
class Places:
    """All known places of one server by ref."""

    by_ref: Mapping[str, Place]

    def kind(self, ref: str | None) -> PlaceKind | None:
        """What a Location is; None where nothing is known of it."""
        place = self.by_ref.get(ref) if ref else None
        return place.kind if place else None

    def name(self, ref: str | None) -> str:
        """A name for a screen: the Location's, else its id."""
        place = self.by_ref.get(ref) if ref else None
        return place.name if place else (ref or "").removeprefix("Location/")

    @property
    def rooms(self) -> tuple[Place, ...]:
        """The operating rooms in natural order of their names (2 before 10)."""
        return tuple(sorted(self.of(PlaceKind.ROOM), key=lambda place: (natural(place.name), place.ref)))

    def of(self, kind: PlaceKind) -> Iterator[Place]:
        """Places of one kind."""
        return (place for place in self.by_ref.values() if place.kind is kind)

    def beds_of(self, kind: PlaceKind) -> int:
        """How many beds there are in units of a kind."""
        return sum(place.bed for place in self.of(kind))


@dataclass(frozen=True, slots=True)
class _Use:
    surgical: frozenset[str]
    operated: frozenset[str]
    theatre: frozenset[str]
    """Booked or operated in."""
    any: frozenset[str]
    """Those, and where patients were."""


def places_of(ledger: Ledger, site: SiteOptions) -> Places:
    """Classify every Location that the server has or that something on it refers to."""
    locations = {resource.ref: fact for resource, fact in ledger.of(LocationFact)}
    use = _use(ledger)
    known = {ref: own_kind(fact) for ref, fact in locations.items()}
    refs = sorted(locations.keys() | use.any)
    found = {ref: _place(ref, locations, known, use) for ref in refs}
    _demote_areas(found, locations)
    return Places(_overridden(found, site))


def own_kind(fact: LocationFact) -> PlaceKind | None:
    """What the table says of a Location's own type, else of its name and aliases."""
    for concept in fact.types:
        for code in concept.codings:
            if kind := _table().codes.get(f"{code.system}|{code.code}"):
                return kind
    displays = (code.display for concept in fact.types for code in concept.codings)
    words = (*fact.type_texts, *displays, fact.name, *fact.aliases)
    kinds = [kind for text in words if (kind := kind_of_words(text))]
    # What is plainly not a theatre wins over what may be one: a recovery room typed as part of the suite.
    other = next((kind for kind in kinds if kind not in _THEATRE | _UNITS), None)
    theatre = PlaceKind.ROOM if PlaceKind.ROOM in kinds else None
    return other or theatre or next(iter(kinds), None)


@lru_cache(maxsize=4096)
def kind_of_words(text: str) -> PlaceKind | None:
    """What a name or type in words says: the first pattern of the table that is found in it."""
    plain = _plain(text)
    return next((kind for pattern, kind in _table().words if pattern.search(plain)), None)


def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """A sort key under which *Salle 2* comes before *Salle 10*."""
    return tuple(
        (0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", name.lower()) if part
    )


@dataclass(frozen=True, slots=True)
class _Table:
    words: tuple[tuple[re.Pattern[str], PlaceKind], ...]
    codes: Mapping[str, PlaceKind]


@cache
def _table() -> _Table:
    raw = tomllib.loads(files("twin.projections").joinpath("places.toml").read_text("utf-8"))
    return _Table(
        words=tuple((re.compile(row["words"].replace("\n", "")), PlaceKind(row["kind"])) for row in raw["place"]),
        codes={code: PlaceKind(kind) for code, kind in raw["codes"].items()},
    )


def _plain(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.lower().replace("œ", "oe"))
    return "".join(char for char in decomposed if not unicodedata.combining(char)).replace("’", "'").strip()


def _use(ledger: Ledger) -> _Use:
    booked: set[str] = set()
    surgical: set[str] = set()
    for _, appointment in ledger.of(AppointmentFact):
        booked.update(appointment.locations)
        said = says_surgery((*appointment.services, *appointment.specialties))
        if said and appointment.status != "entered-in-error":
            surgical.update(appointment.locations)
    acts = [(fact.location, fact) for _, fact in ledger.of(ProcedureFact) if fact.location]
    booked.update(ref for ref, _ in acts)
    operated = {ref for ref, fact in acts if fact.status != "entered-in-error" and fact.category.surgical is not False}
    visited = {stay.location for _, fact in ledger.of(EncounterFact) for stay in fact.stays}
    return _Use(
        surgical=frozenset(surgical),
        operated=frozenset(operated),
        theatre=frozenset(booked),
        any=frozenset(booked | visited),
    )


def says_surgery(concepts: Iterable[Concept]) -> bool:
    """True where a concept says surgery and none says consultation or another service."""
    said = {concept.surgical for concept in concepts}
    return True in said and False not in said


def _ancestors(ref: str, locations: Mapping[str, LocationFact]) -> Iterator[str]:
    seen = {ref}
    fact = locations.get(ref)
    while fact and fact.part_of and fact.part_of not in seen and len(seen) < _MAX_ANCESTORS:
        seen.add(fact.part_of)
        yield fact.part_of
        fact = locations.get(fact.part_of)


def _place(ref: str, locations: Mapping[str, LocationFact], known: Mapping[str, PlaceKind | None], use: _Use) -> Place:
    fact = locations.get(ref, LocationFact())
    unit = next((place for place in _ancestors(ref, locations) if known.get(place)), None)
    kind, reason = _kind(ref, fact, known.get(ref), known.get(unit) if unit else None, use)
    if reason == "in" and unit:
        reason = f"in {locations[unit].name or unit}"
    name = fact.name or next(iter(fact.aliases), "") or ref.removeprefix("Location/")
    return Place(
        ref=ref,
        name=name,
        kind=kind,
        reason=reason,
        unit=unit,
        operational=fact.operational,
        bed=fact.physical == "bd",
    )


def _kind(
    ref: str, fact: LocationFact, own: PlaceKind | None, around: PlaceKind | None, use: _Use
) -> tuple[PlaceKind | None, str]:
    if own is not None and own not in _THEATRE:
        return own, "its type or name"
    if room := _used_theatre(ref, fact, own, around, use):
        return PlaceKind.ROOM, room
    if own is PlaceKind.SUITE:
        return PlaceKind.SUITE, "its type or name"
    if fact.physical == "bd" and around is not None:
        return around, "bed"
    if around in _NO_ROOM_INSIDE:
        return around, "in"
    if ref in use.operated:
        return PlaceKind.ROOM, "a Procedure takes place there"
    if ref in use.surgical:
        return PlaceKind.ROOM, "a surgical Appointment takes place there"
    return (around, "in") if around is not None and around not in _THEATRE else (None, "")


def _used_theatre(
    ref: str, fact: LocationFact, own: PlaceKind | None, around: PlaceKind | None, use: _Use
) -> str | None:
    """Why a place that is used is a room by the table, None where the table doesn't say so."""
    # A whole suite where patients pass through is no room; one that is booked or operated in stands for its room.
    used = use.theatre if own is PlaceKind.SUITE else use.any
    if ref not in used:
        return None
    if own in _THEATRE:
        return "its type or name"
    return "in" if around in _THEATRE and fact.physical != "bd" else None


def _demote_areas(found: dict[str, Place], locations: Mapping[str, LocationFact]) -> None:
    """What other rooms are part of is their suite, not a room."""
    around = {
        unit for ref, place in found.items() if place.kind is PlaceKind.ROOM for unit in _ancestors(ref, locations)
    }
    for ref in around & found.keys():
        if found[ref].kind is PlaceKind.ROOM:
            found[ref] = replace(found[ref], kind=PlaceKind.SUITE, reason="rooms are part of it")


def _overridden(found: dict[str, Place], site: SiteOptions) -> dict[str, Place]:
    told = {f"Location/{room}" for room in site.rooms} if site.rooms is not None else None
    refused = {f"Location/{room}" for room in site.not_rooms}
    out = {}
    for ref in sorted(found.keys() | (told or set())):
        place = found.get(ref) or Place(ref, ref.removeprefix("Location/"), None, "")
        is_room = place.kind is PlaceKind.ROOM
        if told is not None and ref in told:
            place = replace(place, kind=PlaceKind.ROOM, reason="the site file")
        elif is_room and (told is not None or ref in refused):
            place = replace(place, kind=PlaceKind.ELSEWHERE, reason="the site file")
        out[ref] = place
    return out
