"""The live twin learns from all that the journal holds, not from its own days only, and can tell it again."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from api.compose import worker_of
from api.context import Basis
from api.learning import Learner, history_at
from api.past import Memory
from api.reproduce import reproduce
from api.settings import Settings, load
from tests.unit.test_recalibrating import READING, lived
from tests.world import DAY, SERVER, SITE, at, booking
from twin.durations.case import CaseFeatures, FinishedCase
from twin.durations.model import SITE as WHOLE_SITE
from twin.durations.watched import Watched
from twin.journal import Journal
from twin.prediction.models import models_of
from twin.site import DurationOptions
from twin.timebase import Clock
from twin.timeline import PredictedTimeline
from twin.vocabulary import Milestone

NOON = Clock(wall=lambda: at("12:00"))


@pytest.fixture
def memory() -> Iterator[Memory]:
    journal = Journal.open(":memory:", key_fingerprint="key")
    yield Memory(journal, load(fhir={"base_url": SERVER}), SITE, READING)
    journal.close()


def keep(memory: Memory, days: int) -> int:
    """One case a day from the 1st on; the journal's position."""
    memory.journal.append_batch(SERVER, lived(days).facts, [], {}, reading=READING, observed_at=at("11:00"))
    return memory.journal.position()


def settings(folder: Path) -> Settings:
    return load(database_url=f"sqlite:///{folder / 'journal.db'}", fhir={"base_url": SERVER})


def test_days_before_yesterday_only(memory: Memory) -> None:
    """Of 23 cases until yesterday, the one of yesterday is learned by the live twin itself."""
    history = history_at(memory, NOON, Basis(position=keep(memory, 23), at=at("12:00")))
    assert history.before == DAY - timedelta(days=1)
    assert history.room.model.tallies[WHOLE_SITE].cases == 22
    assert history.room.model.constants.cases == 22
    assert history.room.model.last_at == at("22T10:05")


def test_no_case_counts_twice(memory: Memory) -> None:
    position = keep(memory, 23)
    history = history_at(memory, NOON, Basis(position=position, at=at("12:00")))
    suite = lived(23).suite("12:00")
    known = models_of(suite.cases.values(), DurationOptions(), history=history)
    assert known.room.model.tallies[WHOLE_SITE].cases == 23
    still = models_of(suite.cases.values(), DurationOptions(), history=history, before=DAY - timedelta(days=1))
    assert still.room.model.tallies == history.room.model.tallies


def test_same_basis_same_history(memory: Memory) -> None:
    """More facts later, and another time of the day, change nothing of what was known."""
    basis = Basis(position=keep(memory, 20), at=at("12:00"))
    before = history_at(memory, NOON, basis)
    keep(memory, 23)
    assert history_at(memory, Clock(wall=lambda: at("28T09:00")), basis) == before


async def test_once_a_day(memory: Memory) -> None:
    moment = ["23T12:00"]
    learner = Learner(memory, Clock(wall=lambda: at(moment[0])))
    position = keep(memory, 20)
    assert [await learner.learn(position) for _ in range(2)] == [True, False]
    moment[0] = "24T00:01"
    assert await learner.learn(position)
    assert learner.known is not None
    assert learner.known.history.before == date(2026, 11, 23)


async def test_a_program_started_again_need_not_learn(memory: Memory) -> None:
    position, known = keep(memory, 20), []
    for minutes in range(2):
        clock = Clock(wall=lambda: at("12:00") + timedelta(minutes=minutes))  # noqa: B023 - used within its turn
        learner = Learner(memory, clock)
        assert await learner.learn(position + minutes)
        known.append(learner.known)
    assert known[0] is not None
    assert known[0] == known[1]
    assert history_at(memory, NOON, Basis(position=position, at=at("12:00"))) == known[0].history


async def test_another_day_or_setting_learns_anew(memory: Memory) -> None:
    position = keep(memory, 23)
    assert await Learner(memory, NOON).learn(position)
    tomorrow = Learner(memory, Clock(wall=lambda: at("25T12:00")))
    other = replace(memory, settings=load(fhir={"base_url": SERVER}, site={"pacu_places": 3}))
    for learner in (tomorrow, Learner(other, NOON)):
        assert await learner.learn(position + 1)
        assert learner.known is not None
        assert learner.known.basis.position == position + 1


