"""Resources of the settings: shifts by the site's clock, rules by what cases are, beds that others have."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest
from pydantic import ValidationError

from api.context import context_of, context_text
from api.sections import ResourceSettings
from api.settings import Settings
from tests.unit.api_world import NOW, SITE, booking, clock, fact, location, morning, suite_of
from twin.facts import EncounterFact, Stamp
from twin.prediction.capacities import Capacities
from twin.prediction.habits import habits_of
from twin.prediction.models import models_of
from twin.prediction.predict import scenario_of
from twin.projections.suite_twin import SuiteTwin
from twin.simulation.resources import ResourceInput, ResourceKind
from twin.simulation.scenario import Scenario
from twin.site import DurationOptions, SimulationOptions, SiteOptions
from twin.timebase import Clock
from twin.vocabulary import CareSetting, Milestone, Provenance


def site(**resources: dict[str, object]) -> SiteOptions:
    """The site with resources told as in its file; an underscore stands for a space."""
    named = {name.replace("_", " "): told for name, told in resources.items()}
    read = Settings(site={"resources": named}).site_options()
    return replace(SITE, resources=read.resources)


def told(options: SiteOptions, now: datetime = NOW, suite: SuiteTwin | None = None) -> dict[str, ResourceInput]:
    capacities = Capacities(options, suite or suite_of(morning(), now))
    return {one.name: one for one in capacities.inputs(now)}


def places(resource: ResourceInput, at: datetime) -> int:
    """How many there are at an instant."""
    return next((n for i, n in sorted(resource.changes, reverse=True) if i <= at), resource.places)


def day(options: SiteOptions) -> Scenario:
    suite = suite_of(morning(), site=options)
    cases = suite.cases.values()
    models, habits = models_of(cases, DurationOptions()), habits_of(cases)
    return scenario_of(suite, suite.day, models, habits, site=options, options=SimulationOptions())


def test_shifts_and_breaks() -> None:
    shifts = [{"start": "07:30", "end": "18:00", "places": 4}, {"days": "mon-sun", "start": "18:00", "end": "07:30"}]
    pause = [{"start": "12:00", "end": "12:45", "places": 3}]
    nurses = told(site(nurses={"kind": "nurses", "shifts": shifts, "breaks": pause}))["nurses"]
    clocks = ("07:29", "07:30", "12:00", "12:45", "17:59", "18:00")
    assert [places(nurses, clock(at)) for at in clocks] == [1, 4, 1, 4, 4, 1]
    assert places(nurses, clock("12:00", "2026-11-28")) == 0, "a Saturday has only its night"
    assert places(nurses, clock("03:00", "2026-11-29")) == 1
    assert nurses.places == places(nurses, NOW)


def test_night_shift_over_the_change_of_clocks() -> None:
    night = [{"days": "sat", "start": "20:00", "end": "08:00", "places": 2}]
    now = clock("21:00", "2026-10-24")
    crew = told(site(crew={"kind": "crew", "shifts": night}), now)["crew"]
    begin = clock("20:00", "2026-10-24").astimezone(UTC)
    hours = sum(places(crew, begin + timedelta(hours=n)) > 0 for n in range(20))
    assert hours == 13, "from eight to eight, and an hour twice"


def test_rules_choose_cases() -> None:
    options = site(
        c_arm={"kind": "equipment", "places": 1, "needed_by": [{"procedures": ["Prothèse de hanche"]}]},
        laser={"kind": "equipment", "places": 1, "needed_by": [{"rooms": ["Salle 1"], "except_rooms": ["s1"]}]},
        anesthetists={"kind": "anesthetist", "places": 2},
        porters={"kind": "porter", "places": 2},
    )
    scenario = day(options)
    needs = {case.needs for case in scenario.cases}
    assert needs == {("c arm", "anesthetists"), ("anesthetists",)}
    assert {resource.kind for resource in scenario.resources} == {
        ResourceKind.EQUIPMENT,
        ResourceKind.ANESTHETIST,
        ResourceKind.PORTER,
    }


def test_icu_patient_takes_no_ward_bed() -> None:
    hip = [{"procedures": ["Prothèse de hanche"]}]
    options = site(
        icu={"kind": "icu", "places": 1, "needed_by": hip},
        ward={"kind": "bed", "places": 9},
    )
    assert {case.needs for case in day(options).cases} == {("icu",), ("ward",)}


def test_told_pacu_replaces_the_counted_one() -> None:
    assert day(site()).pacu_places == SITE.pacu_places
    assert day(site(recovery={"kind": "pacu", "places": 3})).pacu_places is None


def test_beds_of_earlier_days_are_taken() -> None:
    yesterday = clock("10:00", "2026-11-23")
    stamps = tuple(
        Stamp(milestone, yesterday + timedelta(hours=hours), Provenance.EXPLICIT)
        for hours, milestone in enumerate((Milestone.PATIENT_OUT_OF_ROOM, Milestone.UNIT_ARRIVAL))
    )
    stay = EncounterFact(
        status="in-progress",
        setting=CareSetting.INPATIENT,
        patient="pseudonym-b0",
        appointments=("Appointment/b0",),
        start=yesterday,
        stamps=stamps,
    )
    facts = [
        *morning(),
        location("s1", "Salle 1"),
        booking("b0", "s1", yesterday, minutes=60),
        fact("Encounter/b0", stay),
    ]
    suite = suite_of(facts)
    wards = site(
        ward={"kind": "bed", "places": 5, "needed_by": [{"settings": ["inpatient"]}]},
        day_unit={"kind": "bed", "places": 5, "needed_by": [{"settings": ["ambulatory"]}]},
    )
    found = told(wards, suite=suite)
    assert (found["ward"].places, found["day unit"].places) == (4, 5)


def test_kept_with_a_run() -> None:
    """A run's context gives the same resources again."""
    shifts = [{"start": "07:30", "end": "18:00", "places": 4}]
    rules = [{"settings": ["inpatient"], "rooms": ["Salle 1"]}]
    resources = {"nurses": {"kind": "nurses", "shifts": shifts, "needed_by": rules}}
    settings = Settings(site={"resources": resources, "urgency_targets_min": {1: 30}})
    kept = context_of(context_text(settings, Clock(), reading="r", source="s")).settings(Settings())
    assert kept.site_options() == settings.site_options()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"kind": "nurses"}, "places, or shifts"),
        ({"kind": "nurses", "places": 1, "shifts": [{"start": "08:00", "end": "09:00"}]}, "places, or shifts"),
        ({"kind": "room", "places": 1}, "site.blocks"),
        ({"kind": "equipment", "places": 1}, "which cases"),
        ({"kind": "equipment", "places": 1, "needed_by": [{}]}, "give rooms"),
        ({"kind": "nurses", "places": -1}, "greater than or equal"),
        ({"kind": "nurses", "shifts": [{"days": "never", "start": time(8), "end": time(9)}]}, "mon-fri"),
    ],
)
def test_nonsense_is_told(wrong: dict[str, object], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        ResourceSettings.model_validate(wrong)
