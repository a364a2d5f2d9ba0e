"""The loops of the living program: a round may fail, the program goes on."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import generate_latest
from pydantic import SecretStr

from api.compose import worker_of
from api.live import RETRY_S, WAKE_GAP_S, LiveProgram
from api.push import BY_HAND
from api.scenarios.model import WhatIf
from api.sections import FhirSettings, PushSettings, SimulationSettings, SyncSettings
from api.settings import load
from tests.strangers.resources import morning
from tests.strangers.server import Stranger
from tests.strangers.serving import until
from tests.strangers.traits import Traits
from twin.timebase import site_date

SECRET = "0123456789abcdef"
RARELY_S = 300.0


@pytest.fixture
def server() -> Iterator[Stranger]:
    stranger = Stranger(Traits(), *morning())
    stranger.start()
    yield stranger
    stranger.stop()


@asynccontextmanager
async def living(url: str, poll_s: float = 0.2, *, retry_s: float = RETRY_S) -> AsyncIterator[LiveProgram]:
    settings = load(Path("/dev/null")).model_copy(
        update={
            "database_url": ":memory:",
            "fhir": FhirSettings(base_url=url),
            "sync": SyncSettings(poll_s=poll_s),
            "push": PushSettings(secret=SecretStr(SECRET)),
            "simulation": SimulationSettings(every_s=1, replications=10),
        }
    )
    async with worker_of(settings, settings.make_clock()) as worker:
        program = LiveProgram(worker, retry_s=retry_s)
        program.start()
        try:
            yield program
        finally:
            await program.stop()


async def test_fault_of_ours_ends_a_round_only(server: Stranger) -> None:
    async with living(server.url) as program:
        assert await program.newer(0, 60) is not None
        intake = program.worker._intake
        whole, intake.ledger = intake.ledger, None  # type: ignore[assignment]
        async with asyncio.timeout(30):
            while "Error at" not in (failing := program.feed.failing or ""):  # noqa: ASYNC110 - a round may pass
                await asyncio.sleep(0.05)
        intake.ledger = whole
        assert program.snapshot is not None
        assert await program.newer(program.snapshot.number, 60) is not None
    assert "Error at" in failing


async def test_history_is_learned_meanwhile(server: Stranger) -> None:
    async with living(server.url) as program:
        assert await program.newer(0, 60) is not None
        await eventually(lambda: program.worker.history is not None)
        assert program.worker.history is not None
        today = site_date(program.worker.clock.now(), program.site.timezone)
        assert today - timedelta(days=2) <= program.worker.history.before < today


async def test_stop_is_prompt_with_nothing_to_write(server: Stranger) -> None:
    async with living(server.url) as program:
        await program.newer(0, 60)
        async with asyncio.timeout(20):
            await program.stop()
    assert await program.newer(10**6, 1) is None


async def test_what_if_from_the_live_state(server: Stranger) -> None:
    async with living(server.url) as program:
        assert await program.newer(0, 60) is not None
        answer = await program.what_if(WhatIf.model_validate({"hazards": [], "options": {"replications": 20}}))
        assert program.snapshot is not None
        assert datetime.fromisoformat(answer.at) <= program.snapshot.suite.now
        assert answer.replications == 20
        assert answer.difference is None


def readings(server: Stranger) -> int:
    return server.requests.count(("GET", "/Appointment"))


async def eventually(true: Callable[[], bool]) -> None:
    await asyncio.to_thread(until, true, 10)


async def first_read(program: LiveProgram) -> None:
    assert await program.newer(0, 20) is not None
    await asyncio.sleep(WAKE_GAP_S)


async def test_notification_leads_to_a_reading(server: Stranger) -> None:
    async with living(server.url, RARELY_S) as program:
        await first_read(program)
        server.edit("Appointment/a5", status="cancelled")
        before = readings(server)
        assert program.notified(BY_HAND, SECRET)
        await eventually(lambda: readings(server) > before)
        await eventually(lambda: program.feed.failing is None)
        assert program.feed.age_s is not None
        await eventually(lambda: program.worker.ledger.resources["Appointment/a5"].newest.key.version_id == "2")


async def test_wrong_secret_leads_to_none(server: Stranger) -> None:
    async with living(server.url, RARELY_S) as program:
        await first_read(program)
        before = readings(server)
        assert not program.notified(BY_HAND, "wrong")
        await asyncio.sleep(2 * WAKE_GAP_S)
        assert readings(server) == before
        assert b'jumeau_notifications_total{outcome="refused"} 1.0' in generate_latest(program.metrics)


async def test_flood_leads_to_one_a_second(server: Stranger) -> None:
    async with living(server.url, RARELY_S) as program:
        await first_read(program)
        before, started = readings(server), asyncio.get_running_loop().time()
        for _ in range(200):
            program.notified(BY_HAND, SECRET)
            await asyncio.sleep(0.01)
        seconds = asyncio.get_running_loop().time() - started
        await asyncio.sleep(2 * WAKE_GAP_S)
        after = readings(server)
        assert 2 <= after - before <= seconds / WAKE_GAP_S + 2
        await asyncio.sleep(2 * WAKE_GAP_S)
        assert readings(server) == after


async def test_wake_up_is_not_lost_with_its_reading(server: Stranger) -> None:
    async with living(server.url, RARELY_S, retry_s=0.5) as program:
        await first_read(program)
        server.stop()
        program.notified(BY_HAND, SECRET)
        await eventually(lambda: program.feed.failing is not None)
        before = readings(server)
        server.start()
        await eventually(lambda: readings(server) > before)
        assert readings(server) > before


async def test_a_frozen_clock_stands_still_for_the_twin(server: Stranger) -> None:
    async with living(server.url) as program:
        assert await program.newer(0, 60) is not None
        await program.stand_still()
        now = program.worker.clock.now()
        program.worker.clock = program.worker.clock.frozen_at(now)
        await program.worker.predict()
        assert program.snapshot is not None
        assert program.snapshot.suite.now == now
