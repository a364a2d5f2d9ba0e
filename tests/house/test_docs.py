"""The documents keep up with the code."""

import re
from pathlib import Path

import pytest

from twin.vocabulary import CaseStatus, Milestone, Provenance

ROOT = Path(__file__).parents[2]
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text()


@pytest.mark.parametrize("word", [*Milestone, *CaseStatus, *Provenance], ids=str)
def test_word_is_in_the_glossary(word: str) -> None:
    row = re.search(rf"^\| `{word}` \| (.+) \| (.+) \|$", GLOSSARY, re.MULTILINE)
    assert row, f"give `{word}` a row with its meaning and its French term"


def test_milestones_in_pathway_order() -> None:
    section = GLOSSARY.split("## Milestones")[1].split("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == list(Milestone)


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "docs/glossary.md"])
def test_named_files_are_there(name: str) -> None:
    paths = re.findall(r"`((?:twin|fhir_adapters|api|docs|\.ci)/[\w./-]+)`", (ROOT / name).read_text())
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_decisions_are_numbered() -> None:
    files = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert [file.name[:4] for file in files] == [f"{number:04}" for number in range(1, len(files) + 1)]
    for number, file in enumerate(files, start=1):
        title = file.read_text().splitlines()[0]
        assert title.startswith(f"# {number}. ")
