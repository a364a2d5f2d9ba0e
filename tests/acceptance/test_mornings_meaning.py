"""Hand-made mornings: what a manager of an operating suite would expect of each, read back over plain HTTP."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.strangers import checks, plain
from tests.strangers.checks import Quantiles
from tests.strangers.cli import Jumeau, Ran, Warm
from tests.strangers.resources import (
    NEXT,
    appointment,
    at,
    encounter,
    location,
    morning,
    of,
    patient,
    period,
    procedure,
    reference,
    stay,
    suite,
)
from tests.strangers.server import Stranger
from tests.strangers.traits import Traits

pytestmark = pytest.mark.server

NOW = at("10:30")
HOUR = timedelta(hours=1)
Run = Callable[..., Ran]


@pytest.fixture
def run(warm: Warm, tmp_path: Path) -> Run:
    """One run against a server, in an installation of this test's own."""

    def once(server: Stranger, now: str = NOW, *arguments: str, **more: str) -> Ran:
        return Jumeau(tmp_path, server.url, warm=warm).once(now, *arguments, **more)

    return once


def read(server: Stranger, ref: str) -> dict[str, Any]:
    return plain.get(f"{server.url}/{ref}")


def stages(server: Stranger, ref: str, now: str = NOW, *, valid_min: int = 60) -> dict[str, Quantiles]:
    return checks.timeline(read(server, ref), now, valid_min=valid_min)


def is_clean(server: Stranger, *refs: str) -> bool:
    return not any(checks.ours(read(server, ref)) for ref in refs)


def test_empty_server(run: Run) -> None:
    with Stranger() as server:
        report = run(server).report
        report.pop("seconds")
        assert report.pop("rooms") == []
        assert set(report.values()) == {0}
        assert server.writes() == 0


def test_late_case_shifts_its_room_only(run: Run) -> None:
    day = [
        *suite(),
        appointment("a1", "s1", "08:00", "09:30"),
        of("a1", stay("s1", "08:00")),
        appointment("a2", "s1", "09:50", "10:50"),
        appointment("a3", "s1", "11:10", "12:10"),
        appointment("b1", "s2", "12:30", "13:30"),
    ]
    with Stranger(Traits(), *day) as server:
        run(server, at("08:30"))
        before = {ref: stages(server, f"Appointment/{ref}", at("08:30")) for ref in ("a2", "a3", "b1")}
        run(server, at("11:00"))
        after = {ref: stages(server, f"Appointment/{ref}", at("11:00")) for ref in ("a2", "a3")}
        for ref in ("a2", "a3"):
            assert after[ref]["patient_in_room"][1] - before[ref]["patient_in_room"][1] > HOUR
        (generated,) = [one for one in checks.ours(read(server, "Appointment/b1")) if "timeline" in one["url"]]
        now = checks.value(generated["extension"], "generatedAt", "valueInstant")
        again = stages(server, "Appointment/b1", now)
        assert abs(again["patient_in_room"][1] - before["b1"]["patient_in_room"][1]) < timedelta(minutes=15)
        assert before["a3"]["patient_in_room"][1] > before["a2"]["patient_out_of_room"][1]


@pytest.mark.parametrize("now", ["09:29", "17:45"])
def test_running_case_has_time_left(run: Run, now: str) -> None:
    day = [*suite(), appointment("a1", "s1", "08:00", "09:30"), of("a1", stay("s1", "08:05"))]
    with Stranger(Traits(), *day) as server:
        run(server, at(now))
        out = stages(server, "Appointment/a1", at(now))["patient_out_of_room"]
        this = datetime.fromisoformat(at(now))
        assert this <= out[0]
        assert out[1] > this
        assert out[2] > out[1]


def test_overdue_case_is_yet_to_come(run: Run) -> None:
    day = [*suite(), appointment("a1", "s1", "07:30", "08:30"), appointment("a2", "s1", "09:00", "10:00")]
    with Stranger(Traits(), *day) as server:
        run(server)
        first, second = stages(server, "Appointment/a1"), stages(server, "Appointment/a2")
        assert first["patient_in_room"][0] >= datetime.fromisoformat(NOW)
        assert second["patient_in_room"][1] > first["patient_out_of_room"][1]
        (_, p50, _), overrun = checks.room_end(read(server, "Location/s1"), NOW)
        assert p50 >= second["patient_out_of_room"][1] - timedelta(minutes=5)
        assert overrun < 0.5


