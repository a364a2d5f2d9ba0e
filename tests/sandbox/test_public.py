"""A small synthetic day on a public server: read, annotated, as before, gone."""

import os
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from api.doctor import Check, Level
from api.doctor.trying import chosen, try_findings
from fhir_adapters import extensions
from fhir_adapters.client import FhirClient
from fhir_adapters.normalise import Normaliser
from fhir_adapters.pseudonyms import Pseudonyms, new_key
from fhir_adapters.splice import untouched
from fhir_adapters.sync import CLINICAL_TYPES, read_horizon
from fhir_adapters.write_back import write
from fixtures.clinic.catalogue import TAGS
from tests.sandbox.guard import clean, guarded_client, new_run, tagged
from tests.strangers.resources import reference
from tests.unit.doctor_world import the
from twin.facts import Horizon
from twin.projections.ledger import Ledger, fold
from twin.projections.suite_twin import suite_twin
from twin.site import SiteOptions
from twin.timebase import Clock, wall_now
from twin.timeline import Annotation, PredictedStage, PredictedTimeline, WriteOrder
from twin.vocabulary import Milestone

# Also `server`: what leaves out other programs leaves these out too.
pytestmark = [pytest.mark.sandbox, pytest.mark.server]

PARIS = ZoneInfo("Europe/Paris")
SOURCE = "urn:uuid:8b5f9f0e-6d8c-4f4b-9f0c-0a8c3c7c5b11"
Json = dict[str, Any]


@pytest.fixture
def base_url() -> str:
    url = os.environ.get("JUMEAU_TEST_SANDBOX_URL", "").rstrip("/")
    if not url:
        pytest.fail("say which server: JUMEAU_TEST_SANDBOX_URL=https://hapi.fhir.org/baseR4", pytrace=False)
    return url


@pytest.fixture
def run() -> str:
    return new_run()


@pytest.fixture
async def client(base_url: str, run: str) -> AsyncIterator[FhirClient]:
    """A guarded client; what the run made is deleted whatever happened."""
    async with guarded_client(base_url, run) as one:
        try:
            await one.transaction(_day(run))
            yield one
        finally:
            assert await clean(one, run) == []


def _day(run: str) -> Json:
    """A suite with one room, and a patient booked in it in an hour."""
    start = wall_now().replace(microsecond=0) + timedelta(hours=1)
    suite = {"resourceType": "Location", "id": "bloc", "name": "Bloc opératoire"}
    room = {"resourceType": "Location", "id": "s1", "name": "Salle 1", "partOf": reference(f"Location/{run}-bloc")}
    person = {"resourceType": "Patient", "id": "p1", "name": [{"family": "SYNTHETIC"}]}
    actors = (f"Patient/{run}-p1", f"Location/{run}-s1")
    booked = {
        "resourceType": "Appointment",
        "id": "a1",
        "status": "booked",
        "start": start.isoformat(),
        "end": (start + timedelta(hours=1)).isoformat(),
        "participant": [{"actor": reference(actor), "status": "accepted"} for actor in actors],
    }
    made = [tagged(one, run) for one in (suite, room, person, booked)]
    entries = [
        {"resource": one, "request": {"method": "PUT", "url": f"{one['resourceType']}/{one['id']}"}} for one in made
    ]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


async def test_day_is_read_as_a_case(client: FhirClient, base_url: str, run: str) -> None:
    clock = Clock()
    today = clock.now().astimezone(PARIS).date()
    horizon = Horizon(today - timedelta(days=1), today + timedelta(days=2))
    mine = [("_tag", f"{TAGS}|{run}")]
    normaliser = Normaliser(base_url, Pseudonyms(new_key()), PARIS)
    batch = await read_horizon(client, normaliser, horizon, extra=dict.fromkeys(CLINICAL_TYPES, mine))
    assert batch.quarantined == ()
    suite = suite_twin(
        fold(Ledger(), batch.facts), SiteOptions(timezone=PARIS), clock=clock, horizon=horizon, server=base_url
    )
    assert [room.id for room in suite.rooms] == [f"{run}-s1"]
    (case,) = suite.cases.values()
    assert case.carrier == f"Appointment/{run}-a1"


async def test_annotated_and_as_before(client: FhirClient, run: str) -> None:
    ref, wanted = f"Appointment/{run}-a1", _predicted()
    before = (await client.read(ref)).body
    told = await write(client, WriteOrder(ref, wanted, "new"), zone=PARIS, source=SOURCE)
    assert told.outcome.status == "written", told.outcome.reason
    annotated = await client.read(ref)
    carried = extensions.reader(SOURCE)(annotated.json()["extension"])
    assert carried.annotation == extensions.published(wanted, PARIS)
    assert untouched(before, annotated.body)
    gone = await write(client, WriteOrder(ref, None, "removal"), zone=PARIS, source=SOURCE)
    assert gone.outcome.status == "written", gone.outcome.reason
    after = await client.read(ref)
    assert "extension" not in after.json()
    assert untouched(before, after.body)


def _predicted() -> Annotation:
    now = wall_now().replace(second=0, microsecond=0)
    stage = PredictedStage(Milestone.PATIENT_IN_ROOM, p50=now + timedelta(hours=1), probability=0.95)
    until = now + timedelta(minutes=5)
    return Annotation(
        PredictedTimeline(now, until, "sandbox 1", SOURCE, "urn:uuid:r", ("Appointment/x/_history/1",), (stage,))
    )


async def test_doctor_tries_and_leaves_nothing(client: FhirClient, run: str) -> None:
    found = await try_findings(client, await chosen(client, f"Location/{run}-s1"), PARIS)
    assert the(found, Check.TRY_REMOVED).level is Level.OK
    assert the(found, Check.TRY_WRITE).level is Level.OK
