"""`jumeau serve` as a process of its own."""

import http.client
import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from tests.strangers import plain
from tests.strangers.cli import JUMEAU, Jumeau

QUICK = {
    "JUMEAU_API__PORT": "0",
    "JUMEAU_SYNC__POLL_S": "0.3",
    "JUMEAU_SIMULATION__EVERY_S": "2",
    "JUMEAU_WRITE_BACK__MIN_INTERVAL_S": "0",
}


class Serving:
    """One living program. A context manager that kills what is left of it."""

    def __init__(self, jumeau: Jumeau, *arguments: str, **settings: str) -> None:
        self._log = (jumeau.folder / "serve.log").open("ab")
        self.process = subprocess.Popen(
            [JUMEAU, *(arguments or ("serve",))],
            env=jumeau.environment(**{**QUICK, **settings}),
            cwd=jumeau.folder,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )
        assert self.process.stdout is not None
        self.first: dict[str, Any] = json.loads(self.process.stdout.readline())
        self.api: str = self.first["api"]

    def get(self, path: str) -> tuple[int, Any]:
        """Status and JSON of one path of the API."""
        status, body = plain.request("GET", f"{self.api}{path}")
        return status, json.loads(body)

    def stream(self) -> http.client.HTTPConnection:
        """An open live stream, its first event read."""
        connection = http.client.HTTPConnection(urlsplit(self.api).netloc, timeout=30)
        connection.request("GET", "/stream")
        answer = connection.getresponse()
        assert answer.status == 200
        assert answer.readline()
        return connection

    def end(self, name: signal.Signals) -> tuple[int, float]:
        """Exit code and seconds after a signal."""
        started = time.monotonic()
        self.process.send_signal(name)
        return self.process.wait(60), time.monotonic() - started

    def children(self) -> list[int]:
        """Processes that it started."""
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                words = stat.read_text().rpartition(")")[2].split()
            except OSError:
                continue  # ended meanwhile
            if int(words[1]) == self.process.pid and words[0] != "Z":
                found.append(int(stat.parent.name))
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.communicate()
        self._log.close()


def until(true: Callable[[], object], within_s: float = 60.0) -> float:
    """Seconds until something is true."""
    started = time.monotonic()
    while not true():
        assert time.monotonic() - started < within_s, "it did not become true in time"
        time.sleep(0.05)
    return time.monotonic() - started
