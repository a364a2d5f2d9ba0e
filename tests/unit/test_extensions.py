import json
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_adapters.canonical import CANONICAL, PREDICTED_END, PREDICTED_ROOM_END, PREDICTED_START, PREDICTED_TIMELINE
from fhir_adapters.extensions import InvalidAnnotationError, build, owned, published, reader, same_content
from twin.facts import Carried
from twin.timeline import Annotation, PredictedRoomEnd, PredictedStage, PredictedTimeline
from twin.vocabulary import Milestone

PARIS = ZoneInfo("Europe/Paris")
SOURCE = "urn:uuid:6f1c3a52-0b7d-4b5e-9a64-3d0f3c1f8a11"
OTHER = "urn:uuid:0f9f4c1e-52c8-4f35-8f0d-6a1de2b0c7a2"
NOW = datetime(2026, 11, 24, 7, 0, 12, tzinfo=UTC)


def timeline(source: str = SOURCE, **changes: Any) -> PredictedTimeline:
    values: dict[str, Any] = {
        "generated_at": NOW,
        "valid_until": NOW + timedelta(hours=1),
        "model": "closed-form 1",
        "source": source,
        "run": "urn:uuid:8a1f3f62-9c65-4a9f-a5b5-8f0b4a3c2d10",
        "based_on": ("Appointment/a/_history/3",),
        "stages": (
            PredictedStage(Milestone.PATIENT_IN_ROOM, p50=at(8), p10=at(7, 50), p90=at(8, 20), probability=0.97),
            PredictedStage(Milestone.PATIENT_OUT_OF_ROOM, p50=at(10)),
            PredictedStage(Milestone.PACU_ARRIVAL, probability=0.42),
        ),
    }
    return PredictedTimeline(**(values | changes))


def room_end(source: str = SOURCE, **changes: Any) -> PredictedRoomEnd:
    values: dict[str, Any] = {
        "day": date(2026, 11, 24),
        "session_start": at(7),
        "session_end": at(17),
        "p50": at(16, 40),
        "p10": at(16),
        "p90": at(17, 35),
        "overrun_probability": 0.31,
        "generated_at": NOW,
        "valid_until": NOW + timedelta(hours=1),
        "source": source,
    }
    return PredictedRoomEnd(**(values | changes))


def at(hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, 24, hour, minute, tzinfo=UTC)


def read(extensions: object) -> Carried:
    return reader(SOURCE)(extensions)


def test_case_extensions() -> None:
    built = build(Annotation(timeline()), PARIS)
    assert [one["url"] for one in built] == [PREDICTED_TIMELINE, PREDICTED_START, PREDICTED_END]
    assert built[1]["valueDateTime"] == "2026-11-24T09:00:00+01:00"
    parts = built[0]["extension"]
    assert {"url": "generatedAt", "valueInstant": "2026-11-24T08:00:12+01:00"} in parts
    stages = [part["extension"] for part in parts if part["url"] == "stage"]
    assert stages[2] == [
        {"url": "milestone", "valueCode": "pacu_arrival"},
        {"url": "probability", "valueDecimal": 0.42},
    ]


def test_no_start_once_in_room() -> None:
    begun = timeline(stages=(PredictedStage(Milestone.PATIENT_OUT_OF_ROOM, p50=at(10)),))
    assert [one["url"] for one in build(Annotation(begun), PARIS)] == [PREDICTED_TIMELINE, PREDICTED_END]


def test_one_extension_per_block() -> None:
    ends = (room_end(), room_end(session_start=at(18), session_end=at(20)))
    built = build(Annotation(room_ends=ends), PARIS)
    assert [one["url"] for one in built] == [PREDICTED_ROOM_END, PREDICTED_ROOM_END]
    assert {"url": "date", "valueDate": "2026-11-24"} in built[0]["extension"]


def test_numbers_print_short() -> None:
    text = json.dumps(build(Annotation(room_ends=(room_end(overrun_probability=0.1 + 0.2),)), PARIS))
    assert '"valueDecimal": 0.3}' in text


def test_offsets_on_change_of_clocks() -> None:
    night = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    stages = (
        PredictedStage(Milestone.PATIENT_IN_ROOM, p50=night),
        PredictedStage(Milestone.PATIENT_OUT_OF_ROOM, p50=night + timedelta(hours=1)),
    )
    built = build(Annotation(timeline(stages=stages)), PARIS)
    assert [one["valueDateTime"] for one in built[1:]] == ["2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00"]


def test_reads_back_equal_in_the_hour_that_comes_twice() -> None:
    for minute in (30, 90):
        night = datetime(2026, 10, 25, tzinfo=UTC) + timedelta(minutes=minute)
        stages = (PredictedStage(Milestone.PATIENT_IN_ROOM, p50=night),)
        annotation = Annotation(timeline(stages=stages, generated_at=night), (room_end(p50=night),))
        shown = published(annotation, PARIS)
        assert read(build(annotation, PARIS)).annotation == shown == annotation


instants = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
chances = st.floats(0, 1)


@st.composite
def annotations(draw: st.DrawFn) -> Annotation:
    stages = tuple(
        PredictedStage(milestone, *draw(st.sampled_from([(None, None, None), (draw(instants),) * 3])), draw(chances))
        for milestone in draw(st.lists(st.sampled_from(Milestone), min_size=1, unique=True))
    )
    ends = draw(st.lists(st.builds(room_end, p50=instants, overrun_probability=chances), max_size=3))
    return Annotation(timeline(stages=stages, generated_at=draw(instants)), tuple(ends))


