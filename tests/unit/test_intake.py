"""What a worker makes of a server's histories, backups, subsets and schedules, on strangers over HTTP."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import pytest

from api.compose import worker_of
from api.intake import RESTORED
from api.settings import Settings
from api.worker import Worker
from fhir_adapters.errors import WrongServerError
from tests.strangers.resources import appointment, at, morning, of, reference, stay
from tests.strangers.server import Stranger
from tests.strangers.traits import Traits
from twin.facts import AppointmentFact
from twin.timebase import shifted
from twin.vocabulary import CaseStatus, Milestone

NOW = datetime.fromisoformat(at("10:30"))


@pytest.fixture
def server() -> Iterator[Stranger]:
    with Stranger(Traits(), *morning()) as started:
        yield started


@asynccontextmanager
async def worker(server: Stranger, *, write_back: Any = None, **sync: Any) -> AsyncIterator[Worker]:
    told = {"fhir": {"base_url": server.url}, "sync": sync, "write_back": write_back or {}}
    settings = Settings.model_validate({"database_url": "sqlite:///:memory:", **told})
    async with worker_of(settings, shifted(NOW)) as made:
        await made.rebuild()
        yield made


async def statuses(made: Worker) -> dict[str, CaseStatus]:
    """By the booking of each case."""
    cases = (await made._intake.suite()).cases.values()
    return {str(twin.links.appointment).removeprefix("Appointment/"): twin.status for twin in cases}


def asked(server: Stranger, path: str) -> int:
    return sum(one == path for _, one in server.requests)


# Deletes


@pytest.mark.parametrize("history", ["told", "hapi"])
async def test_a_delete_is_seen_by_the_next_poll(server: Stranger, history: str) -> None:
    server.becomes(type_history=history)
    async with worker(server) as made:
        await made.read_all()
        server.delete("Appointment/a5")
        await made.read_changes()
        assert (await statuses(made))["a5"] is CaseStatus.DELETED
        before = asked(server, "/Appointment/a5")
        await made.read_changes()
        assert asked(server, "/Appointment/a5") == before


async def test_deleted_and_made_again(server: Stranger) -> None:
    async with worker(server) as made:
        await made.read_all()
        server.delete("Appointment/a5")
        await asyncio.sleep(0.01)
        server.put(appointment("a5", "s2", "12:00", "13:00"))
        await made.read_changes()
        assert (await statuses(made))["a5"] is CaseStatus.PLANNED


async def test_without_a_history_the_reconcile(server: Stranger) -> None:
    server.becomes(type_history="none")
    async with worker(server) as made:
        await made.read_all()
        server.delete("Appointment/a5")
        for _ in range(2):
            await made.read_changes()
        assert (await statuses(made))["a5"] is CaseStatus.PLANNED
        assert asked(server, "/Appointment/_history") == 1
        await made.read_all()
        assert (await statuses(made))["a5"] is CaseStatus.DELETED


# Versions in between


async def arrival(made: Worker, name: str) -> str:
    cases = (await made._intake.suite()).cases.values()
    (twin,) = [one for one in cases if one.links.appointment == f"Appointment/{name}"]
    (actual,) = [one for one in twin.times.reached if one.milestone is Milestone.PATIENT_IN_FACILITY]
    resource = made.ledger.resources[f"Appointment/{name}"]
    assert actual.source == resource.ref
    return resource.first_shown[Milestone.PATIENT_IN_FACILITY].isoformat()


def edits(server: Stranger) -> str:
    """a5 arrives, and is edited twice since; when it arrived."""
    server.edit("Appointment/a5", status="arrived")
    version = server.store.newest("Appointment/a5")
    assert version is not None
    for comment in ("one", "two"):
        time.sleep(0.01)
        server.edit("Appointment/a5", comment=comment)
    return version.at.isoformat()[:23]


@pytest.mark.parametrize("ids", ["number", "uuid"])
async def test_first_reading_completes_states(server: Stranger, ids: str) -> None:
    server.becomes(version_ids=ids)
    arrived = edits(server)
    async with worker(server) as made:
        await made.read_all()
        assert (await arrival(made, "a5")).startswith(arrived)
        before = len(server.requests)
        await made.read_all()
        assert not any(path.endswith("/_history") for _, path in server.requests[before:])


@pytest.mark.parametrize("history", ["told", "none"])
async def test_a_poll_completes_states(server: Stranger, history: str) -> None:
    server.becomes(type_history=history)
    async with worker(server) as made:
        await made.read_all()
        arrived = edits(server)
        await made.read_changes()
        assert (await arrival(made, "a5")).startswith(arrived)


async def test_without_histories_the_newest_counts(server: Stranger) -> None:
    server.becomes(history=False, type_history="none")
    arrived = edits(server)
    async with worker(server) as made:
        await made.read_all()
        assert not (await arrival(made, "a5")).startswith(arrived)


# Backups


async def test_a_backup_comes_back(server: Stranger) -> None:
    backup = server.store.now()
    await asyncio.sleep(0.01)
    server.edit("Appointment/a5", status="cancelled")
    async with worker(server) as made:
        await made.read_all()
        assert (await statuses(made))["a5"] is CaseStatus.CANCELLED
        server.restore(backup)
        told = await made.read_all()
        assert told.warnings == [RESTORED]
        assert (await statuses(made))["a5"] is CaseStatus.PLANNED
        assert (await made.read_all()).warnings == []


async def test_the_first_edit_after_a_backup(server: Stranger) -> None:
    backup = server.store.now()
    await asyncio.sleep(0.01)
    server.edit("Appointment/a5", status="cancelled")
    server.edit("Appointment/a2", status="pending")
    server.edit("Appointment/a2", status="cancelled")
    async with worker(server) as made:
        await made.read_all()
        server.restore(backup)
        await asyncio.sleep(1.1)
        server.edit("Appointment/a2", comment="after the backup")
        told = await made.read_changes()
        assert told.warnings == [RESTORED]
        found = await statuses(made)
        assert (found["a2"], found["a5"]) == (CaseStatus.PLANNED, CaseStatus.PLANNED)
        assert (await made.read_changes()).warnings == []


async def test_what_a_backup_never_had(server: Stranger) -> None:
    backup = server.store.now()
    await asyncio.sleep(0.01)
    server.put(appointment("late", "s2", "15:00", "16:00"))
    async with worker(server) as made:
        await made.read_all()
        server.restore(backup)
        await made.read_all()
        assert (await statuses(made))["late"] is CaseStatus.DELETED


# Searches


async def test_subsets_are_read_by_id(server: Stranger) -> None:
    async with worker(server) as made:
        await made.read_all()
        whole = await statuses(made)
    server.becomes(subsets=True)
    async with worker(server) as made:
        counts = await made.read_all()
        assert await statuses(made) == whole
        assert counts.quarantined == 0


async def test_ignored_filters_are_told(server: Stranger) -> None:
    server.becomes(lacks=frozenset({"date"}))
    async with worker(server) as made:
        told = (await made.read_all()).warnings
        assert "Appointment: the server ignores date; more is read than asked for" in told
        assert not any(warning.startswith("Location") for warning in told)


async def test_more_search_parameters(server: Stranger) -> None:
    async with worker(server, search={"Appointment": "status=arrived,booked"}) as made:
        await made.read_all()
        assert "x1" not in await statuses(made)
        assert made.ledger.get("Appointment/a5", AppointmentFact)


async def test_patients_of_a_server_that_ignores_ids(server: Stranger) -> None:
    server.becomes(lacks=frozenset({"_id"}))
    server.put({"resourceType": "Patient", "id": "nobody-asked", "birthDate": "1970-01-01"})
    async with worker(server) as made:
        await made.read_all()
        kept = [ref for ref in made.ledger.resources if ref.startswith("Patient/")]
        pseudonym = made.parts.normaliser.pseudonyms.patient("nobody-asked")
        assert f"Patient/{pseudonym}" not in kept
        assert len(kept) == 7


@pytest.mark.parametrize("version", ["5.0.0", "3.0.2"])
async def test_another_fhir_is_refused(server: Stranger, version: str) -> None:
    server.becomes(fhir_version=version)
    async with worker(server) as made:
        with pytest.raises(WrongServerError, match=version):
            await made.read_all()


# What is referred to


async def test_surgical_requests_are_read(server: Stranger) -> None:
    for name, words in (("op", "Arthroplastie"), ("cs", "Consultation")):
        order = {"resourceType": "ServiceRequest", "id": f"r-{name}", "status": "active", "code": {"text": words}}
        server.put(order)
        server.put(appointment(name, None, "14:00", "15:00", basedOn=[reference(f"ServiceRequest/r-{name}")]))
    async with worker(server) as made:
        await made.read_all()
        found = await statuses(made)
        assert "op" in found
        assert "cs" not in found


async def test_a_request_of_a_new_booking(server: Stranger) -> None:
    async with worker(server) as made:
        await made.read_all()
        server.put({"resourceType": "ServiceRequest", "id": "r", "status": "active", "code": {"text": "Arthroplastie"}})
        server.put(appointment("op", None, "14:00", "15:00", basedOn=[reference("ServiceRequest/r")]))
        await made.read_changes()
        assert "op" in await statuses(made)


def publish(server: Stranger, *hours: int) -> None:
    server.put({"resourceType": "Schedule", "id": "sch", "actor": [reference("Location/s1")]})
    for hour in hours:
        times = {"start": at(f"{hour:02d}:00"), "end": at(f"{hour + 1:02d}:00")}
        slot = {"resourceType": "Slot", "id": f"t{hour}", "status": "free", "schedule": reference("Schedule/sch")}
        server.put({**slot, **times})


async def hours(made: Worker) -> list[tuple[int, int, bool]]:
    """Local hours of the blocks of the room s1, and whether they are assumed."""
    (room,) = [room for room in (await made._intake.suite()).rooms if room.id == "s1"]
    return [(block.start.hour, block.end.hour, block.assumed) for block in room.blocks]


async def test_published_openings(server: Stranger) -> None:
    publish(server, 8, 9, 10, 13)
    server.put({"resourceType": "Schedule", "id": "cs", "actor": [reference("Location/cs")]})
    async with worker(server) as made:
        await made.read_all()
        assert await hours(made) == [(8, 11, False), (13, 14, False)]
        assert "Schedule/cs" not in made.ledger.resources
        server.delete("Slot/t13")
        server.edit("Slot/t10", status="busy-unavailable")
        await made.read_all()
        assert await hours(made) == [(8, 10, False)]


async def test_a_server_without_slots(server: Stranger) -> None:
    server.becomes(lacks_types=frozenset({"Slot", "Schedule"}))
    async with worker(server) as made:
        assert (await made.read_all()).warnings == []
        assert await hours(made) == [(8, 18, True)]


# Asked once, written once


async def test_a_refused_request_is_asked_for_at_a_whole_reading_only(server: Stranger) -> None:
    server.becomes(hidden=frozenset({"ServiceRequest"}))
    server.put(appointment("a9", None, "13:00", "14:00", basedOn=[reference("ServiceRequest/r9")]))
    async with worker(server) as made:
        await made.read_all()
        assert asked(server, "/ServiceRequest") == 1
        for number in range(3):
            server.edit("Appointment/a9", description=f"change {number}")
            await made.read_changes()
        assert asked(server, "/ServiceRequest") == 1
        await made.read_all()
        assert asked(server, "/ServiceRequest") == 2


async def test_what_is_gone_is_not_written_until_it_is_seen(server: Stranger) -> None:
    async with worker(server, write_back={"mode": "annotate"}) as made:
        await made.read_all()
        await made.predict()
        assert "Appointment/a5" in ordered(made)
        server.delete("Appointment/a5")
        await made.write()
        assert "Appointment/a5" not in ordered(made)
        server.put(appointment("a5", "s2", "12:00", "13:00"))
        await made.read_all()
        await made.predict()
        assert "Appointment/a5" in ordered(made)


def ordered(made: Worker) -> set[str]:
    return {order.ref for order in made.orders().orders}


# Polls of strangers


@pytest.mark.parametrize(
    "traits",
    [
        Traits(unknown_params=400, lacks=frozenset({"_lastUpdated"})),
        Traits(unknown_params=501, lacks=frozenset({"_lastUpdated", "_sort", "date", "_count"})),
        Traits(unknown_params=422, lacks=frozenset({"_sort"}), type_history="none"),
        Traits(lacks=frozenset({"_lastUpdated", "_sort"}), type_history="none"),
        Traits(last_updated="none", tells_date=False, tells_time=False, version_ids="json", type_history="none"),
        Traits(public="https://fhir.internal", page=2, moves=307, loops=True),
    ],
    ids=["no lastUpdated", "hardly any", "no sort", "ignored", "timeless", "hidden"],
)
async def test_a_poll_sees_the_change(traits: Traits) -> None:
    with Stranger(traits, *morning()) as stranger:
        async with worker(stranger) as made:
            await made.read_all()
            await asyncio.sleep(0.01)
            stranger.edit("Appointment/a5", status="cancelled")
            stranger.put(appointment("late", "s2", "15:00", "16:00"))
            before = made.ledger
            await made.read_changes()
            assert made.has_news(before)
            found = await statuses(made)
            assert (found["a5"], found["late"]) == (CaseStatus.CANCELLED, CaseStatus.PLANNED)
            await made.read_changes()
            before = made.ledger
            await made.read_changes()
            assert not made.has_news(before)


async def test_pages_that_lead_back_delete_nothing(server: Stranger) -> None:
    async with worker(server) as made:
        await made.read_all()
        server.delete("Appointment/a5")
        server.becomes(loops=True)
        told = await made.read_all()
        assert any("lead back" in warning for warning in told.warnings)
        assert (await statuses(made))["a5"] is CaseStatus.PLANNED


async def test_encounters_that_may_not_be_seen(server: Stranger) -> None:
    server.becomes(hidden=frozenset({"Encounter"}))
    async with worker(server) as made:
        told = await made.read_all()
        assert any(warning.startswith("Encounter: not read") for warning in told.warnings)
        assert len(await statuses(made)) > 4
        await made.read_changes()


async def test_closed_without_a_date_comes_with_the_next_reading(server: Stranger) -> None:
    """It is searched for from the reading before on."""
    async with worker(server) as made:
        first = await made.read_all()
        ended = of("t9", stay("s1", "08:05", "08:40"), status="finished")
        ended.pop("period", None)
        server.put(ended)
        again = await made.read_all()
        assert again.read == first.read + 1
        last = await made.read_all()
        assert last.new == 0
        assert f"Encounter/{ended['id']}" in made.ledger.resources
