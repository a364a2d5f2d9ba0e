"""What is known of patients enters the live model, is told with its interval, and is made again to the bit."""

import asyncio
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from api.cli import app
from api.compose import worker_of
from api.context import Basis
from api.effects import learned_effects
from api.learning import history_at
from api.past import Memory
from api.reproduce import reproduce
from api.scoring import judge, tables
from api.settings import Settings, load
from tests.world import SERVER, SITE, World, act, at, booking, stay
from twin.durations.case import CaseFeatures, FinishedCase
from twin.durations.explain import explain
from twin.durations.model import DurationModel
from twin.durations.portable import values_of
from twin.durations.regressors import Regressors, columns_of
from twin.durations.start import start_of
from twin.errors import JournalError, SettingsError
from twin.journal import Journal
from twin.prediction.models import models_of
from twin.site import DurationOptions
from twin.timebase import Clock
from twin.timeline import PredictedTimeline
from twin.vocabulary import BookedInterval, Milestone, Stage

READING = "r"
NOON = Clock(wall=lambda: at("12:00"))
OLD, YOUNG = "1940-05-01", "1990-05-01"


def lived(days: int = 22) -> World:
    """Six cases a day; the old ones of them stay in the room a fifth longer, and in the recovery room twice as long."""
    world = World()
    for number in range(6 * days):
        day, old = number // 6 + 1, number % 2
        name, room = f"c{number}", f"salle-{number % 3 + 1}"
        start = at(f"{day:02}T{8 + 3 * (number % 6 // 3):02}:00")
        out = start + timedelta(minutes=(108 if old else 90) + number % 5)
        left = out + timedelta(minutes=(120 if old else 60) + number % 7)
        spans = ((room, start, out), ("sspi", out, left), ("uca", left, left + timedelta(minutes=150)))
        places = tuple((place, begin.isoformat(), end.isoformat()) for place, begin, end in spans)
        world.put(
            f"{day:02}T20:00",
            {"resourceType": "Patient", "id": name, "birthDate": OLD if old else YOUNG},
            booking(name, start.isoformat(), (start + timedelta(minutes=90)).isoformat(), room=room, patient=name),
            stay(f"e{name}", *places, booked=name, patient=name, status="finished"),
            act(f"p{name}", encounter=f"e{name}", patient=name, status="completed", room=room)
            | {"code": {"coding": [{"system": "urn:acts", "code": "NFFC004", "display": "Arthroscopie du genou"}]}},
        )
    return world


def tomorrow(world: World) -> World:
    """An old and a young patient, each in a room of their own."""
    for name, room, born in (("old", "salle-1", OLD), ("young", "salle-2", YOUNG)):
        world.put(
            "24T07:00",
            {"resourceType": "Patient", "id": name, "birthDate": born},
            booking(name, "13:00", "14:30", room=room, patient=name),
        )
    return world


@pytest.fixture
def memory() -> Iterator[Memory]:
    journal = Journal.open(":memory:", key_fingerprint="key")
    journal.append_batch(SERVER, lived().facts, [], {}, reading=READING, observed_at=at("11:00"))
    yield Memory(journal, load(fhir={"base_url": SERVER}), SITE, READING)
    journal.close()


def test_effects_are_learned_with_intervals(memory: Memory) -> None:
    told = learned_effects(memory, NOON)
    room = {(each.name, each.value): each for each in told["room_time"]}
    pacu = {(each.name, each.value): each for each in told["pacu"]}
    old, young = room["age_band", "80+"], room["age_band", "16-39"]
    assert old.percent_95[0] < old.percent < old.percent_95[1]
    assert old.percent_95[0] > 0 > young.percent_95[1]
    assert old.cases == young.cases == 66
    longer = pacu["age_band", "80+"].percent_95
    assert longer[0] < 41 < longer[1] + 5  # twice as long is 41 % over the mean, less what is shrunk
    assert ("setting", "ambulatory") not in room  # all are: nothing to tell them apart by


def test_little_is_learned_from_few(memory: Memory) -> None:
    few = Memory(Journal.open(":memory:", key_fingerprint="key"), memory.settings, SITE, READING)
    few.journal.append_batch(SERVER, lived(3).facts, [], {}, reading=READING, observed_at=at("11:00"))
    assert learned_effects(few, NOON) == {"room_time": [], "surgical_time": [], "pacu": [], "unit": []}
    few.journal.close()


