"""`jumeau run --once` on a server that holds a year, 17,000 cases: the first time, and again on the same journal.

The year is put on a real server (sekmet) once, on this machine, whose work counts too. The known answer: the first run
reads all of the year, and the second finds nothing new and the same cases.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from fhir_adapters.client import FhirClient
from fixtures.clinic import delivery
from fixtures.clinic.period import Length, Period, span_of
from fixtures.servers.sekmet import SekmetServer
from tests.benchmarks import Row
from tests.benchmarks.__main__ import alone
from tests.strangers.cli import JUMEAU, Jumeau
from twin.timebase import site_date, wall_now

PARIS = ZoneInfo("Europe/Paris")
UNIT = "runs"
_YEAR = {"JUMEAU_SYNC__PAST_DAYS": "365", "JUMEAU_WRITE_BACK__MODE": "off"}


def run() -> list[Row]:
    """The first run is the peer."""
    with tempfile.TemporaryDirectory() as folder, SekmetServer(Path(folder) / "server", port=0) as server:
        held = asyncio.run(_fill(server.base_url))
        jumeau = Jumeau(Path(folder), server.base_url, tuple(_YEAR.items()))
        (first_s, first), (second_s, second) = _timed(jumeau), _timed(jumeau)
    # Patients and whatever stands outside the horizon come by reference only.
    assert first["new"] >= 0.9 * held, (first, held)
    assert (second["new"], second["cases"], second["rooms"]) == (0, first["cases"], first["rooms"])
    name = f"the second, {second['read']} resources read ({second_s:.1f} s)"
    return [
        Row("run --once on a year", name, 1 / second_s, UNIT, first_s / second_s),
        Row(
            "run --once on a year", f"the first, {first['read']} read ({first_s:.0f} s) (peer)", 1 / first_s, UNIT, 1.0
        ),
    ]


async def _fill(url: str) -> int:
    """Resources of the year that ends today."""
    known_at = wall_now().replace(minute=0, second=0, microsecond=0)
    first, last = span_of(Length.YEAR, None, site_date(known_at, PARIS))
    async with FhirClient(url) as client:
        return (
            await delivery.load_period(client, Period(first, last, PARIS, 1, known_at), lambda done: None)
        ).resources


def _timed(jumeau: Jumeau) -> tuple[float, dict[str, Any]]:
    """Seconds of the whole command, its start included, and its report."""
    started = time.perf_counter()
    command = [JUMEAU, "run", "--once", "--json"]
    told = subprocess.run(
        command, env=jumeau.environment(), cwd=jumeau.folder, capture_output=True, text=True, check=True
    )
    taken = time.perf_counter() - started
    return taken, json.loads(told.stdout)


if __name__ == "__main__":
    sys.exit(alone(run, sys.argv[1:]))
