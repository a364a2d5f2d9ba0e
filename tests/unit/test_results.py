"""What is known of a patient: read from results, as it was before the case, and nothing else of it."""

import json
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from api.cli import app
from api.compose import worker_of
from api.duration_sections import DurationSettings
from api.settings import Settings, load
from fhir_adapters.normalise import Normaliser
from tests.strangers.resources import at as strange_at
from tests.strangers.resources import morning
from tests.strangers.server import Stranger
from tests.strangers.traits import Traits
from tests.unit.fhir_samples import BASE, META, NOW, PARIS, PSEUDONYMS
from tests.world import SITE, World, booking, person, stay
from twin.errors import SettingsError
from twin.facts import Fact, Quarantined, ResultFact
from twin.site import ASA_CODES, KNOWN_RESULTS
from twin.timebase import shifted

BEFORE = "2026-11-20T10:00:00+01:00"
SEPSIS = "urn:scores|sepsis"
NAMED: dict[str, dict[str, Any]] = {
    "sepsis": {"resource": "RiskAssessment", "code": SEPSIS, "value": "probability"},
    "mobility": {
        "resource": "Observation",
        "code": "urn:forms|mobility",
        "value": "code",
        "levels": {"walks": "urn:m|walks", "bed": "urn:m|bed"},
    },
}
OPTIONS = DurationSettings.model_validate({"regressors": NAMED}).options()
CODES = frozenset(code for option in OPTIONS for code in option.codes)
NORMALISER = Normaliser(BASE, PSEUDONYMS, PARIS, results=CODES)


def coded(*codes: str, **more: str) -> dict[str, Any]:
    return {"coding": [{"system": each.rpartition("|")[0], "code": each.rpartition("|")[2]} for each in codes], **more}


def observed(code: str, when: str = BEFORE, *, patient: str = "p1", **value: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": f"o-{patient}-{code.rpartition('|')[2]}-{when[:10]}",
        "meta": META,
        "status": "final",
        "code": coded(code),
        "subject": {"reference": f"Patient/{patient}"},
        "effectiveDateTime": when,
        **value,
    }


def bmi(number: float, when: str = BEFORE, **more: Any) -> dict[str, Any]:
    return observed("http://loinc.org|39156-5", when, valueQuantity={"value": number, "code": "kg/m2"}, **more)


def risk(probability: float, when: str = BEFORE) -> dict[str, Any]:
    return {
        "resourceType": "RiskAssessment",
        "id": "r1",
        "meta": META,
        "status": "final",
        "code": coded(SEPSIS),
        "subject": {"reference": "Patient/p1"},
        "occurrenceDateTime": when,
        "prediction": [{"probabilityDecimal": probability, "rationale": "Mme Martin, 81 ans"}],
    }


def fact(raw: dict[str, Any]) -> ResultFact:
    told = NORMALISER.version(raw, NOW)
    assert isinstance(told, Fact)
    assert isinstance(told.assertion, ResultFact)
    return told.assertion


# Reading


def test_only_the_number_and_the_instant_are_kept() -> None:
    told = fact({**bmi(31.5), "note": [{"text": "Mme Martin"}], "performer": [{"display": "Dr Roux"}]})
    [value] = told.values
    assert (value.of, value.number, value.unit) == (("http://loinc.org|39156-5",), 31.5, "kg/m2")
    assert told.at is not None
    assert "Martin" not in repr(fact(risk(0.2)))
    assert [value.number for value in fact(risk(0.2)).values] == [0.2]


@pytest.mark.parametrize("code", ASA_CODES)
@pytest.mark.parametrize(
    "value",
    [
        {"valueCodeableConcept": coded("http://snomed.info/sct|413497009")},
        {"valueCodeableConcept": {"text": "ASA III : maladie sévère"}},
        {"valueString": "3"},
        {"valueString": "Classe 3"},
        {"valueInteger": 3},
    ],
)
def test_asa_in_many_ways(code: str, value: dict[str, Any]) -> None:
    world = _known_at("07:00", observed(code, **value))
    assert world["asa"] == "3"


def test_what_is_no_asa_class_tells_none() -> None:
    assert fact(observed(ASA_CODES[0], valueString="III mois")).values == ()
    assert fact(observed(ASA_CODES[0], valueString="très fatigué")).values == ()


def test_a_result_that_nobody_named_is_not_read() -> None:
    assert NORMALISER.wants(bmi(30.0))
    assert not NORMALISER.wants(observed("http://loinc.org|94500-6", valueString="positif"))
    assert NORMALISER.wants({"resourceType": "Patient"})
    assert isinstance(NORMALISER.version({**bmi(3.0), "status": "banana"}, NOW), Quarantined)


@pytest.mark.parametrize("value", [float("inf"), "31", True, None, {"a": 1}])
def test_what_is_no_number_is_none(value: Any) -> None:
    assert fact(observed("http://loinc.org|39156-5", valueQuantity={"value": value})).values == ()
    assert fact(observed("http://loinc.org|39156-5", valueQuantity={"value": 40, "comparator": ">"})).values == ()


# As it was known before the case


