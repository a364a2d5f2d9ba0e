"""Reading a whole horizon, what changed, Patients, and what is missing, from a small server that pages."""

from collections.abc import AsyncIterator, Callable
from copy import deepcopy
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest

from fhir_adapters import by_id, sync
from fhir_adapters.client import FhirClient
from fhir_adapters.errors import NotFoundError, RefusedError, RejectedError, UnreachableError
from fhir_adapters.gathering import Batch
from tests.unit.fhir_samples import (
    APPOINTMENT,
    BASE,
    ENCOUNTER,
    LOCATION,
    NORMALISER,
    NOW,
    PATIENT,
    PROCEDURE,
    PSEUDONYMS,
    changed,
)
from twin.facts import AppointmentFact, Deleted, Horizon

HORIZON = Horizon(date(2026, 11, 22), date(2026, 12, 24))
SERVER_TIME = "2026-11-24T09:00:00.500Z"


class Server:
    """Answers reads and searches; it ignores all filters but `_id`, as a lenient server may.

    `status` gives a status instead of an answer for a path or a path with its first parameter; `tap` sees each page
    number before it is answered.
    """

    def __init__(self, *resources: dict[str, Any], page_size: int = 2) -> None:
        self.resources = {f"{one['resourceType']}/{one['id']}": deepcopy(one) for one in resources}
        self.page_size = page_size
        self.status: dict[str, int] = {}
        self.time: str | None = SERVER_TIME
        self.extra_entries: list[Any] = []
        self.asked: list[str] = []
        self.tap: Callable[[int], int | None] = lambda number: None

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/r4/")
        self.asked.append(f"{path}?{httpx.URL(request.url).query.decode()}" if request.url.query else path)
        first = next(iter(request.url.params), "")
        told = (path, f"{path}?{first}", f"{path}?{first}={request.url.params.get(first)}")
        status = next((self.status[each] for each in told if each in self.status), None)
        if status:
            return httpx.Response(status, headers={"Date": "Tue, 24 Nov 2026 09:00:01 GMT"})
        if "/" in path:
            return self._read(path)
        return self._page(path, request.url.params)

    def _read(self, ref: str) -> httpx.Response:
        if ref in self.resources:
            return httpx.Response(200, json=self.resources[ref])
        return httpx.Response(404, headers={"Date": "Tue, 24 Nov 2026 09:00:01 GMT"})

    def _page(self, resource_type: str, params: httpx.QueryParams) -> httpx.Response:
        number = int(params.get("page", 1))
        expired = self.tap(number)
        if expired:
            return httpx.Response(expired)
        wanted = set(params["_id"].split(",")) if "_id" in params else None
        found = [
            one
            for one in self.resources.values()
            if one["resourceType"] == resource_type and (wanted is None or one["id"] in wanted)
        ]
        shown = found[(number - 1) * self.page_size : number * self.page_size]
        bundle: dict[str, Any] = {
            "resourceType": "Bundle",
            "entry": [{"resource": one, "search": {"mode": "match"}} for one in shown] + self.extra_entries,
            "link": [{"relation": "self", "url": "x"}],
        }
        if self.time:
            bundle["meta"] = {"lastUpdated": self.time}
        if number * self.page_size < len(found):
            following = params.set("page", str(number + 1))
            bundle["link"].append({"relation": "next", "url": f"{BASE}/{resource_type}?{following}"})
        return httpx.Response(200, json=bundle)

    def queries(self, resource_type: str) -> list[list[tuple[str, str]]]:
        """The parameters of every search of a type."""
        return [
            list(httpx.QueryParams(asked.partition("?")[2]).multi_items())
            for asked in self.asked
            if asked.partition("?")[0] == resource_type
        ]


def bookings(count: int) -> list[dict[str, Any]]:
    return [changed(APPOINTMENT, id=f"a{number}") for number in range(count)]


@pytest.fixture
def server() -> Server:
    return Server(*bookings(5), ENCOUNTER, PROCEDURE, LOCATION, PATIENT)


