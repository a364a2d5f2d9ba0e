"""Whatever a scenario file says, there is an answer or one clear error; never another exception."""

import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from api.scenario_start import ledger_of, read_bundle, start_of
from api.scenarios.hazards import AnyHazard
from api.scenarios.model import ScenarioFile, WhatIf, scenario_of
from api.scenarios.question import asked
from api.scenarios.text import DEEPEST, MOST_BYTES, Text, read
from api.settings import Settings
from fhir_adapters.normalise import Normaliser
from fixtures.scenarios import FOLDER
from tests.world import PARIS, PSEUDONYMS, SERVER
from twin.errors import SettingsError
from twin.simulation import kernel, reference
from twin.simulation.summary import tally

ORDINARY = FOLDER / "ordinary-day"
START = {"at": "2026-11-24T10:40:00+01:00", "bundle": "bundle.json"}
RESOURCES = {
    "anesthetists": {"kind": "anesthetist", "shifts": [{"start": "07:00", "end": "17:00", "places": 3}]},
    "microscope": {"kind": "equipment", "places": 1, "needed_by": [{"rooms": ["Salle 2", "Salle 4"]}]},
    "sets": {"kind": "instruments", "places": 2, "needed_by": [{"rooms": ["Salle 1"]}]},
    "ward": {"kind": "bed", "places": 7},
    "porters": {"kind": "porter", "places": 1},
    "near": {"kind": "pacu", "places": 2},
    "far": {"kind": "pacu", "places": 1},
}
LIVE = start_of(
    ScenarioFile.model_validate({"start": START, "site": {"resources": RESOURCES}, "options": {"replications": 10}}),
    ORDINARY,
    Settings(),
)
CLASSES = AnyHazard.__args__[0].__args__
KINDS = [made.model_fields["kind"].annotation.__args__[0] for made in CLASSES]
SIGNS = "[]{}:,-&*!|>'\"#%@` \n\tab1\\"

plain = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["no", "18:00", "2026-11-24"]),
)
words = st.sampled_from(
    [
        "Salle 1",
        "salle-2",
        "Appointment/ort-2",
        "ort-3",
        "uro-2",
        "Practitioner/dr-ort",
        "dr-uro",
        "PACU",
        "11:30",
        "18:00",
    ]
)
fields = st.sampled_from(
    [
        *("case", "room", "rooms", "surgeon", "minutes", "factor", "probability", "until", "from", "at"),
        *("urgency", "places", "staff", "unit", "equipment"),
    ]
)
told = st.one_of(words, plain, st.integers(1, 3), st.floats(0.1, 3), st.lists(words, max_size=2))
hazards = st.builds(
    lambda kind, more: {"kind": kind, **more}, st.sampled_from(KINDS), st.dictionaries(fields, told, max_size=4)
)
values = st.recursive(
    plain, lambda part: st.one_of(st.lists(part, max_size=3), st.dictionaries(st.text(max_size=6), part, max_size=3))
)


@contextmanager
def file_of(body: bytes, name: str = "scenario.yaml") -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / name
        file.write_bytes(body)
        yield file


def error_of(act: Callable[[], object]) -> str:
    """The one clear error of an act, "" where it has none."""
    try:
        act()
    except SettingsError as error:
        return str(error) or "nothing said"
    return ""


def read_body(body: bytes, name: str = "scenario.yaml") -> Text | None:
    """None where it is refused."""
    with file_of(body, name) as file:
        error = error_of(lambda: read(file))
        assert error == "" or error.startswith(str(file))
        return None if error else read(file)


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(st.binary(max_size=60), st.text(alphabet="[]{}:,-&*!|>'\"#%@` \n\tab1\\", max_size=60).map(str.encode))
)
@example(b"a: &x [1]\nb: *x")
@example(b"? [1]\n: 2")
@example(b"!!python/object/apply:os.system [ls]")
@example(b"a: 1e999")
@example(b"[" * 5000)
@example(b"- " * 5000)
@example(b'{"a":' * 2000)
@example(b"\xff")
@example(b"a: 1\n---\nb: 2")
@example(b"a: " + b"9" * 5000)
def test_any_bytes(body: bytes) -> None:
    for name in ("scenario.yaml", "scenario.json"):
        text = read_body(body, name) or Text(None)
        assert error_of(partial(scenario_of, text)) != "nothing said"


@settings(max_examples=200, deadline=None)
@given(values)
def test_any_json_is_read_as_it_is(value: Any) -> None:
    try:
        body = json.dumps(value, allow_nan=False).encode()
    except (ValueError, UnicodeEncodeError):
        return
    text = read_body(body, "scenario.json")
    assert text is not None
    assert text.values == value


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(["name", "start", "site", "hazards", "options", "other"]), values))
def test_any_values(value: dict[str, Any]) -> None:
    assert error_of(lambda: scenario_of(Text(value))) != "nothing said"


@settings(max_examples=400, deadline=None)
@given(st.lists(hazards, max_size=3))
def test_any_hazards(some: list[dict[str, Any]]) -> None:
    """What a file may say of hazards either fits the day or names its field."""
    text = Text({"start": START, "hazards": some})
    error = error_of(lambda: asked(LIVE, scenario_of(text).hazards))
    assert error == "" or error.startswith("hazards.")


