"""Runs a scenario: here, or in a process of its own that can be killed."""

import asyncio
import contextlib
import pickle
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial
from types import ModuleType
from typing import TypeVar

import structlog

from twin.errors import SimulationError
from twin.simulation import readiness
from twin.simulation.draws import Seconds
from twin.simulation.futures import futures
from twin.simulation.lists import draw_plan
from twin.simulation.pathway import write
from twin.simulation.program import Program
from twin.simulation.result import Futures
from twin.simulation.scenario import Scenario

T = TypeVar("T")
Engine = Callable[[Program, Seconds, Seconds], Seconds]

log = structlog.get_logger()
# Without Numba: it would only take memory there.
_SERVE = "import sys; sys.modules['numba'] = None; from twin.simulation.replications import serve; serve()"
_COMPILE = "from twin.simulation.kernel import warm; warm()"
_LENGTH_BYTES = 8
FEW = 5_000
"""Cases times replications that the reference simulates in less time than it takes to load the kernel."""


def simulate(scenario: Scenario) -> Futures:
    """All replications in this process: by the kernel once it is ready, else by the SimPy reference.

    Same scenario, same futures, to the second, by either.
    """
    return futures_of(scenario, _fast() if readiness.ready() else _reference())


def futures_of(scenario: Scenario, engine: Engine) -> Futures:
    """The futures of a scenario by one of the engines."""
    plan = draw_plan(scenario)
    pathway = write(plan)
    return futures(plan, pathway, engine(pathway.program, pathway.draws, pathway.kept))


def engine_for(scenarios: Iterable[Scenario]) -> Engine:
    """The kernel, made ready first, which takes seconds where it is not compiled yet.

    The reference where there is little to simulate, or no Numba.
    """
    if readiness.ready():
        return _fast()
    if sum(len(one.cases) * one.options.replications for one in scenarios) <= FEW:
        return _reference()
    return best_engine()


def best_engine() -> Engine:
    """The kernel, made ready first; without Numba the reference."""
    if not readiness.AVAILABLE:
        log.info("simulation_without_kernel", hint="slower; install the extra 'fast' for the compiled kernel")
        return _reference()
    try:
        _kernel().warm()
    except _faults() as fault:
        log.warning("simulation_kernel_unusable", fault=type(fault).__name__, hint="the slower reference goes on")
        return _reference()
    return _fast()


class SimulationWorker:
    """Simulates off the event loop: by the compiled kernel in a thread once that is ready, until then by the reference.

    The first run starts to make the kernel ready in the background: a process of its own compiles what is not on the
    disk. The numbers are the same by either.
    """

    def __init__(self, *, use_kernel: bool = readiness.AVAILABLE) -> None:
        self._reference = ReferenceProcess()
        self._closed = False
        self._warming: asyncio.Task[None] | None = None
        self._compiling: asyncio.subprocess.Process | None = None
        self._use_kernel = use_kernel
        self._wait = False
        if not use_kernel:
            log.info("simulation_without_kernel", hint="slower; install the extra 'fast' for the compiled kernel")

    def expect_few(self) -> None:
        """For who soon runs a few scenarios and ends: a kernel that lies compiled on the disk is loaded from now on and
        waited for; where there is none, nothing is compiled, the reference does it.
        """
        if self._use_kernel and self._warming is None:
            self._wait = True
            self._warming = asyncio.create_task(self._warm())

    async def run(self, scenario: Scenario) -> Futures:
        """The futures of a scenario. Raises as `do`."""
        return await self.do(futures_of, scenario)

    async def do(self, work: Callable[[Scenario, Engine], T], scenario: Scenario) -> T:
        """What a function of a module makes of a scenario with an engine.

        Raises SimulationError where it isn't done after `options.timeout_s` of wall time, or the worker is closed.
        """
        if self._closed:
            raise SimulationError("the simulation worker is closed: make another")
        if self._use_kernel and self._warming is None:
            self._warming = asyncio.create_task(self._warm())
        if self._wait and self._warming is not None:
            await self._warming
        if not (self._use_kernel and readiness.ready()):
            return await self._reference.do(work, scenario)
        asked_to_stop = threading.Event()
        try:
            return await asyncio.to_thread(_in_time, work, scenario, lambda: asked_to_stop.is_set() or self._closed)
        finally:
            asked_to_stop.set()

    async def close(self) -> None:
        """Ends what runs; a run under way ends in an error."""
        self._closed = True
        await self._reference.close()
        if self._compiling is not None and self._compiling.returncode is None:
            self._compiling.kill()
        if self._warming is not None:
            await self._warming

    async def _warm(self) -> None:
        try:
            if await asyncio.to_thread(_must_compile):
                if self._wait:
                    self._use_kernel = False
                    return
                await self._compile()
            if not self._closed:
                await asyncio.to_thread(lambda: _kernel().warm())
                await self._reference.rest()
        except _faults() as fault:
            self._use_kernel = False
            log.warning("simulation_kernel_unusable", fault=type(fault).__name__, hint="the slower reference goes on")

    async def _compile(self) -> None:
        """In a process, which can be killed; whatever becomes of it, the kernel is then loaded or compiled here."""
        nowhere = asyncio.subprocess.DEVNULL
        self._compiling = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-c", _COMPILE, stdin=nowhere, stdout=nowhere, stderr=nowhere
        )
        if self._closed:
            self._compiling.kill()
        await self._compiling.wait()


