"""One morning on servers that behave strangely: the same predictions everywhere, nothing of the hospital touched."""

import json
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from tests.strangers import checks, plain
from tests.strangers.cli import Jumeau, Ran, Warm
from tests.strangers.resources import appointment, at, morning, of, period, stay
from tests.strangers.server import Stranger
from tests.strangers.traits import Traits

pytestmark = pytest.mark.server

NOW = at("10:30")
WORKERS = 2
SCORE = '{"url":"http://his/score","valueDecimal":2.3500},{"url":"http://his/n","valueDecimal":12345678901234567890}'
BAD: tuple[Any, ...] = (
    {"resourceType": "Appointment", "id": "z1", "status": "banana", "participant": []},
    {"resourceType": "Appointment", "status": "booked"},
    {"resourceType": "Appointment", "id": "z3", "status": "booked", "participant": {"actor": 7}},
    {"resourceType": "Appointment", "id": "z4", "status": "booked", "start": at("10:00"), "end": at("09:00")},
    None,
)
STRANGERS = {
    "plain": Traits(),
    "hapi": Traits(
        stale=409,
        failed_test=400,
        identical_makes_version=False,
        patch_answers_etag=False,
        doubles=True,
        paging="token",
        page=3,
        last_updated="offset",
        unknown_params=400,
    ),
    "uuid": Traits(
        base="/hospital/ws/r4",
        version_ids="uuid",
        etag="strong",
        history=False,
        last_updated="seconds",
        tells_total=False,
        tells_time=False,
        paging="relative",
        page=2,
        deleted=404,
        patch_answers_body=False,
    ),
    "no patch": Traits(patch=405, put_answers_body=False, stale=409, gzips=True),
    "patch unknown": Traits(patch=400, version_ids="uuid", etag="none", lacks=frozenset({"date", "_sort"})),
    "no searches": Traits(
        patch=501, lacks=frozenset({"date", "_lastUpdated", "_sort", "status", "_id"}), unknown_params=400
    ),
    "no guard": Traits(stale=0, patch_answers_body=False, patch_answers_etag=False),
    "proxied": Traits(etag_suffix="-gzip", gzips=True, skew_s=300.0, lacks_types=frozenset({"Procedure"})),
    "behind": Traits(etag_suffix=";gzip", patch=405, skew_s=-300.0, hidden=frozenset({"Patient"})),
    "noisy": Traits(bad=BAD, outcome_entry=True, full_urls=False, paging="path", page=4, gzips=True),
    "shaky": Traits(busy=4, busy_status=503, retry_after="0", drops=3, slow_s=0.01),
    "odd": Traits(
        unknown_params=501,
        lacks=frozenset({"date", "_lastUpdated", "_sort", "_count"}),
        lacks_types=frozenset({"Procedure"}),
        lacks_status=400,
        patch=404,
        includes=True,
        history_since=400,
    ),
    "behind a proxy": Traits(
        base="/r4", public="http://fhir.internal:8080", page=2, moves=307, patch=500, patch_says="oops", loops=True
    ),
    "timeless": Traits(
        version_ids="json", tells_date=False, tells_time=False, last_updated="none", history_order="oldest"
    ),
    "untold": Traits(tells_version=False, last_updated="none", tells_time=False, patch=415),
}
REFS = [f"{one['resourceType']}/{one['id']}" for one in morning() if one["resourceType"] != "Patient"]
ANNOTATED = ["Appointment/a1", "Appointment/a2", "Appointment/a4", "Appointment/a5", "Appointment/t1"]
ROOMS = ["Location/s1", "Location/s2"]

Texts = dict[str, str]


@dataclass(slots=True)
class Played:
    """Four calls on one server, and its resources as texts before the first and after each."""

    calls: list[Ran] = field(default_factory=list)
    texts: list[Texts] = field(default_factory=list)
    gained: list[int] = field(default_factory=list)
    """Versions that each call made."""

    def json(self, call: int, ref: str) -> dict[str, Any]:
        """A resource after a call, counted from 1."""
        return dict(json.loads(self.texts[call][ref]))


def play(traits: Traits, folder: Path, warm: Warm) -> Played:
    """Run; run again a minute later; the hospital cancels a2 and finishes a1; run; remove."""
    played = Played()
    with Stranger(traits, *morning()) as server:
        booked = json.dumps(appointment("a4", "s2", "09:30", "11:30", status="arrived"))
        server.put(f'{booked[:-1]},"extension":[{SCORE}]}}')
        jumeau = Jumeau(folder, server.url, warm=warm)
        _look(server, played)
        _call(server, played, lambda: jumeau.once(NOW))
        _call(server, played, lambda: jumeau.once(at("10:31")))
        server.edit("Appointment/a2", status="cancelled")
        server.put(of("a1", stay("s1", "08:05", "10:50"), status="finished", period=period("07:00", "10:55")))
        _call(server, played, lambda: jumeau.once(at("11:00")))
        _call(server, played, lambda: jumeau("write-back", "--remove", "--json"))
    return played


