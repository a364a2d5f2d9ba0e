"""docs/scenarios.md: what it shows was run, and is run again here."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from api.scenario_start import start_of
from api.scenarios.live import Live
from api.scenarios.model import ScenarioFile, WhatIf, scenario_of
from api.scenarios.question import asked
from api.scenarios.text import Text, read
from api.settings import Settings
from twin.simulation.reference import run
from twin.simulation.summary import summarise

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "scenarios.md").read_text("utf-8")


def block(language: str, number: int = 0) -> str:
    found: str = re.findall(rf"```{language}\n(.+?)```", PAGE, re.DOTALL)[number]
    return found


def scenario(folder: Path, number: int) -> ScenarioFile:
    """A file of the page, with few futures."""
    file = folder / f"{number}.yaml"
    file.write_text(block("yaml", number), "utf-8")
    return scenario_of(Text({**read(file).values, "options": {"replications": 20}}))


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> tuple[ScenarioFile, Live]:
    """The example with all hazards, and its start."""
    told = scenario(tmp_path_factory.mktemp("docs"), 1)
    return told, start_of(told, DOCS, Settings())


@pytest.mark.parametrize("number", range(16))
def test_hazard_has_its_effect(everything: tuple[ScenarioFile, Live], number: int) -> None:
    told, live = everything
    assert len(told.hazards) == 16
    before, after = asked(live, told.hazards[number : number + 1]).scenarios
    assert summarise(before, run) != summarise(after, run)


def test_all_hazards_together(everything: tuple[ScenarioFile, Live]) -> None:
    told, live = everything
    assert "emergency-1" in summarise(asked(live, told.hazards).scenarios[1], run).milestones


def test_every_kind_is_shown(everything: tuple[ScenarioFile, Live]) -> None:
    kinds = {kind["properties"]["kind"]["const"] for name, kind in _definitions().items() if "kind" in kind["required"]}
    assert kinds == {hazard.kind for hazard in everything[0].hazards}


def _definitions() -> dict[str, Any]:
    schema = json.loads((DOCS / "scenario.schema.json").read_text("utf-8"))
    union = schema["properties"]["hazards"]["items"]["discriminator"]["mapping"].values()
    return {ref: schema["$defs"][ref.rpartition("/")[2]] for ref in union}


def test_first_example(tmp_path: Path) -> None:
    told = scenario(tmp_path, 0)
    before, after = asked(start_of(told, DOCS, Settings()), told.hazards).scenarios
    assert summarise(before, run) != summarise(after, run)


def test_settings_are_settings() -> None:
    site = Settings.model_validate(tomllib.loads(block("toml"))).site_options()
    assert {told.name for told in site.resources} >= {"anesthetists", "nurse teams", "C-arm", "ward"}
    assert site.urgency_targets_min == {1: 30, 2: 360}


def test_question_of_the_page() -> None:
    (body,) = re.findall(r"-d '\n(.+?)'\n", PAGE, re.DOTALL)
    assert len(WhatIf.model_validate_json(body).hazards) == 2
