"""What the line makes of the data: rooms and why, cases and what they lack, milestones and where they come from."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from api.doctor.findings import Check, Finding, Level, counted, listed, note, ok, problem, warning
from api.snapshot import Snapshot
from fhir_adapters.normalise import Mapping as MilestoneMapping
from fhir_adapters.normalise.mapping import Entry
from twin.facts import AppointmentFact, LocationFact, Quarantined
from twin.projections.ledger import Ledger
from twin.projections.patient_twin import PatientTwin
from twin.projections.places import Place, own_kind
from twin.site import SiteOptions
from twin.vocabulary import CaseStatus, Milestone, PlaceKind, Provenance

EXAMPLES = 5
_ENTERED = frozenset({CaseStatus.IN_PROGRESS, CaseStatus.DONE})


@dataclass(frozen=True, slots=True)
class Material:
    """What one reading of the whole line gave."""

    snapshot: Snapshot
    ledger: Ledger
    site: SiteOptions
    mapping: MilestoneMapping
    quarantined: tuple[Quarantined, ...] = ()

    @property
    def live(self) -> tuple[PatientTwin, ...]:
        """Cases of the horizon that are planned, under way or done."""
        return tuple(twin for twin in self.snapshot.suite.cases.values() if twin.live)


def data_findings(material: Material) -> list[Finding]:
    """Everything about the data; pure."""
    return [
        _quarantine(material.quarantined),
        _readings(material.ledger),
        _rooms(material),
        *_unused_rooms(material),
        _pacu(material),
        _blocks(material),
        _cases(material),
        *_incomplete(material.live),
        _not_surgical(material),
        _milestones(material),
        *_missing_stamps(material.live),
        _contradictions(material),
    ]


# Entries


def _quarantine(bad: Iterable[Quarantined]) -> Finding:
    reasons = Counter(f"{one.type or 'entry'}: {one.reason}" for one in bad)
    total = sum(reasons.values())
    if not total:
        return ok(Check.QUARANTINE, "every entry could be read", count=0, reasons={})
    said = f"{counted(total, 'entry', 'entries')} can't be read: {listed(reasons)}"
    todo = "show the reasons to the maker of the server or of the interface; all other entries are used"
    return warning(Check.QUARANTINE, said, todo, count=total, reasons=dict(reasons))


def _readings(ledger: Ledger) -> Finding:
    names = Counter(name for resource in ledger.resources.values() for name in resource.newest.findings)
    if not names:
        return ok(Check.READINGS, "nothing had to be interpreted", counts={})
    said = f"read with an interpretation: {listed(names)}"
    return note(Check.READINGS, said, "see docs/fhir-interpretations.md for each reading", counts=dict(names))


# Places


def _rooms(material: Material) -> Finding:
    rooms = [
        {"id": room.id, "name": room.name, "reason": room.reason, "cases": _cases_in(material, room.ref)}
        for room in material.snapshot.suite.rooms
    ]
    if not rooms:
        todo = 'name them in the site file: site.rooms = ["Location id", …]; see unused-rooms for candidates'
        return problem(Check.ROOMS, "no operating room found", todo, rooms=[])
    lines = tuple(
        f"{room['name']} ({room['id']}): {room['reason']}, {counted(_int(room['cases']), 'case')}" for room in rooms
    )
    said = f"{counted(len(rooms), 'operating room')} found"
    return Finding(Check.ROOMS, Level.OK, said, "if one is wrong: site.rooms, site.not_rooms", {"rooms": rooms}, lines)


def _int(value: object) -> int:
    return value if isinstance(value, int) else 0


def _cases_in(material: Material, ref: str) -> int:
    return sum(twin.room == ref for twin in material.live)


def _unused_rooms(material: Material) -> list[Finding]:
    """Locations that look like rooms, but nothing takes place there."""
    by_ref = material.snapshot.places.by_ref
    found = [
        {"id": resource.newest.key.id, "name": by_ref[resource.ref].name}
        for resource, fact in material.ledger.of(LocationFact)
        if resource.ref in by_ref and _looks_like_a_room(fact, by_ref[resource.ref], by_ref)
    ]
    if not found:
        return []
    said = f"{counted(len(found), 'Location')} look like rooms but nothing of the horizon takes place there: "
    said += ", ".join(f"{one['name']} ({one['id']})" for one in found[:EXAMPLES])
    todo = "if cases belong there, have bookings name the Location; if it is a room all the same: site.rooms"
    return [note(Check.UNUSED_ROOMS, said, todo, locations=found)]


def _looks_like_a_room(fact: LocationFact, place: Place, by_ref: Mapping[str, Place]) -> bool:
    if place.kind in (PlaceKind.ROOM, PlaceKind.SUITE, PlaceKind.ELSEWHERE):
        return False
    own = own_kind(fact)
    unit = by_ref.get(place.unit or "")
    inside = own is None and fact.physical == "ro" and unit is not None and unit.kind is PlaceKind.SUITE
    return own is PlaceKind.ROOM or inside


def _pacu(material: Material) -> Finding:
    places = material.snapshot.suite.pacu.places
    units = [place.name for place in material.snapshot.places.of(PlaceKind.PACU) if not place.bed]
    source = "site file" if material.site.pacu_places else "beds"
    if places is not None:
        said = f"{counted(places, 'PACU place')}, from the {source}"
        return ok(Check.PACU, said, places=places, source=source, units=units)
    said = "no PACU places are known: taken as unlimited"
    return note(Check.PACU, said, "give site.pacu_places", places=None, source="assumed", units=units)


def _blocks(material: Material) -> Finding:
    rooms = material.snapshot.suite.rooms
    kinds = Counter(
        "none" if not room.blocks else "assumed" if any(block.assumed for block in room.blocks) else "told"
        for room in rooms
    )
    numbers = {name: kinds[name] for name in ("told", "assumed", "none")}
    said = f"openings today: {', '.join(f'{name} for {count}' for name, count in kinds.items()) or 'no room'}"
    if kinds["assumed"]:
        return note(Check.BLOCKS, said, "give site.blocks (--write-config suggests some)", **numbers)
    return ok(Check.BLOCKS, said, **numbers)


# Cases


def _cases(material: Material) -> Finding:
    suite = material.snapshot.suite
    statuses = Counter(str(twin.status) for twin in suite.cases.values())
    today = len(suite.of_day(suite.day))
    numbers = {"horizon": len(material.live), "today": today, "by_status": dict(statuses)}
    if not material.live:
        booked = sum(1 for _ in material.ledger.of(AppointmentFact))
        said = f"no case in the horizon, of {counted(booked, 'Appointment')} read"
        todo = "see that bookings name a room or a surgical service; widen sync.past_days and sync.ahead_days"
        return warning(Check.CASES, said, todo, **numbers)
    return ok(Check.CASES, f"{counted(len(material.live), 'case')} ({today} today): {listed(statuses)}", **numbers)


_LACKS = {
    "room": "have bookings name the room's Location: without it a case waits for no room",
    "patient": "have bookings name the Patient: two visits of one patient can't be told apart",
    "time": "have bookings give start and end: without them a case is predicted from now on",
    "length": "have bookings give an end or minutesDuration: the length is then learned from others only",
}


def _incomplete(live: Iterable[PatientTwin]) -> list[Finding]:
    """What cases lack. Only Appointments are given as examples."""
    lacking: dict[str, list[PatientTwin]] = {name: [] for name in _LACKS}
    for twin in live:
        for name, there in (("room", twin.room), ("patient", twin.patient), ("time", _time_of(twin))):
            if not there:
                lacking[name].append(twin)
        if twin.planned_in and not twin.booked_min:
            lacking["length"].append(twin)
    found = []
    for name, twins in lacking.items():
        if twins:
            examples = [ref for twin in twins if (ref := twin.links.appointment)][:EXAMPLES]
            shown = f", such as {', '.join(examples)}" if examples else ""
            said = f"{counted(len(twins), 'case')} without {name}{shown}"
            numbers = {"lacks": name, "count": len(twins), "examples": examples}
            found.append(warning(Check.INCOMPLETE, said, _LACKS[name], **numbers))
    return found or [ok(Check.INCOMPLETE, "every case has a room, a patient and a time", count=0)]


def _time_of(twin: PatientTwin) -> object:
    return twin.planned_in or twin.times.reached


def _not_surgical(material: Material) -> Finding:
    suite = material.snapshot.suite
    count = suite.not_surgical
    if not count:
        return ok(Check.NOT_SURGICAL, "every Appointment of the horizon is a case's", count=0)
    said = f"{counted(count, 'Appointment')} of the horizon are not surgical and left alone"
    return note(Check.NOT_SURGICAL, said, "if they are: site.rooms, or a surgical serviceType", count=count)


# Times


def _milestones(material: Material) -> Finding:
    """Which milestone was found how often, in which element, and how it is known."""
    by_milestone: dict[Milestone, Counter[tuple[str, Provenance]]] = {}
    for twin in material.live:
        for actual in twin.times.reached:
            kind = actual.source.partition("/")[0]
            by_milestone.setdefault(actual.milestone, Counter())[(kind, actual.provenance)] += 1
    rows = [
        {
            "milestone": str(milestone),
            "from": _field(material.mapping, milestone, kind, provenance),
            "provenance": str(provenance),
            "count": count,
        }
        for milestone in sorted(by_milestone, key=lambda one: one.rank)
        for (kind, provenance), count in sorted(by_milestone[milestone].items())
    ]
    if not rows:
        said = "no time stamp of any case was found"
        todo = "before the first case of a day that is right; else map them with site.milestones"
        return warning(Check.MILESTONES, said, todo, milestones=[])
    lines = tuple(f"{row['milestone']}: {row['count']} {row['provenance']} from {row['from']}" for row in rows)
    total = sum(sum(counts.values()) for counts in by_milestone.values())
    said = f"{counted(total, 'time stamp')} of {counted(len(by_milestone), 'milestone')}"
    return Finding(Check.MILESTONES, Level.OK, said, "to read others: site.milestones", {"milestones": rows}, lines)


def _field(mapping: MilestoneMapping, milestone: Milestone, kind: str, provenance: Provenance) -> str:
    """The elements of a resource type that give a milestone known in this way, by the mapping."""
    entries = [one for one in mapping.milestone if one.resource == kind]
    direct = [one for one in entries if one.milestone is milestone and _gives(one) is provenance]
    # Without a visit to the room an act's time stands in for it.
    stood_in = [one for one in entries if one.without_visit is milestone and provenance is Provenance.ESTIMATED]
    names = {one.url.rpartition("/")[2] or one.path for one in direct or stood_in}
    return f"{kind}.{' or '.join(sorted(names))}" if names else f"another {kind}"


def _gives(entry: Entry) -> Provenance:
    if entry.path == "status" or (entry.url and entry.code):
        return Provenance.DERIVED
    return entry.known


def _missing_stamps(live: Iterable[PatientTwin]) -> list[Finding]:
    """Cases that are under way or done of which nobody told when they entered or left the room."""
    entered = [twin for twin in live if twin.status in _ENTERED]
    done = [twin for twin in entered if twin.status is CaseStatus.DONE]
    lacking = {
        "entry": sum(twin.times.get(Milestone.PATIENT_IN_ROOM) is None for twin in entered),
        "exit": sum(twin.times.get(Milestone.PATIENT_OUT_OF_ROOM) is None for twin in done),
    }
    numbers = {"entered": len(entered), "done": len(done), "without_entry": lacking["entry"]}
    numbers["without_exit"] = lacking["exit"]
    if not entered:
        return []
    if not any(lacking.values()):
        return [
            ok(Check.MISSING_STAMPS, "every case that was in a room has its entry, every other its exit", **numbers)
        ]
    said = f"of {counted(len(entered), 'case')} that were in a room {lacking['entry']} have no entry"
    said += f", of {len(done)} done {lacking['exit']} have no exit"
    todo = "durations are learned from both: have them recorded, or map where they are with site.milestones"
    return [warning(Check.MISSING_STAMPS, said, todo, **numbers)]


def _contradictions(material: Material) -> Finding:
    now = material.snapshot.suite.now
    aside = [actual for twin in material.live for actual in twin.times.set_aside]
    wrong = [actual for actual in aside if actual.at <= now]
    explicit = sum(actual.provenance is Provenance.EXPLICIT for actual in wrong)
    numbers = {"count": len(wrong), "explicit": explicit, "future": len(aside) - len(wrong)}
    if not aside:
        return ok(Check.CONTRADICTIONS, "no time stamp contradicts another", **numbers)
    kinds = listed(Counter(f"{actual.milestone} {actual.provenance}" for actual in wrong))
    said = f"set aside: {counted(len(wrong), 'contradiction')}{f' ({kinds})' if kinds else ''}"
    said += f", {counted(numbers['future'], 'time')} in the future"
    if explicit:
        todo = "explicit times contradict better ones: see that the clocks of those who stamp agree"
        return warning(Check.CONTRADICTIONS, said, todo, **numbers)
    return note(
        Check.CONTRADICTIONS, said, "states are dated by the first version that was seen to show them", **numbers
    )