def _call(server: Stranger, played: Played, run: Any) -> None:
    before = _versions(server)
    played.calls.append(run())
    played.gained.append(_versions(server) - before)
    _look(server, played)


def _versions(server: Stranger) -> int:
    return sum(len(versions) for versions in server.store.held.values())


def _look(server: Stranger, played: Played) -> None:
    played.texts.append({ref: plain.text(f"{server.url}/{ref}") for ref in REFS})


@pytest.fixture(scope="module")
def plays(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Played]]]:
    free: SimpleQueue[Warm] = SimpleQueue()
    for _ in range(WORKERS):
        free.put(Warm())

    def one(traits: Traits, folder: Path) -> Played:
        warm = free.get()
        try:
            return play(traits, folder, warm)
        finally:
            free.put(warm)

    with ThreadPoolExecutor(WORKERS) as pool:
        yield {name: pool.submit(one, traits, tmp_path_factory.mktemp("site")) for name, traits in STRANGERS.items()}
    for _ in range(WORKERS):
        free.get().close()


@pytest.fixture(params=STRANGERS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def played(plays: dict[str, Future[Played]], name: str) -> Played:
    return plays[name].result()


def test_report_is_the_same(played: Played, name: str) -> None:
    report = played.calls[0].report
    bad = len(BAD) if name == "noisy" else 0
    people = 0 if name == "behind" else 7
    rooms, seconds, new = (report.pop(name) for name in ("rooms", "seconds", "new"))
    assert new >= 16 + people, "versions in between and what is gone are new rows too"
    assert report == {
        "read": 16 + people + bad,
        "facts": 16 + people,
        "quarantined": bad,
        "not_surgical": 1,
        "cases": 6,
        "predictions": 5,
        "written": 7,
        "unchanged": 0,
        "conflicts": 0,
        "failed": 0,
    }
    assert [(room["id"], room["name"]) for room in rooms] == [("s1", "Salle 1"), ("s2", "Salle 2")]
    assert all("Bloc" in room["reason"] for room in rooms)
    assert 0 < seconds < 60
    assert name not in ("plain", "hapi", "uuid", "noisy") or not played.calls[0].err


def test_profiles_are_kept(played: Played) -> None:
    for ref in ANNOTATED:
        later = ref == "Appointment/t1"
        stages = checks.timeline(played.json(1, ref), NOW, valid_min=24 * 60 if later else 60)
        now = datetime.fromisoformat(NOW)
        assert all(p10 >= now for p10, _, _ in stages.values())
        entered = ref in ("Appointment/a1", "Appointment/a4")
        assert ("patient_in_room" in stages) is not entered
        assert stages["patient_out_of_room"][0] > now
    for ref in ROOMS:
        (_, p50, _), overrun = checks.room_end(played.json(1, ref), NOW)
        last = "a2" if ref == "Location/s1" else "a5"
        out = checks.timeline(played.json(1, f"Appointment/{last}"), NOW)["patient_out_of_room"][1]
        assert abs(p50 - out) <= timedelta(minutes=10)
        assert overrun < 0.5


def test_everything_else_is_untouched(played: Played) -> None:
    for texts in played.texts[1:]:
        for ref in REFS:
            if ref not in ("Appointment/a2", "Encounter/e-a1"):  # the hospital changed these itself
                assert checks.his(texts[ref]) == checks.his(played.texts[0][ref])
            if ref not in ANNOTATED + ROOMS:
                assert not checks.ours(json.loads(texts[ref]))
        assert SCORE in texts["Appointment/a4"].replace(": ", ":").replace(", ", ",")


def test_second_run_writes_nothing(played: Played) -> None:
    report = played.calls[1].report
    assert (report["written"], report["unchanged"], report["conflicts"]) == (0, 7, 0)
    assert played.gained[:2] == [7, 0]
    assert played.texts[1] == played.texts[2]


def test_based_on_the_hospitals_versions(played: Played) -> None:
    told = checks.based_on(played.json(1, "Appointment/a1"))
    assert [one.partition("/_history/")[0] for one in told] == ["Appointment/a1", "Encounter/e-a1"]
    version = played.json(0, "Appointment/a1")["meta"].get("versionId")
    assert version is None or told[0].endswith(f"/_history/{version}")


def test_over_and_cancelled_are_cleared(played: Played) -> None:
    assert played.calls[2].code == 0, played.calls[2].err
    for ref in ("Appointment/a1", "Appointment/a2"):
        assert not checks.ours(played.json(3, ref))
    assert not checks.ours(played.json(3, "Location/s1"))
    assert checks.timeline(played.json(3, "Appointment/a5"), at("11:00") if played.gained[2] > 3 else NOW)


def test_removal_leaves_only_theirs(played: Played) -> None:
    assert played.calls[3].code == 0, played.calls[3].err
    for ref in REFS:
        assert "jumeau" not in played.texts[4][ref]
    assert played.calls[3].report["failed"] == 0
