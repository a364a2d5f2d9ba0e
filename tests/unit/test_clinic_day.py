"""The synthetic clinic's day: reproducible, of the right size, valid R4, and whole."""

import re
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from statistics import mean
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from fhir.resources.R4B import get_fhir_model_class

from fixtures.clinic.catalogue import TAGS
from fixtures.clinic.day import ClinicDay, generate_day
from fixtures.clinic.edits import Resource, edited
from fixtures.clinic.loading import encode, reference
from fixtures.clinic.records import Calendar
from twin.errors import SettingsError

PARIS = ZoneInfo("Europe/Paris")
DAY = date(2026, 11, 24)
DAYS = [DAY + timedelta(days=number) for number in range(20)]
STATUSES = {
    "Appointment": {"booked", "arrived", "checked-in", "fulfilled", "noshow", "cancelled", "waitlist"},
    "Encounter": {"planned", "arrived", "in-progress", "finished", "cancelled"},
    "Procedure": {"preparation", "in-progress", "completed", "not-done"},
    "Location": {"active"},
}


@pytest.fixture(scope="module")
def day() -> ClinicDay:
    return generate_day(DAY, PARIS)


@pytest.fixture(scope="module")
def evening(day: ClinicDay) -> dict[str, Resource]:
    return played(day)


def played(day: ClinicDay) -> dict[str, Resource]:
    """The resources after the day; fails where a write comes before what it changes."""
    store = {reference(resource): resource for resource in day.resources}
    for write in day.script:
        if write.resource is not None:
            assert write.ref not in store
            store[write.ref] = write.resource
        else:
            store[write.ref] = edited(store[write.ref], write.edits)
    return store


def of_type(resources: Any, kind: str) -> list[Resource]:
    return [resource for resource in resources if resource["resourceType"] == kind]


def surgical(day: ClinicDay) -> list[Resource]:
    return [one for one in of_type(day.resources, "Appointment") if "reasonCode" in one]


def references(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("reference"), str):
            yield value["reference"]
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_same_seed_same_day(day: ClinicDay) -> None:
    again = generate_day(DAY, PARIS, 0)
    assert again.resources == day.resources
    assert again.script == day.script
    assert again.cases == day.cases


@pytest.mark.parametrize(("when", "seed"), [(DAY, 1), (DAY + timedelta(days=1), 0)])
def test_other_seed_other_day(day: ClinicDay, when: date, seed: int) -> None:
    other = generate_day(when, PARIS, seed)
    assert [case.draw for case in other.cases] != [case.draw for case in day.cases]
    assert [case.booking.booked_min for case in other.cases] != [case.booking.booked_min for case in day.cases]


def test_size_of_the_clinic(day: ClinicDay) -> None:
    rooms = [place for place in of_type(day.resources, "Location") if place["id"].startswith("salle-")]
    assert len(rooms) == 14
    places = [
        place for place in of_type(day.resources, "Location") if place.get("partOf") == {"reference": "Location/sspi"}
    ]
    assert len(places) == 12


def test_about_68_cases_a_day() -> None:
    days = [generate_day(when, PARIS, seed) for when in DAYS for seed in (0, 1)]
    counts = [len(surgical(one)) for one in days]
    assert 64 <= mean(counts) <= 72
    assert min(counts) >= 50
    assert max(counts) <= 85
    assert all(2 <= sum(case.booking.emergency for case in one.cases) <= 4 for one in days)


def test_consultations_as_noise(day: ClinicDay) -> None:
    noise = [one for one in of_type(day.resources, "Appointment") if "onsultation" in str(one["serviceType"])]
    assert len(noise) >= 20
    assert not any("salle-" in ref for one in noise for ref in references(one))


@pytest.mark.parametrize("rooms", [1, 2, 5, 13])
def test_smaller_clinic(rooms: int) -> None:
    small = generate_day(DAY, PARIS, rooms=rooms)
    assert {case.booking.room for case in small.cases} == set(range(1, rooms + 1))
    assert played(small)


@pytest.mark.parametrize(("rooms", "seed"), [(0, 0), (15, 0), (14, -1)])
def test_impossible_clinic(rooms: int, seed: int) -> None:
    with pytest.raises(SettingsError, match="1 to 14 rooms"):
        generate_day(DAY, PARIS, seed, rooms)


