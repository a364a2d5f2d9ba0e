"""A period of the synthetic clinic: the size of a year, its calendar, what is over and what is to come."""

import json
from collections import Counter
from datetime import date, datetime, timedelta
from functools import cache
from itertools import chain
from statistics import mean
from zoneinfo import ZoneInfo

import pytest
from fhir.resources.R4B import get_fhir_model_class

from fixtures.clinic.bookings import book_day, book_emergencies
from fixtures.clinic.catalogue import SPECIALTIES
from fixtures.clinic.day import ROOMS
from fixtures.clinic.delivery import Part, parts_of
from fixtures.clinic.loading import encode
from fixtures.clinic.period import DayRecords, Length, Period, Record, day_records, foundations, span_of
from fixtures.clinic.season import circumstances_of, drift, is_holiday, newcomer, newcomers, starts, surgeons
from tests.unit.test_clinic_day import references
from twin.errors import SettingsError

PARIS = ZoneInfo("Europe/Paris")
TUESDAY = date(2026, 11, 24)
NOON = datetime(2026, 11, 24, 12, tzinfo=PARIS)
OVER = {
    "Appointment": {"fulfilled", "cancelled", "noshow"},
    "Encounter": {"finished", "cancelled"},
    "Procedure": {"completed", "not-done"},
    "ServiceRequest": {"completed", "revoked", "active"},
}
TO_COME = {
    "Appointment": {"booked"},
    "Encounter": {"planned"},
    "Procedure": {"preparation"},
    "ServiceRequest": {"active"},
}


def period(first: date, last: date, *, known_at: datetime = NOON, seed: int = 0) -> Period:
    return Period(first, last, PARIS, seed, known_at)


@cache
def lived(day: date, seed: int = 0) -> DayRecords:
    return day_records(day, period(day, day, seed=seed))


@cache
def fortnight() -> tuple[Part, ...]:
    """A week that is over, today, and a week to come."""
    return tuple(parts_of(period(TUESDAY - timedelta(days=7), TUESDAY + timedelta(days=7))))


def all_of(parts: tuple[Part, ...]) -> list[Record]:
    return list(chain.from_iterable(part.records for part in parts))


def statuses(day: DayRecords) -> dict[str, set[str]]:
    kinds = {record.resource["resourceType"] for record in day.records} - {"Patient"}
    return {kind: {one.resource["status"] for one in day.records if one.ref.startswith(kind)} for kind in kinds}


@cache
def cases_of_year(first: date, seed: int) -> Counter[date]:
    counts: Counter[date] = Counter()
    for number in range(365):
        day = first + timedelta(days=number)
        circumstances = circumstances_of(day, seed)
        lists = book_day(day, seed, ROOMS, circumstances=circumstances)
        counts[day] = len(lists) + len(book_emergencies(day, seed, lists, circumstances=circumstances))
    return counts


@pytest.mark.parametrize(("first", "seed"), [(date(2026, 1, 1), 0), (date(2025, 11, 25), 7), (date(2024, 7, 1), 3)])
def test_17000_cases_a_year(first: date, seed: int) -> None:
    assert cases_of_year(first, seed).total() == pytest.approx(17_000, rel=0.02)


def test_four_resources_a_case() -> None:
    """In a month some more than in a year, in which more patients come back."""
    parts = tuple(parts_of(period(TUESDAY - timedelta(days=30), TUESDAY - timedelta(days=1))))
    cases = sum(part.cases for part in parts)
    assert len(all_of(parts[1:])) / cases == pytest.approx(4.1, abs=0.15)


