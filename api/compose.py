"""The one place that knows everything: puts a worker together from settings, and takes it apart again."""

import hashlib
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from importlib.metadata import version
from pathlib import Path

from api.parts import Parts
from api.past import Memory
from api.settings import Settings
from api.worker import Worker
from fhir_adapters import extensions
from fhir_adapters.client import FhirClient
from fhir_adapters.normalise import Mapping, Normaliser, default_mapping, load_mapping
from fhir_adapters.partitions import AT_ONCE
from fhir_adapters.pseudonyms import Pseudonyms, load_or_create_key, new_key
from fhir_adapters.write_back import Writer
from twin.durations.start import Start, start_of
from twin.errors import JournalError, SettingsError
from twin.journal import Journal, schema
from twin.journal.address import POSTGRESQL, address_of
from twin.journal.lease import Lease, held
from twin.simulation.replications import SimulationWorker
from twin.timebase import Clock

READING_VERSION = "2"
"""Goes up when the normalisers read the same bytes otherwise."""


@asynccontextmanager
async def worker_of(settings: Settings, clock: Clock, *, alone: bool = False) -> AsyncIterator[Worker]:
    """A worker with everything it needs open; all of it is closed at the end.

    `alone`: it may write to the FHIR server, and no other on this journal; JournalError where one does.
    """
    with held(settings.database_url) if alone else nullcontext() as lease:
        async with _opened(settings, clock, lease) as worker:
            yield worker


@asynccontextmanager
async def _opened(settings: Settings, clock: Clock, lease: Lease | None) -> AsyncIterator[Worker]:
    pseudonyms = Pseudonyms(_key(settings))
    journal = Journal.open(settings.database_url, key_fingerprint=pseudonyms.fingerprint)
    simulation = SimulationWorker()
    try:
        fhir = settings.fhir
        async with FhirClient(fhir.base_url, timeout_s=fhir.timeout_s, max_in_flight=AT_ONCE) as client:
            yield Worker(_parts(settings, pseudonyms, client, journal, simulation), clock, lease)
    finally:
        await simulation.close()
        journal.close()


@contextmanager
def memory_of(settings: Settings) -> Iterator[Memory]:
    """What the journal remembers, without the FHIR server; JournalError where there is no journal yet."""
    if schema.status(settings.database_url).found is None:
        raise JournalError("there is no journal yet: `jumeau run --once` or `jumeau serve` makes one")
    pseudonyms = Pseudonyms(_key(settings))
    journal = Journal.open(settings.database_url, key_fingerprint=pseudonyms.fingerprint)
    try:
        start = start_of_settings(settings)
        yield Memory(journal, settings, settings.site_options(), _reading(_mapping(settings)), start)
    finally:
        journal.close()


def _parts(
    settings: Settings,
    pseudonyms: Pseudonyms,
    client: FhirClient,
    journal: Journal,
    simulation: SimulationWorker,
) -> Parts:
    site = settings.site_options()
    source = settings.write_back.source or source_of(pseudonyms)
    mapping = _mapping(settings)
    normaliser = Normaliser(
        settings.fhir.base_url,
        pseudonyms,
        site.timezone,
        mapping=mapping,
        read_annotation=extensions.reader(source),
        results=frozenset(code for option in site.regressors for code in option.codes),
    )
    writer = Writer(
        client,
        zone=site.timezone,
        source=source,
        min_interval_s=settings.write_back.min_interval_s,
        budget_per_s=settings.write_back.budget_per_s,
        max_per_hour=settings.write_back.max_per_hour,
        take_over=settings.write_back.take_over,
    )
    return Parts(
        settings=settings,
        site=site,
        client=client,
        normaliser=normaliser,
        journal=journal,
        writer=writer,
        simulation=simulation,
        source=source,
        reading=_reading(mapping),
        code_version=version("jumeau"),
        start=start_of_settings(settings),
    )


def start_of_settings(settings: Settings) -> Start | None:
    """What `durations.model_file` taught; SettingsError names it where it can't be used."""
    path = settings.durations.model_file
    if path is None:
        return None
    try:
        return start_of(path.read_bytes(), settings.duration_options())
    except OSError as error:
        raise SettingsError(f"durations.model_file: {path} can't be read ({error.strerror})") from None
    except SettingsError as error:
        raise SettingsError(f"durations.model_file: {path}: {error}") from None


def source_of(pseudonyms: Pseudonyms) -> str:
    """This installation's name in what it writes: a `urn:uuid:` that goes with its key."""
    return uuid.uuid5(uuid.NAMESPACE_URL, pseudonyms.fingerprint).urn


def _mapping(settings: Settings) -> Mapping:
    return load_mapping(settings.site.milestones) if settings.site.milestones else default_mapping()


def _reading(mapping: Mapping) -> str:
    """The same in every process: facts of another reading are read anew."""
    return hashlib.blake2b(f"{READING_VERSION}|".encode() + mapping.canonical(), digest_size=8).hexdigest()


def _key(settings: Settings) -> bytes:
    """The key of the pseudonyms: the file named, else one beside the SQLite file; in memory for `:memory:`."""
    address = address_of(settings.database_url)  # refuses what is no database, before a key is made for it
    if settings.privacy.key_file is not None:
        return load_or_create_key(settings.privacy.key_file)
    if address.backend == POSTGRESQL:
        raise SettingsError(
            "privacy.key_file: with PostgreSQL name the file of the pseudonym key, outside the database "
            "(JUMEAU_PRIVACY__KEY_FILE=FILE); it is made where there is none, and the journal is lost without it"
        )
    return load_or_create_key(Path(f"{address.file}.key")) if address.file else new_key()