def _known_at(now: str, *results: dict[str, Any], entry: str = "08:05", patient: dict[str, Any] | None = None) -> Any:
    world = World(site=replace(SITE, regressors=OPTIONS))
    world.put("20T08:00", booking("a1"), patient or person("p1"))
    world.put("20T08:00", stay("e1", ("salle-1", entry, ""), booked="a1"))
    world.put("20T09:00", *results)
    return dict(world.case(now).factors)


def test_age_band_and_care_setting() -> None:
    told = _known_at("07:00", patient={**person("p1"), "birthDate": "1948-03-02"})
    assert told == {"setting": "ambulatory", "age_band": "65-79"}


def test_newest_of_before_the_entry() -> None:
    results = (bmi(28.0, "2026-06-01T10:00:00+01:00"), bmi(31.0), bmi(99.0, "2026-11-24T08:30:00+01:00"))
    assert _known_at("12:00", *results)["bmi"] == 31.0
    assert _known_at("20T12:00", *results)["bmi"] == 31.0
    assert "bmi" not in _known_at("12:00", bmi(28.0, "2024-11-01T10:00:00+01:00"))


def test_issued_after_the_entry_was_not_known() -> None:
    assert "bmi" not in _known_at("12:00", {**bmi(31.0), "issued": "2026-11-24T09:00:00+01:00"})
    assert "bmi" not in _known_at("12:00", bmi(31.0, "2026-11-24"))


def test_entered_in_error_and_implausible_are_unknown() -> None:
    assert "bmi" not in _known_at("07:00", {**bmi(31.0), "status": "entered-in-error"})
    assert "bmi" not in _known_at("07:00", bmi(310.0))


def test_bmi_from_height_and_weight() -> None:
    height = observed("http://loinc.org|8302-2", valueQuantity={"value": 180, "code": "cm"})
    weight = observed("http://loinc.org|29463-7", valueQuantity={"value": 97.2, "code": "kg"})
    assert _known_at("07:00", height, weight)["bmi"] == pytest.approx(30.0)
    assert "bmi" not in _known_at("07:00", height)
    unitless = observed("http://loinc.org|29463-7", valueQuantity={"value": 97.2})
    assert "bmi" not in _known_at("07:00", height, unitless)


def test_results_that_settings_name() -> None:
    form = observed("urn:forms|mobility", valueCodeableConcept=coded("urn:m|bed", text="ne se lève pas"))
    told = _known_at("07:00", risk(0.35), form)
    assert (told["sepsis"], told["mobility"]) == (0.35, "bed")
    other = observed("urn:forms|mobility", valueCodeableConcept=coded("urn:m|flies"))
    assert "mobility" not in _known_at("07:00", other)


def test_a_stay_made_longer_by_the_case_teaches_nothing() -> None:
    """Admitted after a day case went wrong: it was a day case when it began."""
    world = World().put("20T08:00", booking("a1"), person("p1"))
    world.put("20T09:00", stay("e1", ("salle-1", "08:05", "09:40"), booked="a1"))
    longer = stay("e1", ("salle-1", "08:05", "09:40"), booked="a1") | {"class": {"code": "IMP"}}
    world.put("24T15:00", longer)
    case = world.case("18:00")
    assert case.setting == "inpatient"
    assert dict(case.factors)["setting"] == "ambulatory"


# From a server


@pytest.fixture
def server() -> Iterator[Stranger]:
    with Stranger(Traits(), *morning()) as started:
        yield started


async def _told(server: Stranger, **durations: Any) -> tuple[dict[str, Any], list[str]]:
    """Factors of the case of the first booked patient, and what the reading warned of."""
    told = {"fhir": {"base_url": server.url}, "database_url": "sqlite:///:memory:", "durations": durations}
    async with worker_of(Settings.model_validate(told), shifted(NOW)) as worker:
        counts = await worker.read_all()
        suite = await worker._intake.suite()
        kinds = {ref.partition("/")[0] for ref in worker.ledger.resources}
        found = {name: value for twin in suite.cases.values() for name, value in twin.factors}
        return found | {"kinds": kinds}, counts.warnings


def _patient(server: Stranger) -> str:
    [first, *_] = sorted(ref for ref in server.store.held if ref.startswith("Patient/"))
    return first.partition("/")[2]


async def test_named_results_are_read_from_the_server(server: Stranger) -> None:
    patient = _patient(server)
    server.put(bmi(33.0, strange_at("05:00"), patient=patient))
    server.put({**risk(0.4, strange_at("05:00")), "subject": {"reference": f"Patient/{patient}"}})
    server.put(bmi(66.0, strange_at("05:00"), patient="a-stranger"))
    bmis = {"resource": "Observation", "code": "http://loinc.org|39156-5", "value": "quantity"}
    found, warnings = await _told(server, known=[], regressors={"bmi": bmis, "sepsis": NAMED["sepsis"]})
    assert (found["bmi"], found["sepsis"]) == (33.0, 0.4)
    assert {"Observation", "RiskAssessment"} <= found["kinds"]
    assert warnings == []


