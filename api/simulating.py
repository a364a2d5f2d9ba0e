"""`jumeau simulate`: a scenario file read, simulated here or on a cluster, and told."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from api.scenario_start import start_of
from api.scenarios.answer import Answer
from api.scenarios.errors import FieldError
from api.scenarios.live import MOST_FUTURES
from api.scenarios.model import scenario_of
from api.scenarios.question import Question, asked
from api.scenarios.telling import Teller
from api.scenarios.text import read
from api.settings import Settings
from twin.errors import SettingsError
from twin.simulation.cluster import cluster
from twin.simulation.export import Export, Told
from twin.simulation.replications import Engine, engine_for
from twin.simulation.stopping import Asked, StopRule
from twin.simulation.summary import summary_of
from twin.simulation.sweep import Pool, Progress, Swept, Threads, sweep


@dataclass(frozen=True, slots=True)
class Means:
    """Who simulates, and where records go."""

    workers: int = 1
    """Threads here."""
    cluster: str | None = None
    """Address of a Dask scheduler that simulates instead."""
    export: Export | None = None
    progress: Progress = lambda _done, _most: None


async def simulate(settings: Settings, file: Path, means: Means | None = None) -> Answer:
    """What comes of a scenario file, off the event loop: cancelled, it ends here and on the cluster.

    SettingsError names the file, the line and the field that is wrong.
    """
    stop = threading.Event()
    try:
        return await asyncio.to_thread(_simulate, settings, file, means or Means(), lambda: not stop.is_set())
    finally:
        stop.set()


def _simulate(settings: Settings, file: Path, means: Means, go_on: Callable[[], bool]) -> Answer:
    text = read(file)
    try:
        told = scenario_of(text)
        live = start_of(told, file.parent, settings)
        question = asked(live, told.hazards, told.alternatives, name=told.name)
        rule = None if "replications" in told.options.model_fields_set else rule_for(question)
    except FieldError as error:
        line = text.line(error.path)
        where = f"{file}, line {line}" if line else str(file)
        raise SettingsError(f"{where}: {error}") from None
    except SettingsError as error:
        raise SettingsError(f"{file}: {error}") from None
    engine = engine_for(question.scenarios)
    swept = _swept(question, means, engine, rule, go_on=go_on)
    if means.export is not None:
        means.export.write(_told(question, swept), engine)
    return question.answer(swept.tallies)


def rule_for(question: Question) -> StopRule:
    """The stop rule, with no more replications than so many cases allow."""
    cases = max(sum(len(scenario.cases) for scenario in question.scenarios), 1)
    rule = StopRule()
    return replace(rule, most=max(min(rule.most, MOST_FUTURES // cases), 1))


def _swept(
    question: Question, means: Means, engine: Engine, rule: StopRule | None, *, go_on: Callable[[], bool]
) -> Swept:
    published = Asked(Teller(question.live).ends, question.live.site.urgency_targets_min)
    with _pool(means, engine) as pool:
        return sweep(question.scenarios, pool, rule=rule, asked=published, progress=means.progress, go_on=go_on)


@contextmanager
def _pool(means: Means, engine: Engine) -> Iterator[Pool]:
    if means.cluster is not None:
        with cluster(means.cluster) as there:
            yield there
    else:
        with Threads(engine, means.workers) as here:
            yield here


def _told(question: Question, swept: Swept) -> list[Told]:
    teller, targets = Teller(question.live), question.live.site.urgency_targets_min
    names = ("baseline", *(variant.name or "with_hazards" for variant in question.variants))
    return [
        Told(name, tally.scenario, summary_of(tally, teller.ends, teller.teams, targets))
        for name, tally in zip(names, swept.tallies, strict=True)
    ]
