"""The process that simulates: same futures, ended at its deadline, back after a crash."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.simulation_days import reference_day
from tests.unit.test_simulation_day import same
from twin.errors import SimulationError
from twin.simulation import kernel, readiness
from twin.simulation.replications import ReferenceProcess, SimulationWorker, simulate
from twin.site import SimulationOptions

SMALL = reference_day(replications=2)
ENDLESS = reference_day(replications=20_000)


@pytest.fixture
async def worker() -> AsyncIterator[ReferenceProcess]:
    worker = ReferenceProcess()
    yield worker
    await worker.close()


async def test_same_futures_as_here(worker: ReferenceProcess) -> None:
    assert same(await worker.run(SMALL), simulate(SMALL))
    assert same(await worker.run(SMALL), simulate(SMALL))


async def test_killed_at_its_deadline(worker: ReferenceProcess) -> None:
    hurried = type(SMALL)(SMALL.now, SMALL.cases, options=SimulationOptions(replications=20_000, timeout_s=0.7))
    started = time.monotonic()
    with pytest.raises(SimulationError, match="in time"):
        await worker.run(hurried)
    assert time.monotonic() - started < 30
    assert same(await worker.run(SMALL), simulate(SMALL))


async def test_back_after_a_crash(worker: ReferenceProcess) -> None:
    await worker.run(SMALL)
    running = asyncio.create_task(worker.run(ENDLESS))
    await asyncio.sleep(0.1)
    assert worker._process is not None
    worker._process.kill()
    with pytest.raises(SimulationError, match="without a result"):
        await running
    assert same(await worker.run(SMALL), simulate(SMALL))


async def test_back_after_an_idle_death(worker: ReferenceProcess) -> None:
    await worker.run(SMALL)
    assert worker._process is not None
    worker._process.kill()
    await worker._process.wait()
    assert same(await worker.run(SMALL), simulate(SMALL))


async def test_cancelled_run_leaves_no_process(worker: ReferenceProcess) -> None:
    await worker.run(SMALL)
    process = worker._process
    running = asyncio.create_task(worker.run(ENDLESS))
    await asyncio.sleep(0.1)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert process is not None
    assert process.returncode is not None


async def test_close_is_quick_under_load(worker: ReferenceProcess) -> None:
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


async def test_kernel_takes_over() -> None:
    worker = SimulationWorker()
    first = await worker.run(SMALL)
    assert worker._warming is not None
    await worker._warming
    assert readiness.ready()
    assert same(await worker.run(SMALL), first)
    await worker.close()
    with pytest.raises(SimulationError, match="closed"):
        await worker.run(SMALL)


async def test_kernel_keeps_to_its_deadline() -> None:
    kernel.warm()
    worker = SimulationWorker()
    hurried = type(SMALL)(SMALL.now, SMALL.cases, options=SimulationOptions(replications=2, timeout_s=0.0))
    with pytest.raises(SimulationError, match="in time"):
        await worker.run(hurried)
    await worker.close()


async def test_goes_on_without_a_kernel() -> None:
    worker = SimulationWorker(use_kernel=False)
    assert same(await worker.run(SMALL), simulate(SMALL))
    await worker.close()


async def test_few_wait_for_a_kernel_on_the_disk() -> None:
    kernel.warm()
    worker = SimulationWorker()
    worker.expect_few()
    assert same(await worker.run(SMALL), simulate(SMALL))
    assert worker._reference._process is None
    await worker.close()


_COLD = """
import asyncio, sys, time
from tests.simulation_days import reference_day
from twin.simulation import readiness
from twin.simulation.replications import SimulationWorker

async def main():
    worker = SimulationWorker()
    if sys.argv[1] == "few":
        worker.expect_few()
    await worker.run(reference_day(replications=2))
    if sys.argv[1] == "many":
        while worker._compiling is None:
            await asyncio.sleep(0.01)
    started = time.monotonic()
    await worker.close()
    child = worker._compiling
    print(readiness.ready(), child is not None, child is None or child.returncode < 0, time.monotonic() - started < 5)

asyncio.run(main())
"""


@pytest.mark.parametrize(("runs", "compiling"), [("few", "False"), ("many", "True")])
def test_nobody_waits_for_a_compilation(tmp_path: Path, runs: str, compiling: str) -> None:
    """Without a kernel on the disk few scenarios compile none, and a program that ends kills who compiles it."""
    told = subprocess.run(
        [sys.executable, "-c", _COLD, runs],
        env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.split() == ["False", compiling, "True", "True"]
