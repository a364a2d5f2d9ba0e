"""BMI and ASA class of patients, read from a real server that holds Observations, without a setting."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from api.compose import worker_of
from api.settings import load
from fixtures.servers.sekmet import SekmetServer
from tests.strangers import plain
from tests.strangers.cli import Jumeau, Warm
from twin.site import ASA_CODES, BMI_CODES
from twin.timebase import Clock

pytestmark = pytest.mark.server


@pytest.fixture
def clinic(tmp_path: Path, warm: Warm) -> Iterator[str]:
    """A real server with today's synthetic clinic on it."""
    with SekmetServer(tmp_path / "sekmet", port=0) as server:
        jumeau = Jumeau(tmp_path, server.base_url, warm=warm)
        made = jumeau("clinic", "generate", "--to", server.base_url, "--rooms", "3")
        assert made.code == 0, made.err
        yield server.base_url


def put(base: str, name: str, patient: str, code: str, **value: Any) -> None:
    system, _, plain_code = code.rpartition("|")
    resource = {
        "resourceType": "Observation",
        "id": name,
        "status": "final",
        "code": {"coding": [{"system": system, "code": plain_code}]},
        "subject": {"reference": patient},
        "effectiveDateTime": (Clock().now() - timedelta(days=20)).isoformat(),
        **value,
    }
    status, _ = plain.request("PUT", f"{base}/Observation/{name}", resource)
    assert status == 201


async def test_known_results_of_a_real_server(clinic: str, tmp_path: Path) -> None:
    booked = plain.get(f"{clinic}/Appointment?_count=200")["entry"]
    surgical = [one["resource"] for one in booked if len(one["resource"]["participant"]) > 3]
    actors = [one["actor"]["reference"] for one in surgical[0]["participant"]]
    patient = next(ref for ref in actors if ref.startswith("Patient/"))
    put(clinic, "bmi", patient, BMI_CODES[0], valueQuantity={"value": 41.25, "unit": "kg/m2", "code": "kg/m2"})
    put(clinic, "asa", patient, ASA_CODES[1], valueCodeableConcept={"text": "ASA 3"})
    settings = load(database_url=f"sqlite:///{tmp_path / 'journal.db'}", fhir={"base_url": clinic})
    async with worker_of(settings, Clock()) as worker:
        counts = await worker.read_all()
        suite = await worker._intake.suite()
    told = [dict(twin.factors) for twin in suite.cases.values() if "bmi" in dict(twin.factors)]
    assert counts.warnings == []
    assert [(one["bmi"], one["asa"]) for one in told] == [(41.25, "3")]
    assert sum("age_band" in dict(twin.factors) for twin in suite.cases.values()) > 5
