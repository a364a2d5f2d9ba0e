"""All twins of a year, 17,000 cases, from the journal on disk: what a start of the program costs.

In a process of its own, whose peak of memory counts. The peer reads the same rows as SQLModel objects and makes no twin
of them. The known answer: the twins of the journal are those of the facts that were appended.
"""

import hashlib
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import islice
from pathlib import Path

from sqlmodel import Session, select

from api.garbage import uncollected
from tests.benchmarks import Row
from tests.benchmarks.__main__ import alone
from tests.journals import NOW, SERVER
from tests.years import CASES, FIRST_DAY, LAST, SITE, year
from twin.facts import Fact, Horizon
from twin.journal import Journal
from twin.journal.store import open_store
from twin.journal.tables import FactRow
from twin.projections.ledger import Ledger, fold
from twin.projections.suite_twin import SuiteTwin, suite_twin
from twin.timebase import Clock

NAME = "tests.benchmarks.rebuild"
UNIT = "twins"
PAGE = 2_000
MAX_MB = 400


def run() -> list[Row]:
    """The rebuild, and its peer in the same run."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'journal.db'}"
        _append(url)
        told = json.loads(subprocess.check_output([sys.executable, "-m", NAME, "--of", url]))
        peer_s = _read_objects(url)
    with uncollected():
        assert told["twins"] == _digest(_twins(year()))
    assert (told["cases"], told["peak_mb"] < MAX_MB) == (CASES, True), told
    name = f"journal: {told['s']:.2f} s (CPU {told['cpu_s']:.2f}), {told['peak_mb']:.0f} MB"
    return [
        Row("rebuild of a year", name, CASES / told["s"], UNIT, peer_s / told["s"]),
        Row("rebuild of a year", "SQLModel objects, no twins (peer)", CASES / peer_s, UNIT, 1.0),
    ]


def _append(url: str) -> None:
    journal = Journal.open(url, key_fingerprint="key")
    for facts in _pages(year()):
        journal.append_batch(SERVER, facts, (), {}, reading="r1", observed_at=NOW)
    journal.close()


def _pages(facts: Iterator[Fact]) -> Iterator[list[Fact]]:
    while page := list(islice(facts, PAGE)):
        yield page


def _twins(facts: Iterable[Fact]) -> SuiteTwin:
    horizon = Horizon(FIRST_DAY.date() - timedelta(days=1), LAST.date() + timedelta(days=1))
    clock = Clock().standing_at(LAST)
    return suite_twin(fold(Ledger(), facts), SITE, clock=clock, horizon=horizon, server=SERVER)


def _read_objects(url: str) -> float:
    """Seconds to read every row as an object."""
    store = open_store(url)
    started = time.perf_counter()
    with Session(store.engine) as session, uncollected():
        rows = session.exec(select(FactRow)).all()
    taken = time.perf_counter() - started
    assert len(rows) >= 4 * CASES
    store.engine.dispose()
    return taken


def _digest(suite: SuiteTwin) -> str:
    told = "\n".join(repr(suite.cases[case_id]) for case_id in sorted(suite.cases))
    return hashlib.blake2b(told.encode(), digest_size=16).hexdigest()


def rebuild(url: str) -> dict[str, object]:
    """Seconds, peak of memory and the twins of a journal; to be called in a new process."""
    started, worked = time.perf_counter(), time.process_time()
    journal = Journal.open(url, key_fingerprint="key")
    with uncollected(lasting=True):
        suite = _twins(journal.facts(SERVER, reading="r1"))
    taken, cpu_s = time.perf_counter() - started, time.process_time() - worked
    peak_mb = _peak_mb()
    journal.close()
    return {"s": taken, "cpu_s": cpu_s, "peak_mb": peak_mb, "cases": len(suite.cases), "twins": _digest(suite)}


def _peak_mb() -> float:
    """Of this process alone: what `getrusage` tells may be its parent's."""
    told = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert told, "this benchmark needs Linux"
    return int(told[1]) / 1024


if __name__ == "__main__":
    if sys.argv[1:2] == ["--of"]:
        sys.stdout.write(json.dumps(rebuild(sys.argv[2])))
    else:
        sys.exit(alone(run, sys.argv[1:]))
