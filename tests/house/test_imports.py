"""What a command loads: those that read, predict and look load no web framework, no compiler and no migrations."""

import subprocess
import sys

import pytest

HEAVY = ("fastapi", "starlette", "uvicorn", "alembic", "numba", "simpy", "prometheus_client", "psycopg")


@pytest.mark.parametrize(
    "module", ["api.cli", "api.once", "api.loading", "api.show", "api.reproduce", "api.recalibrating"]
)
def test_loads_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print(*sorted(set({HEAVY}) & sys.modules.keys()))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.split() == []


def test_serving_does() -> None:
    """The test above would see it."""
    code = "import sys, api.serving; print('fastapi' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "True"
