"""A scenario as a question: which days to simulate, and from their tallies the answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from api.scenarios.answer import AlternativeShown, Answer
from api.scenarios.errors import FieldError, FieldPath
from api.scenarios.hazards import AnyHazard
from api.scenarios.live import MOST_FUTURES, Live
from api.scenarios.names import Names
from api.scenarios.telling import Teller
from twin.errors import SettingsError
from twin.prediction import MODEL
from twin.simulation.compare import Difference, difference
from twin.simulation.scenario import Scenario
from twin.simulation.summary import Summary, Tally, summary_of
from twin.timebase import with_offset

_TAKEN = ("baseline", "with_hazards")


@dataclass(frozen=True, slots=True)
class Variant:
    """The live state with some hazards."""

    name: str
    """Empty for the hazards of the scenario itself."""
    hazards: tuple[AnyHazard, ...]
    scenario: Scenario


@dataclass(frozen=True, slots=True)
class Question:
    """A live state, and what is to be compared with it."""

    live: Live
    variants: tuple[Variant, ...]
    name: str = ""

    @property
    def scenarios(self) -> tuple[Scenario, ...]:
        """What to simulate: the day as it stands, then every variant."""
        return (self.live.scenario, *(variant.scenario for variant in self.variants))

    def answer(self, tallies: Sequence[Tally]) -> Answer:
        """From one tally of each scenario, in their order."""
        teller, start = Teller(self.live), self.live.scenario
        baseline, *summaries = (self._summary(told, teller) for told in tallies)
        told = zip(self.variants, summaries, tallies[1:], strict=True)
        shown = [
            self._variant(variant, summary, difference(tallies[0], after, teller.ends, teller.teams), teller)
            for variant, summary, after in told
        ]
        main = next((one for one in shown if not one.name), None)
        return Answer(
            name=self.name,
            at=with_offset(start.now, self.live.zone).isoformat(timespec="seconds"),
            day=self.live.day.isoformat(),
            replications=baseline.replications,
            seed=start.options.seed,
            model=MODEL,
            probability_half_width=max(each.half_width for each in (baseline, *summaries)),
            notes=teller.notes(),
            hazards=main.hazards if main else [],
            baseline=teller.outcome(start, baseline),
            with_hazards=main.outcome if main else None,
            difference=main.difference if main else None,
            alternatives=[one for one in shown if one.name],
        )

    def _variant(self, variant: Variant, summary: Summary, moved: Difference, teller: Teller) -> AlternativeShown:
        return AlternativeShown(
            name=variant.name,
            hazards=[_told(hazard) for hazard in variant.hazards],
            outcome=teller.outcome(variant.scenario, summary),
            difference=teller.difference(moved),
        )

    def _summary(self, told: Tally, teller: Teller) -> Summary:
        return summary_of(told, teller.ends, teller.teams, self.live.site.urgency_targets_min)


def asked(
    live: Live,
    hazards: Sequence[AnyHazard],
    alternatives: Mapping[str, Sequence[AnyHazard]] | None = None,
    *,
    name: str = "",
) -> Question:
    """What is to be simulated; each alternative has its own hazards after those of all.

    Raises FieldError for a hazard that does not fit the live state, or where it is too much.
    """
    scenario = hit(live, live.scenario, hazards, ("hazards",))
    variants = [Variant("", tuple(hazards), scenario)] if hazards else []
    for title, more in (alternatives or {}).items():
        if title in _TAKEN:
            raise FieldError(("alternatives", title), f"give another name: {' and '.join(_TAKEN)} are in every answer")
        changed = hit(live, scenario, more, ("alternatives", title))
        variants.append(Variant(title, (*hazards, *more), changed))
    question = Question(live, tuple(variants), name)
    most = MOST_FUTURES // max(sum(len(one.cases) for one in question.scenarios), 1)
    if live.scenario.options.replications > most:
        raise FieldError(("options", "replications"), f"give at most {most} for so many cases")
    return question


def hit(live: Live, scenario: Scenario, hazards: Sequence[AnyHazard], path: FieldPath) -> Scenario:
    """A scenario in which all hazards happen, one after the other. Raises FieldError below a path."""
    for number, hazard in enumerate(hazards):
        names = Names(replace(live, scenario=scenario))
        try:
            scenario = hazard.made(names).apply(scenario)
        except FieldError as error:
            raise FieldError((*path, number, *error.path), error.reason) from None
        except SettingsError as error:
            raise FieldError((*path, number), str(error)) from None
    return scenario


def _told(hazard: AnyHazard) -> dict[str, Any]:
    return {"kind": hazard.kind, **hazard.model_dump(mode="json", by_alias=True, exclude_unset=True)}
