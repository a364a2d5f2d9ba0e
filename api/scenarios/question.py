"""A scenario as a question: which days to simulate, and from their tallies the answer."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
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
from twin.simulation.scenario import Scenario
from twin.simulation.summary import Summary, Tally, summary_of
from twin.timebase import with_offset


@dataclass(frozen=True, slots=True)
class Question:
    """A live state, and the same with its hazards where there are any."""

    live: Live
    hazards: tuple[AnyHazard, ...]
    scenarios: tuple[Scenario, ...]
    """What to simulate: the day as it stands; then, where there are hazards, the day with them."""
    name: str = ""

    def answer(self, tallies: Sequence[Tally]) -> Answer:
        """From one tally of each scenario, in their order."""
        teller = Teller(self.live)
        summaries = [self._summary(told, teller) for told in tallies]
        outcomes = [teller.outcome(*each) for each in zip(self.scenarios, summaries, strict=True)]
        start, moved = self.live.scenario, None
        if self.hazards:
            before, after = tallies
            moved = teller.difference(difference(before, after, teller.ends, teller.teams))
        return Answer(
            name=self.name,
            at=with_offset(start.now, self.live.zone).isoformat(timespec="seconds"),
            day=self.live.day.isoformat(),
            replications=summaries[0].replications,
            seed=start.options.seed,
            model=MODEL,
            probability_half_width=summaries[0].half_width,
            notes=teller.notes(),
            hazards=[_told(hazard) for hazard in self.hazards],
            baseline=outcomes[0],
            with_hazards=outcomes[1] if self.hazards else None,
            difference=moved,
        )

    def _summary(self, told: Tally, teller: Teller) -> Summary:
        return summary_of(told, teller.ends, teller.teams, self.live.site.urgency_targets_min)


def asked(live: Live, hazards: Sequence[AnyHazard], *, name: str = "") -> Question:
    """What is to be simulated. Raises FieldError for a hazard that does not fit the live state."""
    scenarios = (live.scenario, hit(live, hazards)) if hazards else (live.scenario,)
    return Question(live, tuple(hazards), scenarios, name)


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
