"""The milestone mapping: the shipped one, a site's own, and what is refused."""

from pathlib import Path

import pytest

from fhir_adapters.errors import BadMappingError
from fhir_adapters.normalise import Normaliser, default_mapping, load_mapping
from fhir_adapters.normalise.mapping import parse_mapping
from fhir_adapters.normalise.words import table
from tests.unit.fhir_samples import BASE, ENCOUNTER, NOW, PARIS, PROCEDURE, PSEUDONYMS
from twin.facts import EncounterFact, Fact, ProcedureFact
from twin.vocabulary import CareSetting, Milestone, PlaceKind, Provenance

OWN = """
[[milestone]]
resource = "Procedure"
path = "extension"
url = "urn:clinic:checklist"
milestone = "anesthesia_start"
provenance = "estimated"

[[milestone]]
resource = "Encounter"
path = "location.period.start"
place = "intensive_care"
milestone = "unit_arrival"

[care_setting]
AMB = "inpatient"
"""


def test_shipped_mapping() -> None:
    mapping = default_mapping()
    (room,) = [one for one in mapping.entries("Encounter", "location.period.end") if one.place is PlaceKind.ROOM]
    assert room.milestone is Milestone.PATIENT_OUT_OF_ROOM
    assert mapping.care_setting["EMER"] is CareSetting.EMERGENCY
    assert mapping.entries("Location", "status") == ()


def test_shipped_words_are_folded() -> None:
    lexicons = (table().surgical, table().other, *table().role)
    assert all(word == word.casefold() and word.isascii() for one in lexicons for word in one.words)
    assert {one.name for one in table().role} == {"nurse", "anesthetist", "surgeon"}


def test_mapping_of_site(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(OWN)
    normaliser = Normaliser(BASE, PSEUDONYMS, PARIS, mapping=load_mapping(tmp_path / "own.toml"))
    extension = {"url": "urn:clinic:checklist", "valueDateTime": "2026-11-24T08:00:00Z"}
    fact = normaliser.version({**PROCEDURE, "extension": [extension]}, NOW)
    assert isinstance(fact, Fact)
    assert isinstance(fact.assertion, ProcedureFact)
    (stamp,) = fact.assertion.stamps
    assert (stamp.milestone, stamp.provenance) == (Milestone.ANESTHESIA_START, Provenance.ESTIMATED)
    stay = normaliser.version(ENCOUNTER, NOW)
    assert isinstance(stay, Fact)
    assert isinstance(stay.assertion, EncounterFact)
    assert [one.place for one in stay.assertion.stay_rules] == [PlaceKind.INTENSIVE_CARE]
    assert stay.assertion.setting is CareSetting.INPATIENT


@pytest.mark.parametrize(
    ("entry", "named"),
    [
        ('resource = "Procedure"\npath = "status"\nmilestone = "lunch"', "lunch"),
        ('resource = "Procedure"\npath = "status"', "milestone"),
        ('resource = "Procedure"\npath = "status"\nmilestone = "incision"\nplaces = "room"', "places"),
        ('resource = "Procedure"\npath = "state"\nmilestone = "incision"', r"Procedure\.state"),
        ('resource = "Observation"\npath = "status"\nmilestone = "incision"', r"Observation\.status"),
        ('resource = "Encounter"\npath = "status"\nplace = "room"\nmilestone = "incision"', "place"),
        ('resource = "Encounter"\npath = "location.period.end"\nplace = "roof"\nmilestone = "incision"', "roof"),
        ('resource = "Procedure"\npath = "extension"\nmilestone = "incision"', "url"),
        ('resource = "Procedure"\npath = "status"\nmilestone = "incision"\nunless_told = "x"', "unless_told"),
        ('resource = "Procedure"\npath = "status"\nmilestone = "incision"\nprovenance = "x"', "provenance"),
        ('resource = "Procedure', "mapping"),
    ],
)
def test_refuses_mapping(entry: str, named: str) -> None:
    with pytest.raises(BadMappingError, match=named):
        parse_mapping(f"[[milestone]]\n{entry}\n")


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(BadMappingError, match=r"none\.toml"):
        load_mapping(tmp_path / "none.toml")
