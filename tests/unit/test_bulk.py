"""The Bulk Data export of a fake server: asked for, waited for, read and deleted."""

import json
from datetime import date
from typing import Any

import httpx
import pytest

from api.first_load import FirstLoad
from fhir_adapters import bulk
from fhir_adapters.client import FhirClient
from fhir_adapters.errors import BadAddressError, BadAnswerError, FhirServerError, SlowError
from fhir_adapters.gathering import Batch
from fhir_adapters.server import capabilities_of
from tests.unit.fhir_samples import APPOINTMENT, BASE, ENCOUNTER, NORMALISER, changed
from twin.facts import Horizon

JOB = f"{BASE}/$export-status/1"
MANIFEST: dict[str, Any] = {
    "transactionTime": "2026-11-24T09:00:00Z",
    "output": [{"type": "Appointment", "url": f"{BASE}/Binary/a"}, {"type": "Encounter", "url": f"{BASE}/Binary/e"}],
    "error": [],
}


class Exporter:
    """Is busy for some polls, then gives its files."""

    def __init__(self, manifest: Any = MANIFEST, *, busy: int = 2, retry_after: str = "0") -> None:
        self.manifest = manifest
        self.busy = busy
        self.retry_after = retry_after
        self.asked: list[httpx.Request] = []
        self.files = {
            "a": [json.dumps(changed(APPOINTMENT, id=f"a{number}")) for number in range(3)] + ["{", ""],
            "e": [json.dumps(ENCOUNTER)],
        }

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        path = request.url.path.removeprefix("/r4/")
        if path == "$export":
            return httpx.Response(202, headers={"Content-Location": JOB})
        if request.method == "DELETE":
            return httpx.Response(202)
        if path.startswith("Binary/"):
            return httpx.Response(200, text="\n".join(self.files[path[-1]]))
        self.busy -= 1
        if self.busy >= 0:
            return httpx.Response(202, headers={"Retry-After": self.retry_after})
        return httpx.Response(200, json=self.manifest)


async def exported(server: Exporter, **options: Any) -> list[Batch]:
    async with FhirClient(BASE, transport=httpx.MockTransport(server), backoff_s=0.001) as client:
        return [batch async for batch in bulk.export(client, NORMALISER, ["Appointment", "Encounter"], **options)]


async def test_all_files_are_read_and_the_job_deleted() -> None:
    server = Exporter()
    batches = await exported(server)
    assert {fact.key.ref for batch in batches for fact in batch.facts} == {
        *(f"Appointment/a{number}" for number in range(3)),
        "Encounter/e1",
    }
    assert [bad.reason for batch in batches for bad in batch.quarantined] == [
        "the body is not JSON in UTF-8 (export of Appointment line 4)"
    ]
    assert batches[0].cursor["Appointment"].isoformat() == "2026-11-24T09:00:00+00:00"
    kick = server.asked[0]
    assert kick.headers["prefer"] == "respond-async"
    assert kick.url.params["_type"] == "Appointment,Encounter"
    assert [(one.method, str(one.url)) for one in server.asked][-1] == ("DELETE", JOB)


@pytest.mark.parametrize("address", ["https://elsewhere.example/a", "http://his.example/r4/Binary/a"])
async def test_files_of_another_origin_are_refused(address: str) -> None:
    server = Exporter({**MANIFEST, "output": [{"type": "Appointment", "url": address}]})
    with pytest.raises(BadAddressError):
        await exported(server)
    assert not any("elsewhere" in str(one.url) for one in server.asked)
    assert server.asked[-1].method == "DELETE"


@pytest.mark.parametrize("manifest", [[], {}, {"output": [{"type": "Appointment"}]}])
async def test_manifest_that_makes_no_sense(manifest: Any) -> None:
    with pytest.raises(BadAnswerError):
        await exported(Exporter(manifest))


async def test_never_ready() -> None:
    server = Exporter(busy=1000, retry_after="1")
    with pytest.raises(SlowError):
        await exported(server, max_wait_s=0.5)
    assert server.asked[-1].method == "DELETE"


async def test_not_begun() -> None:
    def refuses(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"resourceType": "Bundle"})

    async with FhirClient(BASE, transport=httpx.MockTransport(refuses)) as client:
        with pytest.raises(FhirServerError, match="not begun"):
            [batch async for batch in bulk.export(client, NORMALISER, ["Appointment"])]


@pytest.mark.parametrize(
    "told",
    [
        {"rest": [{"mode": "server", "operation": [{"name": "export", "definition": "x"}]}]},
        {"instantiates": ["http://hl7.org/fhir/uv/bulkdata/CapabilityStatement/bulk-data"]},
    ],
)
def test_offered(told: dict[str, Any]) -> None:
    assert capabilities_of({"resourceType": "CapabilityStatement", **told}).exports
    assert not capabilities_of({"resourceType": "CapabilityStatement"}).exports


async def test_first_load_by_export_keeps_the_days_asked_for() -> None:
    kept: list[Batch] = []

    async def take(batch: Batch) -> None:
        kept.append(batch)

    server = Exporter()
    far = changed(APPOINTMENT, id="far", start="2020-01-01T08:00:00Z", end="2020-01-01T09:00:00Z")
    server.files["a"].append(json.dumps(far))
    async with FhirClient(BASE, transport=httpx.MockTransport(server)) as client:
        loading = FirstLoad(client, NORMALISER, {})
        await loading.run([Horizon(date(2026, 11, 1), date(2026, 12, 1))], take, exported=True)
        asked = len(server.asked)
        await loading.run([Horizon(date(2026, 11, 1), date(2026, 12, 1))], take, exported=True)
    refs = {fact.key.ref for batch in kept for fact in batch.facts}
    assert "Appointment/a0" in refs
    assert "Appointment/far" not in refs
    assert loading.weeks["Appointment/2026-11-30"].hour == 9
    assert len(server.asked) == asked
