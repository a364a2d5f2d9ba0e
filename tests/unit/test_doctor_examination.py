"""The whole examination: exit codes' reasons, what is written (nothing), and what is tried on a tagged resource."""

import io
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console

from api.doctor import Check, Diagnosis, Finding, Level, NotTaggedError, Section, show
from api.doctor.lateness import _delays
from api.doctor.reach import certificate_finding, knock
from api.doctor.trying import TEST_TAG, chosen, is_tagged, try_findings
from fhir_adapters.client import FhirClient
from fixtures.clinic.catalogue import TAGS
from tests.strangers import checks
from tests.strangers.resources import appointment, location, morning
from tests.strangers.server import Stranger
from tests.strangers.traits import Traits
from tests.unit.doctor_world import examined, the
from tests.world import World, at, stay
from twin.timebase import Clock

TAG = {"tag": [{"code": TEST_TAG}]}
HIS = [{"url": "http://his/score", "valueInteger": 2}]


# --- the whole ----------------------------------------------------------------------------------------------------


async def test_a_good_server() -> None:
    with Stranger(Traits(), *morning()) as server:
        told = await examined(server)
        assert server.writes() == 0
    assert told.works
    assert set(told.findings) == set(Section) - {Section.TRIED}
    found = list(told.all())
    assert the(found, Check.READING).numbers["quarantined"] == 0
    assert [room["id"] for room in the(found, Check.ROOMS).numbers["rooms"]] == ["s1", "s2"]
    assert the(found, Check.CASES).numbers["today"] == 5
    assert the(found, Check.LATE_STAMPS).numbers["exact"] is True
    written = the(found, Check.WOULD_WRITE).numbers
    assert written["by_type"] == {"Appointment": 5, "Location": 2}
    assert 500 < written["bytes_median"] <= written["bytes_max"] < 20_000
    assert "Encounter/e-" not in json.dumps(written)
    assert json.loads(json.dumps(told.values()))["works"] is True


async def test_what_can_not_be_read_is_told() -> None:
    bad = ("a string", {"resourceType": "Appointment"})
    with Stranger(Traits(bad=bad), *morning()) as server:
        told = await examined(server)
    assert the(told.all(), Check.QUARANTINE).numbers["count"] == 2
    assert told.works


async def test_types_that_are_not_there() -> None:
    with Stranger(Traits(lacks_types=frozenset({"Procedure"})), *morning()) as server:
        told = await examined(server)
    assert told.works
    assert the(told.all(), Check.TYPES, type="Procedure").level is Level.WARNING


async def test_late_without_history_is_at_most() -> None:
    with Stranger(Traits(history=False), *morning()) as server:
        late = the((await examined(server)).all(), Check.LATE_STAMPS)
    assert (late.numbers["exact"], late.level) == (False, Level.NOTE)


# --- the door -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("traits", "check"),
    [
        (Traits(refuses=401), Check.SIGN_IN),
        (Traits(refuses=403), Check.SIGN_IN),
        (Traits(html=True), Check.REACH),
        (Traits(redirects=True), Check.REACH),
        (Traits(hidden=frozenset({"Appointment"})), Check.SIGN_IN),
    ],
    ids=["401", "403", "html", "redirect", "no appointments"],
)
async def test_refused_is_reached_and_useless(traits: Traits, check: Check) -> None:
    with Stranger(traits, *morning()) as server:
        told = await examined(server)
        assert server.writes() == 0
    assert (told.reached, told.works) == (True, False)
    assert any(one.check is check and one.level is Level.PROBLEM for one in told.all())


async def test_wrong_base() -> None:
    with Stranger(Traits(base="/fhir/r4"), *morning()) as server:
        door = await knock(server.url.removesuffix("/r4"), 5)
    assert (door.reached, door.open) == (True, False)
    assert "base URL" in the(door.findings, Check.TYPES, status=None).todo


async def test_nobody_there() -> None:
    door = await knock("http://127.0.0.1:9/fhir", 1)
    assert not door.reached
    assert the(door.findings, Check.REACH).level is Level.PROBLEM


