"""The PostgreSQL of the tests: what is missing is told with the line that installs it."""

from pathlib import Path

import pytest

from fixtures.servers import postgres
from fixtures.servers.local import ServerStartError


def test_missing_programs_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "_DEBIAN", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ServerStartError, match="apt-get install postgresql"):
        postgres.programs()


def test_newest_version_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for version in ("9.6", "15", "13"):
        (tmp_path / version / "bin").mkdir(parents=True)
        (tmp_path / version / "bin" / "initdb").touch()
    (tmp_path / "17" / "bin").mkdir(parents=True)  # its client only
    monkeypatch.setattr(postgres, "_DEBIAN", tmp_path)
    assert postgres.programs() == tmp_path / "15" / "bin"
