"""`jumeau simulate` on the golden scenarios, and on what is no scenario."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from typer.testing import CliRunner, Result

from api.cli import app
from fixtures.scenarios import FOLDER, names

ROOT = Path(__file__).parents[2]
ORDINARY = FOLDER / "ordinary-day" / "bundle.json"


@pytest.fixture(autouse=True)
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Without the settings of this machine; a command sends the log to the stderr that the runner closes after it."""
    monkeypatch.chdir(tmp_path)
    yield
    structlog.reset_defaults()


def simulate(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["simulate", *map(str, arguments)])


def told(file: Path) -> dict[str, Any]:
    answer = simulate(file, "--json")
    assert answer.exit_code == 0, answer.output
    return dict(json.loads(answer.stdout))


@pytest.mark.parametrize("name", names())
def test_golden_scenario_twice(name: str) -> None:
    file = FOLDER / name / "scenario.yaml"
    first = simulate(file, "--json")
    assert first.exit_code == 0, first.output
    assert simulate(file, "--json").stdout == first.stdout
    assert json.loads(first.stdout)["name"] == name


def test_schema_file_is_up_to_date() -> None:
    """Where this fails: `jumeau simulate --schema > docs/scenario.schema.json`."""
    assert simulate("--schema").stdout == (ROOT / "docs" / "scenario.schema.json").read_text()


def test_hazards_stand_beside_the_baseline(tmp_path: Path) -> None:
    file = tmp_path / "bad.json"
    start = {"at": "2026-11-24T10:40:00+01:00", "bundle": str(ORDINARY)}
    hazards = [{"kind": "longer_case", "case": "Appointment/ort-2", "minutes": 60}]
    file.write_text(json.dumps({"start": start, "hazards": hazards}))
    answer = told(file)
    (longer, _) = answer["difference"]["cases"]
    assert longer["case"] == "Appointment/ort-2"
    assert 40 <= longer["milestones"]["patient_out_of_room"]["p50"] <= 80
    assert answer["hazards"] == [{"kind": "longer_case", "case": "Appointment/ort-2", "minutes": 60.0}]
    assert {room["id"] for room in answer["difference"]["rooms"]} == {"salle-1"}, "the others stay as they are"
