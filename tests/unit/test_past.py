"""`?at=`: the twin as it was known at a past instant, with what was predicted by then."""

import asyncio
import dataclasses
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from api.instants import past_instant
from api.past import MAX_WAITING, Memory, PastSnapshots
from api.settings import Settings
from api.snapshot import BusyError
from tests.unit.api_world import NOW, SERVER, SITE, api_of, band, booking, clock, location, room_end, timeline, visit
from twin.facts import Fact
from twin.journal import Journal, Run
from twin.timebase import Clock
from twin.vocabulary import CaseStatus, Milestone

ENTRY = Milestone.PATIENT_IN_ROOM


def known(made: Fact, at: datetime, version: str = "1") -> Fact:
    """A version that the server has from an instant on."""
    key = replace(made.key, version_id=version, last_updated=at.astimezone(UTC))
    return replace(made, key=key, content_hash=f"{made.content_hash}-{version}")


def run(name: str, at: datetime) -> Run:
    return Run(f"urn:uuid:{name}", at, 0, 50, "0.1.0", at)


@pytest.fixture
def memory() -> Iterator[Memory]:
    """A booking moved to room 2 at nine, cancelled at ten; predicted at eight and at half past nine."""
    journal = Journal.open(":memory:", key_fingerprint="key")
    facts = [
        known(location("s1", "Salle 1"), clock("06:00")),
        known(location("s2", "Salle 2"), clock("06:00")),
        known(booking("a1", "s1", clock("11:00"), minutes=60), clock("07:00")),
        known(booking("a1", "s2", clock("12:00"), minutes=60), clock("09:00"), "2"),
        known(booking("a1", "s2", clock("12:00"), minutes=60, status="cancelled"), clock("10:00"), "3"),
        # Entered at nine, told at half past ten: it had happened by ten, and was not known by ten.
        known(visit("m2", "s1", clock("09:05"), booked="a2"), clock("10:30")),
        known(booking("a2", "s1", clock("09:00"), minutes=60), clock("06:00")),
    ]
    journal.append_batch(SERVER, facts, (), {}, reading="r1", observed_at=NOW)
    made = Memory(journal, Settings.model_validate({"fhir": {"base_url": SERVER}}), SITE, "r1")
    case_id = _case_id(made, "a1")
    first, second = clock("08:00"), clock("09:30")
    end = room_end(clock("12:30"), clock("18:00"), 0.1)
    journal.append_run(SERVER, run("first", first), {case_id: timeline(first, band(ENTRY, clock("11:10")))}, {})
    journal.append_run(
        SERVER,
        run("second", second),
        {case_id: timeline(second, band(ENTRY, clock("12:20")))},
        {"Location/s2": (end, dataclasses.replace(end, day=end.day - timedelta(days=1)))},
    )
    journal.append_run(SERVER, run("third", clock("09:45")), {}, {})
    yield made
    journal.close()


def _case_id(memory: Memory, appointment: str) -> str:
    cases = memory.at(clock("07:30"), Clock()).suite.cases
    return next(twin.case_id for twin in cases.values() if twin.links.appointment == f"Appointment/{appointment}")


@pytest.mark.parametrize(
    ("at", "room", "status"),
    [
        ("07:00", "Location/s1", CaseStatus.PLANNED),
        ("08:59", "Location/s1", CaseStatus.PLANNED),
        ("09:00", "Location/s2", CaseStatus.PLANNED),
        ("10:00", "Location/s2", CaseStatus.CANCELLED),
    ],
)
def test_versions_that_came_later_are_undone(memory: Memory, at: str, room: str, status: CaseStatus) -> None:
    twin = memory.at(clock(at), Clock()).suite.cases[_case_id(memory, "a1")]
    assert (twin.planned_room, twin.status) == (room, status)


def test_before_it_was_booked(memory: Memory) -> None:
    case_id = _case_id(memory, "a1")
    assert case_id not in memory.at(clock("06:59"), Clock()).suite.cases
    assert memory.at(clock("05:00"), Clock()).suite.rooms == ()


