import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_adapters.canonical import PREDICTED_START
from fhir_adapters.splice import entries, has_delicate_numbers, splice, untouched

OURS = {"url": PREDICTED_START, "valueDateTime": "2026-11-24T09:00:00+01:00"}
OURS_TEXT = json.dumps(OURS, separators=(",", ":")).encode()
HIS = b'{ "url" : "http://his/score", "valueDecimal" : 2.3500 }'


def test_added_as_last_member() -> None:
    before = b'{\n  "resourceType": "Appointment",\n  "minutesDuration": 90\n}\n'
    after = b'{\n  "resourceType": "Appointment",\n  "minutesDuration": 90,\n  "extension":[' + OURS_TEXT + b"]\n}\n"
    assert splice(before, [], [OURS]) == after


def test_added_to_empty_object() -> None:
    assert splice(b"{ }", [], [OURS]) == b'{"extension":[' + OURS_TEXT + b"] }"


def test_added_after_theirs() -> None:
    before = b'{"a":1e2, "extension" : [ ' + HIS + b' ], "b":"\\u00e9"}'
    after = b'{"a":1e2, "extension" : [ ' + HIS + b"," + OURS_TEXT + b' ], "b":"\\u00e9"}'
    assert splice(before, [], [OURS]) == after


def test_replaced_between_theirs() -> None:
    other = b'{"url":"http://his/2"}'
    before = b'{"extension":[' + HIS + b",\n  " + OURS_TEXT + b",\n  " + other + b"]}"
    after = b'{"extension":[' + HIS + b",\n  " + other + b",\n  " + OURS_TEXT + b"]}"
    assert splice(before, [1], [OURS]) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'{"extension":[%s]}', b"{}"),
        (b'{"extension":[ %s ], "a":1.0}', b'{"a":1.0}'),
        (b'{"a":1.0, "extension":[%s]}', b'{"a":1.0}'),
        (b'{"a":1.0, "extension":[%s] , "b":[ ]}', b'{"a":1.0 , "b":[ ]}'),
    ],
)
def test_empty_member_goes(before: bytes, after: bytes) -> None:
    assert splice(before % OURS_TEXT, [0], []) == after


def test_nothing_to_do_keeps_bytes() -> None:
    body = b' {"a" : [1.50, {"extension":[]}], "_extension":null , "n":12345678901234567890}\r\n'
    assert splice(body, [], []) == body


def test_nested_extension_stays() -> None:
    body = b'{"contained":[{"extension":[' + HIS + b']}],"extension":[' + OURS_TEXT + b"]}"
    assert splice(body, [0], []) == b'{"contained":[{"extension":[' + HIS + b"]}]}"


def test_huge_integer_kept() -> None:
    digits = b"7" * 5000
    assert splice(b'{"n":' + digits + b"}", [], [OURS]).startswith(b'{"n":' + digits + b",")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "Expecting value"),
        (b"[]", "not a JSON object"),
        (b'"x"', "not a JSON object"),
        (b'{"extension":{}}', "not a JSON array"),
        (b'{"extension":[],"extension":[]}', "several members"),
        (b'{"a":1', "Expecting"),
        (b"\xff", "utf-8"),
    ],
)
def test_refuses_what_it_cannot_edit(body: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        splice(body, [], [OURS])


names = st.text(max_size=5).filter(lambda name: name != "extension")
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)
theirs = st.dictionaries(st.just("url"), st.text(max_size=8), min_size=1)


@given(
    st.lists(st.tuples(names, values), max_size=3, unique_by=lambda member: member[0]),
    st.lists(st.tuples(theirs, st.booleans()), max_size=4),
    st.lists(st.just(OURS), max_size=2),
    st.sampled_from([None, 1]),
)
def test_like_editing_the_values(
    members: list[tuple[str, Any]], marked: list[tuple[Any, bool]], wanted: list[Any], indent: int | None
) -> None:
    resource = dict(members[:2]) | {"extension": [one for one, _ in marked]} | dict(members[2:])
    cut = [place for place, (_, ours) in enumerate(marked) if ours]
    spliced = json.loads(splice(json.dumps(resource, indent=indent).encode(), cut, wanted))
    left = [one for one, ours in marked if not ours] + wanted
    assert spliced == {k: v for k, v in resource.items() if k != "extension"} | ({"extension": left} if left else {})


@pytest.mark.parametrize("number", [b"1.0", b"2.3500", b"1e2", b"9007199254740992", b"12345678901234567890", b"-0.0"])
def test_delicate_numbers(number: bytes) -> None:
    assert has_delicate_numbers(b'{"a":[{"b":' + number + b"}]}")
    assert has_delicate_numbers(b'{"extension":[{"url":"http://his/x","valueDecimal":' + number + b"}]}")


@pytest.mark.parametrize("number", [b"0", b"-15", b"9007199254740991"])
def test_plain_integers(number: bytes) -> None:
    assert not has_delicate_numbers(b'{"a":[{"b":' + number + b'}],"c":"2.35"}')


def test_our_own_decimals_do_not_count() -> None:
    ours = b'{"url":"https://w3id.org/jumeau/fhir/StructureDefinition/predicted-room-end","extension":[{"p":0.42}]}'
    assert not has_delicate_numbers(b'{"extension":[' + ours + b"]}")


def test_untouched_outside_meta_text_and_ours() -> None:
    before = b'{"id":"a","meta":{"versionId":"1"},"extension":[' + HIS + b'],"x":[1,2.50]}'
    after = b'{"x":[1,2.50],"id":"a","text":{},"extension":[' + OURS_TEXT + b"," + HIS + b'],"meta":{"versionId":"2"}}'
    assert untouched(before, after)
    assert untouched(b'{"id":"a"}', b'{"id":"a","extension":[' + OURS_TEXT + b"]}")


@pytest.mark.parametrize(
    "after",
    [
        b'{"x":[2.50,1]}',
        b'{"x":[1,2.5]}',
        b'{"x":[1,"2.50"]}',
        b'{"x":[1,2.50],"y":null}',
        b'{"x":[1,2.50],"contained":[{"extension":[]}]}',
        b"{}",
        b"[]",
    ],
)
def test_touched(after: bytes) -> None:
    assert not untouched(b'{"x":[1,2.50]}', after)


def test_entries_byte_for_byte() -> None:
    bundle = b'{"entry":[{"resource":{"a":1.50 }},{"request":{}},7,{"fullUrl":"x","resource": {}}],"total":2.0}'
    assert entries(bundle) == [b'{"a":1.50 }', b"{}"]
    assert entries(b'{"resourceType":"Bundle"}') == []
