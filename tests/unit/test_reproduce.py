"""A past prediction made again: from what was known then, under the settings and the clock of then."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from api.compose import worker_of
from api.reproduce import reproduce
from api.settings import Settings, load
from tests.world import SERVER, World, at, booking, stay
from twin.errors import JournalError
from twin.facts import Fact
from twin.timebase import Clock

EARLY = World(booking("a"), booking("b", "10:00", "11:30", patient="p2"))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return told(tmp_path)


def told(folder: Path, **changes: Any) -> Settings:
    return load(database_url=f"sqlite:///{folder / 'journal.db'}", fhir={"base_url": SERVER}, **changes)


async def predicted(settings: Settings, clock: Clock, *batches: Iterable[Fact]) -> list[str]:
    """Runs, one after each batch; their ids."""
    runs = []
    async with worker_of(settings, clock) as worker:
        for facts in batches:
            parts = worker.parts
            parts.journal.append_batch(SERVER, facts, [], {}, reading=parts.reading, observed_at=at("11:00"))
            await worker.rebuild()
            snapshot = await worker.predict()
            assert snapshot.run is not None
            runs.append(snapshot.run.id)
    return runs


def clock(moment: str = "08:30") -> Clock:
    return Clock(wall=lambda: at(moment))


async def test_identical_though_more_is_known(settings: Settings) -> None:
    later = World(booking("a"), stay("e", ("salle-1", "08:05", ""), booked="a"))
    first, second = await predicted(settings, clock(), EARLY.facts, later.facts)
    again = [await reproduce(settings, run, None) for run in (first, second)]
    assert [each.identical for each in again] == [True, True]
    assert again[0].values() != again[1].values()


async def test_same_text_each_time(settings: Settings) -> None:
    (run,) = await predicted(settings, clock(), EARLY.facts)
    assert (await reproduce(settings, run, None)).values() == (await reproduce(settings, "last", None)).values()


async def test_under_the_settings_of_then(tmp_path: Path) -> None:
    """Other settings today change nothing of what was said."""
    (run,) = await predicted(told(tmp_path, simulation={"replications": 30}), clock(), EARLY.facts)
    today = told(tmp_path, simulation={"replications": 80, "seed": 5}, site={"pacu_places": 1})
    again = await reproduce(today, run, None)
    assert (again.identical, again.values()["replications"]) == (True, 30)


async def test_on_a_clock_that_runs_faster(settings: Settings) -> None:
    """Stamps of versions were placed by the site's clock of then."""
    started = at("06:00")
    fast = Clock(
        anchor=datetime.fromisoformat("2026-11-24T07:00:00+01:00"),
        speed=60,
        started=started,
        wall=lambda: started + timedelta(seconds=97, microseconds=1234),
    )
    (run,) = await predicted(settings, fast, EARLY.facts)
    assert (await reproduce(settings, run, None)).identical


async def test_one_case(settings: Settings) -> None:
    (run,) = await predicted(settings, clock(), EARLY.facts)
    whole = await reproduce(settings, run, None)
    case_id = next(iter(whole.made.timelines))
    told = (await reproduce(settings, run, case_id)).values()
    assert (list(told["cases"]), told["rooms"]) == ([case_id], {})
    assert told["cases"][case_id]["room_time"]["booked_min"] == 90
    assert "patient_in_room" in (await reproduce(settings, run, case_id)).text()


@pytest.mark.parametrize(("run", "case"), [("urn:uuid:nothing", None), ("last", "nobody")])
async def test_unknown(settings: Settings, run: str, case: str | None) -> None:
    await predicted(settings, clock(), EARLY.facts)
    with pytest.raises(JournalError, match=r"no run|no case"):
        await reproduce(settings, run, case)


async def test_no_journal_yet(settings: Settings) -> None:
    with pytest.raises(JournalError, match="no journal yet"):
        await reproduce(settings, "last", None)