def test_stays_move_with_the_patient(memory: Memory) -> None:
    history = history_at(memory, NOON, Basis(position=memory.journal.position(), at=at("12:00")))
    old = dict(history.stays.shifts((("age_band", "80+"),)))
    young = dict(history.stays.shifts((("age_band", "16-39"),)))
    assert old[Stage.PACU] > 0.1 > -0.1 > young[Stage.PACU]
    assert history.stays.shifts(()) == ()
    assert history.stays.shifts((("age_band", "unheard of"),)) == history.stays.shifts((("age_band", "?"),))


async def _predicted(settings: Settings, *, learn: bool = True) -> tuple[str, dict[str, PredictedTimeline]]:
    """The run, and the timelines of the old and the young patient of today."""
    world = tomorrow(lived())
    async with worker_of(settings, NOON) as worker:
        parts = worker.parts
        parts.journal.append_batch(SERVER, world.facts, [], {}, reading=parts.reading, observed_at=at("11:00"))
        await worker.rebuild()
        if learn:
            await worker.learn()
        shown = await worker.predict()
    assert shown.run is not None
    named = {str(twin.links.appointment): case_id for case_id, twin in shown.suite.cases.items()}
    return shown.run.id, {name: shown.timelines[named[f"Appointment/{name}"]] for name in ("old", "young")}


def _minutes(timeline: PredictedTimeline, first: Milestone, last: Milestone) -> float:
    start, end = timeline.stage(first), timeline.stage(last)
    assert start is not None
    assert start.p50 is not None
    assert end is not None
    assert end.p50 is not None
    return (end.p50 - start.p50).total_seconds() / 60


def _settings(folder: Path, **changes: Any) -> Settings:
    return load(database_url=f"sqlite:///{folder / 'journal.db'}", fhir={"base_url": SERVER}, **changes)


async def test_the_old_patient_is_told_longer_and_why(tmp_path: Path) -> None:
    settings = _settings(tmp_path, simulation={"replications": 400})
    run, told = await _predicted(settings)
    in_room = (Milestone.PATIENT_IN_ROOM, Milestone.PATIENT_OUT_OF_ROOM)
    recovering = (Milestone.PATIENT_OUT_OF_ROOM, Milestone.PACU_READY)
    assert _minutes(told["old"], *in_room) > _minutes(told["young"], *in_room) + 5
    assert _minutes(told["old"], *recovering) > _minutes(told["young"], *recovering) + 15
    again = await reproduce(settings, run, None)
    assert again.identical
    whys = [case["why"] for case in again.values()["cases"].values()]
    assert any("the patient +" in why and "age band 80+" in why for why in whys)
    assert any("the patient -" in why and "age band 16-39" in why for why in whys)


def test_a_minute_is_not_worth_a_word() -> None:
    columns = columns_of([(("asa", str(number % 2)),) for number in range(40)])
    model = DurationModel().learn_all([FinishedCase(CaseFeatures("p", "s", "g", 90), 112.0)] * 12)
    for gamma, said in ((0.0, ""), (0.005, ""), (0.2, ", the patient +")):
        regressors = Regressors.prior(columns)
        regressors.gamma[1] = gamma
        moved = DurationModel(tallies=model.tallies, regressors=regressors)
        sentence = explain(moved, CaseFeatures("p", "s", "g", 90, (("asa", "1"),))).sentence
        assert sentence.partition("booked 90")[2].startswith(said)
        assert bool(said) == ("patient" in sentence)
        assert "patient" not in explain(moved, CaseFeatures("p", "s", "g", 90)).sentence


async def test_score_card_by_age_band_and_effects(memory: Memory) -> None:
    card = await judge(memory, NOON, days=30)
    assert [each.value for each in card.effects["room_time"] if each.name == "age_band"] == ["16-39", "80+"]
    titles = [table.columns[0].header for table in tables(card)]
    assert "what moves the room time" in titles
    assert "what moves the recovery room" in titles


# A model from a file


def _learned(folder: Path, *, age: str = "age_band") -> Path:
    """What `jumeau durations learn` makes of 60 cases of 200 minutes."""
    rows = "\n".join(f"NFFC004,90,{200 + number % 9},{('80+', '16-39')[number % 2]}" for number in range(60))
    (folder / "cases.csv").write_text(f"procedure,booked_min,actual_min,{age}\n{rows}\n")
    out = folder / "model.json"
    command = ["durations", "learn", str(folder / "cases.csv"), "--out", str(out), "--covariate", age]
    assert CliRunner().invoke(app, command).exit_code == 0
    return out


