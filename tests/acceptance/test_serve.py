"""The living program against servers that are not ours: what a change, a signal and an outage do to it."""

import json
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fixtures.servers.sekmet import SekmetServer
from tests.strangers import checks, plain
from tests.strangers.cli import Jumeau
from tests.strangers.resources import appointment, at, morning, of, period, stay
from tests.strangers.server import Stranger
from tests.strangers.serving import Serving, until
from tests.strangers.traits import Traits

pytestmark = pytest.mark.server

ANCHOR = {"JUMEAU_CLOCK__ANCHOR": at("10:30")}
ANNOTATED = ["Appointment/a1", "Appointment/a2", "Appointment/a4", "Appointment/a5", "Appointment/t1"]
CARRIERS = [*ANNOTATED, "Location/s1", "Location/s2"]


def annotated(url: str, *refs: str) -> bool:
    return all(checks.ours(plain.get(f"{url}/{ref}")) for ref in refs or CARRIERS)


@pytest.fixture
def server() -> Iterator[Stranger]:
    with Stranger(Traits(), *morning()) as one:
        yield one


@pytest.fixture(params=["stranger", "sekmet"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """FHIR base of a server that holds the morning."""
    if request.param == "stranger":
        with Stranger(Traits(page=3, paging="token", version_ids="uuid"), *morning()) as one:
            yield one.url
    else:
        with SekmetServer(tmp_path / "sekmet", port=0) as other:
            for resource in morning():
                put(other.base_url, resource)
            yield other.base_url


def put(url: str, resource: dict[str, Any]) -> None:
    status, _ = plain.request("PUT", f"{url}/{resource['resourceType']}/{resource['id']}", resource)
    assert status in (200, 201)


def without_numba(folder: Path) -> dict[str, str]:
    """An environment without the compiled kernel: the specification simulates, in a process of its own."""
    absent = folder / "absent"
    absent.mkdir()
    (absent / "numba.py").write_text("raise ImportError")
    return {"PYTHONPATH": str(absent)}


def test_change_is_seen_and_written_back(url: str, tmp_path: Path) -> None:
    jumeau = Jumeau(tmp_path, url)
    with Serving(jumeau, **ANCHOR, **without_numba(tmp_path)) as living:
        database = f"sqlite:///{tmp_path}/twin.db"
        assert living.first == {"api": living.api, "fhir": url, "database": database, "pid": living.process.pid}
        assert living.get("/health/live") == (200, {"status": "ok"})
        until(lambda: annotated(url))
        assert living.get("/health/ready")[1]["status"] == "ready"
        assert living.get("/suite")[1]["figures"]["occupied_rooms"] == 2
        put(url, of("a1", stay("s1", "08:05", "10:28"), status="finished", period=period("07:00", "10:29")))
        until(lambda: not annotated(url, "Appointment/a1"))
        until(lambda: living.get("/suite")[1]["figures"]["occupied_rooms"] == 1)
        assert annotated(url, "Appointment/a2", "Location/s1")
        stream = living.stream()
        assert living.children()
        assert living.end(signal.SIGTERM)[0] == 0
        assert living.process.stdout is not None
        assert living.process.stdout.read() == b""
        assert "Traceback" not in (tmp_path / "serve.log").read_text()
        stream.close()


@pytest.mark.parametrize("name", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_it_and_its_children(server: Stranger, tmp_path: Path, name: signal.Signals) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        environment = {**ANCHOR, **without_numba(tmp_path), "JUMEAU_API__PORT": str(port)}
        with Serving(Jumeau(tmp_path, server.url), **environment) as living:
            assert not living.api.endswith(f":{port}")
            until(lambda: annotated(server.url))
            streams = [living.stream() for _ in range(3)]
            children = living.children()
            assert children
            code, seconds = living.end(name)
            assert (code, seconds < 20) == (0, True)
            assert not any(Path(f"/proc/{child}").exists() for child in children)
            for stream in streams:
                stream.close()


def test_server_away_and_back(server: Stranger, tmp_path: Path) -> None:
    with Serving(Jumeau(tmp_path, server.url), **ANCHOR) as living:
        until(lambda: annotated(server.url))
        server.stop()
        until(lambda: living.get("/suite")[1]["data_age_s"] > 3)
        assert living.get("/suite")[1]["figures"]["rooms"] == 2
        until(lambda: living.get("/health/ready")[1]["status"] == "degraded")
        server.edit("Appointment/a5", status="cancelled")
        server.start()
        until(lambda: not annotated(server.url, "Appointment/a5"))
        until(lambda: living.get("/health/ready")[1]["status"] == "ready")
        until(lambda: living.get("/suite")[1]["data_age_s"] < 5)
        assert living.end(signal.SIGTERM)[0] == 0


def test_killed_and_started_again(server: Stranger, tmp_path: Path) -> None:
    server.becomes(slow_s=0.05)
    jumeau = Jumeau(tmp_path, server.url)
    with Serving(jumeau, **ANCHOR) as living:
        until(lambda: server.writes() >= 3)
        children = living.children()
        living.process.kill()
        until(lambda: not any(Path(f"/proc/{child}").exists() for child in children))
    with Serving(jumeau, **ANCHOR) as living:
        until(lambda: annotated(server.url))
        until(lambda: living.get("/health/ready")[1]["status"] == "ready")
        assert living.end(signal.SIGTERM)[0] == 0
    assert {ref: len(plain.versions(server.url, ref)) for ref in CARRIERS} == dict.fromkeys(CARRIERS, 2)


def test_starts_without_a_server(server: Stranger, tmp_path: Path) -> None:
    server.stop()
    with Serving(Jumeau(tmp_path, server.url), **ANCHOR) as living:
        until(lambda: living.get("/health/live")[0] == 200)
        assert living.get("/health/ready")[0] == 503
        server.start()
        until(lambda: annotated(server.url))
        assert living.end(signal.SIGINT)[0] == 0


def test_busy_morning_makes_no_loop(server: Stranger, tmp_path: Path) -> None:
    with Serving(Jumeau(tmp_path, server.url), **ANCHOR, JUMEAU_SIMULATION__EVERY_S="1") as living:
        until(lambda: annotated(server.url))
        for minute in range(5):
            server.put(appointment(f"n{minute}", "s2", f"{14 + minute}:00", f"{14 + minute}:45"))
        until(lambda: annotated(server.url, *(f"Appointment/n{minute}" for minute in range(5))))
        before = server.writes()
        until(lambda: json.loads(json.dumps(living.get("/suite")[1]["run"]["at"])) > at("10:30"))
        assert server.writes() - before <= 2
        assert living.end(signal.SIGTERM)[0] == 0


def test_only_one_writes(server: Stranger, tmp_path: Path) -> None:
    """A second program on the journal is refused in one line; what only looks works; a kill lets go at once."""
    jumeau = Jumeau(tmp_path, server.url)
    with Serving(jumeau, **ANCHOR) as living:
        until(lambda: annotated(server.url))
        before = server.writes()
        for command in (("serve",), ("run", "--once", "--json"), ("write-back", "--remove")):
            told = jumeau(*command, **ANCHOR)
            assert (told.code, told.out) == (2, "")
            assert "in use by another program" in told.complaint
        assert jumeau("run", "--once", "--json", "--dry-run", **ANCHOR).code == 0
        assert jumeau("show", "suite", **ANCHOR).code == 0
        assert server.writes() == before
        living.process.kill()
        living.process.wait()
        assert jumeau("write-back", "--remove", "--json").report["failed"] == 0
    assert not annotated(server.url, "Appointment/a1")
