"""What a worker is made of, and what one reading tells."""

from dataclasses import dataclass, field

from api.past import Memory
from api.settings import Settings
from fhir_adapters.client import FhirClient
from fhir_adapters.normalise import Normaliser
from fhir_adapters.write_back import Writer
from twin.durations.start import Start
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
    start: Start | None = None
    """What room time was learned from a file (`durations.model_file`)."""

    def memory(self) -> Memory:
        """The journal of these parts, and what it is read under."""
        return Memory(self.journal, self.settings, self.site, self.reading, self.start)


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