def test_calendar_of_the_year() -> None:
    counts = cases_of_year(date(2026, 1, 1), 0)
    by_month = {month: mean(n for day, n in counts.items() if day.month == month) for month in range(1, 13)}
    assert by_month[8] < 0.65 * mean(by_month.values())
    idle = [n for day, n in counts.items() if day.weekday() > 4 or is_holiday(day)]
    assert (min(idle), max(idle)) == (2, 4)
    assert {date(2026, 5, 1), date(2026, 7, 14), date(2026, 12, 25)} <= {day for day in counts if is_holiday(day)}
    working = {day: n for day, n in counts.items() if day.weekday() < 5 and not is_holiday(day) and day.month == 10}
    fridays = [n for day, n in working.items() if day.weekday() == 4]
    assert mean(fridays) < mean(n for day, n in working.items() if day.weekday() < 4)
    assert counts[date(2026, 5, 15)] < 0.8 * mean(working.values())  # the bridge after Ascension Day


def test_same_bytes_again() -> None:
    again = day_records(TUESDAY, period(TUESDAY, TUESDAY))
    assert [encode(one.exported(PARIS)) for one in again.records] == [
        encode(one.exported(PARIS)) for one in lived(TUESDAY).records
    ]


def test_other_seed_other_day() -> None:
    assert {one.ref for one in lived(TUESDAY, 1).records} != {one.ref for one in lived(TUESDAY).records}


@pytest.mark.parametrize("back", [3, 0, -3])
def test_a_day_whatever_the_period(back: int) -> None:
    day = TUESDAY - timedelta(days=back)
    part = next(one for one in fortnight() if one.name == day.isoformat())
    alone = {one.ref: encode(one.exported(PARIS)) for one in lived(day).records}
    within = {one.ref: encode(one.exported(PARIS)) for one in part.records}
    assert within.items() <= alone.items()
    assert {ref.partition("/")[0] for ref in alone.keys() - within.keys()} <= {"Patient"}


def test_nobody_delivered_twice() -> None:
    counted = Counter(record.ref for record in all_of(fortnight()))
    assert set(counted.values()) == {1}


def test_past_day_is_over() -> None:
    day = lived(TUESDAY - timedelta(days=20))
    assert all(found <= OVER[kind] for kind, found in statuses(day).items())
    done = [one.resource for one in day.records if one.resource.get("status") == "completed" and "code" in one.resource]
    assert mean("performedPeriod" in one for one in done if one["resourceType"] == "Procedure") > 0.9


def test_day_to_come_is_planned() -> None:
    day = lived(TUESDAY + timedelta(days=8))
    assert all(found <= TO_COME[kind] for kind, found in statuses(day).items())
    assert not any("period" in one.resource or "performedPeriod" in one.resource for one in day.records)
    assert not any("-u0" in one.ref for one in day.records)


def test_today_as_it_stands() -> None:
    found = statuses(lived(TUESDAY))
    assert {"booked", "fulfilled"} < found["Appointment"]
    assert {"in-progress", "completed"} < found["Procedure"]


def test_nothing_is_known_too_early() -> None:
    for record in all_of(fortnight()):
        assert record.updated <= NOON
        assert record.version >= 1
        created = record.resource.get("created")
        assert created is None or datetime.fromisoformat(created) <= record.updated


def test_every_reference_is_delivered_before() -> None:
    known: set[str] = set()
    for record in all_of(fortnight()):
        known.add(record.ref)
        assert set(references(record.resource)) <= known, record.ref


def test_valid_r4() -> None:
    for record in (*lived(TUESDAY).records, *lived(TUESDAY + timedelta(days=2)).records):
        resource = json.loads(encode(record.exported(PARIS)))
        model = get_fhir_model_class(resource["resourceType"]).model_validate(resource)
        assert model.get_resource_type() == resource["resourceType"]


def test_export_tells_version_and_time() -> None:
    record = next(one for one in lived(TUESDAY).records if one.version > 2)
    meta = record.exported(PARIS)["meta"]
    assert (meta["versionId"], "tag" in meta) == (str(record.version), True)
    assert abs(datetime.fromisoformat(meta["lastUpdated"]) - record.updated) < timedelta(seconds=1)
    assert "versionId" not in record.resource["meta"]