async def test_https_where_there_is_none() -> None:
    with Stranger(Traits()) as server:
        door = await knock(server.url.replace("http:", "https:"), 1)
    assert not door.reached
    assert "TLS fails" in the(door.findings, Check.TLS).found


@pytest.mark.parametrize(("skew_s", "level"), [(0, Level.OK), (20, Level.NOTE), (-300, Level.WARNING)])
async def test_clocks(skew_s: float, level: Level) -> None:
    with Stranger(Traits(skew_s=skew_s), *morning()) as server:
        found = the((await knock(server.url, 5)).findings, Check.CLOCK)
    assert found.level is level
    assert found.numbers["ahead_s"] == pytest.approx(skew_s, abs=1.5)


@pytest.mark.parametrize(("days", "level"), [(200, Level.OK), (29, Level.WARNING), (None, Level.OK)])
def test_certificates(days: int | None, level: Level) -> None:
    now = datetime(2026, 11, 24, tzinfo=UTC)
    found = certificate_finding(None if days is None else now + timedelta(days=days, hours=1), now)
    assert (found.level, found.numbers.get("days")) == (level, days)


# --- trying to write ----------------------------------------------------------------------------------------------


async def tried(traits: Traits, resource: dict[str, Any]) -> tuple[list[Finding], bool]:
    """The findings, and whether the hospital's part of the text is as it was."""
    ref = f"{resource['resourceType']}/{resource['id']}"
    with Stranger(traits, resource) as server:
        async with FhirClient(server.url) as client:
            before = (await client.read(ref)).body.decode()
            found = await try_findings(client, await chosen(client, ref), checks.PARIS)
            after = (await client.read(ref)).body.decode()
        versions = server.store.held[ref]
    assert any(checks.ours(one.resource) for one in versions if one.resource)
    return found, checks.his(before) == checks.his(after) and not checks.ours(json.loads(after))


@pytest.mark.parametrize(
    "resource",
    [
        appointment("a", None, "08:00", "09:00", meta=TAG),
        appointment("a", None, "08:00", "09:00", meta={"tag": [{"system": TAGS, "code": "synthetic"}]}, extension=HIS),
        location("s1", "Salle 1", meta=TAG),
    ],
    ids=["appointment", "with theirs", "location"],
)
async def test_everything_is_as_before(resource: dict[str, Any]) -> None:
    found, same = await tried(Traits(), resource)
    assert same
    assert {one.check: one.level for one in found} == dict.fromkeys(
        (Check.TRY_WRITE, Check.TRY_FRESH, Check.TRY_GUARD, Check.TRY_TEST, Check.TRY_REMOVED), Level.OK
    )


@pytest.mark.parametrize(
    ("traits", "check", "numbers"),
    [
        (Traits(stale=0), Check.TRY_GUARD, {"heeded": False}),
        (Traits(stale=409, failed_test=400), Check.TRY_GUARD, {"heeded": True, "status": 409}),
        (Traits(stale=409, failed_test=400), Check.TRY_TEST, {"honoured": True, "status": 400}),
        (Traits(patch=405), Check.TRY_WRITE, {"status": "written", "json_patch": False}),
        (Traits(patch=405), Check.TRY_GUARD, {"heeded": True}),
    ],
    ids=["ignores If-Match", "409", "400", "no patch", "no patch guard"],
)
async def test_other_manners(traits: Traits, check: Check, numbers: dict[str, object]) -> None:
    found, same = await tried(traits, appointment("a", None, "08:00", "09:00", meta=TAG))
    assert same
    assert the(found, check).numbers.items() >= numbers.items()


class Keeping(httpx.AsyncBaseTransport):
    """A proxy that keeps the answers of searches; one that `heeds` no-cache asks anew then."""

    def __init__(self, *, heeds: bool) -> None:
        self._heeds, self._kept, self._inner = heeds, dict[str, bytes](), httpx.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = str(request.url)
        if not request.url.query or (self._heeds and "cache-control" in request.headers):
            return await self._inner.handle_async_request(request)
        if url not in self._kept:
            self._kept[url] = await (await self._inner.handle_async_request(request)).aread()
        return httpx.Response(200, content=self._kept[url])

    async def aclose(self) -> None:
        await self._inner.aclose()


