"""What a worker is made of, and what one reading tells."""

from dataclasses import dataclass, field

from api.settings import Settings
from fhir_adapters.client import FhirClient
from fhir_adapters.normalise import Normaliser
from fhir_adapters.write_back import Writer
from twin.journal import Journal
from twin.simulation.replications import SimulationWorker
from twin.site import SiteOptions


@dataclass(frozen=True, slots=True)
class Parts:
    """What a worker is made of; put together by `api.compose`."""

    settings: Settings
    site: SiteOptions
    client: FhirClient
    normaliser: Normaliser
    journal: Journal
    writer: Writer
    simulation: SimulationWorker
    source: str
    reading: str
    """Names the milestone mapping and the version of the readings."""
    code_version: str


@dataclass(slots=True)
class Counts:
    """What one reading has to tell."""

    read: int = 0
    facts: int = 0
    """What was understood."""
    new: int = 0
    """Rows that the journal did not have, versions in between and what is gone included."""
    quarantined: int = 0
    warnings: list[str] = field(default_factory=list)