def test_full_afternoon_overruns(run: Run) -> None:
    day = [*suite(), *(appointment(f"a{hour}", "s1", f"{hour}:00", f"{hour + 2}:00") for hour in (11, 13, 15, 17))]
    with Stranger(Traits(), *day) as server:
        run(server)
        (_, p50, _), overrun = checks.room_end(read(server, "Location/s1"), NOW)
        assert overrun > 0.8
        assert p50 > datetime.fromisoformat(at("18:00"))


def test_emergencies_without_booking(run: Run) -> None:
    day = [
        *suite(),
        procedure("only-act", "p1", "s1", performedPeriod=period("10:05")),
        encounter("stay", "p2", **{"class": {"code": "EMER"}}, period=period("09:00")),
        encounter("move", "p2", stay("s2", "10:10"), partOf=reference("Encounter/stay")),
        encounter("whole", "p3", stay("cs", "08:00", "10:00"), stay("s2", "07:00", "07:45")),
    ]
    with Stranger(Traits(), *day) as server:
        report = run(server).report
        assert (report["cases"], report["written"]) == (3, 4)
        for ref in ("Procedure/only-act", "Encounter/move"):
            assert "patient_in_room" not in stages(server, ref)
        assert checks.based_on(read(server, "Encounter/move")) == [
            "Encounter/move/_history/1",
            "Encounter/stay/_history/1",
        ]
        assert is_clean(server, "Encounter/stay", "Encounter/whole")


def test_french_stay_and_movements(run: Run) -> None:
    """The stay names the booking; movements of it are where the patient is."""
    booked = [reference("Appointment/a1")]
    whole = reference("Encounter/stay")
    day = [
        *suite(),
        location("uca", "Unité de chirurgie ambulatoire"),
        appointment("a1", "s1", "09:00", "10:00", status="arrived"),
        encounter("stay", "p-a1", appointment=booked, period=period("07:10")),
        encounter("m1", "p-a1", stay("uca", "07:15", "08:50"), partOf=whole, status="finished"),
        encounter("m2", "p-a1", stay("s1", "09:05", "09:58"), partOf=whole, status="finished"),
        encounter("m3", "p-a1", stay("sspi", "10:02"), partOf=whole),
        appointment("a2", "s1", "10:20", "11:00"),
    ]
    with Stranger(Traits(), *day) as server:
        report = run(server).report
        assert (report["cases"], report["predictions"], report["written"]) == (2, 2, 2)
        assert is_clean(server, "Appointment/a1", "Encounter/stay", "Encounter/m2", "Encounter/m3")
        assert stages(server, "Appointment/a2")["patient_in_room"][1] < datetime.fromisoformat(at("11:00"))


def test_words_alone_name_the_procedure(run: Run, tmp_path: Path) -> None:
    words, asked = "Cholecystectomie de Mme SYNTHETIC", [reference("ServiceRequest/r1")]
    day = [
        *suite(),
        patient("p-a1"),
        appointment("a1", "s1", "11:00", "12:00", description=words, comment=words, basedOn=asked),
        procedure("act", "p-a1", "s1", status="preparation", code={"text": words}, basedOn=asked),
    ]
    with Stranger(Traits(), *day) as server:
        assert run(server).report["written"] == 2
        stored = b"".join(file.read_bytes() for file in tmp_path.iterdir())
        assert b"SYNTHETIC" not in stored
        assert b"1961-04-02" not in stored


def test_bookings_without_an_end(run: Run) -> None:
    day = [
        *suite(),
        appointment("long", "s1", "11:00", None, minutesDuration=240),
        appointment("plain", "s2", "11:00", None),
        *(appointment(f"b{hour}", "s2", f"{hour}:00", f"{hour}:50") for hour in (14, 15, 16)),
    ]
    with Stranger(Traits(), *day) as server:
        assert run(server).report["written"] == 7
        long, plain_one = stages(server, "Appointment/long"), stages(server, "Appointment/plain")
        took = [one["patient_out_of_room"][1] - one["patient_in_room"][1] for one in (long, plain_one)]
        assert timedelta(hours=2.5) < took[0] < timedelta(hours=5)
        assert timedelta(minutes=30) < took[1] < timedelta(hours=2)


