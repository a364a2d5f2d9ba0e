"""The page of the day: that its files fit together and with the API. How it looks is checked by eye."""

import json
import re
from dataclasses import replace
from enum import StrEnum
from pathlib import Path

import pytest
from pydantic import BaseModel

from api import schemas
from api.routes.pages import BOARD
from tests.unit.api_world import SITE, ShownProgram, api_of, snapshot
from twin.vocabulary import CareSetting, CaseStatus, Milestone, Provenance

FILES = sorted(path for path in BOARD.rglob("*") if path.is_file())
SCRIPTS = [path for path in FILES if path.suffix == ".js"]
PAGES = [path for path in FILES if path.suffix == ".html"]
WORDS = (BOARD / "static" / "words.js").read_text("utf-8")


def _name(path: Path) -> str:
    return path.name


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_nothing_comes_from_elsewhere(path: Path) -> None:
    addresses = re.findall(r"https?://[^\s\"'<>)]+", path.read_text("utf-8"))
    assert [address for address in addresses if address != "http://www.w3.org/2000/svg"] == []


@pytest.mark.parametrize("path", PAGES, ids=_name)
def test_pages_obey_their_policy(path: Path) -> None:
    # A block of JSON is data: it is not run, whatever the policy says of scripts.
    text = path.read_text("utf-8").replace('<script type="application/json"', "<data")
    assert re.findall(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", text) == []


@pytest.mark.parametrize("path", SCRIPTS, ids=_name)
def test_texts_never_become_markup(path: Path) -> None:
    assert re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", path.read_text("utf-8")) == []


@pytest.mark.parametrize("page", ["/", "/docs"])
async def test_pages_and_their_assets_are_served(page: str) -> None:
    async with api_of(ShownProgram(None)) as api:
        todo, types = [page], {}
        while todo:
            path = todo.pop()
            answer = await api.get(path)
            assert answer.status_code == 200, path
            types[path] = answer.headers["content-type"].partition(";")[0]
            todo += [found for found in re.findall(r"\"(/static/[\w.]+)\"", answer.text) if found not in types]
    assert types[page] == "text/html"
    assert {types[path] for path in types if path.endswith(".js")} == {"text/javascript"}
    assert {types[path] for path in types if path.endswith(".css")} == {"text/css"}


@pytest.mark.parametrize("words", [Milestone, CareSetting, CaseStatus, Provenance])
def test_every_code_has_a_french_word(words: type[StrEnum]) -> None:
    missing = [word for word in words if not re.search(rf"(\b{word.value}|\"{word.value}\"): \"", WORDS)]
    assert missing == []


def _fields(*models: type[BaseModel]) -> set[str]:
    return {name for model in models for name in model.model_fields}


@pytest.mark.parametrize(
    ("variable", "models"),
    [
        ("item", (schemas.Case,)),
        ("room", (schemas.Room,)),
        ("block", (schemas.BlockShown,)),
        ("stage", (schemas.CaseStage,)),
        ("stamp", (schemas.SetAside,)),
        ("suite", (schemas.Suite,)),
        ("figures", (schemas.Figures,)),
        ("feed", (schemas.Moment, schemas.FeedShown)),
    ],
)
def test_page_reads_fields_that_exist(variable: str, models: tuple[type[BaseModel], ...]) -> None:
    text = "\n".join(path.read_text("utf-8") for path in SCRIPTS if path.name != "docs.js")
    read = set(re.findall(rf"\b{variable}\??\.(\w+)", text))
    assert read
    assert read <= _fields(*models)


async def test_page_holds_the_newest_day() -> None:
    site = replace(SITE, name="Bloc </script><b>central")
    async with api_of(ShownProgram(snapshot(), site=site)) as api:
        page, day = (await api.get("/")).text, (await api.get("/day")).json()
    block = page.partition('id="newest">')[2].partition("</script>")[0]
    assert json.loads(block) == day


async def test_page_opens_before_the_first_read() -> None:
    async with api_of(ShownProgram(None)) as api:
        assert 'id="newest">null</script>' in (await api.get("/")).text