def test_patients_come_back() -> None:
    seen: dict[str, bytes] = {}
    visits = 0
    for number in range(0, 60, 2):
        for record in lived(date(2026, 2, 2) + timedelta(days=number)).records:
            if record.resource["resourceType"] == "Patient":
                text = encode(record.exported(PARIS))
                assert seen.setdefault(record.ref, text) == text
                visits += 1
    assert 0.95 < len(seen) / visits < 0.999


def test_women_in_gynecology_men_with_a_prostate() -> None:
    day = lived(TUESDAY)
    gender = {one.ref: one.resource["gender"] for one in day.records if one.ref.startswith("Patient/")}
    acts = [one.resource for one in day.records if one.ref.startswith("Procedure/")]
    told = {(one["code"]["coding"][0]["code"], gender[one["subject"]["reference"]]) for one in acts}
    assert {sex for code, sex in told if code.startswith("GYN")} == {"female"}
    assert {sex for code, sex in told if code in ("URO01", "URO04")} <= {"male"}


def test_prescriptions_tie_booking_and_act() -> None:
    day = lived(TUESDAY - timedelta(days=20))
    orders = {one.ref for one in day.records if one.ref.startswith("ServiceRequest/")}
    based = [one.resource["basedOn"][0]["reference"] for one in day.records if "basedOn" in one.resource]
    assert set(based) == orders
    assert len(based) > len(orders) > 5


def test_new_staff_during_the_year() -> None:
    growing = next(one for one in SPECIALTIES if one.key == "ort")
    begin = starts(growing, 2026)
    names = [newcomer(growing, begin + timedelta(days=days)) for days in (-1, 0)]
    assert names == ["chir-ort-2025", "chir-ort-2026"]
    assert set(names) <= newcomers(begin - timedelta(days=1), begin).keys()
    at_work = {case for days in range(1, 30) for case in _surgeons(begin + timedelta(days=days))}
    assert "chir-ort-2026" in at_work
    assert "chir-ort-2025" not in at_work
    before = period(
        begin - timedelta(days=9), begin, known_at=datetime(begin.year, begin.month, begin.day, tzinfo=PARIS)
    )
    assert "Practitioner/chir-ort-2026" not in {one.ref for one in foundations(before)}


def _surgeons(day: date) -> set[str]:
    return {booking.surgeon for booking in book_day(day, 0, ROOMS, circumstances=circumstances_of(day, 0))}


def test_surgeons_drift() -> None:
    names = [name for specialty in SPECIALTIES for name in surgeons(specialty)]
    levels = [drift(name, date(2026, month, 15), 0) for name in names for month in (1, 6, 11)]
    assert mean(levels) == pytest.approx(0, abs=0.03)
    assert 0.05 < mean(abs(level) for level in levels) < 0.12
    jumps = [
        abs(
            drift(names[0], date(2026, 1, 1) + timedelta(n + 1), 0)
            - drift(names[0], date(2026, 1, 1) + timedelta(n), 0)
        )
        for n in range(364)
    ]
    assert sum(jump > 0.01 for jump in jumps) == 1


@pytest.mark.parametrize(
    ("length", "days"), [(Length.DAY, 1), (Length.WEEK, 7), (Length.MONTH, 30), (Length.YEAR, 365)]
)
def test_spans(length: Length, days: int) -> None:
    first, last = span_of(length, None, TUESDAY)
    assert (last, (last - first).days + 1) == (TUESDAY, days)
    assert span_of(length, TUESDAY, TUESDAY) == (TUESDAY, TUESDAY + timedelta(days=days - 1))


@pytest.mark.parametrize("year", [1, 2010, 9999])
def test_years_that_never_were(year: int) -> None:
    with pytest.raises(SettingsError, match="2011 to 2099"):
        span_of(Length.YEAR, date(year, 12, 31), TUESDAY)