@pytest.fixture
async def client(server: Server) -> AsyncIterator[FhirClient]:
    async with FhirClient(BASE, transport=httpx.MockTransport(server), backoff_s=0.001) as made:
        yield made


async def whole(client: FhirClient, **options: Any) -> Batch:
    return await sync.read_horizon(client, NORMALISER, HORIZON, observed_at=NOW, **options)


# The whole horizon


async def test_reads_all_pages_once(client: FhirClient) -> None:
    batch = await whole(client)
    assert batch.refs == {
        *(f"Appointment/a{number}" for number in range(5)),
        "Encounter/e1",
        "Procedure/pr1",
        "Location/room-1",
    }
    assert batch.read == len(batch.facts) == 8
    assert batch.patient_ids == {"p1"}
    assert batch.complete == {"Location", "Appointment", "Encounter", "Procedure"}
    assert batch.warnings == ()
    assert set(batch.cursor.values()) == {datetime(2026, 11, 24, 9, 0, 0, 500000, tzinfo=UTC)}


async def test_searches_of_horizon(client: FhirClient, server: Server) -> None:
    await whole(client, extra={"Appointment": [("location", "room-1")]})
    dated = [("date", "ge2026-11-21"), ("date", "le2026-12-25")]
    assert server.queries("Location")[0] == [("_count", "200")]
    assert server.queries("Appointment")[0] == [*dated, ("location", "room-1"), ("_count", "200")]
    *with_status, closed = server.queries("Encounter")
    assert with_status == [
        [*dated, ("_count", "200")],
        [("status", "planned,arrived,triaged,in-progress,onleave"), ("_count", "200")],
    ]
    assert [name for name, _ in closed] == ["status", "_lastUpdated", "_count"]
    assert closed[0] == ("status", "finished")
    assert server.queries("Procedure")[1][0] == ("status", "preparation,in-progress,on-hold")
    assert server.queries("Patient") == []


async def test_refused_filter_reads_whole(client: FhirClient, server: Server) -> None:
    server.status["Encounter?date"] = 400
    batch = await whole(client)
    assert "Encounter" in batch.complete
    assert "Encounter/e1" in batch.refs
    assert server.queries("Encounter")[-1] == [("_count", "200")]
    assert batch.warnings == ("Encounter: the server refuses the search parameters; read without them",)


async def test_closed_without_a_date_is_done_without_where_refused(client: FhirClient, server: Server) -> None:
    server.status["Encounter?status=finished"] = 400
    batch = await whole(client)
    assert ("status", "finished") in server.queries("Encounter")[-1]
    assert "Encounter" in batch.complete
    assert [told for told in batch.warnings if sync.UNFOUND in told] == list(batch.warnings) != []


@pytest.mark.parametrize("status", [422, 500, 501])
async def test_refusals_of_a_filter_differ(client: FhirClient, server: Server, status: int) -> None:
    server.status |= {"Encounter?date": status, "Encounter?_count": status}
    batch = await whole(client)
    assert "Encounter/e1" in batch.refs
    assert server.queries("Encounter")[-1] == []


async def test_refused_altogether(client: FhirClient, server: Server) -> None:
    server.status["Encounter"] = 400
    batch = await whole(client)
    assert "Encounter" not in batch.complete
    assert batch.warnings[-1].startswith("Encounter: not read: ")
    server.status["Appointment"] = 400
    with pytest.raises(RejectedError):
        await whole(client)


async def test_what_was_read_before_is_not_left_out(client: FhirClient, server: Server) -> None:
    server.status["Encounter"] = 403
    with pytest.raises(RefusedError):
        await sync.read_changes(client, NORMALISER, {"Encounter": NOW})


async def test_type_not_offered(client: FhirClient, server: Server) -> None:
    server.status["Procedure"] = 404
    batch = await whole(client)
    assert "Procedure" not in batch.complete | set(batch.cursor)
    assert batch.warnings == ("Procedure: the server does not offer it",)


