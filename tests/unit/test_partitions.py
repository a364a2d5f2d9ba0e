"""A first load by weeks: what is asked for, what a kill costs, and servers that don't search by date."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import date, datetime
from typing import Any

import pytest

from api import first_load
from api.compose import worker_of
from api.settings import Settings
from api.worker import Worker
from fhir_adapters import sync
from fhir_adapters.partitions import DATED, Week, weeks_of
from tests.strangers.resources import appointment, at, morning
from tests.strangers.server import Stranger
from tests.strangers.traits import Traits
from twin.facts import Horizon
from twin.timebase import shifted

NOW = datetime.fromisoformat(at("10:30"))


def old(number: int) -> dict[str, Any]:
    """A booking of some weeks ago, before the live twin's days."""
    resource = appointment(f"old{number}", "s2", "12:00", "13:00")
    return {
        **resource,
        "start": f"2026-0{3 + number}-03T12:00:00+02:00",
        "end": f"2026-0{3 + number}-03T13:00:00+02:00",
    }


@pytest.fixture
def server() -> Iterator[Stranger]:
    with Stranger(Traits(), *morning(), *(old(number) for number in range(5))) as started:
        yield started


@asynccontextmanager
async def worker(server: Stranger, folder: Any, **sync: Any) -> AsyncIterator[Worker]:
    settings = Settings.model_validate(
        {
            "database_url": f"sqlite:///{folder}/j.db",
            "fhir": {"base_url": server.url},
            "sync": {"past_days": 300, **sync},
        }
    )
    async with worker_of(settings, shifted(NOW)) as made:
        await made.rebuild()
        yield made


def kept(made: Worker) -> set[str]:
    """Ids of the old bookings that the journal has."""
    return {fact.key.id for fact in made.parts.journal.facts(made.server) if fact.key.id.startswith("old")}


def dated(server: Stranger) -> int:
    """Requests of weeks so far: the first weeks of the load lie before the near days."""
    return sum(path == "/Appointment" for _, path in server.requests)


def test_weeks_have_names_of_their_own() -> None:
    span = Horizon(date(2026, 11, 18), date(2026, 11, 24))
    weeks = weeks_of([span], done=["Encounter/2026-11-16"])
    assert Week("Appointment", date(2026, 11, 16)) in weeks
    assert Week("Encounter", date(2026, 11, 16)) not in weeks
    assert len(weeks) == 5


def test_far_days_are_those_beyond_the_near() -> None:
    today = date(2026, 11, 24)
    assert first_load.far(today, 2, 30) == []
    (before, after) = first_load.far(today, 365, 365)
    near = first_load.near(today, 365, 365)
    assert (before.last, after.first) == (date(2026, 10, 23), date(2027, 1, 26))
    assert (near.first, near.last) == (date(2026, 10, 24), date(2027, 1, 25))


async def test_the_past_is_in_the_journal_only(server: Stranger, tmp_path: Any) -> None:
    async with worker(server, tmp_path) as made:
        await made.read_all()
        assert kept(made) == {f"old{number}" for number in range(5)}
        assert not any("old" in ref for ref in made.ledger.resources)
        assert "Appointment/a5" in made.ledger.resources


async def test_done_once(server: Stranger, tmp_path: Any) -> None:
    async with worker(server, tmp_path) as made:
        await made.read_all()
    before = dated(server)
    assert before > 30
    async with worker(server, tmp_path) as made:
        await made.read_all()
        assert kept(made) == {f"old{number}" for number in range(5)}
    assert dated(server) - before <= 2


async def test_killed_and_resumed(server: Stranger, tmp_path: Any) -> None:
    class KilledError(Exception):
        pass

    def killed(_resources: int, done: int, _total: int) -> None:
        if done == 40:
            raise KilledError

    async with worker(server, tmp_path) as made:
        made._intake.first_load.progress = killed
        with pytest.raises(KilledError):
            await made.read_all()
    async with worker(server, tmp_path) as made:
        assert len(made._intake.first_load.weeks) > 0
        assert "Appointment" not in made._intake._cursor
        before, done = dated(server), sum(one.startswith("Appointment") for one in made._intake.first_load.weeks)
        await made.read_all()
        assert kept(made) == {f"old{number}" for number in range(5)}
        assert dated(server) - before <= 41 - done
        assert made._intake._cursor["Appointment"] <= min(made._intake.first_load.weeks.values())


async def test_a_change_of_the_past_comes_with_the_changes(server: Stranger, tmp_path: Any) -> None:
    async with worker(server, tmp_path) as made:
        await made.read_all()
        server.edit("Appointment/old1", status="cancelled")
        await made.read_all()
        await made.read_changes()
        versions = [f for f in made.parts.journal.facts(made.server) if f.key.id == "old1"]
        assert len(versions) == 2


async def test_server_that_ignores_the_date(server: Stranger, tmp_path: Any) -> None:
    server.becomes(lacks=frozenset({"date"}), unknown_params=0)
    async with worker(server, tmp_path) as made:
        counts = await made.read_all()
        assert kept(made) == {f"old{number}" for number in range(5)}
    assert "Appointment: the server does not search by date; all of it is read" in counts.warnings


async def test_server_that_refuses_the_date(server: Stranger, tmp_path: Any) -> None:
    server.becomes(lacks=frozenset({"date"}), unknown_params=400)
    async with worker(server, tmp_path) as made:
        await made.read_all()
        assert kept(made) == {f"old{number}" for number in range(5)}


async def test_server_that_refuses_every_parameter(server: Stranger, tmp_path: Any) -> None:
    lacks = frozenset({"date", "_lastUpdated", "_sort", "status", "_count"})
    server.becomes(lacks=lacks, unknown_params=422)
    async with worker(server, tmp_path) as made:
        await made.read_all()
        assert kept(made) == {f"old{number}" for number in range(5)}


async def test_server_whose_pages_lead_back(server: Stranger, tmp_path: Any) -> None:
    server.becomes(loops=True)
    async with worker(server, tmp_path) as made:
        counts = await made.read_all()
        assert kept(made) == {f"old{number}" for number in range(5)}
    assert f"Appointment: {sync.ENDLESS}" in counts.warnings


async def test_marks_of_what_is_over_are_no_weeks(server: Stranger, tmp_path: Any) -> None:
    async with worker(server, tmp_path) as made:
        await made.read_all()
    async with worker(server, tmp_path) as again:
        assert {name.partition("/")[0] for name in again._intake.first_load.weeks} == set(DATED)
