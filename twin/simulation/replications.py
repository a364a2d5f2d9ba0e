"""Runs a scenario: here, or in a process of its own that can be killed."""

import asyncio
import contextlib
import pickle
import signal
import sys
from datetime import datetime, timedelta

import numpy as np

from twin.errors import SimulationError
from twin.simulation.draws import Seconds
from twin.simulation.lists import Plan, draw_plan
from twin.simulation.paths import CasePath
from twin.simulation.reference import visits
from twin.simulation.result import Futures
from twin.simulation.scenario import Scenario
from twin.vocabulary import Milestone

_SERVE = "from twin.simulation.replications import serve; serve()"
_LENGTH_BYTES = 8


def simulate(scenario: Scenario) -> Futures:
    """All replications in this process. Same scenario, same futures, to the second."""
    plan = draw_plan(scenario)
    simulated = visits(plan)
    left = {key: _left(path, plan, simulated[key]["left"]) for key, path in plan.paths.items()}
    times = {key: _times(path, plan, simulated[key]) for key, path in plan.paths.items()}
    room_cases: dict[str, dict[str, datetime]] = {}
    for key, path in plan.paths.items():
        if path.case.room is not None:
            entry = _entry(path, plan, simulated[key]["entered"])
            room_cases.setdefault(path.case.room, {})[key] = entry
    return Futures(scenario.now, scenario.options.replications, times, left=left, room_cases=room_cases)


class SimulationWorker:
    """A process that simulates, started at the first run, killed at a deadline and started again at the next run.

    A fresh interpreter that imports `twin.simulation` only, reads scenarios from its standard input and ends when that
    closes, so it can't outlive this process. One run at a time; others wait their turn.
    """

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()
        self._killed: asyncio.subprocess.Process | None = None
        self._closed = False

    async def run(self, scenario: Scenario) -> Futures:
        """The futures of a scenario.

        Raises SimulationError where the process ends without an answer, or has none after `options.timeout_s` of wall
        time (its start included), or the worker is closed.
        """
        async with self._turn:
            if self._closed:
                raise SimulationError("the simulation worker is closed: make another")
            try:
                async with asyncio.timeout(scenario.options.timeout_s):
                    return await self._exchange(scenario)
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

    async def _exchange(self, scenario: Scenario) -> Futures:
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
        to_worker.write(_framed(scenario))
        await to_worker.drain()
        size = int.from_bytes(await from_worker.readexactly(_LENGTH_BYTES), "big")
        futures: Futures = pickle.loads(await from_worker.readexactly(size))
        return futures


def serve() -> None:
    """The process's side: scenarios in, futures out, until the input closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then closes this process
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    while header := requests.read(_LENGTH_BYTES):
        scenario: Scenario = pickle.loads(requests.read(int.from_bytes(header, "big")))
        try:
            answers.write(_framed(simulate(scenario)))
            answers.flush()
        except BrokenPipeError:  # nobody waits for it any more
            with contextlib.suppress(BrokenPipeError):
                answers.close()
            return


def _framed(value: Scenario | Futures) -> bytes:
    body = pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    return len(body).to_bytes(_LENGTH_BYTES, "big") + body


def _left(path: CasePath, plan: Plan, simulated: Seconds) -> Seconds:
    """When the case is out of its room: the actual instant where it is."""
    if not path.out:
        return simulated
    after = list(Milestone)[Milestone.PATIENT_OUT_OF_ROOM.rank :]
    actual = path.case.reached_at(*after)
    return np.full_like(simulated, min(plan.scenario.seconds(actual), 0) if actual is not None else 0)


def _entry(path: CasePath, plan: Plan, entered: Seconds) -> datetime:
    """The instant that places a case in one of its room's blocks."""
    known = path.case.planned_in or path.case.reached_at(*list(Milestone)[Milestone.PATIENT_IN_ROOM.rank :])
    return known or plan.scenario.now + timedelta(seconds=float(np.median(entered)))


def _times(path: CasePath, plan: Plan, visit: dict[str, Seconds]) -> dict[Milestone, Seconds]:
    """All milestones not yet reached, in the pathway's order."""
    case = path.case
    instants = {
        Milestone.PATIENT_IN_FACILITY: path.arrival,
        Milestone.PATIENT_SENT_FOR: visit["called"],
        Milestone.PATIENT_IN_HOLDING: visit["called"] + path.to_holding,
        Milestone.PATIENT_IN_ROOM: visit["entered"],
        **{milestone: visit["entered"] + offset for milestone, offset in path.in_room.items()},
        Milestone.PATIENT_OUT_OF_ROOM: visit["left"],
        **{milestone: visit["left"] + offset for milestone, offset in path.recovery.items()},
    }
    instants = {milestone: seconds for milestone, seconds in instants.items() if not case.passed(milestone)}
    instants |= _room_times(path, plan, visit)
    return dict(sorted(instants.items(), key=lambda item: item[0].rank))


def _room_times(path: CasePath, plan: Plan, visit: dict[str, Seconds]) -> dict[Milestone, Seconds]:
    """The room's own milestones, which stand outside the patient's order."""
    case, times = path.case, dict[Milestone, Seconds]()
    if case.room is None:
        return times
    if path.waiting and case.reached_at(Milestone.ROOM_READY) is None:
        times[Milestone.ROOM_READY] = visit["free"]
        if path.first and path.planned is not None:  # not at midnight, though the room is free then
            opened = path.planned - round(60 * plan.scenario.options.early_start_min)
            times[Milestone.ROOM_READY] = np.maximum(visit["free"], np.minimum(visit["entered"], opened))
    if not path.out or case.key in plan.being_cleaned:
        times[Milestone.ROOM_CLEANUP_FINISH] = visit["left"] + path.turnover
    return times
