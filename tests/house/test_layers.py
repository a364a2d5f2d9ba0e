"""The import contracts hold, and each kind of breach is found: planted in a copy of the tree."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("twin", "fhir_adapters", "api", "fixtures")
LINT = "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def _broken(tree: Path) -> tuple[set[str], str]:
    """Names of the contracts that are broken, and all that import-linter said."""
    done = subprocess.run(
        [sys.executable, "-c", LINT, "--no-cache"],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree), "NO_COLOR": "1", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Contracts:" in done.stdout, done.stdout + done.stderr
    broken = set(re.findall(r"^(.+) BROKEN", done.stdout, re.MULTILINE))
    assert (done.returncode != 0) == bool(broken)
    return broken, done.stdout


def _plant(tree: Path, file: str, line: str) -> None:
    path = tree / file
    path.write_text((path.read_text() if path.exists() else "") + f"\n{line}\n")


def test_tree_keeps_its_layers(tree: Path) -> None:
    broken, told = _broken(tree)
    assert broken == set(), told


@pytest.mark.parametrize(
    ("file", "line", "contract"),
    [
        ("fhir_adapters/dates.py", "import twin.journal", "adapters see values only"),
        ("twin/durations/model.py", "import twin.simulation", "the line inside twin"),
        ("twin/site.py", "import fhir_adapters.dates", "packages, outermost first"),
        ("fixtures/clinic/draws.py", "import twin.durations", "the clinic's truth is another model than the twin's"),
        ("api/routes/document.py", "import fhir_adapters.client", "routes are thin"),
        ("twin/site.py", "import httpx", "one door: httpx"),
        ("twin/durations/model.py", "import simpy", "one door: simpy"),
        ("api/worker.py", "import sqlalchemy", "one door: sqlmodel, sqlalchemy, alembic, psycopg"),
        ("twin/simulation/kernel.py", "import numba", "one door: numba"),
        ("fhir_adapters/dates.py", "import fhir.resources", "one door: fhir.resources"),
        ("twin/timebase.py", "import fastapi", "one door: fastapi"),
    ],
)
def test_planted_import_is_found(tree: Path, file: str, line: str, contract: str) -> None:
    assert (tree / file).exists(), "plant it where there is a module"
    _plant(tree, file, line)
    broken, told = _broken(tree)
    assert contract in broken, told


def test_unplaced_module_is_found(tree: Path) -> None:
    _plant(tree, "twin/stray.py", '"""In no layer."""')
    broken, told = _broken(tree)
    assert broken == {"the line inside twin"}
    assert "stray" in told
