"""Openings of rooms as the hospital publishes them, over the site file's, over the assumed ones."""

from datetime import time
from typing import Any

from tests.world import PARIS, PLACES, World, at, booking, said
from twin.site import BlockTime, SiteOptions

Json = dict[str, Any]
SITE_FILE = SiteOptions(timezone=PARIS, blocks={"*": (BlockTime(frozenset(range(7)), time(9), time(12)),)})


def schedule(name: str = "sch", *rooms: str, **elements: object) -> Json:
    actors = [{"reference": f"Location/{room}"} for room in rooms or ("salle-1",)]
    return {"resourceType": "Schedule", "id": name, "actor": [{"reference": "Practitioner/d"}, *actors], **elements}


def slots(*times: str, status: str = "free", of: str = "sch") -> list[Json]:
    """A Slot for each "08:00-09:00"."""
    made: list[Json] = []
    for words in times:
        start, end = words.split("-")
        period = {"start": at(start).isoformat(), "end": at(end).isoformat()}
        name = f"{of}-{start.replace(':', '')}"
        made.append(
            {
                "resourceType": "Slot",
                "id": name,
                "status": status,
                "schedule": {"reference": f"Schedule/{of}"},
                **period,
            }
        )
    return made


def openings(*resources: Json, site: SiteOptions = SITE_FILE, room: str = "salle-1") -> list[str]:
    world = World(booking("a"), booking("b", room="salle-2"), *resources, places=PLACES, site=site)
    (found,) = [one for one in world.suite().rooms if one.id == room]
    assert not any(block.assumed for block in found.blocks)
    return [f"{said(block.start)}-{said(block.end)}" for block in found.blocks]


def test_slots_in_a_row_are_one_block() -> None:
    assert openings(schedule(), *slots("10:00-12:00", "08:00-10:00", "13:00-16:30")) == ["08:00-12:00", "13:00-16:30"]


def test_busy_is_open_too() -> None:
    told = [*slots("08:00-10:00"), *slots("10:00-12:00", status="busy"), *slots("12:00-13:00", status="busy-tentative")]
    assert openings(schedule(), *told) == ["08:00-13:00"]


def test_unavailable_closes() -> None:
    assert openings(schedule(), *slots("08:00-10:00"), *slots("10:00-12:00", status="busy-unavailable")) == [
        "08:00-10:00"
    ]


def test_overlaps_and_the_second_before() -> None:
    assert openings(schedule(), *slots("08:00-10:00", "09:30-11:00")) == ["08:00-11:00"]
    (first, second) = slots("08:00-10:00", "10:00-11:00")
    ends = at("10:00").isoformat().replace("10:00:00", "09:59:59")
    assert openings(schedule(), {**first, "end": ends}, second) == ["08:00-11:00"]


def test_several_schedules_and_rooms() -> None:
    both = schedule("sch", "salle-1", "salle-2"), schedule("late", "salle-1")
    told = [*slots("08:00-12:00"), *slots("14:00-18:00", of="late")]
    assert openings(*both, *told) == ["08:00-12:00", "14:00-18:00"]
    assert openings(*both, *told, room="salle-2") == ["08:00-12:00"]


def test_without_slots_the_site_file() -> None:
    assert openings() == ["09:00-12:00"]
    assert openings(schedule()) == ["09:00-12:00"]
    assert openings(*slots("08:00-10:00")) == ["09:00-12:00"]
    assert openings(schedule(active=False), *slots("08:00-10:00")) == ["09:00-12:00"]


def test_a_closed_day_between_told_ones() -> None:
    assert openings(schedule(), *slots("23T08:00-23T12:00", "25T08:00-25T12:00")) == []


def test_days_that_are_not_told_yet() -> None:
    assert openings(schedule(), *slots("25T08:00-25T12:00")) == ["09:00-12:00"]
    assert openings(schedule(), *slots("23T08:00-23T12:00")) == ["09:00-12:00"]


def test_a_day_with_nothing_but_unavailable() -> None:
    assert openings(schedule(), *slots("08:00-18:00", status="busy-unavailable")) == []


def test_impossible_slots() -> None:
    wrong = [*slots("08:00-08:00"), *slots("09:00-26T10:00"), *slots("11:00-12:00", status="entered-in-error")]
    assert openings(schedule(), *wrong) == ["09:00-12:00"]
