"""The demo as a person starts it: half a minute of a living clinic, then everything on its server compared."""

import json
from pathlib import Path

import pytest

from tests.strangers.cli import Jumeau

pytestmark = pytest.mark.server


def test_demo_checks_itself(tmp_path: Path) -> None:
    told = Jumeau(tmp_path, "http://127.0.0.1:9/fhir")("demo", "--minutes", "0.5", "--check", "--json")
    first, last = told.out.splitlines()
    assert set(json.loads(first)) == {"api", "fhir", "database", "pid"}
    verdict = json.loads(last)
    assert list(verdict) == ["checked", "missing", "invalid", "stale", "touched", "loops", "p95_s"]
    assert told.code == 0, verdict
    assert verdict["checked"] > 20
    assert verdict["p95_s"] < 15, "3 s alone; this machine may have other things to do"
    assert not list(tmp_path.iterdir())
