"""The starting settings file: taken by the settings as it is, and never over another."""

import tomllib
from pathlib import Path

import pytest

from api.doctor.settings_file import guessed_block, guessed_zone, save, settings_text
from api.settings import load
from tests.unit.doctor_world import material_of
from tests.world import World, booking, location
from twin.errors import SettingsError

URL = "https://fhir.clinic.example/r4"


def day_of(*starts: str, length_h: int = 1) -> list[dict[str, object]]:
    """Bookings of different patients."""
    return [
        booking(f"b{number}", start, f"{int(start[:2]) + length_h:02}{start[2:]}", patient=f"p{number}")
        for number, start in enumerate(starts)
    ]


def loaded(text: str, folder: Path) -> object:
    file = folder / "made.toml"
    save(file, text)
    return load(file)


def uncommented(text: str) -> str:
    """As a person would turn every suggestion on."""
    lines = [line.removeprefix("# ") for line in text.splitlines()]
    return "\n".join(line for line in lines if "=" in line or line[:1] in '[]"' or line.startswith('  "'))


def test_is_taken_as_it_is(tmp_path: Path) -> None:
    settings = load(None, fhir={"base_url": URL}, site={"timezone": "Europe/Paris"})
    assert loaded(settings_text(URL, material_of(World(booking("a")))), tmp_path) == settings


def test_every_suggestion_can_be_taken(tmp_path: Path) -> None:
    world = World(*day_of(*[f"{hour:02}:15" for hour in range(8, 18)]))
    text = uncommented(settings_text(URL, material_of(world)))
    file = tmp_path / "all.toml"
    file.write_text(text)
    options = load(file).site_options()
    assert options.rooms == frozenset({"salle-1"})
    assert options.pacu_places == 12
    (block,) = options.blocks["*"]
    assert (f"{block.start:%H:%M}", f"{block.end:%H:%M}") == ("08:00", "18:30")


def test_odd_names_break_nothing() -> None:
    odd = location('Salle "7"\n[evil]\x1b[31m', id="salle-7", within="bloc")
    text = settings_text(URL, material_of(World(booking("a", room="salle-7"), odd)))
    assert set(tomllib.loads(text)) == {"fhir", "site", "write_back"}
    assert "\x1b" not in text


@pytest.mark.parametrize(
    ("offsets", "zone"),
    [
        (["+01:00"], "Europe/Paris"),
        (["+00:00"], "Europe/Paris"),
        (["-04:00"], "America/Guadeloupe"),
        (["+04:00"], "Indian/Reunion"),
        (["+13:37"], "Europe/Paris"),
    ],
)
def test_zone_by_offsets(offsets: list[str], zone: str) -> None:
    bookings = [
        {**booking(f"b{number}"), "start": f"2026-11-24T08:00:00{offset}", "end": f"2026-11-24T09:00:00{offset}"}
        for number, offset in enumerate(offsets)
    ]
    found, reason = guessed_zone(material_of(World(*bookings)))
    assert found == zone
    assert ("fits." in reason) == (offsets[0] not in ("+00:00", "+13:37"))


def test_zone_of_a_location() -> None:
    told = {"url": "http://hl7.org/fhir/StructureDefinition/timezone", "valueCode": "Indian/Reunion"}
    place = location("Salle 1", id="salle-1", within="bloc", extension=[told])
    assert guessed_zone(material_of(World(booking("a"), place)))[0] == "Indian/Reunion"


def test_no_zone_without_times() -> None:
    assert "No time" in guessed_zone(material_of(World()))[1]


def test_hours_of_most_bookings() -> None:
    starts = [f"{8 + number // 4:02}:{number % 4 * 15:02}" for number in range(38)]
    assert guessed_block(material_of(World(*day_of(*starts)))) == ("mon-fri", "08:00", "18:00")


def test_too_few_bookings() -> None:
    assert guessed_block(material_of(World(*day_of("08:00", "09:00")))) is None


def test_never_over_another(tmp_path: Path) -> None:
    file = tmp_path / "jumeau.toml"
    file.write_text("mine")
    with pytest.raises(SettingsError, match="already"):
        save(file, "theirs")
    assert file.read_text() == "mine"


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="can't be written"):
        save(tmp_path / "nowhere" / "jumeau.toml", "")
