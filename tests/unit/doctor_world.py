"""What the tests of the doctor share: a server that is questioned, and material made from a world."""

from collections.abc import Iterable
from datetime import datetime

from api.doctor import Check, Diagnosis, Finding, examine
from api.doctor.data import Material
from api.doctor.searching import sample, search_findings, version_findings
from api.sections import SimulationSettings
from api.settings import load
from api.snapshot import Snapshot
from fhir_adapters.client import FhirClient
from fhir_adapters.normalise import default_mapping
from tests.strangers.resources import at, morning
from tests.strangers.server import Stranger
from tests.strangers.traits import Traits
from tests.world import World
from twin.facts import Quarantined
from twin.projections.places import places_of
from twin.timebase import shifted

TYPES = ("Location", "Appointment", "Encounter")


async def manners(traits: Traits) -> list[Finding]:
    """How a stranger with a morning on it searches and tells versions."""
    with Stranger(traits, *morning()) as server:
        async with FhirClient(server.url) as client:
            samples = await sample(client, TYPES)
            found = await search_findings(client, samples) + await version_findings(client, samples)
        assert server.writes() == 0
        return found


async def examined(server: Stranger, *, try_write: str | None = None) -> Diagnosis:
    """The whole examination of a stranger at 10:30 of its day."""
    settings = load(None, database_url=":memory:", fhir={"base_url": server.url})
    quick = settings.model_copy(update={"simulation": SimulationSettings(replications=10)})
    return await examine(quick, shifted(datetime.fromisoformat(at("10:30"))), try_write=try_write)


def material_of(world: World, now: str = "10:30", quarantined: tuple[Quarantined, ...] = ()) -> Material:
    """What one reading of a world gives."""
    ledger, suite = world.ledger, world.suite(now)
    snapshot = Snapshot(1, suite, places_of(ledger, world.site), {}, {}, None)
    return Material(snapshot, ledger, world.site, default_mapping(), quarantined)


def the(findings: Iterable[Finding], check: Check, **numbers: object) -> Finding:
    """The only finding of a check (and with these numbers)."""
    found = [
        one
        for one in findings
        if one.check is check and all(one.numbers.get(name) == value for name, value in numbers.items())
    ]
    assert len(found) == 1, f"{check}: {found}"
    return found[0]
