"""What an installation relies on: the lock, the wheel's content, the command, and the scripts that call make."""

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import entry_points, version
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / ".ci" / "run"
PYTHON = f'exec {sys.executable} "$@"'
JAVA = {"java": """echo 'openjdk version "17.0.15" 2025-04-15' >&2""", "mvn": "exit 0", "postgres": "exit 0"}
OLD_JAVA = """echo 'openjdk version "11.0.2" 2019-01-15' >&2"""
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def lock() -> str:
    return (ROOT / "requirements.lock").read_text()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Names of the files in the wheel that is built from this tree."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return set(zipfile.ZipFile(built).namelist())


def test_locked_packages_have_hashes(lock: str) -> None:
    entries = re.split(r"\n(?=\S)", lock.strip())
    for entry in entries:
        assert re.match(r"[a-z0-9][a-z0-9.-]*==\S+", entry), entry.splitlines()[0]
        assert "--hash=sha256:" in entry, entry.splitlines()[0]


def test_lock_records_no_addresses(lock: str) -> None:
    assert not re.search(r"https?:|file:|index-url|find-links| @ ", lock)


def test_every_dependency_is_locked(lock: str) -> None:
    wanted = [*PROJECT["dependencies"], *chain(*PROJECT["optional-dependencies"].values())]
    names = {re.split(r"[<>=~!\[; ]", one)[0].lower().replace("_", "-") for one in wanted}
    locked = {line.split("==")[0] for line in lock.splitlines() if re.match(r"[a-z0-9]", line)}
    # Written with a dot in one place and a dash in the other: the same package.
    assert {name.replace(".", "-") for name in names} <= {name.replace(".", "-") for name in locked}


def test_wheel_has_the_migrations(wheel: set[str]) -> None:
    here = ROOT / "twin" / "journal" / "migrations"
    assert {str(file.relative_to(ROOT)) for file in here.rglob("*.py")} <= wheel


def test_command_is_installed() -> None:
    (command,) = entry_points(group="console_scripts", name="jumeau")
    assert command.value == PROJECT["scripts"]["jumeau"]
    assert callable(command.load())


def test_wheel_holds_all_that_is_read(wheel: set[str]) -> None:
    packages = ("twin", "fhir_adapters", "api", "fixtures")
    files = {
        str(path.relative_to(ROOT))
        for package in packages
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert files <= wheel
    assert not {name for name in wheel if name.startswith(("tests/", "docs/"))}


def test_changelog_names_this_version() -> None:
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest is not None
    assert newest[1] == version("jumeau") == PROJECT["version"]


def test_make_lists_its_targets() -> None:
    command = ["make", "--no-print-directory", "help"]  # these tests may themselves be run by make
    told = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    targets = {line.split("\t")[0].strip() for line in told.splitlines()}
    assert {"setup", "demo", "test", "test-servers", "check", "bench"} <= targets
    for target in targets:
        assert f"make {target}" in (ROOT / "CONTRIBUTING.md").read_text()


def _tools(folder: Path, **scripts: str) -> dict[str, str]:
    """An environment whose only commands are these scripts and a few of the system's."""
    for name in ("bash", "sh", "dirname", "id", "env", "make"):
        found = shutil.which(name)
        if found and name not in scripts:
            (folder / name).symlink_to(found)
    for name, text in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    return {"PATH": str(folder), "CI": "true"}


def test_old_python_is_told(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in ("requirements.lock", "pyproject.toml"):
        (tmp_path / name).touch()
    tools = tmp_path / "tools"
    tools.mkdir()
    env = _tools(tools, python3='case "$1" in --version) echo Python 3.9.2;; *) exit 1;; esac')
    done = subprocess.run(["make", "setup"], cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    (line,) = done.stdout.splitlines()
    assert "3.11" in line
    assert "Python 3.9.2" in line


def _run_ci(folder: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(SCRIPT)], cwd=folder, env=env, capture_output=True, text=True, check=False)


def test_ci_checks_and_tests_all(tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    newer = {"python3.12": "exit 1", "python3.11": PYTHON}
    done = _run_ci(tmp_path, _tools(tmp_path, make=f'echo "make $@" >> {calls}', **newer, **JAVA))
    assert done.returncode == 0, done.stderr
    python = tmp_path / "python3.11"
    wanted = [f"make PYTHON={python} {target}" for target in ("check", "test", "test-servers")]
    assert calls.read_text().splitlines() == wanted


@pytest.mark.parametrize("java", ['echo "not found"; exit 127', OLD_JAVA])
def test_ci_installs_what_is_missing(tmp_path: Path, java: str) -> None:
    installs, newer = tmp_path / "installs", tmp_path / "newer"
    newer.write_text(f"#!/bin/sh\n{JAVA['java']}\n")
    newer.chmod(0o755)
    brought = (
        f"{shutil.which('ln')} -s {sys.executable} {tmp_path}/python3; {shutil.which('cp')} {newer} {tmp_path}/java"
    )
    apt = f'echo "$@" >> {installs}; case "$1" in install) {brought};; esac'
    done = _run_ci(tmp_path, _tools(tmp_path, make="exit 0", sudo='exec "$@"', java=java, **{"apt-get": apt}))
    assert done.returncode == 0, done.stderr
    update, install = installs.read_text().splitlines()
    assert update.startswith("update")
    # PostgreSQL's server is looked for off PATH too: this machine may have it.
    assert install.removesuffix(" postgresql").endswith("python3 python3-venv default-jre-headless maven")


def test_ci_tells_an_old_java_that_stays(tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    tools = {"make": f"echo >> {calls}", "mvn": "exit 0", "java": OLD_JAVA, "apt-get": "exit 0", "sudo": 'exec "$@"'}
    done = _run_ci(tmp_path, _tools(tmp_path, python3=PYTHON, **tools))
    assert done.returncode == 1
    assert "Java 17" in done.stderr
    assert not calls.exists()


def test_ci_stops_at_a_failing_check(tmp_path: Path) -> None:
    assert _run_ci(tmp_path, _tools(tmp_path, make="exit 7", python3=PYTHON, **JAVA)).returncode == 7
