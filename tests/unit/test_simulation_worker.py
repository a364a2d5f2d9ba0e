"""The process that simulates: same futures, ended at its deadline, back after a crash."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from tests.simulation_days import reference_day
from tests.unit.test_simulation_day import same
from twin.errors import SimulationError
from twin.simulation.replications import SimulationWorker, simulate
from twin.site import SimulationOptions

SMALL = reference_day(replications=2)
ENDLESS = reference_day(replications=20_000)


@pytest.fixture
async def worker() -> AsyncIterator[SimulationWorker]:
    worker = SimulationWorker()
    yield worker
    await worker.close()


async def test_same_futures_as_here(worker: SimulationWorker) -> None:
    assert same(await worker.run(SMALL), simulate(SMALL))
    assert same(await worker.run(SMALL), simulate(SMALL))


async def test_killed_at_its_deadline(worker: SimulationWorker) -> None:
    hurried = type(SMALL)(SMALL.now, SMALL.cases, options=SimulationOptions(replications=20_000, timeout_s=0.7))
    started = time.monotonic()
    with pytest.raises(SimulationError, match="in time"):
        await worker.run(hurried)
    assert time.monotonic() - started < 30
    assert same(await worker.run(SMALL), simulate(SMALL))


async def test_back_after_a_crash(worker: SimulationWorker) -> None:
    await worker.run(SMALL)
    running = asyncio.create_task(worker.run(ENDLESS))
    await asyncio.sleep(0.1)
    assert worker._process is not None
    worker._process.kill()
    with pytest.raises(SimulationError, match="without a result"):
        await running
    assert same(await worker.run(SMALL), simulate(SMALL))


async def test_back_after_an_idle_death(worker: SimulationWorker) -> None:
    await worker.run(SMALL)
    assert worker._process is not None
    worker._process.kill()
    await worker._process.wait()
    assert same(await worker.run(SMALL), simulate(SMALL))


async def test_cancelled_run_leaves_no_process(worker: SimulationWorker) -> None:
    await worker.run(SMALL)
    process = worker._process
    running = asyncio.create_task(worker.run(ENDLESS))
    await asyncio.sleep(0.1)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert process is not None
    assert process.returncode is not None


async def test_close_is_quick_under_load(worker: SimulationWorker) -> None:
    await worker.run(SMALL)
    process = worker._process
    running = asyncio.create_task(worker.run(ENDLESS))
    await asyncio.sleep(0.1)
    started = time.monotonic()
    await worker.close()
    assert time.monotonic() - started < 10
    assert process is not None
    assert process.returncode is not None
    with pytest.raises(SimulationError):
        await running
    with pytest.raises(SimulationError, match="closed"):
        await worker.run(SMALL)