def test_what_was_told_late_was_not_known(memory: Memory) -> None:
    case_id = _case_id(memory, "a2")
    before, after = (memory.at(clock(at), Clock()).suite.cases[case_id] for at in ("10:00", "10:30"))
    assert (before.entered, after.entered) == (None, clock("09:05"))


@pytest.mark.parametrize(
    ("at", "run_id", "entry"),
    [
        ("07:59", None, None),
        ("08:00", "urn:uuid:first", "11:10"),
        ("09:30", "urn:uuid:second", "12:20"),
        ("09:50", "urn:uuid:third", "12:20"),
        ("10:01", "urn:uuid:third", None),
    ],
    ids=["before", "first", "second", "nothing moved", "cancelled"],
)
def test_newest_prediction_by_then(memory: Memory, at: str, run_id: str | None, entry: str | None) -> None:
    shown = memory.at(clock(at), Clock())
    stages = [kept.stage(ENTRY) for kept in shown.timelines.values()]
    assert [stage.p50 for stage in stages if stage] == ([clock(entry)] if entry else [])
    assert (shown.run.id if shown.run else None) == run_id


def test_room_ends_are_of_that_day(memory: Memory) -> None:
    (ends,) = memory.at(clock("09:40"), Clock()).room_ends.values()
    assert [end.day for end in ends] == [NOW.date()]
    assert memory.at(clock("09:40", "2026-11-26"), Clock()).room_ends == {}


async def test_snapshots_are_kept_until_more_is_known(memory: Memory) -> None:
    past = PastSnapshots(memory)
    first = await past.at(clock("10:00"), Clock())
    assert await past.at(clock("10:00"), Clock()) is first
    late = known(booking("a3", "s1", clock("11:00"), minutes=60), clock("09:00"))
    memory.journal.append_batch(SERVER, [late], (), {}, reading="r1", observed_at=NOW)
    assert len((await past.at(clock("10:00"), Clock())).suite.cases) == len(first.suite.cases) + 1


async def test_too_many_at_once_are_sent_away(memory: Memory) -> None:
    past = PastSnapshots(memory)
    asked = [past.at(clock("10:00") + timedelta(seconds=number), Clock()) for number in range(MAX_WAITING + 3)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(answer, BusyError) for answer in answers) == 3


@pytest.mark.parametrize("path", ["/suite", "/rooms", "/day", "/cases"])
async def test_every_twin_path_takes_an_instant(path: str) -> None:
    async with api_of() as api:
        then = await api.get(path, params={"at": "2026-11-24T09:00:00+01:00"})
        now = await api.get(path)
    assert then.status_code == 200
    assert then.json() != now.json()


async def test_paths_of_a_case_take_an_instant() -> None:
    async with api_of() as api:
        for case in (await api.get("/cases")).json():
            for path in (f"/cases/{case['case_id']}", f"/cases/{case['case_id']}/timeline"):
                assert (await api.get(path, params={"at": "2026-11-24T09:00:00+01:00"})).status_code == 200
        then = (await api.get("/suite", params={"at": "2026-11-24T09:00:00Z"})).json()
    assert then["as_of"] == "2026-11-24T10:00:00+01:00"


@pytest.mark.parametrize("path", ["/suite", "/rooms", "/day", "/cases", "/cases/x", "/cases/x/timeline"])
@pytest.mark.parametrize(
    ("at", "says"),
    [
        ("nonsense", "offset"),
        ("2026-10-05T09:00", "offset"),
        ("2026-10-05", "offset"),
        ("", "offset"),
        ("9999-12-31T23:59:59-12:00", "offset"),
        ("2026-11-24T12:00:00+01:00", "past"),
        ("0001-01-01T00:00:00Z", "2000"),
    ],
)
async def test_bad_instant_is_refused(path: str, at: str, says: str) -> None:
    async with api_of() as api:
        answer = await api.get(path, params={"at": at})
    assert answer.status_code == 422
    assert says in answer.json()["errors"]["query.at"]
    assert not at or at not in answer.text


def test_plus_sign_may_be_plain() -> None:
    assert past_instant("2026-11-24T09:00:00 01:00", NOW) == clock("09:00")
