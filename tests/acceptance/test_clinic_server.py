"""The clinic lives on a real FHIR server: started, loaded, played, left clean."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from fhir_adapters.answers import Answer
from fhir_adapters.client import FhirClient
from fhir_adapters.errors import ConflictError, NotFoundError, RejectedError
from fixtures.clinic.day import ClinicDay, generate_day
from fixtures.clinic.living import Actor, live
from fixtures.clinic.loading import load, load_to
from fixtures.servers.sekmet import SekmetServer, ServerStartError
from twin.timebase import Clock, monotonic

pytestmark = pytest.mark.server

PARIS = ZoneInfo("Europe/Paris")
DAY = date(2026, 11, 24)
OTHERS = {"url": "https://other.example/fhir/StructureDefinition/note", "valueString": "ours"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SekmetServer]:
    with SekmetServer(tmp_path, port=0) as started:
        yield started


def clock(day: ClinicDay, speed: float) -> Clock:
    return Clock(anchor=day.opens, speed=speed)


async def everything(client: FhirClient, kind: str) -> list[dict[str, Any]]:
    pages = [page.bundle async for page in client.search(kind, [("_count", "200")])]
    return [entry["resource"] for page in pages for entry in page.get("entry", ())]


async def annotate(client: FhirClient, ref: str) -> bool:
    """What another program does: an extension of its own, guarded. False where the clinic was faster."""
    found = await client.read(ref)
    here = found.json().get("extension")
    if OTHERS in (here or ()):
        return True
    operation: dict[str, Any] = {"op": "add", "path": "/extension/-", "value": OTHERS}
    if here is None:
        operation = {"op": "add", "path": "/extension", "value": [OTHERS]}
    try:
        await client.patch(ref, [operation], if_match=found.version_id)
    except (ConflictError, RejectedError):
        return False
    return True


async def annotate_all(client: FhirClient, kinds: tuple[str, ...]) -> None:
    for kind in kinds:
        for resource in await everything(client, kind):
            tries = [await annotate(client, f"{kind}/{resource['id']}")]
            while not tries[-1]:
                tries.append(await annotate(client, f"{kind}/{resource['id']}"))
            assert len(tries) < 20


class Meddled(FhirClient):
    """A client of the clinic's whose every first read of a resource is followed by another program's write."""

    def __init__(self, base_url: str, other: FhirClient) -> None:
        super().__init__(base_url)
        self._other = other
        self._meddled: set[str] = set()

    async def read(self, ref: str, *, etag: str | None = None) -> Answer:
        answer = await super().read(ref, etag=etag)
        if ref not in self._meddled:
            self._meddled.add(ref)
            assert await annotate(self._other, ref)
        return answer


async def test_whole_day(server: SekmetServer) -> None:
    day = generate_day(DAY, PARIS)
    async with FhirClient(server.base_url) as client, FhirClient(server.base_url) as other:
        await load(client, day)
        actor = Actor(client, day, clock(day, 2400))
        await asyncio.gather(actor.play(), annotate_all(other, ("Appointment", "Encounter")))
        assert actor.failed == 0
        assert len(actor.changes) >= 0.95 * len(day.script)
        booked = {f"rdv-20261124-{case.booking.key}" for case in day.cases}
        appointments = await everything(client, "Appointment")
        closed = Counter(one["status"] for one in appointments if one["id"] in booked)
        assert closed.keys() <= {"fulfilled", "cancelled", "noshow"}
        assert closed["fulfilled"] == sum(case.done and not case.booking.emergency for case in day.cases)
        assert all(OTHERS in one["extension"] for one in appointments)
        procedures = await everything(client, "Procedure")
        ended = Counter(one["status"] for one in procedures)
        assert ended.keys() <= {"completed", "not-done"}
        assert ended["completed"] == sum(case.done for case in day.cases)
        kept = [one for one in appointments for extension in one["extension"] if "valueDecimal" in extension]
        assert len(kept) == sum(int(one[-3:]) % 11 == 0 for one in booked if one[-3:].isdigit())


async def test_keeps_what_others_wrote_meanwhile(server: SekmetServer) -> None:
    day = generate_day(DAY, PARIS, rooms=1)
    async with FhirClient(server.base_url) as other, Meddled(server.base_url, other) as client:
        await load(client, day)
        actor = Actor(client, day, clock(day, 1e6))
        await actor.play(until=day.opens + timedelta(hours=3))
        assert actor.failed == 0
        refs = {change.ref for change in actor.changes if change.version_id != "1"}
        assert actor.conflicts >= len(refs) > 5
        for ref in refs:
            assert OTHERS in (await client.read(ref)).json()["extension"]


async def test_record_of_changes(server: SekmetServer) -> None:
    day = generate_day(DAY, PARIS, rooms=1)
    async with FhirClient(server.base_url) as client:
        await load(client, day)
        actor = Actor(client, day, clock(day, 1e6))
        await actor.play(until=day.opens + timedelta(hours=1))
        for change, write in zip(actor.changes, day.script, strict=False):
            assert (change.ref, change.kind) == (write.ref, write.kind)
            assert change.at_site >= write.at
            assert change.version_id is not None
            history = await client.get(f"{change.ref}/_history/{change.version_id}")
            assert history.status == 200


async def test_follows_site_time(server: SekmetServer) -> None:
    day = generate_day(DAY, PARIS, rooms=1)
    async with FhirClient(server.base_url) as client:
        await load(client, day)
        now = clock(day, 3600)
        actor = Actor(client, day, now)
        await actor.play(until=day.opens + timedelta(hours=1))
        lags = [(change.at_site - write.at) for change, write in zip(actor.changes, day.script, strict=False)]
        assert len(lags) > 3
        assert all(timedelta() <= lag < timedelta(minutes=30) for lag in lags)


async def test_stops_when_told(server: SekmetServer) -> None:
    day = generate_day(DAY, PARIS, rooms=1)
    async with FhirClient(server.base_url) as client:
        await load(client, day)
        actor = Actor(client, day, clock(day, 0))
        playing = asyncio.create_task(actor.play())
        await asyncio.sleep(0.1)
        before = monotonic()
        actor.stop()
        await playing
        assert monotonic() - before < 10
        assert actor.changes == []


async def test_unloaded_server_gives_up(server: SekmetServer, caplog: pytest.LogCaptureFixture) -> None:
    day = generate_day(DAY, PARIS, rooms=1)
    async with FhirClient(server.base_url) as client:
        actor = Actor(client, day, clock(day, 1e6))
        await actor.play(until=day.opens + timedelta(minutes=40))
    assert actor.failed > 0
    assert caplog.text.count("a write of the clinic was given up") == actor.failed
    assert "-20261124-" not in caplog.text


async def test_live_in_one_call(server: SekmetServer) -> None:
    day = generate_day(DAY, PARIS, 3, 1)
    changes = await live(server.base_url, DAY, clock(day, 1e6), zone=PARIS, seed=3, rooms=1)
    assert {change.kind for change in changes} >= {"patient_in_room", "fulfilled"}


async def test_load_to_address(server: SekmetServer) -> None:
    day = generate_day(DAY, PARIS, rooms=2)
    await load_to(server.base_url, day)
    async with FhirClient(server.base_url) as client:
        assert len(await everything(client, "Appointment")) == sum("rdv-" in one["id"] for one in day.resources)
        with pytest.raises(NotFoundError):
            await client.read("Appointment/rdv-none")


def test_free_port_where_taken(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with SekmetServer(tmp_path, port) as server:
            assert server.base_url.startswith("http://127.0.0.1:")
            assert server.base_url != f"http://127.0.0.1:{port}/fhir"


def test_stops_when_asked(tmp_path: Path) -> None:
    server = SekmetServer(tmp_path, port=0)
    pid = server.start().pid
    assert server.start().pid == pid
    assert pid is not None
    before = monotonic()
    server.stop()
    server.stop()
    assert monotonic() - before < 15
    assert not alive(pid)


def test_ends_with_its_parent(tmp_path: Path) -> None:
    program = f"""
        import os, signal
        from pathlib import Path
        from fixtures.servers.sekmet import SekmetServer
        print(SekmetServer(Path({str(tmp_path)!r}), 0).start().pid, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    killed = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL
    pid = int(killed.stdout)
    deadline = monotonic() + 30
    while alive(pid) and monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(pid)


def test_says_why_it_did_not_start(tmp_path: Path) -> None:
    (tmp_path / "sekmet.db").mkdir()
    with pytest.raises(ServerStartError, match=r"ended while starting; read .*sekmet\.log"):
        SekmetServer(tmp_path, port=0).start()


def test_says_when_it_stays_silent(tmp_path: Path) -> None:
    server = SekmetServer(tmp_path, port=0, start_within_s=0)
    with pytest.raises(ServerStartError, match="did not answer within 0 s"):
        server.start()
    assert server.pid is None


def test_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ServerStartError, match="pip install"):
        SekmetServer(tmp_path).start()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return not Path(f"/proc/{pid}/stat").exists() or ") Z " not in Path(f"/proc/{pid}/stat").read_text()
