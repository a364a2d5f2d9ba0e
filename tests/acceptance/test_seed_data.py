"""Resources that others made: what sekmet's own workflows put on it, read as they are and spoilt."""

import random
import subprocess
import sys
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from fhir_adapters.client import FhirClient
from fhir_adapters.normalise import TYPES
from fixtures.servers.sekmet import SekmetServer
from tests.property.test_normalise import DROP, paths, put
from tests.unit.fhir_samples import NORMALISER, NOW
from twin.facts import Fact, Quarantined

pytestmark = pytest.mark.server

MUTATIONS = 600
SPOILT: tuple[object, ...] = (
    DROP,
    None,
    True,
    0,
    -1,
    10**400,
    "",
    "../x",
    "2026-02-30",
    "24:00",
    "\ud800",
    [],
    {},
    [None],
    {"x": {"y": []}},
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SekmetServer]:
    with SekmetServer(tmp_path, port=0) as started:
        config = str(tmp_path / "sekmet.yaml")
        command = [str(Path(sys.executable).with_name("sekmet")), "seed", "--count", "12", "--config", config]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
        yield started


async def seeded(base_url: str) -> list[dict[str, Any]]:
    async with FhirClient(base_url) as client:
        pages = [page.bundle for kind in TYPES async for page in client.search(kind, [("_count", "200")])]
    return [entry["resource"] for page in pages for entry in page.get("entry", ())]


async def test_seed_data_is_read_and_survives_spoiling(server: SekmetServer) -> None:
    resources = await seeded(server.base_url)
    assert {resource["resourceType"] for resource in resources} >= {"Patient", "Encounter", "Location"}
    assert all(isinstance(NORMALISER.version(resource, NOW), Fact) for resource in resources)

    chance = random.Random(0)
    for _ in range(MUTATIONS):
        resource = deepcopy(chance.choice(resources))
        spoilt = put(resource, chance.choice(list(paths(resource))), chance.choice(SPOILT))
        assert isinstance(NORMALISER.version(spoilt, NOW), Fact | Quarantined)
