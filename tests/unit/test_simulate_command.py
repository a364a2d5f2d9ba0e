"""`jumeau simulate` on the golden scenarios, and on what is no scenario."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from msgspec import structs
from typer.testing import CliRunner, Result

from api.cli import app
from fhir_adapters.pseudonyms import Pseudonyms, load_or_create_key
from fixtures.scenarios import FOLDER, names
from tests.unit.api_world import NOW, SERVER, morning
from twin.journal import Journal
from twin.timebase import wall_now

ROOT = Path(__file__).parents[2]
ORDINARY = FOLDER / "ordinary-day" / "bundle.json"


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The journal of the morning; it is 11:24 at the site, and the server had all of it an hour ago."""
    monkeypatch.setenv("JUMEAU_FHIR__BASE_URL", SERVER)
    monkeypatch.setenv("JUMEAU_CLOCK__ANCHOR", NOW.isoformat())
    file = tmp_path / "jumeau.db"
    key = Pseudonyms(load_or_create_key(Path(f"{file}.key")))
    made = Journal.open(f"sqlite:///{file}", key_fingerprint=key.fingerprint)
    known = wall_now() - timedelta(hours=1)
    facts = [structs.replace(fact, key=structs.replace(fact.key, last_updated=known)) for fact in morning()]
    made.append_batch(SERVER, facts, (), {}, reading="r1", observed_at=known)
    made.close()
    return file


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


@pytest.mark.parametrize("name", ["surgeon-late", "emergency-and-pacu"])
def test_hazards_of_the_ordinary_day(name: str) -> None:
    file = FOLDER / "ordinary-day" / f"{name}.yaml"
    answer = told(file)
    assert answer == told(file)
    later = [room["end"]["p50"] for room in answer["difference"]["rooms"] if room["end"]]
    assert max(later) > 0
    assert min(later) >= 0


def test_later_days_and_never_in_the_table(tmp_path: Path) -> None:
    start = f'start: {{bundle: {json.dumps(str(ORDINARY))}, at: "2026-11-24T10:40:00+01:00"}}'
    late = "{kind: surgeon_late, surgeon: dr-ort, until: '23:50'}, {kind: no_show, case: dig-3, probability: 1}"
    file = tmp_path / "late.yaml"
    file.write_text(f"{start}\nhazards: [{late}]\n")
    answer = simulate(file)
    assert answer.exit_code == 0, answer.output
    assert "+1d" in answer.output
    assert "never" in answer.output


def test_live_journal(journal: Path) -> None:
    file = journal.parent / "live.yaml"
    file.write_text("start: {journal: live}\nhazards: [{kind: longer_case, case: a2, minutes: 60}]\n")
    answer = told(file)
    assert answer["at"].startswith("2026-11-24T11:24:")
    assert [case["case"] for case in answer["difference"]["cases"]] == ["Appointment/a2", "Appointment/a3"]


def test_journal_as_it_was_known(journal: Path) -> None:
    file = journal.parent / "then.yaml"
    file.write_text("start: {journal: live, at: 2026-11-24T11:00:00+01:00}\n")
    assert told(file)["at"] == "2026-11-24T11:00:00+01:00"
    file.write_text("start: {journal: live, at: 2026-11-24T12:00:00+01:00}\n")
    answer = simulate(file)
    assert answer.exit_code == 2
    assert "line 1: start.at: give an instant that is past" in answer.stderr


def test_alternatives_stand_side_by_side(tmp_path: Path) -> None:
    file = tmp_path / "pacu.yaml"
    places = "\n".join(f"  {n} closed: [{{kind: pacu_closed, places: {n}, until: 18:00}}]" for n in (3, 5))
    start = f"start: {{at: 2026-11-24T10:40:00+01:00, bundle: {ORDINARY}}}"
    longer = "hazards: [{kind: longer_case, case: ort-2, minutes: 30}]"
    file.write_text(f"{start}\n{longer}\nalternatives:\n{places}\n")
    answer = told(file)
    assert [one["name"] for one in answer["alternatives"]] == ["3 closed", "5 closed"]
    assert [len(one["hazards"]) for one in answer["alternatives"]] == [2, 2]
    outcomes = [answer["with_hazards"], *(one["outcome"] for one in answer["alternatives"])]
    holds = [outcome["pacu_hold_min"] for outcome in outcomes]
    assert holds[0] < holds[1] < holds[2]
    shown = simulate(file).stdout
    assert all(words in shown for words in ("as it stands", "(hazards)", "3 closed", "5 closed"))


def test_brackets_in_a_name(tmp_path: Path) -> None:
    file = tmp_path / "named.yaml"
    file.write_text(f"name: '[/] [red]x :smile:'\nstart: {{at: 2026-11-24T10:40:00+01:00, bundle: {ORDINARY}}}\n")
    assert "[/] [red]x :smile:" in simulate(file).stdout