@given(annotations(), st.sampled_from(["Europe/Paris", "Pacific/Chatham", "America/St_Johns", "UTC"]))
def test_reads_back_equal(annotation: Annotation, zone: str) -> None:
    through_json = json.loads(json.dumps(build(annotation, ZoneInfo(zone))))
    assert read(through_json) == Carried(published(annotation, PARIS), present=True)


@pytest.mark.parametrize(
    "changes",
    [
        {"stages": ()},
        {"based_on": ()},
        {"stages": (PredictedStage(Milestone.INCISION),)},
        {"stages": (PredictedStage(Milestone.INCISION, p50=at(9), p10=at(8)),)},
        {"stages": (PredictedStage(Milestone.INCISION, probability=1.2),)},
        {"stages": (PredictedStage(Milestone.INCISION, probability=float("nan")),)},
        {"model": ""},
    ],
)
def test_invalid_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidAnnotationError):
        build(Annotation(timeline(**changes)), PARIS)


@pytest.mark.parametrize("extensions", [None, "x", 3, {}, [], [None, 1, "x", {"url": ["x"]}, {"url": "http://his/x"}]])
def test_nothing_of_ours(extensions: object) -> None:
    assert read(extensions) == Carried()


def test_other_installation_is_foreign() -> None:
    built = build(Annotation(timeline(OTHER), (room_end(OTHER),)), PARIS)
    assert read(built) == Carried(foreign=(OTHER,))
    assert owned(built, SOURCE) == []
    assert owned(built, SOURCE, take_over=True) == [0, 1, 2, 3]


def test_start_belongs_to_timeline_beside() -> None:
    alone = [{"url": PREDICTED_START, "valueDateTime": "2026-11-24T09:00:00+01:00"}]
    assert read(alone) == Carried(present=True)
    assert read([*alone, *build(Annotation(timeline(OTHER)), PARIS)]) == Carried(foreign=(OTHER,))


def test_other_version_of_the_program() -> None:
    later = {"url": f"{CANONICAL}/StructureDefinition/later", "extension": [{"url": "source", "valueUri": SOURCE}]}
    assert owned([later], SOURCE) == [0]
    assert owned([later], OTHER) == []
    assert read([later]) == Carried(present=True)


def off_ones() -> list[list[dict[str, Any]]]:
    case, start, end = build(Annotation(timeline()), PARIS)
    (room,) = build(Annotation(room_ends=(room_end(),)), PARIS)
    parts = case["extension"]

    def having(*changed: object) -> list[dict[str, Any]]:
        return [{"url": PREDICTED_TIMELINE, "extension": list(changed)}, start, end]

    return [
        [case, case, start, end],
        [case, start],
        [case, end],
        [case, {**start, "valueDateTime": "2026-11-24T09:01:00+01:00"}, end],
        [case, start, {"url": PREDICTED_END, "valueString": "soon"}],
        [{"url": PREDICTED_TIMELINE}, start, end],
        [{"url": PREDICTED_TIMELINE, "extension": {"url": "stage"}}, start, end],
        *(having(*parts[:left_out], *parts[left_out + 1 :]) for left_out in (0, 1, 2, 3, 4)),
        having(*parts, parts[0]),
        having({"url": "generatedAt", "valueInstant": "2026-11-24T08:00:12"}, *parts[1:]),
        having({"url": "generatedAt", "valueInstant": 5}, *parts[1:]),
        having(*parts[:-1], {"url": "stage", "extension": [{"url": "milestone", "valueCode": "lunch"}]}),
        having(*parts[:-1], {"url": "stage", "extension": [{"url": "milestone", "valueCode": "incision"}]}),
        [{**room, "extension": [part for part in room["extension"] if part["url"] != "p50"]}],
        [{**room, "extension": [part for part in room["extension"] if part["url"] != "p90"]}],
        [{**room, "extension": [*room["extension"], {"url": "overrunProbability", "valueDecimal": True}]}],
    ]


@pytest.mark.parametrize("extensions", off_ones())
def test_off_is_present_but_unread(extensions: list[dict[str, Any]]) -> None:
    assert read(extensions) == Carried(present=True)


scalars = st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.sampled_from(["source", "stage", SOURCE])
keys = st.sampled_from(["url", "extension", "valueUri", "valueDateTime", "valueCode", "valueInstant", "valueDecimal"])
urls = st.sampled_from([PREDICTED_TIMELINE, PREDICTED_START, PREDICTED_ROOM_END])
trees = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4))


@given(st.lists(st.builds(lambda url, tree: {"url": url, "extension": tree}, urls, trees) | trees, max_size=4))
def test_reading_never_raises(extensions: list[Any]) -> None:
    assert read(extensions).annotation is None


def test_same_content_ignores_stamps() -> None:
    one = Annotation(timeline(), (room_end(),))
    later = NOW + timedelta(minutes=20)
    stamps: dict[str, Any] = {"generated_at": later, "valid_until": later}
    other = Annotation(
        timeline(**stamps, run="urn:uuid:1", based_on=("Appointment/a/_history/4",)), (room_end(**stamps),)
    )
    assert same_content(one, other)


def test_same_content_as_published() -> None:
    exact = timeline(stages=(PredictedStage(Milestone.INCISION, p50=NOW, probability=0.4249),))
    assert same_content(Annotation(exact), published(Annotation(exact), PARIS))


@pytest.mark.parametrize(
    "other",
    [
        None,
        Annotation(),
        Annotation(timeline(model="closed-form 2")),
        Annotation(timeline(stages=(PredictedStage(Milestone.INCISION, p50=at(9)),))),
        Annotation(timeline(), (room_end(),)),
    ],
)
def test_other_content_differs(other: Annotation | None) -> None:
    assert not same_content(Annotation(timeline()), other)
    assert not same_content(other, Annotation(timeline()))
