"""Companions on a small server of our own: one a case, whatever the server does, and none left behind."""

import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
import pytest

from fhir_adapters.beside import Companions
from fhir_adapters.canonical import PATIENT_OF
from fhir_adapters.client import FhirClient
from fhir_adapters.companion import TYPE, assessment, carrier_of
from fhir_adapters.extensions import InvalidAnnotationError
from fhir_adapters.manners import ServerTraits
from fhir_adapters.outcomes import WriteResult
from tests.unit.fhir_fake import BASE, NOW, OTHER, PARIS, REF, SOURCE, annotation
from twin.timeline import Annotation, WriteOrder


@dataclass
class Shelf:
    """RiskAssessments only, with the faults that real servers have."""

    held: dict[str, dict[str, Any]] = field(default_factory=dict)
    requests: list[httpx.Request] = field(default_factory=list)
    conditional: int = 201
    """400: refused; 201: heeded; 0: ignored."""
    filter_status: int = 200
    shows: bool = True
    delete_status: int = 204
    create_status: int = 201
    create_text: str = ""
    strips: bool = False
    lose_answers: int = 0
    meddle: int = 0
    """So many updates meet another version."""

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self._answer(request, request.url.path.removeprefix("/fhir/"))
        if request.method != "GET" and self.lose_answers:
            self.lose_answers -= 1
            raise httpx.ReadError("reset", request=request)
        return answer

    def _answer(self, request: httpx.Request, path: str) -> httpx.Response:
        if path == TYPE:
            return self._search(request) if request.method == "GET" else self._create(request)
        if path not in self.held:
            return httpx.Response(404)
        match request.method:
            case "DELETE":
                if self.delete_status == 204:
                    del self.held[path]
                return httpx.Response(self.delete_status)
            case "PUT":
                tag = f'W/"{self.held[path]["meta"]["versionId"]}"'
                if self.meddle or request.headers["if-match"] != tag:
                    self.meddle -= 1
                    return httpx.Response(409)
                return self._keep(path, json.loads(request.content), 200)
        return httpx.Response(200, json=self.held[path])

    def _search(self, request: httpx.Request) -> httpx.Response:
        if request.url.params and self.filter_status != 200:
            return httpx.Response(self.filter_status)
        found = [{"resource": one} for one in self.held.values()] if self.shows else []
        return httpx.Response(200, json={"resourceType": "Bundle", "entry": found})

    def _create(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        condition = request.headers.get("if-none-exist")
        if self.create_status != 201:
            return httpx.Response(self.create_status, text=self.create_text)
        if condition and self.conditional == 400:
            return httpx.Response(400)
        there = [one for one in self.held.values() if one["identifier"] == body["identifier"]]
        if condition and self.conditional == 201 and there:
            return httpx.Response(200, json=there[0])
        return self._keep(f"{TYPE}/r{len(self.held) + 1}", body, 201)

    def _keep(self, ref: str, body: dict[str, Any], status: int) -> httpx.Response:
        version = int(self.held[ref]["meta"]["versionId"]) + 1 if ref in self.held else 1
        kept = {**body, "id": ref.partition("/")[2], "meta": {"versionId": str(version)}}
        if self.strips:
            kept.pop("extension", None)
        self.held[ref] = kept
        return httpx.Response(status, json=kept)

    def methods(self) -> str:
        return " ".join(request.method for request in self.requests)


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


async def no_sleep(seconds: float) -> None:
    assert seconds >= 0


async def do(
    shelf: Shelf, wanted: Annotation | None, *, source: str = SOURCE, traits: ServerTraits | None = None, **options: Any
) -> WriteResult:
    """One order by a program that was just started."""
    async with FhirClient(BASE, transport=httpx.MockTransport(shelf)) as client:
        companions = Companions(client, zone=PARIS, source=source, take_over=options.pop("take_over", False))
        order = WriteOrder(REF, wanted, "material", beside=True)
        return await companions.write(order, traits or ServerTraits(), sleep=no_sleep, **options)


async def carried(shelf: Shelf) -> dict[str, Any]:
    async with FhirClient(BASE, transport=httpx.MockTransport(shelf)) as client:
        companions = Companions(client, zone=PARIS, source=SOURCE)
        await companions.read()
        return {ref: one.annotation for ref, one in companions.carried.items()}


# What it says


def test_names_by_identifiers_only() -> None:
    made = assessment(annotation(), REF, base_url=BASE, source=SOURCE, zone=PARIS)
    assert "reference" not in json.dumps(made)
    assert made["subject"] == {"type": "Patient", "identifier": {"system": PATIENT_OF, "value": REF}}
    assert made["basis"] == [{"type": "Appointment", "identifier": {"system": f"{BASE}/Appointment", "value": "a"}}]
    assert carrier_of(made, SOURCE) == REF
    assert carrier_of(made, OTHER) is None
    assert carrier_of({**made, "method": {}}, SOURCE) is None


def test_milestones_with_their_times() -> None:
    made = assessment(annotation(), REF, base_url=BASE, source=SOURCE, zone=PARIS)
    told = [(one["outcome"]["coding"][0]["code"], one["whenPeriod"]["start"]) for one in made["prediction"]]
    assert told == [
        ("patient_in_room", "2026-11-24T08:00:00+01:00"),
        ("patient_out_of_room", "2026-11-24T10:00:00+01:00"),
    ]


def test_needs_a_timeline() -> None:
    with pytest.raises(InvalidAnnotationError):
        assessment(Annotation(), REF, base_url=BASE, source=SOURCE, zone=PARIS)


# Its life


@pytest.mark.parametrize("conditional", [201, 400, 0])
async def test_created_once(shelf: Shelf, conditional: int) -> None:
    shelf.conditional = conditional
    first = await do(shelf, annotation())
    assert (first.outcome.ref, first.outcome.status, first.ref) == (f"{TYPE}/r1", "written", REF)
    assert (await do(shelf, annotation())).outcome.status == "unchanged"
    assert await carried(shelf) == {REF: annotation()}


async def test_changed_in_place(shelf: Shelf) -> None:
    await do(shelf, annotation())
    later = annotation(NOW + timedelta(minutes=20))
    result = await do(shelf, later)
    assert (result.outcome.ref, result.outcome.version_id) == (f"{TYPE}/r1", "2")
    assert await carried(shelf) == {REF: later}


async def test_conflict_read_again(shelf: Shelf) -> None:
    await do(shelf, annotation())
    shelf.meddle = 2
    assert (await do(shelf, annotation(NOW + timedelta(minutes=20)))).outcome.status == "written"
    shelf.meddle = 9
    assert (await do(shelf, annotation())).outcome.status == "conflict"


async def test_deleted_with_its_case(shelf: Shelf) -> None:
    await do(shelf, annotation())
    assert (await do(shelf, None)).outcome.status == "written"
    assert shelf.held == {}
    assert (await do(shelf, None)).outcome.status == "unchanged"


@pytest.mark.parametrize("status", [409, 403, 405])
async def test_emptied_where_it_stays(shelf: Shelf, status: int) -> None:
    shelf.delete_status = status
    await do(shelf, annotation())
    assert (await do(shelf, None)).outcome.status == "written"
    (left,) = shelf.held.values()
    assert (left["status"], "extension" in left, "prediction" in left) == ("cancelled", False, False)
    assert await carried(shelf) == {REF: None}
    assert (await do(shelf, annotation())).outcome.status == "written"
    assert await carried(shelf) == {REF: annotation()}


async def test_lost_answer_makes_no_second(shelf: Shelf) -> None:
    shelf.lose_answers = 1
    assert (await do(shelf, annotation())).outcome.status == "written"
    assert shelf.methods().count("POST") == 1
    assert len(shelf.held) == 1


async def test_search_that_lags_makes_no_second(shelf: Shelf) -> None:
    shelf.shows, shelf.conditional = False, 0
    async with FhirClient(BASE, transport=httpx.MockTransport(shelf)) as client:
        companions = Companions(client, zone=PARIS, source=SOURCE)
        for minutes in (0, 20):
            order = WriteOrder(REF, annotation(NOW + timedelta(minutes=minutes)), "material", beside=True)
            await companions.write(order, ServerTraits(), sleep=no_sleep)
            await companions.read()
            assert list(companions.carried) == [REF]
    assert len(shelf.held) == 1


async def test_doubles_become_one(shelf: Shelf) -> None:
    await do(shelf, annotation())
    shelf.held[f"{TYPE}/r2"] = {**shelf.held[f"{TYPE}/r1"], "id": "r2"}
    assert await carried(shelf) == {REF: None}
    assert (await do(shelf, annotation())).outcome.status == "written"
    assert list(shelf.held) == [f"{TYPE}/r1"]


async def test_filter_refused(shelf: Shelf) -> None:
    shelf.filter_status = 400
    await do(shelf, annotation())
    assert (await do(shelf, annotation())).outcome.status == "unchanged"


async def test_another_installation(shelf: Shelf) -> None:
    await do(shelf, annotation(source=OTHER), source=OTHER)
    await do(shelf, annotation())
    assert len(shelf.held) == 2
    await do(shelf, None)
    assert list(shelf.held) == [f"{TYPE}/r1"]
    await do(shelf, annotation(), take_over=True)
    assert await carried(shelf) == {REF: annotation()}
    assert len(shelf.held) == 1


async def test_dry_run_sends_nothing(shelf: Shelf) -> None:
    told = await do(shelf, annotation(), dry_run=True)
    assert (told.outcome.status, told.request) == ("planned", "create")
    assert told.companion is not None
    await do(shelf, annotation())
    shelf.requests.clear()
    assert (await do(shelf, None, dry_run=True)).request == "delete"
    assert set(shelf.methods().split()) == {"GET"}


@pytest.mark.parametrize(
    ("faults", "status"),
    [
        ({"create_status": 404}, "failed"),
        ({"create_status": 403}, "failed"),
        ({"create_status": 422, "create_text": "unknown https://w3id.org/jumeau/fhir/x"}, "failed"),
        ({"strips": True}, "failed"),
    ],
)
async def test_refused_from_now_on(faults: dict[str, Any], status: str) -> None:
    traits = ServerTraits()
    assert (await do(Shelf(**faults), annotation(), traits=traits)).outcome.status == status
    assert TYPE in traits.refuses


async def test_away_is_left_alone(shelf: Shelf) -> None:
    traits = ServerTraits()
    shelf.lose_answers, shelf.create_status = 9, 500
    assert (await do(shelf, annotation(), traits=traits)).outcome.status == "failed"
    assert traits.pause_s > 0
