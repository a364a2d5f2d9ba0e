"""A scenario simulated: without its hazards, with them, and what they change."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from api.scenarios.answer import Answer
from api.scenarios.errors import FieldError
from api.scenarios.hazards import AnyHazard
from api.scenarios.live import Live
from api.scenarios.names import Names
from api.scenarios.telling import Teller
from twin.errors import SettingsError
from twin.prediction import MODEL
from twin.simulation.compare import difference
from twin.simulation.replications import Engine
from twin.simulation.scenario import Scenario
from twin.simulation.summary import summary_of, tally
from twin.timebase import with_offset


def answer_of(live: Live, hazards: Sequence[AnyHazard], engine: Engine, *, name: str = "") -> Answer:
    """What comes of a live state. Raises FieldError for a hazard that does not fit it, SimulationError."""
    teller = Teller(live)
    changed = hit(live, hazards)
    before = tally(live.scenario, engine)
    baseline = summary_of(before, teller.ends, teller.teams, live.site.urgency_targets_min)
    told = Answer(
        name=name,
        at=with_offset(live.scenario.now, live.zone).isoformat(timespec="seconds"),
        day=live.day.isoformat(),
        replications=baseline.replications,
        seed=live.scenario.options.seed,
        model=MODEL,
        probability_half_width=baseline.half_width,
        notes=teller.notes(),
        hazards=[_told(hazard) for hazard in hazards],
        baseline=teller.outcome(live.scenario, baseline),
        with_hazards=None,
        difference=None,
    )
    if not hazards:
        return told
    after = tally(changed, engine)
    moved = difference(before, after, teller.ends, teller.teams)
    summary = summary_of(after, teller.ends, teller.teams, live.site.urgency_targets_min)
    update = {"with_hazards": teller.outcome(changed, summary), "difference": teller.difference(moved)}
    return told.model_copy(update=update)


def hit(live: Live, hazards: Sequence[AnyHazard]) -> Scenario:
    """The scenario in which all hazards happen, one after the other. Raises FieldError."""
    scenario = live.scenario
    for number, hazard in enumerate(hazards):
        names = Names(replace(live, scenario=scenario))
        try:
            scenario = hazard.made(names).apply(scenario)
        except FieldError as error:
            raise FieldError(("hazards", number, *error.path), error.reason) from None
        except SettingsError as error:
            raise FieldError(("hazards", number), str(error)) from None
    return scenario


def _told(hazard: AnyHazard) -> dict[str, Any]:
    return {"kind": hazard.kind, **hazard.model_dump(mode="json", by_alias=True, exclude_unset=True)}
