"""Whatever a server sends: a fact or a quarantine, never an exception, and nothing of a person in either."""

import json
import os
from collections.abc import Iterator
from copy import deepcopy
from datetime import date
from functools import cache
from pathlib import Path as File
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from fhir_adapters.content import Real, parse
from fhir_adapters.normalise import TYPES
from fixtures.clinic.day import generate_day
from fixtures.clinic.loading import encode
from tests.unit.fhir_samples import ALL, BASE, NORMALISER, NOW, PARIS
from twin.facts import Fact, Quarantined

Path = tuple[str | int, ...]

STRINGS = st.one_of(
    st.text(st.characters(), max_size=20),
    st.sampled_from(
        [
            *("", "..", "../x", "Patient/p9", "Location/l9", f"{BASE}/Location/l9", "#x", "javascript:alert(1)"),
            *("urn:uuid:0", "\ud800", "\x00", "https://[::1", "finished", "completed", "in-progress", "arrived"),
            *("2026", "2026-02-30", "2026-11-24T24:00:00Z", "0001-01-01T00:00:00+14:00", "2026-11-24T08:00:00"),
            *("9999-12-31T23:59:60Z", "2026-11-24T08:00:00.123456789+01:00", "2026-11-24T08:00:00+99:00"),
        ]
    ),
)
NUMBERS = st.one_of(
    st.integers(),
    st.builds(pow, st.just(10), st.just(5000)),
    st.sampled_from([Real(literal) for literal in ("0.10", "1e400", "-0.0", "9" * 5000)]),
)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | STRINGS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(STRINGS, inner, max_size=3),
    max_leaves=8,
)


def paths(value: Any, at: Path = ()) -> Iterator[Path]:
    """Every place in a JSON value."""
    yield at
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in inner:
        yield from paths(child, (*at, key))


def put(root: Any, path: Path, value: Any) -> Any:
    """The value with another one at a place; nothing there any more where it is `DROP`."""
    if not path:
        return None if value is DROP else value
    parent = root
    for key in path[:-1]:
        parent = parent[key]
    if value is DROP:
        del parent[path[-1]]
    else:
        parent[path[-1]] = value
    return root


DROP = object()


@cache
def corpus() -> tuple[Any, ...]:
    """Complete samples, a day of the synthetic clinic, and the resources of the folder JUMEAU_TEST_RESOURCES."""
    day = [parse(encode(one)) for one in generate_day(date(2026, 11, 24), PARIS).resources]
    folder = os.environ.get("JUMEAU_TEST_RESOURCES")
    files = sorted(File(folder).rglob("*.json")) if folder else []
    given = [resource for file in files for resource in unpacked(parse(file.read_bytes()))]
    return (*ALL, *(one for one in [*day, *given] if isinstance(one, dict) and one.get("resourceType") in TYPES))


def unpacked(value: Any) -> list[Any]:
    """The resources of a Bundle, or the one resource."""
    entries = value.get("entry") if isinstance(value, dict) else None
    return [entry.get("resource") for entry in entries if isinstance(entry, dict)] if entries else [value]


def test_corpus_is_read() -> None:
    outcomes = [NORMALISER.version(one, NOW) for one in corpus()]
    assert len(outcomes) > 200
    assert not [one for one in outcomes if isinstance(one, Quarantined) and not one.reason]
    assert all(isinstance(one, Fact) for one in outcomes[:200])


@st.composite
def mutated(draw: st.DrawFn) -> Any:
    """A sample with up to four places dropped or replaced."""
    resource = deepcopy(draw(st.sampled_from(corpus())))
    for _ in range(draw(st.integers(1, 4))):
        places = list(paths(resource))
        resource = put(resource, draw(st.sampled_from(places)), draw(st.just(DROP) | VALUES))
        if not isinstance(resource, dict):
            break
    return resource