async def test_refusal_is_no_absence(client: FhirClient, server: Server) -> None:
    server.status["Procedure"] = 403
    batch = await whole(client)
    assert "Procedure" not in batch.complete | set(batch.cursor)
    server.status["Appointment"] = 403
    with pytest.raises(RefusedError):
        await whole(client)


async def test_failed_page_is_read_again(client: FhirClient, server: Server) -> None:
    failures = iter([503, 502])
    server.tap = lambda number: next(failures, None) if number == 2 else None
    assert (await whole(client)).read == 8


async def test_expired_page_restarts_search(client: FhirClient, server: Server) -> None:
    failures = iter([410])
    server.tap = lambda number: next(failures, None) if number == 3 else None
    batch = await whole(client)
    assert batch.read == 8
    assert len([one for one in server.queries("Appointment") if "page" not in dict(one)]) == 2


async def test_page_that_always_expires(client: FhirClient, server: Server) -> None:
    server.tap = lambda number: 404 if number == 2 else None
    with pytest.raises(NotFoundError):
        await whole(client)


async def test_bad_entries_cost_themselves_only(client: FhirClient, server: Server) -> None:
    server.resources["Appointment/bad"] = changed(APPOINTMENT, id="bad", status="banana")
    server.extra_entries = [None, {"resource": 3}, {"fullUrl": "x"}]
    batch = await whole(client)
    reasons = {bad.reason for bad in batch.quarantined}
    assert reasons == {"unknown-status", "not an object"}
    assert "Appointment/bad" in batch.refs
    assert len(batch.facts) == 8


async def test_outcomes_and_included_are_skipped(client: FhirClient, server: Server) -> None:
    server.extra_entries = [
        {"resource": {"resourceType": "OperationOutcome"}, "search": {"mode": "outcome"}},
        {"resource": {"resourceType": "Practitioner", "id": "d1"}, "search": {"mode": "include"}},
    ]
    batch = await whole(client)
    assert (batch.read, batch.quarantined) == (8, ())


async def test_newer_of_two_versions_is_kept(client: FhirClient, server: Server) -> None:
    late = changed(
        APPOINTMENT, id="a0", status="arrived", meta={"versionId": "4", "lastUpdated": "2026-11-24T08:59:00Z"}
    )
    server.extra_entries = [{"resource": late}]
    batch = await whole(client)
    (fact,) = [one for one in batch.facts if one.key.ref == "Appointment/a0"]
    assert isinstance(fact.assertion, AppointmentFact)
    assert (fact.assertion.status, batch.read) == ("arrived", 8)


async def test_error_of_one_type_is_raised_plainly(client: FhirClient, server: Server) -> None:
    server.status["Encounter"] = 500
    with pytest.raises(UnreachableError):
        await whole(client)


# Changes


async def test_changes_since_cursor(client: FhirClient, server: Server) -> None:
    cursor = {"Appointment": datetime(2026, 11, 24, 8, 0, 5, tzinfo=UTC)}
    batch = await sync.read_changes(client, NORMALISER, cursor, overlap_s=10, observed_at=NOW)
    assert server.queries("Appointment")[0] == [
        ("_lastUpdated", "ge2026-11-24T07:59:55.000Z"),
        ("_sort", "_lastUpdated,_id"),
        ("_count", "200"),
    ]
    assert {asked.partition("?")[0] for asked in server.asked} == {"Appointment"}
    assert batch.cursor == {"Appointment": datetime(2026, 11, 24, 9, 0, 0, 500000, tzinfo=UTC)}
    assert batch.complete == frozenset()
    assert batch.read == 5


async def test_cursor_is_time_of_first_page(client: FhirClient, server: Server) -> None:
    def later(number: int) -> None:
        server.time = f"2026-11-24T09:0{number}:00Z"

    server.tap = later
    batch = await sync.read_changes(client, NORMALISER, {"Appointment": NOW})
    assert batch.cursor["Appointment"] == datetime(2026, 11, 24, 9, 1, tzinfo=UTC)


