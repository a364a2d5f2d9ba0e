"""The loops of the living program: a round may fail, the program goes on."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from api.compose import worker_of
from api.live import LiveProgram
from api.sections import FhirSettings, SimulationSettings, SyncSettings
from api.settings import load
from tests.strangers.resources import morning
from tests.strangers.server import Stranger
from tests.strangers.traits import Traits


@pytest.fixture
def server() -> Iterator[Stranger]:
    stranger = Stranger(Traits(), *morning())
    stranger.start()
    yield stranger
    stranger.stop()


@asynccontextmanager
async def living(url: str) -> AsyncIterator[LiveProgram]:
    settings = load(Path("/dev/null")).model_copy(
        update={
            "database_url": ":memory:",
            "fhir": FhirSettings(base_url=url),
            "sync": SyncSettings(poll_s=0.2),
            "simulation": SimulationSettings(every_s=1, replications=10),
        }
    )
    async with worker_of(settings, settings.make_clock()) as worker:
        program = LiveProgram(worker)
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


async def test_stop_is_prompt_with_nothing_to_write(server: Stranger) -> None:
    async with living(server.url) as program:
        await program.newer(0, 60)
        async with asyncio.timeout(20):
            await program.stop()
    assert await program.newer(10**6, 1) is None
