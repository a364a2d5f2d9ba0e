"""The API over the morning of `api_world`."""

from dataclasses import replace
from datetime import timedelta

import pytest

from api.snapshot import Feed
from tests.unit.api_world import (
    FEED,
    NOW,
    ShownProgram,
    api_of,
    booking,
    case_id_of,
    clock,
    morning,
    snapshot,
    suite_of,
    visit,
)
from twin.prediction.models import models_of
from twin.projections.cases import case_id
from twin.site import DurationOptions


async def _json(path: str, program: ShownProgram | None = None) -> object:
    async with api_of(program) as api:
        answer = await api.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


def _id(booked: str) -> str:
    return case_id_of(suite_of(morning()), booked)


# --- health -----------------------------------------------------------------------------------------------------------


async def test_alive() -> None:
    assert await _json("/health/live") == {"status": "ok"}


@pytest.mark.parametrize("writing", ["off", "annotate", "companion"])
async def test_ready(writing: str) -> None:
    document = await _json("/health/ready", ShownProgram(snapshot(), replace(FEED, writing=writing)))
    assert document == {"status": "ready", "data_age_s": 3.0, "reasons": []}


@pytest.mark.parametrize(
    ("feed", "word"),
    [
        (replace(FEED, failing="no answer"), "reading fails"),
        (replace(FEED, age_s=300.0), "300 s ago"),
        (replace(FEED, writing="stopped: refused"), "writing"),
        (replace(FEED, push="POST Subscription: refused (403); polling goes on"), "push"),
    ],
)
async def test_degraded_says_why(feed: Feed, word: str) -> None:
    document = await _json("/health/ready", ShownProgram(snapshot(), feed))
    assert isinstance(document, dict)
    assert document["status"] == "degraded"
    assert word in document["reasons"][0]


async def test_starting_is_503() -> None:
    async with api_of(ShownProgram(None, replace(FEED, age_s=None))) as api:
        ready, suite = await api.get("/health/ready"), await api.get("/suite")
    assert (ready.status_code, ready.json()["status"]) == (503, "starting")
    assert (suite.status_code, suite.headers["content-type"]) == (503, "application/problem+json")
    assert suite.headers["retry-after"]


async def test_metrics_in_text() -> None:
    async with api_of() as api:
        answer = await api.get("/metrics")
    assert "jumeau_reads_total 1.0" in answer.text
    assert answer.headers["content-type"].startswith("text/plain")


# --- the suite --------------------------------------------------------------------------------------------------------


async def test_suite_counts_live_cases() -> None:
    suite = await _json("/suite")
    assert isinstance(suite, dict)
    assert suite["figures"] == {
        "operated": 1,
        "planned": 3,
        "occupied_rooms": 1,
        "rooms": 2,
        "pacu_present": 0,
        "pacu_places": 12,
        "pacu_places_assumed": False,
        "late_rooms": 1,
    }
    assert (suite["now"], suite["site"], suite["day"]) == (
        "2026-11-24T11:24:00+01:00",
        "Clinique du Parc",
        "2026-11-24",
    )
    assert suite["run"]["replications"] == 50


async def test_suite_tells_the_age_now() -> None:
    program = ShownProgram(snapshot(), replace(FEED, age_s=41.0), at=NOW + timedelta(minutes=3))
    suite = await _json("/suite", program)
    assert isinstance(suite, dict)
    assert (suite["now"], suite["as_of"]) == ("2026-11-24T11:27:00+01:00", "2026-11-24T11:24:00+01:00")
    assert suite["data_age_s"] == 41.0


async def test_room_with_its_list_and_end() -> None:
    rooms = await _json("/rooms")
    assert isinstance(rooms, list)
    first, second = rooms
    assert (first["id"], first["name"], first["state"]) == ("s1", "Salle 1", "occupied")
    assert first["cases"] == [_id("a1"), _id("a2"), _id("a3")]
    assert first["current_case"] == _id("a2")
    assert first["blocks"] == [
        {"start": "2026-11-24T08:00:00+01:00", "end": "2026-11-24T18:00:00+01:00", "assumed": True}
    ]
    assert first["ends"][0]["overrun_probability"] == 0.62
    assert (second["cases"], second["ends"], second["current_case"]) == ([], [], None)


async def test_empty_server_is_an_empty_suite() -> None:
    suite = await _json("/suite", ShownProgram(snapshot(facts=[])))
    assert isinstance(suite, dict)
    assert (suite["rooms"], suite["figures"]["planned"]) == ([], 0)


async def test_unknown_places_are_marked() -> None:
    shown = snapshot()
    unlimited = replace(shown.suite, pacu=replace(shown.suite.pacu, places=None))
    suite = await _json("/suite", ShownProgram(replace(shown, suite=unlimited)))
    assert isinstance(suite, dict)
    assert (suite["figures"]["pacu_places"], suite["figures"]["pacu_places_assumed"]) == (None, True)


async def test_day_is_suite_and_cases() -> None:
    document = await _json("/day")
    assert isinstance(document, dict)
    listed = await _json("/cases")
    assert document["cases"] == listed
    assert document["suite"] == await _json("/suite")