async def test_again_after_a_first_load(memory: Memory) -> None:
    learner = Learner(memory, NOON)
    assert await learner.learn(memory.journal.position())
    assert learner.known is not None
    assert not learner.known.history.room.model.tallies
    assert not await learner.learn(1_999)
    assert await learner.learn(keep(memory, 20) + 2_000)


async def test_run_learns_and_is_made_again(tmp_path: Path) -> None:
    """A case of today is predicted by what took place weeks ago, and the run is reproduced to the bit."""
    told = settings(tmp_path)
    today = booking("x", "13:00", "14:30", patient="px")
    world = lived(20)
    world.put("07:00", {**today, "participant": [*today["participant"], _dr()]})
    async with worker_of(told, NOON) as worker:
        parts = worker.parts
        parts.journal.append_batch(SERVER, world.facts, [], {}, reading=parts.reading, observed_at=at("11:00"))
        await worker.rebuild()
        bare = await worker.predict()
        assert await worker.learn()
        learned = await worker.predict()
        parts.journal.append_batch(SERVER, lived(23).facts, [], {}, reading=parts.reading, observed_at=at("11:30"))
    assert bare.run is not None
    assert learned.run is not None
    again = [await reproduce(told, run, None) for run in (bare.run.id, learned.run.id)]
    assert [each.identical for each in again] == [True, True]
    (case,) = again[1].values()["cases"].values()
    assert "20 earlier cases" in case["why"]
    assert "no earlier case" in next(iter(again[0].values()["cases"].values()))["why"]
    length = [_out(snapshot.timelines) - at("13:00") for snapshot in (bare, learned)]
    assert length[1] > length[0]


def _dr() -> dict[str, object]:
    return {"actor": {"reference": "Practitioner/dr"}, "status": "accepted"}


def _out(timelines: Mapping[str, PredictedTimeline]) -> datetime:
    (timeline,) = timelines.values()
    stage = timeline.stage(Milestone.PATIENT_OUT_OF_ROOM)
    assert stage is not None
    assert stage.p50 is not None
    return stage.p50


# --- the watch --------------------------------------------------------------------------------------------------------


def cases(minutes: list[float], service: str = "ortho") -> list[FinishedCase]:
    features = CaseFeatures("p", "s", service, 90)
    start = at("08:00")
    return [
        FinishedCase(features, each, start + timedelta(hours=number), f"c{number}")
        for number, each in enumerate(minutes)
    ]


def test_drift_opens_a_review() -> None:
    """A hundred cases as ever, then all of the service half as long again: a review, dated and named."""
    usual = [90.0 + 9 * (number % 5 - 2) for number in range(100)]
    watched = Watched.of_history(DurationOptions(), [90.0], cases(usual))
    assert not watched.monitor.reviews
    drifted = watched.after(cases([each * 1.5 for each in usual[:30]]))
    review = drifted.monitor.reviews[0]
    assert (review.service, review.direction) == ("ortho", "longer")
    assert review.at is not None
    assert review.case_id.startswith("c")


def test_multiplier_widens_what_is_predicted() -> None:
    """Cases that fall outside the band again and again make the next band wider; of another service, not."""
    wild = [40.0, 200.0] * 20
    watched = Watched(Watched.of_history(DurationOptions(), [90.0], cases([90.0, 88.0, 92.0] * 40)).model)
    after = watched.after(cases(wild))
    ratio = after.monitor.multiplier("ortho")
    features = cases([90.0])[0].features
    assert ratio > 1.05
    assert after.predict(features).distribution.scale == pytest.approx(
        ratio * after.model.predict(features).distribution.scale
    )
    assert after.monitor.multiplier("uro") == 1.0


def test_watch_one_by_one_as_all_at_once() -> None:
    told = cases([90.0, 60.0, 130.0, 85.0, 300.0, 20.0] * 5)
    whole = Watched(Watched.of_history(DurationOptions(), [90.0], []).model).after(told)
    single = Watched(Watched.of_history(DurationOptions(), [90.0], []).model)
    for case in told:
        single = single.after([case])
    assert single.model.tallies == whole.model.tallies
    assert single.monitor == whole.monitor