def test_tomorrow_has_no_room_end(run: Run) -> None:
    day = [*suite(), appointment("t1", "s1", at("08:00", NEXT), at("10:00", NEXT))]
    with Stranger(Traits(), *day) as server:
        assert run(server).report["written"] == 1
        entry = stages(server, "Appointment/t1", valid_min=24 * 60)["patient_in_room"][1]
        assert abs(entry - datetime.fromisoformat(at("08:05", NEXT))) < timedelta(minutes=20)
        assert is_clean(server, "Location/s1")


def test_summer_offset(run: Run) -> None:
    def summer(clock: str) -> str:
        return f"2026-07-15T{clock}:00+02:00"

    day = [*suite(), appointment("a1", "s1", summer("11:00"), summer("12:00"))]
    with Stranger(Traits(), *day) as server:
        run(server, "2026-07-15T08:30:00Z")
        checks.room_end(read(server, "Location/s1"), summer("10:30"))
        entry = stages(server, "Appointment/a1", summer("10:30"))["patient_in_room"][1]
        assert entry.isoformat().endswith("+02:00")


@pytest.mark.parametrize("deleted", [404, 410])
def test_deleted_booking_closes_its_case(run: Run, deleted: Any) -> None:
    with Stranger(Traits(deleted=deleted), *morning()) as server:
        assert run(server).report["cases"] == 6
        server.delete("Appointment/a5")
        report = run(server, at("10:31")).report
        assert (report["cases"], report["failed"], report["conflicts"]) == (5, 0, 0)
        assert run(server, at("10:32")).report["written"] == 0


def test_withdrawn_bookings_are_cleared(run: Run) -> None:
    told = {"a2": "cancelled", "a5": "noshow", "t1": "entered-in-error"}
    with Stranger(Traits(), *morning()) as server:
        run(server)
        for ref, status in told.items():
            server.edit(f"Appointment/{ref}", status=status)
        assert run(server, at("10:31")).report["cases"] == 3
        assert is_clean(server, *(f"Appointment/{ref}" for ref in told))
        assert not is_clean(server, "Appointment/a4")
        server.edit("Appointment/a5", status="booked")
        run(server, at("10:32"))
        assert stages(server, "Appointment/a5", at("10:32"))


def test_references_in_every_form(run: Run) -> None:
    with Stranger(Traits()) as server:
        for one in suite():
            server.put(one)
        booked = appointment("a1", "s1", "11:00", "12:00")
        booked["participant"][1]["actor"]["reference"] = f"{server.url}/Location/s1"
        server.put(booked)
        moved = of("a2", stay("s2", "10:00"))
        moved["appointment"][0]["reference"] = f"{server.url}/Appointment/a2/_history/1"
        server.put(appointment("a2", "s2", "10:00", "11:00"))
        server.put(moved)
        report = run(server).report
        assert ([room["id"] for room in report["rooms"]], report["cases"]) == (["s1", "s2"], 2)
        assert "patient_in_room" not in stages(server, "Appointment/a2")


def test_what_may_not_be_seen(run: Run) -> None:
    with Stranger(Traits(), *morning()) as server:
        assert run(server).report["read"] == 23
        server.becomes(hidden=frozenset({"Patient", "Patient/p-a1", "Appointment/a5"}))
        told = run(server, at("10:31"))
        assert told.report["cases"] == 6
        assert "not taken as deleted" in told.err
        assert not is_clean(server, "Appointment/a4")


def test_dry_run_prints_what_it_would_do(run: Run) -> None:
    with Stranger(Traits(), *morning()) as server:
        told = run(server, NOW, "--dry-run")
        assert (told.report["written"], server.writes()) == (0, 0)
        assert len(told.patches) == 7
        for one in told.patches:
            answer, _ = plain.request(
                "PATCH",
                f"{server.url}/{one['resource']}",
                one["patch"],
                {"Content-Type": "application/json-patch+json"},
            )
            assert answer == 200
        assert stages(server, "Appointment/a2")
        assert run(server, at("10:31")).report["written"] == 0


