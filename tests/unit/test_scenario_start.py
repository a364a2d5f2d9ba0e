"""Where a scenario starts: the same suite, and the same predictions, as the live line has of the same resources."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from api.scenario_start import ledger_of, read_bundle, start_of
from api.scenarios.errors import FieldError
from api.scenarios.live import MOST_ROOMS, Live, live_of
from api.scenarios.model import ScenarioFile, scenario_of
from api.scenarios.names import Names
from api.scenarios.question import asked
from api.scenarios.text import read
from api.settings import Settings
from fhir_adapters.normalise import Normaliser
from fixtures.clinic.day import generate_day
from fixtures.scenarios import FOLDER, names
from fixtures.scenarios import start_of as golden_start
from tests.golden import ledger_of as golden_ledger
from tests.unit.api_world import NOW, SITE, booking, clock, location, morning, suite_of
from tests.world import DAY, PARIS, PSEUDONYMS, SERVER, World, at
from twin.errors import SettingsError
from twin.projections.suite_twin import SuiteTwin
from twin.simulation.reference import run
from twin.simulation.summary import tally
from twin.site import DurationOptions, SimulationOptions


def golden(name: str) -> ScenarioFile:
    return scenario_of(read(FOLDER / name / "scenario.yaml"))


@pytest.mark.parametrize("name", names())
def test_bundle_reads_as_the_line_reads(name: str) -> None:
    start = golden_start(name)
    body = (FOLDER / name / "bundle.json").read_bytes()
    ours = ledger_of(read_bundle(body, Normaliser(SERVER, PSEUDONYMS, PARIS), start.at).facts)
    theirs = golden_ledger(start, PARIS)
    assert ours.resources.keys() == theirs.resources.keys()
    for ref, resource in theirs.resources.items():
        assert ours.resources[ref].newest.assertion == resource.newest.assertion


@pytest.mark.parametrize("name", names())
def test_baseline_is_what_is_predicted(name: str) -> None:
    """The same server name gives the same random numbers: quantiles to the minute."""
    live = start_of(golden(name), FOLDER / name, Settings(), server=SERVER)
    question = asked(live, ())
    answer = question.answer([tally(question.scenarios[0], run)])
    expected: dict[str, Any] = json.loads((FOLDER / name / "expected" / "predictions.json").read_text("utf-8"))["cases"]
    compared = 0
    for case in answer.baseline.cases:
        for milestone, spread in expected.get(case.case, {}).items():
            told = case.milestones[milestone]
            assert f"{told.p50} {told.p10} {told.p90}".split() == [
                spread.split()[1],
                spread.split()[0],
                spread.split()[2],
            ]
            compared += 1
    assert compared >= 5


def live(now: datetime = NOW, *, replications: int = 10, suite: SuiteTwin | None = None) -> Live:
    options = SimulationOptions(replications=replications)
    return live_of(suite or suite_of(morning(), now), site=SITE, durations=DurationOptions(), options=options)


def test_names_as_people_say_them() -> None:
    known = Names(live())
    assert {known.room(told) for told in ("Salle 1", "salle  1", "s1", "Location/s1")} == {"Location/s1"}
    assert {known.case(told) for told in ("Appointment/a2", "a2", "Encounter/m2")} == {known.case("a2")}
    assert known.case(known.case("a3"), waiting=True) == known.case("a3")
    assert known.person("s1") == known.any_person("Practitioner/s1") == "Practitioner/s1"


@pytest.mark.parametrize(
    ("told", "says"),
    [("a1 ", "is no case"), ("", "is no case"), ("a4", "is no case"), ("Appointment/a5", "is no case")],
)
def test_case_that_is_not_of_the_day(told: str, says: str) -> None:
    with pytest.raises(FieldError, match=says) as error:
        Names(live()).case(told)
    assert error.value.path == ("case",)
    assert "Appointment/a3" in str(error.value), "what there is"


def test_times_of_the_day() -> None:
    known = Names(live())
    assert known.instant("18:05", "at") == clock("18:05")
    assert known.instant("2026-11-24T17:05:00Z", "at") == clock("18:05")
    assert known.spell(None, "12:00") == (NOW, clock("12:00"))
    assert known.spell("08:00", None) == (NOW, None)
    with pytest.raises(FieldError, match="is past"):
        known.spell("08:00", "09:00")


def test_time_that_the_clocks_skip() -> None:
    spring = Names(live(clock("01:00", "2027-03-28")))
    assert spring.instant("03:00", "at") == datetime(2027, 3, 28, 1, tzinfo=UTC)
    with pytest.raises(FieldError, match="clocks skip"):
        spring.instant("02:30", "at")


def test_too_much_is_refused_before_it_is_simulated() -> None:
    world = World(places=()).play(generate_day(DAY, PARIS), until=at("08:00"))
    with pytest.raises(FieldError, match=r"options\.replications: give at most"):
        asked(live(replications=100_000, suite=world.suite("08:00")), ())


def test_larger_than_any_suite_is_refused() -> None:
    rooms = [location(f"r{number}", f"Salle {number}") for number in range(MOST_ROOMS + 1)]
    used = [booking(f"b{number}", f"r{number}", clock("08:00"), minutes=30) for number in range(MOST_ROOMS + 1)]
    with pytest.raises(SettingsError, match=f"at most {MOST_ROOMS} rooms"):
        live(suite=suite_of([*rooms, *used]))