async def test_a_deleted_result_is_no_longer_known(server: Stranger) -> None:
    server.put({**risk(0.4, strange_at("05:00")), "subject": {"reference": f"Patient/{_patient(server)}"}})
    told = {"fhir": {"base_url": server.url}, "database_url": "sqlite:///:memory:"}
    settings = Settings.model_validate({**told, "durations": {"regressors": {"sepsis": NAMED["sepsis"]}}})
    async with worker_of(settings, shifted(NOW)) as worker:
        known = []
        for _ in range(2):
            await worker.read_all()
            cases = (await worker._intake.suite()).cases.values()
            known.append(any("sepsis" in dict(twin.factors) for twin in cases))
            server.delete("RiskAssessment/r1")
    assert known == [True, False]


async def test_nothing_is_asked_for_that_nobody_named(server: Stranger) -> None:
    server.put(bmi(33.0, strange_at("05:00"), patient=_patient(server)))
    found, _ = await _told(server)
    assert "bmi" not in found
    assert not any("Observation" in path for _, path in server.requests)


@pytest.mark.parametrize(
    "traits",
    [
        {"lacks_types": frozenset({"RiskAssessment"})},
        {"lacks_types": frozenset({"RiskAssessment"}), "lacks_status": 400},
        {"lacks": frozenset({"patient", "subject"})},
        {"lacks": frozenset({"patient", "subject"}), "unknown_params": 400},
    ],
)
async def test_servers_that_refuse_cost_the_regressor_only(server: Stranger, traits: dict[str, Any]) -> None:
    server.becomes(**traits)
    server.put({**risk(0.4, strange_at("05:00")), "subject": {"reference": f"Patient/{_patient(server)}"}})
    found, warnings = await _told(server, regressors={"sepsis": NAMED["sepsis"]})
    assert "sepsis" not in found
    assert "setting" in found or found["kinds"]
    assert any("RiskAssessment" in said and "without" in said for said in warnings)


async def test_subject_where_patient_is_not_known(server: Stranger) -> None:
    server.becomes(lacks=frozenset({"patient"}))
    server.put({**risk(0.4, strange_at("05:00")), "subject": {"reference": f"Patient/{_patient(server)}"}})
    found, _ = await _told(server, regressors={"sepsis": NAMED["sepsis"]})
    assert found["sepsis"] == 0.4


def test_from_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    other = observed("http://loinc.org|94500-6", valueString="positif")
    folder = tmp_path / "export"
    folder.mkdir()
    (folder / "Observation.ndjson").write_text("\n".join(json.dumps(each) for each in (bmi(31.0), other)))
    told = json.loads(CliRunner().invoke(app, ["sync", "--from", str(folder), "--json"]).stdout)
    assert (told["facts"], told["quarantined"], told["ignored"]) == (1, 0, {"Observation": 1})


# Settings


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"regressors": {"s": {"resource": "Condition", "code": SEPSIS, "value": "code"}}}, "regressors.s.resource"),
        (
            {"regressors": {"s": {"resource": "Observation", "code": "sepsis", "value": "code"}}},
            "regressors.s.code: give",
        ),
        (
            {"regressors": {"s": {"resource": "Observation", "code": SEPSIS, "value": "probability"}}},
            "s: value: a Risk",
        ),
        ({"regressors": {"s": {**NAMED["sepsis"], "center": 0.2}}}, "regressors.s: center and scale"),
        ({"regressors": {"s": {**NAMED["sepsis"], "levels": {"a": "b|c"}}}}, "regressors.s: levels"),
        ({"regressors": {"s": {**NAMED["mobility"], "levels": {"a": "bc"}}}}, "regressors.s.levels: give"),
        ({"regressors": {"Big Name": NAMED["sepsis"]}}, "durations.regressors: give names"),
        ({"regressors": {"setting": NAMED["sepsis"]}}, "durations.regressors: give names"),
        ({"regressors": {"s": {**NAMED["sepsis"], "odd": 1}}}, "regressors.s.odd: unknown setting"),
        ({"known": ["weight"]}, "durations.known: unknown result 'weight'"),
    ],
)
def test_bad_settings_name_the_field(told: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=r"^durations\.") as caught:
        load(durations=told)
    assert said in str(caught.value)


def test_a_named_result_replaces_the_known_one() -> None:
    own = {"resource": "Observation", "code": "urn:x|asa", "value": "code"}
    options = {
        option.name: option for option in DurationSettings.model_validate({"regressors": {"asa": own}}).options()
    }
    assert options["asa"].codes == ("urn:x|asa",)
    assert options["bmi"] is KNOWN_RESULTS["bmi"]
    with pytest.raises(ValidationError):
        DurationSettings.model_validate({"known": "nothing"})


def test_the_example_of_the_docs_is_one() -> None:
    text = (Path(__file__).parents[2] / "docs" / "learning.md").read_text()
    told = load(**tomllib.loads(text.partition("```toml")[2].partition("```")[0])).durations
    assert [option.name for option in told.options()] == ["asa", "bmi", "sepsis", "mobility"]
    assert told.scales() == (("sepsis", 0.05, 0.10),)
