"""What HAPI needs is asked for by name, and compiled once."""

import os
from pathlib import Path

import pytest

from fixtures.servers import hapi
from fixtures.servers.hapi import ServerStartError, compiled

MAVEN = """#!/bin/sh
echo built >> "$HOME/builds"
mkdir -p target/classes
echo "$HOME/one.jar:$HOME/two.jar" > target/classpath.txt
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a Java and a Maven that only pretend, and two jars."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, text in {"java": "#!/bin/sh\n", "mvn": MAVEN}.items():
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    for jar in ("one.jar", "two.jar"):
        (tmp_path / jar).touch()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}/usr/bin{os.pathsep}/bin")
    return tmp_path


def builds(home: Path) -> int:
    return len((home / "builds").read_text().splitlines())


@pytest.mark.parametrize(
    ("tool", "line"), [("java", "apt-get install openjdk-17-jre-headless"), ("mvn", "apt-get install maven")]
)
def test_missing_tool_is_named(home: Path, monkeypatch: pytest.MonkeyPatch, tool: str, line: str) -> None:
    (home / "tools" / tool).unlink()
    monkeypatch.setenv("PATH", str(home / "tools"))
    with pytest.raises(ServerStartError, match=f"needs `{tool}`.* run: {line}"):
        hapi.HapiServer(home / "data", 0).start()


def test_compiled_once(home: Path) -> None:
    first = compiled(home / "cache")
    assert compiled(home / "cache") == first
    assert builds(home) == 1
    classes, *jars = first.split(os.pathsep)
    assert Path(classes).is_dir()
    assert jars == [str(home / "one.jar"), str(home / "two.jar")]
    assert [one.name for one in (home / "cache").iterdir()] == [Path(classes).parents[1].name]


def test_compiled_again_where_a_jar_is_gone(home: Path) -> None:
    compiled(home / "cache")
    (home / "two.jar").unlink()
    with pytest.raises(ServerStartError, match="incomplete"):
        compiled(home / "cache")
    (home / "two.jar").touch()
    assert compiled(home / "cache")
    assert builds(home) == 2


def test_failed_build_is_told(home: Path) -> None:
    (home / "tools" / "mvn").write_text("#!/bin/sh\necho no repository; exit 1\n")
    with pytest.raises(ServerStartError, match=r"could not build.*no repository"):
        compiled(home / "cache")
    assert list((home / "cache").iterdir()) == []