@pytest.mark.parametrize(
    ("hazard", "says"),
    [
        ("{kind: pacu_closed, places: 0}", "line 3: alternatives.worse.0.places"),
        ("{kind: no_show, case: x9}", "line 3: alternatives.worse.0.case: is no case"),
    ],
)
def test_bad_alternative_names_the_field(tmp_path: Path, hazard: str, says: str) -> None:
    file = tmp_path / "worse.yaml"
    start = f"start: {{at: 2026-11-24T10:40:00+01:00, bundle: {ORDINARY}}}"
    file.write_text(f"{start}\nalternatives:\n  worse: [{hazard}]\n")
    assert says in simulate(file).stderr


def test_table_for_a_person(tmp_path: Path) -> None:
    file = tmp_path / "down.yaml"
    down, urgent = "{kind: room_down, room: Salle 2}", "{kind: emergency, at: 11:00, urgency: 1}"
    hazards = f"[{down}, {urgent}, {{kind: cancellation, case: ort-3}}]"
    site = "{urgency_targets_min: {1: 5}}"
    file.write_text(f"start: {{at: 2026-11-24T10:40+01:00, bundle: {ORDINARY}}}\nsite: {site}\nhazards: {hazards}\n")
    shown = simulate(file).stdout
    for words in ("Salle 1", "Appointment/dig-3", "does not take place: 100 %", "later than its target", "cancelled: "):
        assert words in shown


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "give its fields"),
        ("start: {journal: live}\n", "no journal yet"),
        ("start: {bundle: none.json, at: 2026-11-24T10:40:00+01:00}", "line 1: start.bundle: can't be read"),
        ("start: {bundle: bad.yaml, at: 2026-11-24T10:40:00+01:00}", "line 1: start.bundle: is not JSON"),
        ("start: {bundle: ., at: 2026-11-24T10:40:00+01:00}", "line 1: start.bundle: can't be read"),
        ("start:\n  bundle: b.json\n  at: soon", "line 3: start.at: give an instant with its offset"),
        ("start: {journal: live}\noptions: {replications: 1000000000}", "line 2: options.replications"),
        ("start: {journal: live}\nsite: {resources: {a: {kind: nurses}}}", "line 2: site.resources.a: give places"),
        (
            "start: {journal: live}\nsite: {resources: {PACU: {kind: nurses, places: 3}}}",
            "line 2: site.resources: PACU is",
        ),
        ("start: {journal: live}\nsite: {rooms: 3}", "line 2: site.rooms"),
        ("start: {journal: live}\nhazards: [{kind: room_down}]", "line 2: hazards.0.room: Field required"),
        ("start: {journal: live}\nhazards: [{kind: rain}]", "hazards.0: is no kind of hazard"),
    ],
)
def test_bad_file_names_the_field(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    answer = simulate(file, "--json")
    assert (answer.exit_code, answer.stdout) == (2, "")
    assert says in answer.stderr
    assert len(answer.stderr.splitlines()) == 1


def test_no_file_is_usage() -> None:
    assert simulate().exit_code == 2


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


def test_stops_by_itself_with_the_same_bytes(tmp_path: Path) -> None:
    """Without a number of replications: until all is known to 4 points, by any number of threads."""
    file = tmp_path / "late.json"
    start = {"at": "2026-11-24T10:40:00+01:00", "bundle": str(ORDINARY)}
    hazards = [{"kind": "longer_case", "case": "Appointment/ort-2", "minutes": 200}]
    file.write_text(json.dumps({"start": start, "hazards": hazards}))
    answer = told(file)
    assert answer["replications"] in range(400, 2001, 100)
    assert answer["probability_half_width"] <= 0.04
    assert told_by(file, "--workers", "3") == json.dumps(answer, ensure_ascii=False, separators=(",", ":")) + "\n"


def told_by(file: Path, *arguments: str) -> str:
    answer = simulate(file, "--json", *arguments)
    assert answer.exit_code == 0, answer.output
    return answer.stdout


def test_exported_beside_the_answer(tmp_path: Path) -> None:
    told_by(FOLDER / "ordinary-day" / "scenario.yaml", "--export", str(tmp_path / "out"), "--tables", "parquet")
    names = ("beds", "milestones", "rooms", "visits", "waits")
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == [f"{name}.parquet" for name in names]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--workers", "0"), "--workers: give a number"),
        (("--export", "futures.xlsx"), "give FILE.csv"),
        (("--export", ""), "--export: name a file"),
        (("--cluster", "nowhere"), "cluster: give the scheduler's address"),
        (("--cluster", "foo bar"), "cluster: give the scheduler's address"),
        (("--cluster", ""), "cluster: give the scheduler's address"),
    ],
)
def test_senseless_means(arguments: tuple[str, ...], says: str) -> None:
    answer = simulate(FOLDER / "ordinary-day" / "scenario.yaml", *arguments)
    assert answer.exit_code == 2
    assert says in answer.output
