"""How a strange server searches: each strangeness has its finding, and none writes anything."""

from typing import Literal

import pytest

from api.doctor import Check, Finding, Level
from api.doctor.searching import last_updated_finding
from tests.strangers.traits import Traits
from tests.unit.doctor_world import manners, the


async def test_by_the_book() -> None:
    found = await manners(Traits())
    assert all(one.level in (Level.OK, Level.NOTE) for one in found), found
    assert the(found, Check.HISTORY).numbers["offered"]
    assert the(found, Check.INSTANCE_HISTORY).numbers["offered"]
    assert [one.numbers["parameter"] for one in found if one.check is Check.FILTERS] == [
        "_id",
        "_lastUpdated",
        "date",
        "status",
    ]


async def test_small_pages() -> None:
    found = await manners(Traits(page=3))
    assert the(found, Check.PAGE_SIZE).numbers == {"asked": 200, "given": 3}
    assert the(found, Check.PAGING).level is Level.OK


@pytest.mark.parametrize(("paging", "relative"), [("token", False), ("relative", True), ("path", False)])
async def test_kinds_of_links(paging: str, relative: bool) -> None:
    numbers = the(await manners(Traits(paging=paging)), Check.PAGING).numbers  # type: ignore[arg-type]
    assert numbers["relative"] is relative
    assert numbers["pages"] > 1
    assert numbers["repeated"] == 0


@pytest.mark.parametrize(("page", "level"), [(1000, Level.WARNING), (2, Level.PROBLEM)])
async def test_links_elsewhere(page: int, level: Level) -> None:
    found = the(await manners(Traits(page=page, astray="http://inside.example:8080")), Check.PAGING)
    assert found.level is level
    assert found.numbers["link_origin"] == "http://inside.example:8080"


async def test_links_of_a_hidden_server() -> None:
    found = the(await manners(Traits(page=2, public="http://inside.example:8080")), Check.PAGING)
    assert (found.level, found.numbers["link_base"]) == (Level.NOTE, "http://inside.example:8080/fhir")


async def test_links_that_lead_back() -> None:
    found = the(await manners(Traits(loops=True)), Check.PAGING)
    assert (found.level, found.numbers["pages"]) == (Level.WARNING, 4)


@pytest.mark.parametrize("status", [400, 422, 500, 501])
async def test_nothing_but_plain_searches(status: Literal[400, 422, 500, 501]) -> None:
    lacks = frozenset({"date", "_lastUpdated", "_sort", "_count", "status", "_id"})
    found = await manners(Traits(lacks=lacks, unknown_params=status))
    assert the(found, Check.PAGING).level is Level.NOTE
    assert set(the(found, Check.FILTERS, parameter="date").numbers["verdicts"].values()) == {"refused"}
    assert the(found, Check.HISTORY).numbers["offered"]


async def test_no_total() -> None:
    assert the(await manners(Traits(tells_total=False)), Check.TOTAL).level is Level.NOTE


@pytest.mark.parametrize("name", ["_lastUpdated", "date", "status"])
async def test_ignored_filter(name: str) -> None:
    found = await manners(Traits(lacks=frozenset({name})))
    filtered = the(found, Check.FILTERS, parameter=name)
    assert filtered.level is Level.WARNING
    assert "ignored" in filtered.numbers["verdicts"].values()
    assert the(found, Check.SELF_LINK).numbers["left_out"] == [name]


async def test_refused_filter() -> None:
    found = await manners(Traits(lacks=frozenset({"date", "_sort"}), unknown_params=400))
    assert set(the(found, Check.FILTERS, parameter="date").numbers["verdicts"].values()) == {"refused"}
    assert the(found, Check.SORT).numbers == {"sorted": False}


async def test_page_size_not_heeded() -> None:
    found = the(await manners(Traits(lacks=frozenset({"_count"}))), Check.PAGING)
    assert (found.level, found.numbers["given"]) == (Level.NOTE, 8)


@pytest.mark.parametrize(
    ("traits", "numbers"),
    [
        (Traits(version_ids="uuid"), {"version_id_in_body": True, "etag": "weak", "numeric": False}),
        (Traits(tells_version=False, etag="strong"), {"version_id_in_body": False, "etag": "strong", "numeric": True}),
        (Traits(tells_version=False, etag="none"), {"version_id_in_body": False, "etag": "none", "numeric": False}),
    ],
    ids=["uuid", "strong tag", "none"],
)
async def test_versions(traits: Traits, numbers: dict[str, object]) -> None:
    found = the(await manners(traits), Check.VERSIONS)
    assert found.numbers == numbers
    assert found.level is (Level.WARNING if numbers["etag"] == "none" else Level.OK)


@pytest.mark.parametrize(
    ("form", "digits", "level"),
    [("millis", 3, Level.OK), ("seconds", 0, Level.NOTE), ("offset", 3, Level.OK), ("none", 0, Level.WARNING)],
)
async def test_last_updated(form: str, digits: int, level: Level) -> None:
    found = the(await manners(Traits(last_updated=form)), Check.LAST_UPDATED)  # type: ignore[arg-type]
    assert (found.numbers["fraction_digits"], found.level) == (digits, level)


def test_nine_digits() -> None:
    seen = [{"meta": {"lastUpdated": "2026-11-24T10:00:00.123456789+01:00"}}, {"meta": {"lastUpdated": "2026"}}]
    assert last_updated_finding(seen).numbers["fraction_digits"] == 9


async def test_no_history() -> None:
    found = await manners(Traits(history=False, type_history="none"))
    assert not the(found, Check.INSTANCE_HISTORY).numbers["offered"]
    assert not the(found, Check.HISTORY).numbers["offered"]


async def test_freshness_is_not_claimed() -> None:
    found: Finding = the(await manners(Traits()), Check.FRESHNESS)
    assert found.level is Level.NOTE
    assert "--try-write" in found.todo
