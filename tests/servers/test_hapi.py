"""HAPI as a process: it ends with its parent, keeps what is in a file, and says why it did not start."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from fixtures.servers.hapi import HapiServer, ServerStartError
from tests.servers.bench import PATIENT
from tests.strangers import plain

pytestmark = pytest.mark.servers

ENDS_WITHIN_S = 15.0


def test_ends_with_its_parent_and_keeps_its_file(tmp_path: Path) -> None:
    database = f"jdbc:h2:file:{tmp_path}/fhir"
    program = f"""
        import os, signal
        from pathlib import Path
        from fixtures.servers.hapi import HapiServer
        from tests.strangers import plain
        server = HapiServer(Path({str(tmp_path)!r}), 0, database={database!r}).start()
        person = {{"resourceType": "Patient", "id": "contract"}}
        assert plain.request("PUT", server.base_url + "/{PATIENT}", person)[0] == 201
        print(server.pid, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    killed = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    deadline = time.monotonic() + ENDS_WITHIN_S
    while alive(int(killed.stdout)):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    with HapiServer(tmp_path, 0, database=database) as again:
        assert plain.get(f"{again.base_url}/{PATIENT}")["id"] == "contract"
        pid, started = again.pid, time.monotonic()
    assert pid is not None
    assert not alive(pid)
    assert time.monotonic() - started < HapiServer.terminate_s
    assert "ERROR" not in again.log.read_text()


def test_says_why_it_did_not_start(tmp_path: Path) -> None:
    with pytest.raises(ServerStartError, match=r"ended while starting; read .*hapi\.log"):
        HapiServer(tmp_path, 0, database="jdbc:nonsense").start()
    assert "Could not obtain connection" in (tmp_path / "hapi.log").read_text()


def test_says_when_it_stays_silent(tmp_path: Path) -> None:
    server = HapiServer(tmp_path, 0, start_within_s=0)
    with pytest.raises(ServerStartError, match="did not answer within 0 s"):
        server.start()
    assert server.pid is None


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
