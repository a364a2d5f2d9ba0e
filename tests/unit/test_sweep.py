"""Sweeps: the same numbers for any number of workers and on a cluster; stopped by the rule; cancelled cleanly."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

import pytest
from distributed import Client, LocalCluster

from tests.simulation_days import at, reference_day, suite_day
from twin.errors import SettingsError, SimulationError
from twin.simulation import hazards as hz
from twin.simulation import kernel, reference
from twin.simulation.cluster import Cluster, cluster, mismatch, simulate_there
from twin.simulation.hazards import with_hazards
from twin.simulation.scenario import Scenario
from twin.simulation.stopping import Asked, StopRule
from twin.simulation.summary import half_width, summary_of, tally
from twin.simulation.sweep import Pool, Swept, Threads, sweep

DAY = suite_day(replications=600)
ENDS = {room: at(15) for room in sorted({str(case.room) for case in DAY.cases})}
ASKED = Asked(ENDS)
HIT = with_hazards(DAY, [hz.LongerCase(DAY.cases[0].key, 1.5, 30)])
QUICK = StopRule(first=40, block=20, most=200, half_width=0.09, paired_from=80)


@pytest.fixture(scope="module", autouse=True)
def warm() -> None:
    kernel.warm()


@pytest.fixture(scope="module")
def workers() -> Iterator[LocalCluster]:
    """Two processes, as on two machines."""
    with local(n_workers=2, threads_per_worker=1, processes=True) as made:
        yield made


def local(**options: object) -> Any:
    make: Any = LocalCluster
    return make(dashboard_address="127.0.0.1:0", **options)


def client_of(workers: LocalCluster) -> Any:
    make: Any = Client
    return make(workers.scheduler_address, set_as_default=False)


def text(swept: Swept) -> str:
    told = [summary_of(each, ENDS, {}) for each in swept.tallies]
    return json.dumps([swept.replications, swept.precise, *map(asdict, told)])


def by_threads(number: int, rule: StopRule | None = QUICK) -> Swept:
    with Threads(kernel.run, number) as pool:
        return sweep((DAY, HIT), pool, rule=rule, asked=ASKED)


def test_same_bytes_for_any_workers() -> None:
    alone = by_threads(1)
    assert 80 <= alone.replications < 200
    assert text(by_threads(2)) == text(by_threads(5)) == text(alone)


def test_same_bytes_on_a_cluster(workers: LocalCluster) -> None:
    with cluster(workers.scheduler_address) as pool:
        assert pool.width == 2
        assert text(sweep((DAY, HIT), pool, rule=QUICK, asked=ASKED)) == text(by_threads(1))


def test_lost_worker_is_survived(workers: LocalCluster) -> None:
    with Threads(kernel.run) as threads:
        here = sweep((DAY,), threads)

    def lose(done: int, _most: int) -> None:
        if done == 250:
            next(iter(workers.workers.values())).process.process._process.kill()

    with cluster(workers.scheduler_address) as pool:
        assert text(sweep((DAY,), pool, progress=lose)) == text(here)


def test_other_version_of_a_worker(workers: LocalCluster) -> None:
    with pytest.raises(SimulationError, match="another version"):
        simulate_there(DAY, "another")
    assert mismatch({"numpy": "2.4.1"}, {"numpy": "2.4.7"}) == ""
    assert mismatch({"numpy": "2.4.1"}, {"numpy": "2.3.0"}) == "numpy 2.3.0, not 2.4.1"
    with client_of(workers) as client:
        error = client.submit(simulate_there, DAY, "another").exception()
    assert isinstance(error, SimulationError)


def test_cluster_that_is_not_there() -> None:
    started = time.monotonic()
    with (
        pytest.raises(SettingsError, match="no scheduler answers at tcp:"),
        cluster("tcp://127.0.0.1:9", connect_s=0.5),
    ):
        pass
    with pytest.raises(SettingsError, match="such as tcp://"), cluster("nowhere://x", connect_s=0.5):
        pass
    assert time.monotonic() - started < 10


def test_cluster_without_workers() -> None:
    with (
        local(n_workers=0) as empty,
        pytest.raises(SettingsError, match="no worker"),
        cluster(empty.scheduler_address, connect_s=0.5),
    ):
        pass


def test_cluster_needs_its_extra() -> None:
    code = (
        "import sys; sys.modules['distributed'] = None\n"
        "from twin.errors import SettingsError\n"
        "from twin.simulation.cluster import cluster\n"
        "try:\n    cluster('tcp://127.0.0.1:9').__enter__()\n"
        "except SettingsError as error:\n    print(error)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "install the extra 'cluster'" in told.stdout


def test_cancelled_here_and_there(workers: LocalCluster) -> None:
    endless = replace(DAY, options=replace(DAY.options, replications=100_000))
    with Threads(kernel.run, 2) as pool:
        assert cancelled_after_a_block(endless, pool) < 10
    with cluster(workers.scheduler_address) as there:
        assert cancelled_after_a_block(endless, there) < 10
    with client_of(workers) as client:
        deadline = time.monotonic() + 10
        while any(client.processing().values()) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not any(client.processing().values()), "nothing goes on on the cluster"


def cancelled_after_a_block(scenario: Scenario, pool: Pool | Cluster) -> float:
    stop = threading.Event()
    started = time.monotonic()
    with pytest.raises(SimulationError, match="cancelled"):
        sweep((scenario,), pool, progress=lambda _done, _most: stop.set(), go_on=lambda: not stop.is_set())
    return time.monotonic() - started


def test_time_only_says_unfinished() -> None:
    with Threads(kernel.run) as pool, pytest.raises(SimulationError, match="unfinished: 0 of at most 200"):
        sweep((DAY,), pool, rule=QUICK, timeout_s=0.0)


def test_stops_once_known_well_enough() -> None:
    with Threads(kernel.run) as pool:
        swept = sweep((DAY,), pool, rule=StopRule(), asked=ASKED)
    summary = summary_of(swept.tallies[0], ENDS, {})
    assert swept.precise
    assert swept.replications in range(300, 800, 100)
    assert summary.half_width <= 0.04
    less = replace(DAY, options=replace(DAY.options, replications=swept.replications - 100))
    assert summary_of(tally(less, kernel.run), ENDS, {}).half_width > 0.04


def test_goes_to_the_cap_and_says_so() -> None:
    swept = by_threads(2, replace(QUICK, half_width=0.001))
    assert (swept.replications, swept.precise) == (200, False)


def test_pairs_are_told_apart_or_indifferent() -> None:
    rule = replace(QUICK, half_width=0.5)
    with Threads(kernel.run) as pool:
        assert sweep((DAY,), pool, rule=rule, asked=ASKED).replications == 40
        assert sweep((DAY, DAY), pool, rule=rule, asked=ASKED).replications == 80, "no difference, seen at once"
        assert sweep((DAY, HIT), pool, rule=rule, asked=ASKED).replications == 80, "clearly worse"
    assert half_width(0, 200) == pytest.approx(0.0094, abs=1e-4)
    assert half_width(100, 200) == pytest.approx(0.0686, abs=1e-4)


def test_fixed_number_as_a_tally() -> None:
    swept = by_threads(2, rule=None)
    assert swept.replications == 600
    whole = tally(DAY, kernel.run)
    assert asdict(summary_of(swept.tallies[0], ENDS, {})) == asdict(summary_of(whole, ENDS, {}))


def test_reference_sweeps_the_same() -> None:
    few = reference_day(replications=30)
    ends: dict[str, datetime] = {"room-00": at(13)}
    rule = StopRule(first=20, block=10, most=30)
    told = []
    for engine in (kernel.run, reference.run):
        with Threads(engine) as pool:
            told.append(summary_of(sweep((few,), pool, rule=rule).tallies[0], ends, {}))
    assert told[0] == told[1]


@pytest.mark.parametrize("workers_told", [0, 1000])
def test_senseless_workers(workers_told: int) -> None:
    with pytest.raises(SettingsError, match="from 1 to 256"):
        Threads(kernel.run, workers_told)


def test_memory_of_many_replications() -> None:
    """10,000 futures of a clinic's day: tallies, not tables, are kept."""
    code = (
        "import resource\n"
        "from tests.simulation_days import suite_day\n"
        "from twin.simulation import kernel\n"
        "from twin.simulation.sweep import Threads, sweep\n"
        "kernel.warm()\n"
        "def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024\n"
        "def run(number):\n"
        "    with Threads(kernel.run, 2) as pool: sweep((suite_day(replications=number),), pool)\n"
        "run(500); before = peak(); run(10_000); print(before, peak())"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    before, after = map(float, told.stdout.split())
    assert after - before < 150, "MB; the table of all instants would take 228"