async def test_known_day_is_not_sent_again() -> None:
    program = ShownProgram(snapshot())
    async with api_of(program) as api:
        first = await api.get("/day")
        again = await api.get("/day", headers={"If-None-Match": f'"0-x", W/{first.headers["etag"]}'})
        program.snapshot = snapshot(2, [*morning(), booking("a9", "s2", clock("16:00"), minutes=30)])
        changed = await api.get("/day", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert (changed.status_code, changed.headers["etag"][:3]) == (200, '"2-')


# --- cases ------------------------------------------------------------------------------------------------------------


async def test_cases_of_today_in_order() -> None:
    cases = await _json("/cases")
    assert isinstance(cases, list)
    assert [case["status"] for case in cases] == ["done", "in_progress", "planned"]
    assert [case["delay_min"] for case in cases] == [4, 12, 35]
    assert [case["in_room_since"] for case in cases] == [None, "2026-11-24T10:12:00+01:00", None]
    assert cases[0]["actual_out"] == "2026-11-24T09:41:00+01:00"
    assert cases[2]["predicted_in"] == {
        "p10": "2026-11-24T12:10:00+01:00",
        "p50": "2026-11-24T12:20:00+01:00",
        "p90": "2026-11-24T12:45:00+01:00",
    }


@pytest.mark.parametrize(
    ("query", "booked"),
    [
        ("day=2026-11-25", ["a5"]),
        ("day=2026-11-25&status=done", []),
        ("status=done&status=planned", ["a1", "a3"]),
        ("status=cancelled", ["a4"]),
        ("day=0001-01-01", []),
        ("unknown=%00", ["a1", "a2", "a3"]),
    ],
)
async def test_cases_by_day_and_status(query: str, booked: list[str]) -> None:
    cases = await _json(f"/cases?{query}")
    assert isinstance(cases, list)
    assert [case["case_id"] for case in cases] == [_id(name) for name in booked]


async def test_case_tells_how_times_are_known() -> None:
    case = await _json(f"/cases/{_id('a2')}")
    assert isinstance(case, dict)
    entry, exit_ = case["stages"]
    assert entry["milestone"] == "patient_in_room"
    assert entry["planned"] == "2026-11-24T10:00:00+01:00"
    assert entry["actual"] == {"at": "2026-11-24T10:12:00+01:00", "provenance": "explicit", "source": "Encounter/m2"}
    assert (exit_["actual"], exit_["predicted"]["p50"]) == (None, "2026-11-24T12:02:00+01:00")
    assert case["resources"]["appointment"] == case["carrier"] == "Appointment/a2"
    assert case["team"] == [{"ref": "Practitioner/s1", "role": "surgeon"}]
    assert case["room_name"] == "Salle 1"


async def test_case_says_why() -> None:
    """Where something is predicted; not of what is over."""
    shown = snapshot()
    models = models_of(shown.suite.cases.values(), DurationOptions())
    program = ShownProgram(replace(shown, models={shown.suite.day: models}))
    told = [await _json(f"/cases/{_id(name)}", program) for name in ("a1", "a3")]
    said = [case["why"] for case in told if isinstance(case, dict)]
    assert said[0] is None
    assert said[1] is not None
    assert "booked" in said[1]


async def test_case_may_have_left_already() -> None:
    """Of a case in its room only: one that is out is out."""
    shown = snapshot()
    doubted = {
        case: replace(timeline, left_already=0.25, check_stamp=True) for case, timeline in shown.timelines.items()
    }
    program = ShownProgram(replace(shown, timelines=doubted))
    told = [await _json(f"/cases/{_id(name)}", program) for name in ("a2", "a3")]
    said = [(case["left_already"], case["check_stamp"]) for case in told if isinstance(case, dict)]
    assert said == [(0.25, True), (None, False)]


async def test_stamp_of_the_future_is_set_aside() -> None:
    early = visit("m3", "s1", clock("10:05"), clock("19:00"), booked="a3")
    told = [*[fact for fact in morning() if fact.key.id != "m2"], early]
    program = ShownProgram(snapshot(facts=told))
    case = await _json(f"/cases/{_id('a3')}", program)
    assert isinstance(case, dict)
    assert [(stamp["milestone"], stamp["at"][11:16]) for stamp in case["set_aside"]] == [
        ("patient_out_of_room", "19:00")
    ]


async def test_what_was_reached_meanwhile_is_not_predicted() -> None:
    shown = snapshot()
    entered = suite_of([*morning(), visit("m3", "s1", clock("11:20"), booked="a3")])
    cases = await _json("/cases", ShownProgram(replace(shown, suite=entered)))
    assert isinstance(cases, list)
    assert (cases[2]["predicted_in"], cases[2]["predicted_sent_for"]) == (None, None)
    assert cases[2]["predicted_out"]["p50"] == "2026-11-24T13:25:00+01:00"


async def test_case_by_its_earlier_id() -> None:
    async with api_of() as api:
        answer = await api.get(f"/cases/{case_id('https://his.example/fhir', 'Encounter/m2')}")
    assert answer.json()["case_id"] == _id("a2")


async def test_timeline_is_signed() -> None:
    document = await _json(f"/cases/{_id('a3')}/timeline")
    assert isinstance(document, dict)
    assert document["run"] == "urn:uuid:run"
    assert document["based_on"] == ["Appointment/a1/_history/1"]
    assert document["valid_until"] == "2026-11-24T12:24:00+01:00"
    assert [stage["milestone"] for stage in document["stages"]] == [
        "patient_sent_for",
        "patient_in_room",
        "patient_out_of_room",
    ]


async def test_timeline_of_a_done_case() -> None:
    document = await _json(f"/cases/{_id('a1')}/timeline")
    assert isinstance(document, dict)
    assert (document["generated_at"], document["based_on"]) == (None, [])
    assert all(stage["predicted"] is None for stage in document["stages"])


async def test_no_answer_holds_a_pseudonym() -> None:
    paths = ["/suite", "/rooms", "/cases", "/day", "/metrics", *(f"/cases/{_id(name)}" for name in ("a1", "a2", "a3"))]
    async with api_of() as api:
        texts = [(await api.get(path)).text for path in paths]
    assert all("pseudonym" not in text for text in texts)
