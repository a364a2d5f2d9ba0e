"""Bodies parsed with limits, and compared by what the hospital said."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_adapters import content
from fhir_adapters.canonical import PREDICTED_START
from fhir_adapters.errors import BadAnswerError, BadKeyError
from fhir_adapters.pseudonyms import Pseudonyms, load_or_create_key, new_key

KEYED = Pseudonyms(b"0123456789abcdef0123456789abcdef")


@pytest.mark.parametrize(
    "body",
    [
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": "\xe9"}',
        b"<html></html>",
        b"",
        b'{"a": 1',
        b"[" * 201 + b"]" * 201,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    ],
)
def test_refuses_body(body: bytes) -> None:
    with pytest.raises(BadAnswerError):
        content.parse(body)


def test_error_keeps_body_to_itself() -> None:
    with pytest.raises(BadAnswerError) as caught:
        content.parse(b'{"family": "Dupont"')
    assert "Dupont" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_depth_looks_past_strings() -> None:
    assert content.depth(b'{"a": ["[[[[", "\\"[[[", {}]}') == 3
    assert content.depth(b'"\\') == 0


def test_quotes_take_linear_time() -> None:
    assert content.depth(b'\\"' * 1_000_000) == 0


def test_too_deep_value() -> None:
    assert content.is_too_deep([[[]]], 2)
    assert not content.is_too_deep([[[]]], 3)


def test_byte_order_mark_and_last_key() -> None:
    assert content.parse(b'\xef\xbb\xbf{"a": 1, "a": 2}') == {"a": 2}


def test_numbers_keep_their_literal() -> None:
    parsed = content.parse(b'{"a": 2.50, "b": 1e400, "c": ' + b"9" * 5000 + b', "d": 7}')
    assert parsed["a"].literal == "2.50"
    assert parsed["a"] == 2.5
    assert parsed["b"].literal == "1e400"
    assert parsed["c"].literal == "9" * 5000
    assert parsed["d"] == 7
    assert type(parsed["d"]) is int


def test_lone_surrogate_is_hashed() -> None:
    assert content.semantic_hash(content.parse(b'{"a": "\\ud800"}'), KEYED)


def hash_of(text: str) -> str:
    return content.semantic_hash(content.parse(text.encode()), KEYED)


@pytest.mark.parametrize(
    "other",
    [
        '{"b": 2.50, "a": [1, 2]}',
        '{"a": [1, 2], "b": 2.50, "meta": {"versionId": "9"}, "text": {"div": "x"}}',
        f'{{"a": [1, 2], "b": 2.50, "extension": [{{"url": "{PREDICTED_START}", "valueDateTime": "2026"}}]}}',
    ],
)
def test_same_hash(other: str) -> None:
    assert hash_of(other) == hash_of('{"a": [1, 2], "b": 2.50}')


@pytest.mark.parametrize(
    "other",
    [
        '{"a": [2, 1], "b": 2.50}',
        '{"a": [1, 2], "b": 2.5}',
        '{"a": [1, 2], "b": "2.50"}',
        '{"a": [1, 2], "b": 2.50, "extension": [{"url": "urn:theirs"}]}',
        '{"a": [1, 2], "b": 2.50, "extension": {}}',
    ],
)
def test_other_hash(other: str) -> None:
    assert hash_of(other) != hash_of('{"a": [1, 2], "b": 2.50}')


def test_content_version_counts_ours() -> None:
    theirs: dict[str, Any] = {"resourceType": "Appointment", "id": "1", "meta": {"lastUpdated": "x"}}
    with_ours = {**theirs, "extension": [{"url": PREDICTED_START}]}
    assert content.content_version(theirs, KEYED) == content.content_version({**theirs, "meta": {}}, KEYED)
    assert content.content_version(theirs, KEYED) != content.content_version(with_ours, KEYED)


def test_hash_depends_on_key() -> None:
    resource = json.loads('{"a": 1}')
    assert content.semantic_hash(resource, KEYED) != content.semantic_hash(resource, Pseudonyms(new_key()))


def test_key_is_made_once(tmp_path: Path) -> None:
    path = tmp_path / "jumeau.db.key"
    key = load_or_create_key(path)
    assert len(key) == 32
    assert load_or_create_key(path) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["jumeau.db.key"]


def test_short_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"short")
    with pytest.raises(BadKeyError):
        load_or_create_key(path)
    with pytest.raises(BadKeyError):
        Pseudonyms(b"short")


def test_key_in_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(BadKeyError):
        load_or_create_key(tmp_path / "none" / "key")


def test_pseudonyms_are_keyed_and_apart() -> None:
    assert KEYED.patient("p1") != KEYED.text("p1")
    assert KEYED.patient("p1") != Pseudonyms(new_key()).patient("p1")
    assert KEYED.text("  Hernie  Inguinale ") == KEYED.text("hernie inguinale")
    assert KEYED.fingerprint in repr(KEYED)


# The fast ways and the patient ones


TEXTS = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    ["\\\\x41", "é\\x", "œ🏥", '"', "{[", "\x00"]
)
NUMBERS = st.sampled_from(["0", "-1", "2.50", "1e400", "1E5", "9" * 19, "9" * 20, "-" + "9" * 19, "123456789.10"])
SCALARS = TEXTS.map(json.dumps) | NUMBERS | st.sampled_from(["true", "false", "null"])


def _object(pairs: list[tuple[str, str]]) -> str:
    return "{" + ",".join(f"{json.dumps(name)}:{value}" for name, value in pairs) + "}"


VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4).map(lambda each: f"[{','.join(each)}]")
        | st.lists(st.tuples(TEXTS, inner), max_size=4).map(_object)
    ),
    max_leaves=20,
)


@given(VALUES)
def test_fast_and_patient_agree(text: str) -> None:
    body = text.encode()
    slow = content._DECODER.decode(text)
    assert content.parse(body) == slow
    assert content._canonical(content.parse(body)) == content._canonical(slow)


@given(st.integers(1, 60), st.sampled_from(['"["', "1", "[]"]))
def test_flat_is_never_too_deep(levels: int, leaf: str) -> None:
    value = content.parse(("[" * levels + leaf + "]" * levels).encode())
    assert content.is_flat(value) is not content.is_too_deep(value)


def test_not_flat_where_the_name_is() -> None:
    assert not content.is_flat({"a": [{"modifierExtension": 1}]})
