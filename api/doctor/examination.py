"""The whole examination, by reading with the line itself; nothing is kept on disk and nothing is written."""

from pathlib import Path

from pydantic import ValidationError

from api.compose import worker_of
from api.doctor.data import Material, data_findings
from api.doctor.findings import Check, Diagnosis, Finding, Section, counted, ok, problem, warning
from api.doctor.lateness import lateness_finding
from api.doctor.reach import Door, knock
from api.doctor.searching import sample, search_findings, version_findings
from api.doctor.settings_file import refuse_existing, save, settings_text
from api.doctor.trying import chosen, try_findings
from api.doctor.writing import claim_findings, would_write_findings
from api.sections import FhirSettings
from api.settings import Settings
from api.worker import Worker
from fhir_adapters.errors import AdapterError, FhirServerError
from fhir_adapters.normalise import default_mapping, load_mapping
from twin.errors import SettingsError, SimulationError
from twin.journal.address import MEMORY, address_of
from twin.timebase import Clock

ALL = 100_000
Findings = dict[Section, tuple[Finding, ...]]


async def consult(
    settings: Settings, *, base_url: str | None, try_write: str | None, write_config: Path | None
) -> Diagnosis:
    """`examine` for the command: another server than that of the settings, and a starting settings file.

    Raises SettingsError for what makes no sense, before anything is asked of the server.
    """
    if write_config is not None:
        refuse_existing(write_config)
    told = await examine(_of_server(settings, base_url), settings.make_clock(), try_write=try_write)
    if write_config is not None and told.settings:
        save(write_config, told.settings)
    return told


def _of_server(settings: Settings, base_url: str | None) -> Settings:
    if base_url is None:
        return settings
    try:
        fhir = FhirSettings.model_validate({**settings.fhir.model_dump(), "base_url": base_url})
    except ValidationError as error:
        reason = error.errors(include_input=False, include_url=False)[0]["msg"].removeprefix("Value error, ")
        raise SettingsError(f"--fhir: {reason}") from None
    return settings.model_copy(update={"fhir": fhir})


async def examine(settings: Settings, clock: Clock, *, try_write: str | None = None) -> Diagnosis:
    """Examine the server of the settings; `try_write` names a tagged resource to try writing on.

    Raises NotTaggedError for a resource that must not be written to, SettingsError, BadKeyError. What is wrong with
    the server is a finding, never an error.
    """
    url = settings.fhir.base_url
    door = await knock(url, settings.fhir.timeout_s)
    findings: Findings = {Section.SERVER: tuple(door.findings)}
    made = ""
    if door.open:
        async with worker_of(_reading_only(settings), clock) as worker:
            if try_write:
                findings[Section.TRIED] = await _tried(worker, try_write)
            findings |= await _manners(worker, door)
            material, read = await _read(worker)
            findings |= read
            if material is not None:
                made = settings_text(url, material)
    return Diagnosis(url, clock.now(), door.reached, findings, made)


def _reading_only(settings: Settings) -> Settings:
    """The same settings with a journal in memory and writing off; this installation's key only where it is there."""
    key_file = settings.privacy.key_file
    file = address_of(settings.database_url).file
    if key_file is None and file is not None:
        key_file = Path(f"{file}.key")
    there = key_file if key_file is not None and key_file.is_file() else None
    return settings.model_copy(
        update={
            "database_url": MEMORY,
            "privacy": settings.privacy.model_copy(update={"key_file": there}),
            "write_back": settings.write_back.model_copy(update={"mode": "off"}),
        }
    )


async def _manners(worker: Worker, door: Door) -> Findings:
    """How the server searches and versions; where a question fails, what was found out until then stands."""
    client = worker.parts.client
    found: Findings = {}
    try:
        samples = await sample(client, door.types)
        found[Section.SEARCH] = tuple(await search_findings(client, samples))
        found[Section.VERSIONS] = (*await version_findings(client, samples), *claim_findings(door.capabilities))
    except AdapterError as error:
        section = Section.VERSIONS if Section.SEARCH in found else Section.SEARCH
        found[section] = (warning(Check.READING, str(error), "look into the server's log, and run it again"),)
    return found


async def _read(worker: Worker) -> tuple[Material | None, Findings]:
    """The line itself: read the horizon, fold, predict; what it makes of the data, and what it would write."""
    try:
        counts = await worker.read_all()
    except FhirServerError as error:
        todo = "until this is mended the line reads nothing: see the findings above"
        return None, {Section.DATA: (problem(Check.READING, str(error), todo),)}
    horizon = worker.horizon
    said = f"{counted(counts.read, 'resource')} from {horizon.first} to {horizon.last}"
    read = ok(Check.READING, said, read=counts.read, understood=counts.facts, quarantined=counts.quarantined)
    warned = [
        warning(Check.READING, text, "the line does without; see what the server offers") for text in counts.warnings
    ]
    try:
        snapshot = await worker.predict()
    except SimulationError as error:
        return None, {
            Section.DATA: (read, *warned, problem(Check.CASES, str(error), "tell us: this is a fault of ours"))
        }
    told = worker.parts.settings.site.milestones
    bad = worker.parts.journal.quarantined(worker.server, limit=ALL)
    mapping = load_mapping(told) if told else default_mapping()
    material = Material(snapshot, worker.ledger, worker.parts.site, mapping, bad)
    late = await lateness_finding(worker)
    return material, {
        Section.DATA: (read, *warned, *data_findings(material), late),
        Section.WRITING: tuple(await would_write_findings(worker)),
    }


async def _tried(worker: Worker, ref: str) -> tuple[Finding, ...]:
    client = worker.parts.client
    return tuple(await try_findings(client, await chosen(client, ref), worker.parts.site.timezone))