@settings(max_examples=600, deadline=None)
@given(st.deferred(mutated))
def test_any_mutation_is_read_or_quarantined(raw: Any) -> None:
    outcome = NORMALISER.version(raw, NOW)
    assert isinstance(outcome, Fact | Quarantined)
    assert outcome == NORMALISER.version(raw, NOW)
    repr(outcome).encode()  # no lone surrogate reaches a store


@settings(max_examples=300, deadline=None)
@given(VALUES)
@example({"resourceType": "Location", "id": "x", "extension": None})
@example({"resourceType": "Patient", "id": "x", "meta": None, "link": None, "contained": 3})
def test_any_json_is_read_or_quarantined(raw: Any) -> None:
    assert isinstance(NORMALISER.version(raw, NOW), Fact | Quarantined)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(ALL), st.randoms(use_true_random=False))
def test_order_of_keys_is_no_change(resource: dict[str, Any], random: Any) -> None:
    shuffled = list(resource.items())
    random.shuffle(shuffled)
    assert NORMALISER.version(dict(shuffled), NOW) == NORMALISER.version(resource, NOW)


CANARY = "Zyxwcanary"
WORDS = ("text", "display", "value", "div", "comment", "description", "patientInstruction", "family")
PERSONAL: dict[str, Any] = {
    "identifier": [{"system": "urn:oid:1.2.250.1.213.1.4.8", "value": f"1 80 01 {CANARY}"}],
    "name": [{"family": CANARY, "given": [CANARY], "text": CANARY}],
    "telecom": [{"system": "phone", "value": CANARY}],
    "address": [{"line": [CANARY], "city": CANARY}],
    "birthDate": "1950-03-17",
    "photo": [{"data": CANARY}],
    "text": {"status": "generated", "div": f"<div>{CANARY}</div>"},
    "comment": CANARY,
    "description": CANARY,
    "patientInstruction": CANARY,
    "note": [{"text": CANARY}],
    "contained": [{"resourceType": "Patient", "id": "c", "name": [{"family": CANARY}]}],
    "extension": [{"url": "urn:theirs", "valueString": CANARY}],
    "reasonCode": [{"text": CANARY}],
    "bodySite": [{"text": CANARY}],
    "outcome": {"text": CANARY},
    "cancelationReason": {"text": CANARY},
    "performedString": CANARY,
    "language": CANARY,
    "supportingInformation": [{"reference": f"DocumentReference/{CANARY}", "display": CANARY}],
}


def with_canaries(value: Any, *, keeps_words: bool) -> Any:
    """Canaries as the display of every reference and the text of every concept, and every patient id one."""
    if isinstance(value, list):
        return [with_canaries(one, keeps_words=keeps_words) for one in value]
    if not isinstance(value, dict):
        return value.replace("Patient/", f"Patient/{CANARY}-") if isinstance(value, str) else value
    marked = {name: with_canaries(one, keeps_words=keeps_words) for name, one in value.items()}
    if "reference" in marked:
        marked |= {"display": CANARY, "identifier": {"value": CANARY}}
    if not keeps_words and ("coding" in marked or "text" in marked):
        marked["text"] = CANARY
    return marked


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(ALL), st.sets(st.sampled_from(sorted(PERSONAL))), st.booleans())
def test_nothing_of_a_person_survives(resource: dict[str, Any], added: set[str], broken: bool) -> None:
    place = resource["resourceType"] == "Location"  # a place's own name, description of type and codings are kept
    raw = with_canaries(deepcopy(resource), keeps_words=place)
    if resource["resourceType"] == "Patient":
        raw["id"] = f"{CANARY}-p1"
    raw |= {name: PERSONAL[name] for name in added if not (place and name == "name")}
    if broken:
        raw["active" if resource["resourceType"] in ("Patient", "Schedule") else "status"] = [CANARY]
    outcome = NORMALISER.version(parse(json.dumps(raw).encode()), NOW)
    assert isinstance(outcome, Quarantined if broken else Fact)
    assert CANARY.casefold() not in repr(outcome).casefold()
    assert "1950-03" not in repr(outcome)