@settings(max_examples=150, deadline=None)
@given(st.one_of(values, st.lists(st.dictionaries(st.sampled_from(["resource", "request", "response", "x"]), values))))
@example(
    [{"request": {"url": "Appointment/1"}, "response": {"lastModified": "soon"}}, {"resource": {"resourceType": []}}]
)
@example([{"request": {"url": "Appointment/1"}, "response": {"lastModified": "2026-11-24T10:00:00"}}])
def test_any_bundle(entries: Any) -> None:
    for kind in ("collection", "history", None):
        bundle = {"resourceType": "Bundle", "type": kind, "entry": entries}
        body = json.dumps(bundle).encode()
        normaliser = Normaliser(SERVER, PSEUDONYMS, PARIS)
        error = error_of(lambda: ledger_of(read_bundle(body, normaliser, LIVE.suite.now).facts))  # noqa: B023
        assert error == "" or error.startswith("start.bundle")


moments = st.sampled_from(["11:00", "12:30", "16:00", "2026-11-24T18:00:00+01:00", "2026-11-25T08:00:00+01:00"])
rooms = st.sampled_from(["Salle 1", "Salle 2", "Salle 3", "Salle 4"])
PLAUSIBLE: dict[str, st.SearchStrategy[Any]] = {
    "case": st.sampled_from(["ort-2", "ort-3", "dig-2", "dig-3", "uro-2", "oph-4"]),
    "room": rooms,
    "rooms": st.lists(rooms, max_size=3),
    "surgeon": st.sampled_from(["dr-ort", "dr-dig", "dr-uro"]),
    "minutes": st.floats(1, 300),
    "factor": st.floats(0.1, 5),
    "probability": st.floats(0, 1),
    "urgency": st.integers(1, 9),
    "places": st.integers(1, 8),
    "staff": st.sampled_from(["anesthetists", "porters"]),
    "unit": st.just("ward"),
    "pacu": st.sampled_from(["near", "far"]),
    "equipment": st.sampled_from(["microscope", "sets"]),
    **dict.fromkeys(("until", "from", "at"), moments),
}


@st.composite
def plausible(draw: st.DrawFn) -> dict[str, Any]:
    """A hazard with all its required fields and some of the others, each with a value that makes sense."""
    made = draw(st.sampled_from(CLASSES))
    (kind,) = made.model_fields["kind"].annotation.__args__
    wanted = {field.alias or name: field.is_required() for name, field in made.model_fields.items() if name != "kind"}
    return {"kind": kind} | {
        name: draw(PLAUSIBLE[name]) for name, required in wanted.items() if required or draw(st.booleans())
    }


@settings(max_examples=60, deadline=None)
@given(st.lists(plausible(), min_size=1, max_size=4))
def test_plausible_hazards_are_simulated(some: list[dict[str, Any]]) -> None:
    """What fits the day has an answer, by either engine the same bytes."""
    text = Text({"start": START, "hazards": some})
    assume(error_of(lambda: asked(LIVE, scenario_of(text).hazards)) == "")
    question = asked(LIVE, scenario_of(text).hazards)
    by_simpy, by_kernel = (
        question.answer([tally(scenario, engine) for scenario in question.scenarios]).model_dump_json()
        for engine in (reference.run, kernel.run)
    )
    assert by_simpy == by_kernel


def test_all_recovery_rooms_lose_places() -> None:
    def left(**more: Any) -> list[int]:
        told = scenario_of(Text({"start": START, "hazards": [{"kind": "pacu_closed", "places": 3, **more}]}))
        closed = {one.name: one for one in asked(LIVE, told.hazards).scenarios[1].resources}
        return [closed[name].changes[-1][1] if closed[name].changes else -1 for name in ("near", "far")]

    assert (left(), left(pacu="far")) == ([0, 0], [-1, 0])


def test_yaml_package_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    with file_of(b"start: 1") as file, pytest.raises(SettingsError, match="PyYAML"):
        read(file)
    assert read_body(b'{"start": 1}', "scenario.json") is not None


def test_words_of_yaml_stay_what_they_look_like() -> None:
    body = b"a: 18:00\nb: no\nc: 2026-11-24\nd: 0x10\ne: 1_000\nf: 3\ng: 1.5\nh: true\ni: ~\nj: '3'\nk: 010"
    text = read_body(body)
    assert text is not None
    assert list(text.values.values()) == [
        *("18:00", "no", "2026-11-24", "0x10", "1_000", 3, 1.5, True, None, "3", "010")
    ]
    assert text.line(("g",)) == 7
    assert text.line(("g", "unknown")) == 7


def test_golden_files_read_as_yaml_does() -> None:
    for file in FOLDER.glob("*/scenario.yaml"):
        assert read(file).values == yaml.safe_load(file.read_text("utf-8"))


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"a: &x 1", "line 1: anchors"),
        (b"a: 1\na: 2", "line 2: this field is told twice"),
        (b"a:\n - [1\n", "is not YAML"),
        (b"a: !!str x", "line 1: tags"),
        (b"[" * (DEEPEST + 2), "nested too deeply"),
        (b"#" * (MOST_BYTES + 1), "larger than 256 kB"),
        (b"a: 1\n---\nb: 2", "one scenario"),
    ],
)
def test_refusals(body: bytes, says: str) -> None:
    with file_of(body) as file, pytest.raises(SettingsError, match=says):
        read(file)


def test_what_if_has_the_hazards_of_files() -> None:
    assert WhatIf.model_fields["hazards"].annotation == ScenarioFile.model_fields["hazards"].annotation
