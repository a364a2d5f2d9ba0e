"""Time to a what-if answer of the running demo's API while both cores are busy, against SimPy for the same question.

`python -m tests.benchmarks.what_if --json` gives all figures. The demo (a FHIR server, the clinic that lives on it and
the twin) is a process of its own, as a person starts it; beside it as many processes as cores count without end. Each
answer must name the emergency that was asked about.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from api.deps import Snapshot
from api.logs import configure
from api.scenarios.model import WhatIf
from api.settings import Settings
from api.what_if import WhatIfs
from fixtures.clinic.day import generate_day
from tests.benchmarks import Row
from tests.world import DAY, PARIS, World, at
from twin.projections.places import places_of
from twin.simulation import kernel
from twin.simulation.replications import SimulationWorker
from twin.timebase import Clock

UNIT = "what-if answers, 200 futures of two days, both cores busy"
QUESTIONS = 60
GOAL_S = 2.0
_EMERGENCY = {"kind": "emergency", "at": "11:00", "urgency": 1, "minutes": 90}
QUESTION: dict[str, Any] = {"hazards": [_EMERGENCY, {"kind": "pacu_closed", "places": 4}]}
_BURN = "while True: pass"


def run() -> list[Row]:
    """Our API, and SimPy."""
    told = figures()
    ours, peer = told["p50_s"], told["simpy_s"]
    return [
        Row("what-if", "jumeau demo, POST /what-if, median", 1 / ours, UNIT, peer / ours),
        Row("what-if", "the same question by SimPy", 1 / peer, UNIT, 1.0),
    ]


def figures() -> dict[str, Any]:
    """Seconds of wall time, under load on both sides."""
    with demo() as address, busy():
        times, cases = ask(address)
    with busy():
        simpy_s = asyncio.run(by_simpy())
    p50, p95 = np.quantile(times, (0.5, 0.95)).round(3).tolist()
    return {
        "questions": len(times),
        "cases": cases,
        "replications": 200,
        "busy_processes": os.cpu_count(),
        "p50_s": p50,
        "p95_s": p95,
        "max_s": round(max(times), 3),
        "goal_s": GOAL_S,
        "simpy_s": round(simpy_s, 2),
    }


@contextmanager
def demo() -> Iterator[str]:
    """The address of a demo that has made its first prediction and its kernel ready; ended afterwards."""
    command = [str(Path(sys.executable).parent / "jumeau"), "demo", "--speed", "60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            address = str(json.loads(process.stdout.readline())["api"])
            _wait_for_answer(address)
            yield address
        finally:
            process.terminate()


def _wait_for_answer(address: str) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            if httpx.post(f"{address}/what-if", json=QUESTION, timeout=60, trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(1)
    raise AssertionError("the demo gave no answer in two minutes")


@contextmanager
def busy() -> Iterator[None]:
    """As many processes as cores that do nothing else than count."""
    burning = [subprocess.Popen([sys.executable, "-c", _BURN]) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for process in burning:
            process.kill()
            process.wait()


def ask(address: str) -> tuple[list[float], int]:
    """Seconds of each answer, and how many cases the day has."""
    times, cases = [], 0
    with httpx.Client(trust_env=False, timeout=60) as client:
        for seed in range(QUESTIONS):
            started = time.perf_counter()
            response = client.post(f"{address}/what-if", json={**QUESTION, "options": {"seed": seed}})
            times.append(time.perf_counter() - started)
            answer = response.json()
            assert answer["difference"]["added"] == ["emergency-1"], response.text[:300]
            cases = len(answer["with_hazards"]["cases"])
    return times, cases


async def by_simpy() -> float:
    """Seconds of one answer by the reference, in its process, of a day of the same clinic."""
    world = World(places=()).play(generate_day(DAY, PARIS), until=at("07:30"))
    suite = world.suite("07:30", clock=Clock(wall=lambda: at("07:30")))
    snapshot = Snapshot(1, suite, places_of(world.ledger, world.site), {}, {}, None)
    what_ifs = WhatIfs(Settings(), world.site, SimulationWorker(use_kernel=False))
    question = WhatIf.model_validate({"hazards": [_EMERGENCY]})
    try:
        await what_ifs.ask(WhatIf.model_validate({"hazards": [], "options": {"replications": 10}}), snapshot, None)
        started = time.perf_counter()
        answer = await what_ifs.ask(question, snapshot, None)
        assert answer.difference is not None
        assert answer.difference.added == ["emergency-1"]
        return time.perf_counter() - started
    finally:
        await what_ifs.close()


if __name__ == "__main__":
    configure("warning")
    kernel.warm()  # the cache on disk: compiling is not what is measured
    sys.stdout.write(json.dumps(figures()) + "\n")
