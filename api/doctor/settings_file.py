"""A starting settings file from what was found: what is sure as a setting, what is guessed as a comment."""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from api.doctor.data import Material
from twin.errors import SettingsError
from twin.facts import AppointmentFact, EncounterFact, LocationFact, ProcedureFact
from twin.site import WEEKDAYS
from twin.vocabulary import PlaceKind

ZONES = (
    "Europe/Paris", "Europe/London", "Europe/Athens", "America/Guadeloupe", "America/Cayenne", "Indian/Reunion",
    "Indian/Mayotte", "Pacific/Noumea", "Pacific/Tahiti", "America/New_York", "America/Chicago", "America/Denver",
    "America/Los_Angeles", "Asia/Kolkata", "Asia/Tokyo", "Australia/Sydney",
)  # fmt: skip
"""Tried in this order; the first whose clocks give the offsets seen is the guess."""
_WEEK = frozenset(range(5))
"""Monday to Friday: a day of it without bookings is a holiday rather than a closed day."""


def refuse_existing(path: Path) -> None:
    """Raises SettingsError where the file is there already."""
    if path.exists():
        raise SettingsError(f"{path}: is there already; it is not overwritten: name another file")


def save(path: Path, text: str) -> None:
    """Write a new file. Raises SettingsError where it is there already or can't be made."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        refuse_existing(path)
    except OSError as error:
        raise SettingsError(f"{path}: can't be written ({error.strerror})") from None


def settings_text(base_url: str, material: Material) -> str:
    """The file: TOML that `api.settings.load` takes as it is."""
    return "\n".join(
        [
            "# Made by `jumeau doctor`. What is commented out is the default, or a guess: read it, then decide.",
            "",
            "[fhir]",
            f"base_url = {_quoted(base_url)}",
            "",
            "[site]",
            *_zone_lines(material),
            "",
            *_room_lines(material),
            *_pacu_lines(material),
            "",
            *_block_lines(material),
            "",
            "[write_back]",
            '# Nothing is written until this is "annotate" (extensions of ours) or "companion" (resources of ours).',
            'mode = "off"',
            "",
        ]
    )


def _quoted(text: str) -> str:
    return json.dumps(_plain(text), ensure_ascii=False)


def _plain(text: str) -> str:
    """One line, without what TOML or a terminal might trip over."""
    return "".join(char if char.isprintable() else " " for char in text)


# Zone


def _zone_lines(material: Material) -> Iterator[str]:
    name, reason = guessed_zone(material)
    yield f"# {reason}"
    yield f"timezone = {_quoted(name)}"


def guessed_zone(material: Material) -> tuple[str, str]:
    """A zone and why: the Locations', else one whose clocks give the offsets of the times seen."""
    configured = material.site.timezone.key
    for _, place in material.ledger.of(LocationFact):
        if place.timezone and _is_zone(place.timezone):
            return place.timezone, "A Location names it."
    times = [at for at in _times(material) if at.utcoffset() is not None]
    offsets = sorted({_offset(at) for at in times})
    if not times:
        return configured, "No time was seen: check it."
    if offsets == ["+00:00"]:
        return configured, "All times seen are written in UTC, which tells nothing: check it."
    fitting = next((name for name in (configured, *ZONES) if _fits(name, times)), None)
    if fitting is None:
        return configured, f"Times are written with {', '.join(offsets)}, which fits no usual zone: check it."
    return fitting, f"Times are written with {', '.join(offsets)}, which fits."


def _times(material: Material) -> Iterator[datetime]:
    for kind in (AppointmentFact, EncounterFact, ProcedureFact):
        for _, fact in material.ledger.of(kind):
            start = getattr(fact, "start", None)
            if isinstance(start, datetime):
                yield start


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ValueError, OSError):
        return False
    return True


def _fits(name: str, times: Iterable[datetime]) -> bool:
    zone = ZoneInfo(name)
    return all(at.astimezone(zone).utcoffset() == at.utcoffset() for at in times)


def _offset(at: datetime) -> str:
    return at.isoformat()[-6:]


# Places


def _room_lines(material: Material) -> Iterator[str]:
    rooms = material.snapshot.suite.rooms
    yield f"# {len(rooms)} operating rooms were found. To fix the list, uncomment it:"
    yield "# rooms = ["
    for room in rooms:
        yield f"#   {_quoted(room.id)},  # {_plain(room.name)}: {_plain(room.reason)}"
    yield "# ]"
    yield "# not_rooms = []"


def _pacu_lines(material: Material) -> Iterator[str]:
    beds = material.snapshot.places.beds_of(PlaceKind.PACU)
    told = material.site.pacu_places or beds
    yield (
        f"# {beds} beds were found in the PACU." if beds else "# No PACU beds were found: unlimited, unless told here."
    )
    yield f"# pacu_places = {told or 12}"


# Openings


def _block_lines(material: Material) -> Iterator[str]:
    guess = guessed_block(material)
    if guess is None:
        yield "# Too few bookings to guess openings; the default is Monday to Friday, 08:00 to 18:00."
        days, start, end = "mon-fri", "08:00", "18:00"
    else:
        days, start, end = guess
        yield "# Most cases are booked within these days and hours: a guess, not what the hospital calls its openings."
    yield '# [[site.blocks."*"]]'
    yield f'# days = "{days}"'
    yield f'# start = "{start}"'
    yield f'# end = "{end}"'


def guessed_block(material: Material) -> tuple[str, str, str] | None:
    """Days, start and end within which nine of ten bookings lie, to the half hour; None for fewer than ten."""
    zone = material.site.timezone
    booked = [
        (twin.planned_in.astimezone(zone), twin.planned_out.astimezone(zone))
        for twin in material.live
        if twin.planned_in and twin.planned_out
    ]
    inside = [(start, end) for start, end in booked if start.date() == end.date()]
    if len(inside) < 10:
        return None
    first = _share(sorted(_minute(start) for start, _ in inside), 0.05)
    last = _share(sorted(_minute(end) for _, end in inside), 0.95)
    days = {start.weekday() for start, _ in inside}
    early, late = first // 30 * 30, min(-(-last // 30) * 30, 23 * 60 + 30)
    named = ["mon-fri"] if days & _WEEK else []
    return ",".join([*named, *(WEEKDAYS[day] for day in sorted(days - _WEEK))]), _clock(early), _clock(late)


def _minute(at: datetime) -> int:
    return at.hour * 60 + at.minute


def _share(ordered: list[int], share: float) -> int:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _clock(minute: int) -> str:
    return f"{(datetime(2000, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)):%H:%M}"
