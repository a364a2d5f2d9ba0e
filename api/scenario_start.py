"""The start that a scenario file names: a Bundle at an instant, or the journal of this installation."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from api.instants import past_instant
from api.scenarios.errors import FieldError
from api.scenarios.live import Live, live_of
from api.scenarios.model import ScenarioFile
from api.sections import SiteSettings
from api.settings import Settings
from fhir_adapters import content
from fhir_adapters.errors import BadAnswerError
from fhir_adapters.normalise import TYPES, Normaliser, default_mapping, load_mapping
from fhir_adapters.pseudonyms import Pseudonyms
from twin.errors import SettingsError
from twin.facts import Deleted, Fact, Horizon, VersionKey
from twin.projections.ledger import Ledger, brought_back, fold, order
from twin.projections.suite_twin import suite_twin
from twin.site import SimulationOptions, SiteOptions
from twin.timebase import Clock, site_date

SERVER = "https://bundle.invalid/fhir"
"""Stands for the server that a Bundle is from: equal bundles have equal cases, wherever they are read."""
MOST_BYTES = 64 * 2**20
_PSEUDONYMS = Pseudonyms(b"nothing of a Bundle is kept: any key will do")


def start_of(file: ScenarioFile, folder: Path, settings: Settings, *, server: str = SERVER) -> Live:
    """The live state that a file in a folder names. Raises FieldError, SettingsError or JournalError."""
    if file.start.bundle is None:
        return _from_journal(file, settings)
    site = file.site or SiteSettings()
    chosen = settings.model_copy(update={"site": site})
    options = _site_options(chosen)
    zone = options.timezone
    at = _instant(file.start.at or "")
    mapping = load_mapping(site.milestones) if site.milestones else default_mapping()
    normaliser = Normaliser(server, _PSEUDONYMS, zone, mapping=mapping)
    ledger = ledger_of(_bundle(folder / file.start.bundle), normaliser, at)
    day = site_date(at, zone)
    horizon = Horizon(day - timedelta(days=2), day + timedelta(days=30))
    suite = suite_twin(ledger, options, clock=Clock(wall=lambda: at), horizon=horizon, server=server)
    return live_of(suite, site=options, durations=chosen.duration_options(), options=_options(file))


def _from_journal(file: ScenarioFile, settings: Settings) -> Live:
    # Here, since a Bundle needs neither a database nor a FHIR server: they take more time to load than to simulate it.
    from api.compose import memory_of
    from api.context import Basis
    from api.learning import history_at

    chosen = settings if file.site is None else settings.model_copy(update={"site": file.site})
    clock = chosen.make_clock()
    now = clock.now()
    with memory_of(chosen) as memory:
        basis = Basis(position=memory.journal.position(), at=now)
        if file.start.at is None:
            suite = memory.suite(clock, chosen.horizon(now))
        else:
            basis = basis.model_copy(update={"at": _past(file.start.at, now)})
            suite = memory.at(basis.at, clock).suite
        history = history_at(memory, clock, basis)
        site, durations = memory.site, chosen.duration_options()
        options = replace(_options(file), early_start_min=chosen.simulation.early_start_min)
        return live_of(suite, site=site, durations=durations, options=options, history=history)


def _site_options(settings: Settings) -> SiteOptions:
    try:
        return settings.site_options()
    except SettingsError as error:
        raise FieldError(("site",), str(error).removeprefix("site.")) from None


def _options(file: ScenarioFile) -> SimulationOptions:
    return SimulationOptions(replications=file.options.replications, seed=file.options.seed)


def _instant(told: str) -> datetime:
    try:
        instant = datetime.fromisoformat(told)
    except ValueError:
        instant = None
    if instant is None or instant.utcoffset() is None or not 2000 <= instant.year < 2200:
        raise FieldError(("start", "at"), "give an instant with its offset, such as 2026-11-24T10:30:00+01:00")
    return instant


def _past(told: str, now: datetime) -> datetime:
    try:
        return past_instant(told, now)
    except ValueError as error:
        raise FieldError(("start", "at"), str(error)) from None


def _bundle(file: Path) -> Mapping[str, Any]:
    path = ("start", "bundle")
    try:
        with file.open("rb") as opened:
            body = opened.read(MOST_BYTES + 1)
        if len(body) > MOST_BYTES:
            raise FieldError(path, f"is larger than {MOST_BYTES // 2**20} MB: give the resources of the day's suite")
        values = content.parse(body)
    except OSError as error:
        raise FieldError(path, f"can't be read ({error.strerror})") from None
    except BadAnswerError:
        raise FieldError(path, "is not JSON in UTF-8, or is nested too deeply") from None
    if not isinstance(values, dict) or values.get("resourceType") != "Bundle":
        raise FieldError(path, "is no FHIR Bundle")
    return values


def ledger_of(bundle: Mapping[str, Any], normaliser: Normaliser, at: datetime) -> Ledger:
    """Every version in the order shown, oldest first; an older one than is known counts as brought back by a server
    restored from its backup. What can't be read is left out."""
    newest: dict[str, Fact] = {}
    facts = []
    for fact in _facts(bundle, normaliser, at):
        known = newest.get(fact.key.ref)
        behind = known is not None and order(fact) < order(known)
        seen = brought_back(known, fact) if known and behind else fact
        newest[fact.key.ref] = seen
        facts.append(seen)
    return fold(Ledger(), facts)


def _facts(bundle: Mapping[str, Any], normaliser: Normaliser, at: datetime) -> Iterator[Fact]:
    entries = bundle.get("entry")
    listed = [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    for entry in reversed(listed) if bundle.get("type") == "history" else listed:
        resource = entry.get("resource")
        if resource is None:
            if (gone := _gone(entry, normaliser.server, at)) is not None:
                yield gone
        elif isinstance(resource, dict) and resource.get("resourceType") in TYPES:
            read = normaliser.version(resource, at)
            if isinstance(read, Fact):
                yield read


def _gone(entry: Mapping[str, Any], server: str, at: datetime) -> Fact | None:
    """A delete, as a history Bundle tells it."""
    request, response = entry.get("request"), entry.get("response")
    url = request.get("url") if isinstance(request, dict) else None
    told = response.get("lastModified") if isinstance(response, dict) else None
    if not isinstance(url, str) or url.count("/") != 1:
        return None
    kind, _, name = url.partition("/")
    try:
        when = datetime.fromisoformat(told) if isinstance(told, str) else at
    except ValueError:
        when = at
    key = VersionKey(server, kind, name, "", when if when.utcoffset() is not None else at)
    return Fact(key, "", Deleted())