async def test_cursor_without_server_time(client: FhirClient, server: Server) -> None:
    server.time = None
    batch = await sync.read_changes(client, NORMALISER, {"Appointment": NOW - timedelta(days=9)})
    assert batch.cursor["Appointment"] == datetime(2026, 11, 24, 7, 15, 30, 123000, tzinfo=UTC)
    server.resources.clear()
    again = await sync.read_changes(client, NORMALISER, {"Appointment": NOW})
    assert again.cursor["Appointment"] == NOW


async def test_cursor_never_from_own_clock(client: FhirClient, server: Server) -> None:
    server.time, server.resources = None, {"Location/x": changed(LOCATION, meta=None)}
    batch = await sync.read_changes(client, NORMALISER, {"Location": NOW - timedelta(days=9)}, observed_at=NOW)
    assert batch.read == 1
    assert batch.cursor["Location"] == NOW - timedelta(days=9)


async def test_server_that_cannot_sort(client: FhirClient, server: Server) -> None:
    refused = iter([400])
    server.tap = lambda number: next(refused, None)
    batch = await sync.read_changes(client, NORMALISER, {"Location": NOW})
    assert [name for name, _ in server.queries("Location")[-1]] == ["_lastUpdated", "_count"]
    assert batch.read == 1


# Patients, and what is missing


async def test_patients_in_chunks(client: FhirClient, server: Server) -> None:
    server.page_size = 50
    server.resources |= {f"Patient/p{number}": changed(PATIENT, id=f"p{number}") for number in range(70)}
    batch = await by_id.read_by_id(client, NORMALISER, "Patient", [*(f"p{number}" for number in range(70)), "../x"])
    assert [len(dict(one)["_id"].split(",")) for one in server.queries("Patient")] == [50, 20]
    assert {fact.key.id for fact in batch.facts} == {PSEUDONYMS.patient(f"p{number}") for number in range(70)}
    assert (dict(batch.cursor), batch.complete) == ({}, frozenset())


async def test_patient_that_search_hides(client: FhirClient, server: Server) -> None:
    batch = await by_id.read_by_id(client, NORMALISER, "Patient", ["p1", "gone"])
    deleted = {fact.key.id for fact in batch.facts if isinstance(fact.assertion, Deleted)}
    assert deleted == {PSEUDONYMS.patient("gone")}
    assert server.asked[-1] == "Patient/gone"


async def test_missing_is_deleted_or_there(client: FhirClient, server: Server) -> None:
    server.status["Appointment/gone"] = 410
    refs = ["Appointment/a1", "Appointment/gone", "Appointment/never", "Patient/pseudonym"]
    batch = await by_id.read_missing(client, NORMALISER, refs, observed_at=NOW)
    there, *deleted = sorted(batch.facts, key=lambda fact: fact.key.ref)
    assert isinstance(there.assertion, AppointmentFact)
    assert [one.key.ref for one in deleted] == ["Appointment/gone", "Appointment/never"]
    assert all(one.assertion == Deleted() and one.key.version_id == "deleted" for one in deleted)
    assert {one.key.last_updated for one in deleted} == {datetime(2026, 11, 24, 9, 0, 1, tzinfo=UTC)}
    assert "Patient/pseudonym" not in server.asked


@pytest.mark.parametrize("status", [401, 403])
async def test_forbidden_is_not_missing(client: FhirClient, server: Server, status: int) -> None:
    server.status["Appointment/a1"] = status
    with pytest.raises(RefusedError):
        await by_id.read_missing(client, NORMALISER, ["Appointment/a1"])


@pytest.mark.parametrize(
    ("absent", "known", "doubtful"),
    [(0, 0, False), (20, 20, False), (21, 21, True), (21, 420, False), (22, 420, True)],
)
def test_mass_absence(absent: int, known: int, doubtful: bool) -> None:
    assert sync.mass_absence(absent, known) is doubtful
