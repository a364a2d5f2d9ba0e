"""A period in files and on a server: whole or not at all, in order, tried again."""

import json
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from fhir_adapters.client import FhirClient
from fhir_adapters.errors import FhirServerError
from fixtures.clinic import delivery
from fixtures.clinic.delivery import KINDS, Done, load_period, write_ndjson, write_transactions
from fixtures.clinic.period import Period

PARIS = ZoneInfo("Europe/Paris")
FIRST = date(2026, 11, 20)
PERIOD = Period(FIRST, FIRST + timedelta(days=2), PARIS, 0, datetime(2026, 11, 24, 12, tzinfo=PARIS))


class Server:
    """Takes transactions; answers with the statuses given first."""

    def __init__(self, *statuses: int) -> None:
        self._statuses = list(statuses)
        self.taken: list[dict[str, Any]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        status = self._statuses.pop(0) if self._statuses else 200
        if status == 200:
            self.taken.append(json.loads(request.content))
        headers = {"Retry-After": "0"} if status == 503 else {}
        return httpx.Response(status, headers=headers, json={"resourceType": "Bundle", "type": "transaction-response"})

    def client(self) -> FhirClient:
        return FhirClient("http://127.0.0.1:1/fhir", transport=httpx.MockTransport(self))


def silent(done: Done) -> None:
    pass


def refs(bundle: dict[str, Any]) -> list[str]:
    return [entry["request"]["url"] for entry in bundle["entry"]]


def test_one_file_a_type(tmp_path: Path) -> None:
    heard: list[Done] = []
    done = write_ndjson(PERIOD, tmp_path / "new", heard.append)
    files = sorted(path.name for path in (tmp_path / "new").iterdir())
    assert files == sorted(f"{kind}.ndjson" for kind in KINDS)
    lines = [json.loads(line) for path in (tmp_path / "new").iterdir() for line in path.read_text("utf-8").splitlines()]
    assert len(lines) == done.resources
    assert all(line["meta"]["versionId"] and line["meta"]["lastUpdated"] for line in lines)
    assert [one.parts for one in heard] == [1, 2, 3, 4]
    assert "2.3500" in (tmp_path / "new" / "Appointment.ndjson").read_text("utf-8")


def test_interrupted_writing_leaves_what_was_there(tmp_path: Path) -> None:
    write_ndjson(PERIOD, tmp_path, silent)
    before = (tmp_path / "Appointment.ndjson").read_bytes()

    def stop(done: Done) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_ndjson(Period(FIRST, FIRST, PARIS, 1, PERIOD.known_at), tmp_path, stop)
    assert (tmp_path / "Appointment.ndjson").read_bytes() == before


def test_one_transaction_a_day(tmp_path: Path) -> None:
    done = write_transactions(PERIOD, tmp_path, silent)
    files = sorted(tmp_path.iterdir())
    assert [path.stem for path in files] == ["0000-places-and-staff", "2026-11-20", "2026-11-21", "2026-11-22"]
    bundles = [json.loads(path.read_bytes()) for path in files]
    assert sum(len(refs(bundle)) for bundle in bundles) == done.resources
    ranks = [KINDS.index(ref.partition("/")[0]) for ref in refs(bundles[1])]
    assert ranks == sorted(ranks)


async def test_load_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "_PAUSE_S", 0.001)
    server = Server(200, 503, 500, 200)
    async with server.client() as client:
        done = await load_period(client, PERIOD, silent)
    assert sum(len(refs(bundle)) for bundle in server.taken) == done.resources
    assert len(server.taken) == 4
    assert "versionId" not in server.taken[1]["entry"][0]["resource"]["meta"]


@pytest.mark.parametrize("statuses", [(200, 200, 422), (200, 200, *[503] * 8)])
async def test_load_says_where_it_stopped(statuses: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "_PAUSE_S", 0.001)
    server = Server(*statuses)
    async with server.client() as client:
        with pytest.raises(FhirServerError, match=r"stopped at 2026-11-21.*same command again"):
            await load_period(client, PERIOD, silent)
    assert len(server.taken) == 2