def test_a_file_is_where_it_starts(tmp_path: Path) -> None:
    """The file says NFFC004, the hospital urn:acts|NFFC004: the same act."""
    start = start_of(_learned(tmp_path).read_bytes(), DurationOptions())
    twins = tomorrow(lived(1)).suite("12:00").cases.values()
    [twin] = [
        twin for twin in lived(22).suite("22T20:00").cases.values() if twin.links.appointment == "Appointment/c126"
    ]
    models = models_of(twins, DurationOptions(), start=start)
    told = models.room.predict(models.features(twin))
    assert models.features(twin).procedure == "NFFC004"
    assert told.procedure_cases == 60
    assert told.distribution.median > 150
    assert {column.label for column in models.room.model.regressors.columns} == {"age_band = 80+", "age_band = 16-39"}


def test_the_journal_goes_on_from_the_file(memory: Memory, tmp_path: Path) -> None:
    start = start_of(_learned(tmp_path, age="other").read_bytes(), DurationOptions())
    memory = Memory(memory.journal, memory.settings, SITE, READING, start)
    history = history_at(memory, NOON, Basis(position=memory.journal.position(), at=at("12:00")))
    tally = history.room.model.tallies["procedure", "NFFC004"]
    assert tally.cases == 60 + 132
    names = {column.name for column in history.room.model.regressors.columns}
    assert names == {"other", "age_band"}


async def test_a_run_keeps_which_file_it_was(tmp_path: Path) -> None:
    file = _learned(tmp_path)
    settings = _settings(tmp_path, durations={"model_file": str(file)})
    for learn in (False, True):
        run, told = await _predicted(settings, learn=learn)
        assert (await reproduce(settings, run, None)).identical
        assert _minutes(told["old"], Milestone.PATIENT_IN_ROOM, Milestone.PATIENT_OUT_OF_ROOM) > 100
    file.write_text(json.dumps(values_of(DurationModel())))
    with pytest.raises(JournalError, match=r"durations\.model_file is not the file"):
        await reproduce(settings, run, None)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "can't be read"),
        ("procedure;minutes", "no JSON"),
        ("{}", "no duration model"),
        (json.dumps({"format": "jumeau-durations", "version": 1}), "of version 2 is needed"),
        (json.dumps(values_of(DurationModel()) | {"tallies": [["x"]]}), "damaged"),
        (
            json.dumps(values_of(DurationModel(DurationOptions(booked_interval=BookedInterval.SKIN_TO_SKIN)))),
            r"site\.booked_interval",
        ),
    ],
)
async def test_a_file_that_is_none_is_one_clear_error(tmp_path: Path, text: str | None, said: str) -> None:
    file = tmp_path / "model.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(SettingsError, match=rf"durations\.model_file: .*{said}"):
        async with worker_of(_settings(tmp_path, durations={"model_file": str(file)}), NOON):
            pass


def test_effects_from_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    missing = CliRunner().invoke(app, ["durations", "effects"])
    assert (missing.exit_code, "no journal yet" in missing.stderr) == (2, True)
    asyncio.run(_kept(_settings(tmp_path)))
    monkeypatch.setenv("JUMEAU_DATABASE_URL", f"sqlite:///{tmp_path / 'journal.db'}")
    monkeypatch.setenv("JUMEAU_FHIR__BASE_URL", SERVER)
    monkeypatch.setenv("JUMEAU_CLOCK__ANCHOR", at("12:00").isoformat())
    shown = CliRunner().invoke(app, ["durations", "effects"]).stdout
    assert "what moves the room time" in shown
    assert "age band 80+" in shown
    told = json.loads(CliRunner().invoke(app, ["durations", "effects", "--json"]).stdout)
    assert {"name", "value", "per", "cases", "percent", "percent_95"} == told["pacu"][0].keys()


async def _kept(settings: Settings) -> None:
    async with worker_of(settings, NOON) as worker:
        parts = worker.parts
        parts.journal.append_batch(SERVER, lived().facts, [], {}, reading=parts.reading, observed_at=at("11:00"))