@pytest.mark.parametrize(("heeds", "level"), [(True, Level.NOTE), (False, Level.WARNING)])
async def test_searches_that_are_kept(heeds: bool, level: Level) -> None:
    with Stranger(Traits(), appointment("a", None, "08:00", "09:00", meta=TAG)) as server:
        async with FhirClient(server.url, transport=Keeping(heeds=heeds)) as client:
            found = await try_findings(client, await chosen(client, "Appointment/a"), checks.PARIS)
    fresh = the(found, Check.TRY_FRESH)
    assert fresh.level is level
    assert fresh.numbers == {"with_no_cache": heeds, "without": False}


@pytest.mark.parametrize("traits", [Traits(strips=True), Traits(rejects=True), Traits(refuses_writes=403)])
async def test_servers_that_take_no_annotation(traits: Traits) -> None:
    with Stranger(traits, appointment("a", None, "08:00", "09:00", meta=TAG)) as server:
        async with FhirClient(server.url) as client:
            found = await try_findings(client, await chosen(client, "Appointment/a"), checks.PARIS)
    assert the(found, Check.TRY_WRITE).level is Level.WARNING
    assert the(found, Check.TRY_REMOVED).level is Level.OK


@pytest.mark.parametrize(
    ("ref", "says"),
    [
        ("Appointment/plain", "not tagged"),
        ("Appointment/other", "not tagged"),
        ("Appointment/gone", "no such"),
        ("Patient/p", "only"),
        ("Appointment", "Type/id"),
        ("Appointment/../x", "Type/id"),
        ("Appointment/carries", "carries predictions"),
    ],
)
async def test_not_on_this_one(ref: str, says: str) -> None:
    ours = [{"url": checks.OURS + "predicted-start", "valueDateTime": "2026-11-24T08:00:00+01:00"}]
    resources = [
        appointment("plain", None, "08:00", "09:00"),
        appointment("other", None, "08:00", "09:00", meta={"tag": [{"system": "http://other", "code": "synthetic"}]}),
        appointment("carries", None, "08:00", "09:00", meta=TAG, extension=ours),
    ]
    with Stranger(Traits(), *resources) as server:
        with pytest.raises(NotTaggedError, match=says):
            await examined(server, try_write=ref)
        assert server.writes() == 0


@pytest.mark.parametrize("meta", [None, [], {"tag": "jumeau-test"}, {"tag": ["jumeau-test"]}, {"tag": [{"code": "x"}]}])
def test_nonsense_is_no_tag(meta: object) -> None:
    assert not is_tagged({"meta": meta})


# --- small parts --------------------------------------------------------------------------------------------------


def test_late_is_since_the_first_that_told() -> None:
    world = World().put("08:40", stay("e", ("salle-1", "08:05", "")))
    world.put("09:30", stay("e", ("salle-1", "08:05", "09:20")))
    facts = [fact for fact in world.facts if fact.key.type == "Encounter"]
    assert _delays(facts, Clock(wall=lambda: at("10:00"))) == (35.0, 10.0)


def test_the_report_is_plain_where_it_is_no_terminal() -> None:
    long = "a room with a name " * 20
    finding = Finding(Check.ROOMS, Level.PROBLEM, f"{long}\x1b[31m", "name \x07 them", details=("Salle\x9b1",))
    told = Diagnosis("http://his", datetime(2026, 11, 24, tzinfo=UTC), True, {Section.DATA: (finding,)})
    out = io.StringIO()
    show(told, Console(file=out, highlight=False, width=40))
    lines = out.getvalue().splitlines()
    assert not [char for char in out.getvalue() if not char.isprintable() and char != "\n"]
    assert f"  problem rooms: {long} [31m" in lines
    assert lines[-1] == "The line can't work here yet: mend the problems (problem 1)."


@pytest.mark.parametrize("check", list(Check), ids=str)
def test_check_is_documented(check: Check) -> None:
    text = (Path(__file__).parents[2] / "docs" / "doctor.md").read_text()
    assert re.search(rf"^\| `{check}` \| (.+) \| (.+) \|$", text, re.MULTILINE), f"give `{check}` a row"