def _kernel() -> ModuleType:
    """Loads Numba, which takes half a second: whoever needs no simulation doesn't wait for it."""
    from twin.simulation import kernel

    return kernel


def _fast() -> "Callable[..., Seconds]":
    run: Callable[..., Seconds] = _kernel().run
    return run


def _reference() -> Engine:
    from twin.simulation.reference import run

    return run


def _faults() -> tuple[type[Exception], ...]:
    from twin.simulation.compiled import FAULTS

    return FAULTS


def _must_compile() -> bool:
    """Where nothing can be kept on the disk, a process can't do it for this one."""
    from twin.simulation import compiled

    if not compiled.LOADED:
        raise SimulationError("Numba is installed but can't be loaded")
    return _kernel().cached() is False


def _in_time(work: Callable[[Scenario, Engine], T], scenario: Scenario, stop: Callable[[], bool]) -> T:
    """By the kernel, which looks at the clock between blocks of replications."""
    deadline = time.monotonic() + scenario.options.timeout_s
    engine = partial(_fast(), go_on=lambda: time.monotonic() < deadline and not stop())
    return work(scenario, engine)


class ReferenceProcess:
    """A process that simulates by the reference: started at the first run, killed at a deadline, then started again.

    A fresh interpreter that imports `twin.simulation` only, reads scenarios from its standard input and ends when that
    closes, so it can't outlive this process. One run at a time; others wait their turn.
    """

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()
        self._killed: asyncio.subprocess.Process | None = None
        self._closed = False

    async def run(self, scenario: Scenario) -> Futures:
        """The futures of a scenario. Raises as `do`."""
        return await self.do(futures_of, scenario)

    async def do(self, work: Callable[[Scenario, Engine], T], scenario: Scenario) -> T:
        """What a function of a module makes of a scenario with the reference; it is imported there by its name.

        Raises SimulationError where the process ends without an answer, or has none after `options.timeout_s` of wall
        time (its start included), or the worker is closed.
        """
        async with self._turn:
            if self._closed:
                raise SimulationError("the simulation worker is closed: make another")
            try:
                async with asyncio.timeout(scenario.options.timeout_s):
                    return await self._exchange(work, scenario)
            except TimeoutError:
                await self._end()
                raise SimulationError("the simulation was not done in time: lower replications") from None
            except (OSError, EOFError):
                await self._end()
                raise SimulationError("the simulation ended without a result: see the log above") from None
            except asyncio.CancelledError:
                await self._end()
                raise

    async def close(self) -> None:
        """Kills the process, whatever it does, and waits until it is gone; a run under way ends in an error."""
        self._closed = True
        self._kill()
        async with self._turn:
            await self._end()

    async def rest(self) -> None:
        """Ends the process, after a run under way; the next run starts it again."""
        async with self._turn:
            await self._end()

    def _kill(self) -> None:
        # Once only: `kill` looks whether it is dead, and would take its exit status from asyncio's own watcher.
        if self._process not in (None, self._killed) and self._process.returncode is None:
            self._killed = self._process
            self._process.kill()

    async def _end(self) -> None:
        self._kill()
        process, self._process = self._process, None
        if process is not None:
            await process.communicate()  # drains the pipes: they would keep the transport open

    async def _exchange(self, work: Callable[[Scenario, Engine], T], scenario: Scenario) -> T:
        if self._process is not None and self._process.returncode is not None:
            await self._end()
        if self._process is None:
            pipe = asyncio.subprocess.PIPE
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-c", _SERVE, stdin=pipe, stdout=pipe
            )
        to_worker, from_worker = self._process.stdin, self._process.stdout
        if to_worker is None or from_worker is None:
            raise EOFError
        to_worker.write(_framed((work, scenario)))
        await to_worker.drain()
        size = int.from_bytes(await from_worker.readexactly(_LENGTH_BYTES), "big")
        made: T = pickle.loads(await from_worker.readexactly(size))
        return made


def serve() -> None:
    """The process's side: work and scenarios in, what is made of them out, until the input closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then closes this process
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    while header := requests.read(_LENGTH_BYTES):
        work, scenario = pickle.loads(requests.read(int.from_bytes(header, "big")))
        try:
            answers.write(_framed(work(scenario, _reference())))
            answers.flush()
        except BrokenPipeError:  # nobody waits for it any more
            with contextlib.suppress(BrokenPipeError):
                answers.close()
            return


def _framed(value: object) -> bytes:
    body = pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    return len(body).to_bytes(_LENGTH_BYTES, "big") + body