def test_valid_r4(day: ClinicDay, evening: dict[str, Resource]) -> None:
    for resource in (*day.resources, *evening.values()):
        model = get_fhir_model_class(resource["resourceType"])
        assert model.model_validate_json(encode(resource)).model_dump()["id"] == resource["id"]
        assert resource.get("status", "active") in STATUSES.get(resource["resourceType"], {"active"})


def test_ids_any_server_takes(evening: dict[str, Resource]) -> None:
    for resource in evening.values():
        assert re.fullmatch(r"[A-Za-z0-9\-.]{1,64}", resource["id"])
        assert not resource["id"].isdigit()


def test_references_resolve_in_order(day: ClinicDay, evening: dict[str, Resource]) -> None:
    seen: set[str] = set()
    for resource in day.resources:
        assert set(references(resource)) <= seen
        seen.add(reference(resource))
    for resource in evening.values():
        assert set(references(resource)) <= evening.keys()


def test_nobody_exists(evening: dict[str, Resource]) -> None:
    for resource in evening.values():
        assert {"system": TAGS, "code": "synthetic"}.items() <= resource["meta"]["tag"][0].items()
    for person in of_type(evening.values(), "Patient"):
        assert "Fictif" in person["name"][0]["family"]


def test_interval_as_booked(day: ClinicDay) -> None:
    for case, one in zip(day.cases, surgical(day), strict=False):
        assert one["minutesDuration"] == case.booking.booked_min
        assert case.booking.booked_min % 5 == 0
        assert one["start"].endswith("+01:00")


def test_his_decimals_keep_zeros(day: ClinicDay) -> None:
    texts = [encode(one) for one in surgical(day)]
    assert 3 <= sum(b'"valueDecimal":2.3500' in text for text in texts) <= 10


def test_script_in_order(day: ClinicDay) -> None:
    times = [write.at for write in day.script]
    assert times == sorted(times)
    assert day.opens <= times[0]
    assert times[-1] - day.opens < timedelta(hours=16)


def test_script_light_at_speed_60(day: ClinicDay) -> None:
    minutes = Counter(int((write.at - day.opens) / timedelta(minutes=5)) for write in day.script)
    assert max(minutes.values()) / 5 < 8  # a minute of the site is a second of the demo


def test_all_cases_closed(day: ClinicDay, evening: dict[str, Resource]) -> None:
    assert {one["status"] for one in of_type(evening.values(), "Procedure")} <= {"completed", "not-done"}
    booked = [evening[reference(one)] for one in surgical(day)]
    assert {one["status"] for one in booked} <= {"fulfilled", "cancelled", "noshow"}
    gone = [stay for stay in of_type(evening.values(), "Encounter") if stay["status"] == "finished"]
    assert all(stay["location"][-1]["status"] == "completed" for stay in gone)


def test_withdrawn_say_why(evening: dict[str, Resource]) -> None:
    for one in of_type(evening.values(), "Appointment"):
        assert ("cancelationReason" in one) == (one["status"] == "cancelled")


def test_room_change_told(day: ClinicDay, evening: dict[str, Resource]) -> None:
    moved = [case for case in day.cases if case.moved_at is not None]
    assert len(moved) == 1
    ref = Calendar(DAY, PARIS).appointment(moved[0].booking.key)
    assert f"Location/salle-{moved[0].room}" in set(references(evening[ref]))
    assert f"Location/salle-{moved[0].booking.room}" not in set(references(evening[ref]))


def test_emergencies_without_appointment(day: ClinicDay, evening: dict[str, Resource]) -> None:
    stays = [stay for stay in of_type(evening.values(), "Encounter") if stay["class"]["code"] == "EMER"]
    assert len(stays) == sum(case.booking.emergency for case in day.cases)
    assert not any("appointment" in stay for stay in stays)


@pytest.mark.parametrize("when", [date(2026, 3, 29), date(2026, 10, 25)])
def test_clock_change_at_night(when: date) -> None:
    calendar = Calendar(when, PARIS)
    assert [calendar.stamp(minutes)[11:16] for minutes in (420, 480, 1200)] == ["07:00", "08:00", "20:00"]


def test_site_says_blocks_and_day() -> None:
    sunday = date(2026, 11, 22)
    site = generate_day(sunday, PARIS).site()
    assert [block.end.hour for block in site.blocks_of("salle-1", sunday)] == [18]
    assert [block.end.hour for block in site.blocks_of("salle-3", sunday)] == [16]
    assert site.blocks_of("salle-1", sunday - timedelta(days=1)) == ()
