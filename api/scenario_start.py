"""The start that a scenario file names: a Bundle at an instant, or the journal of this installation."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from api.instants import past_instant
from api.scenarios.errors import FieldError
from api.scenarios.live import Live, live_of
from api.scenarios.model import ScenarioFile
from api.sections import SiteSettings
from api.settings import Settings
from fhir_adapters import content, ndjson
from fhir_adapters.errors import BadAnswerError
from fhir_adapters.normalise import Normaliser, default_mapping, load_mapping
from fhir_adapters.pseudonyms import Pseudonyms
from twin.errors import SettingsError
from twin.facts import Fact, Horizon
from twin.projections.ledger import Ledger, brought_back, fold, order
from twin.projections.suite_twin import SuiteTwin, suite_twin
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
    loaded = read_bundle(_bundle(folder / file.start.bundle), normaliser, at)
    day = site_date(at, zone)
    horizon = Horizon(day - timedelta(days=2), day + timedelta(days=30))
    clock = Clock(wall=lambda: at)
    suite = suite_twin(ledger_of(loaded.facts), options, clock=clock, horizon=horizon, server=server)
    if not any(twin.day == day for twin in suite.cases.values()):
        raise FieldError(("start", "bundle"), f"no case on {day}: {_instead(suite, loaded)}")
    live = live_of(suite, site=options, durations=chosen.duration_options(), options=_options(file))
    return replace(live, notes=tuple(_left_out(loaded)))


def _instead(suite: SuiteTwin, loaded: ndjson.Loaded) -> str:
    days = sorted({twin.day.isoformat() for twin in suite.cases.values()})
    if days:
        return f"there are cases on {', '.join(days[:5])}{', …' if len(days) > 5 else ''}"
    return "; ".join(["the bundle has none on the days around it either", *_left_out(loaded)])


def _left_out(loaded: ndjson.Loaded) -> Iterator[str]:
    """What of a Bundle was not read, counted, without data."""
    reasons = Counter(bad.reason.partition(" (")[0] for bad in loaded.quarantined)
    yield from (f"entries of the bundle left out, {count}: {reason}" for reason, count in sorted(reasons.items()))
    yield from (f"entries of the bundle not read, {count}: {kind}" for kind, count in sorted(loaded.ignored.items()))


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


def _bundle(file: Path) -> bytes:
    path = ("start", "bundle")
    try:
        with file.open("rb") as opened:
            body = opened.read(MOST_BYTES + 1)
    except ValueError:  # a name that no file can have
        raise FieldError(path, "is no name of a file") from None
    except OSError as error:
        raise FieldError(path, f"can't be read ({error.strerror})") from None
    if len(body) > MOST_BYTES:
        raise FieldError(path, f"is larger than {MOST_BYTES // 2**20} MB: give the resources of the day's suite")
    return body


def read_bundle(body: bytes, normaliser: Normaliser, at: datetime) -> ndjson.Loaded:
    """What a Bundle asserts, oldest first, read as `jumeau sync --from` reads one."""
    path = ("start", "bundle")
    try:
        values = content.parse(body)
    except BadAnswerError:
        raise FieldError(path, "is not JSON in UTF-8, or is nested too deeply") from None
    if not isinstance(values, dict) or values.get("resourceType") != "Bundle":
        raise FieldError(path, "is no FHIR Bundle")
    chunk = ndjson.Chunk("the bundle", 1, body, at, whole=True)
    told = ndjson.Loaded()
    for piece in ndjson.read_chunk(normaliser, chunk, observed_at=at):
        told.facts += piece.facts
        told.quarantined += piece.quarantined
        told.ignored += piece.ignored
    if values.get("type") == "history":  # it has the newest first
        told.facts.reverse()
    return told


def ledger_of(facts: Iterable[Fact]) -> Ledger:
    """Every version in the order given, oldest first; an older one than is known counts as brought back by a server
    restored from its backup."""
    newest: dict[str, Fact] = {}
    kept = []
    for fact in facts:
        known = newest.get(fact.key.ref)
        behind = known is not None and order(fact) < order(known)
        seen = brought_back(known, fact) if known and behind else fact
        newest[fact.key.ref] = seen
        kept.append(seen)
    return fold(Ledger(), kept)