def test_dry_run_for_a_person(warm: Warm, tmp_path: Path) -> None:
    with Stranger(Traits(), *morning()) as server:
        told = Jumeau(tmp_path, server.url, (), warm)("run", "--once", "--dry-run", "--at", NOW)
        assert (told.code, told.err, server.writes()) == (0, "", 0)
        patches = [json.loads(line) for line in told.out.splitlines() if line.startswith("{")]
        assert sorted(one["resource"] for one in patches)[:2] == ["Appointment/a1", "Appointment/a2"]
        assert "6 cases, 1 appointments are not surgical" in told.out


def test_what_the_hospital_drops_comes_back(run: Run) -> None:
    with Stranger(Traits(), *morning()) as server:
        run(server)
        server.put(appointment("a5", "s2", "12:00", "13:00", comment="fasting since 20:00"))
        assert is_clean(server, "Appointment/a5")
        assert run(server, at("10:31")).report["written"] == 1
        assert stages(server, "Appointment/a5", at("10:31"))
        assert read(server, "Appointment/a5")["comment"] == "fasting since 20:00"


def test_act_that_nothing_links_is_the_booked_one(run: Run) -> None:
    """Same patient, same room; the Patient itself is not on the server."""
    day = [
        *suite(),
        appointment("a1", "s1", "11:00", "12:00"),
        procedure("act", "p-a1", "s1", status="preparation"),
    ]
    with Stranger(Traits(), *day) as server:
        told = run(server)
        assert (told.report["cases"], told.report["written"], told.err) == (1, 2, "")
        assert (told.report["read"], told.report["facts"]) == (7, 7)
        assert checks.based_on(read(server, "Appointment/a1"))[1:] == ["Procedure/act/_history/1"]


@pytest.mark.parametrize("skew_s", [300.0, -300.0])
def test_arrival_on_a_server_whose_clock_is_wrong(run: Run, skew_s: float) -> None:
    day = [*suite(), appointment("a1", "s1", "11:00", "12:00", status="arrived")]
    with Stranger(Traits(skew_s=skew_s), *day) as server:
        run(server)
        assert "patient_in_facility" not in stages(server, "Appointment/a1")


def test_off_writes_nothing_and_says_so(run: Run) -> None:
    with Stranger(Traits(), *morning()) as server:
        told = run(server, JUMEAU_WRITE_BACK__MODE="off")
        assert (told.report["written"], server.writes()) == (0, 0)
        (line,) = told.err.splitlines()
        assert "7 resources" in line
        assert "JUMEAU_WRITE_BACK__MODE=annotate" in line


def test_other_installations_are_left_alone(run: Run, warm: Warm, tmp_path: Path) -> None:
    theirs = {"url": checks.OURS + "predicted-timeline", "extension": [{"url": "source", "valueUri": "urn:uuid:other"}]}
    with Stranger(Traits(), *morning()) as server:
        server.edit("Appointment/a5", extension=[theirs])
        report = run(server).report
        assert (report["written"], report["failed"]) == (6, 0)
        assert read(server, "Appointment/a5")["extension"] == [theirs]
        assert Jumeau(tmp_path, server.url, warm=warm)("write-back", "--remove", "--json").report == {
            "removed": 6,
            "conflicts": 0,
            "failed": 0,
        }
        assert read(server, "Appointment/a5")["extension"] == [theirs]
        assert is_clean(server, "Appointment/a2", "Location/s1")


@pytest.mark.parametrize(
    ("traits", "tried"),
    [
        (Traits(strips=True), 3),
        (Traits(rejects=True), 4),
        (Traits(refuses_writes=403), 14),
        (Traits(etag="none", tells_version=False), 0),
    ],
    ids=["strips", "rejects", "forbids", "no version"],
)
def test_writes_that_fail_are_told(run: Run, traits: Traits, tried: int) -> None:
    with Stranger(traits, *morning()) as server:
        told = run(server)
        assert told.code == 4
        report = json.loads(told.out)
        assert report["written"] == 0
        assert report["failed"] > 0
        assert "not written" in told.err
        assert "Traceback" not in told.err
        assert server.writes() <= max(tried, 16)
        assert is_clean(server, "Appointment/a2", "Location/s1")
