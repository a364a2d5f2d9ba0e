"""How what is known of patients moves the times: estimates with their intervals, for the score-card and a command."""

from collections.abc import Iterator, Mapping, Sequence

from rich.table import Table

from api.context import Basis
from api.learning import first_day, history_at
from api.past import Memory
from api.schemas import EffectShown
from twin.durations.regressors import Effect, Regressors
from twin.facts import Horizon
from twin.prediction.models import Models, models_of
from twin.timebase import Clock, site_date

Effects = Mapping[str, Sequence[EffectShown]]
TIMES = {"room_time": "room time", "surgical_time": "surgical time", "pacu": "recovery room", "unit": "unit"}
"""What is moved, and its words for a screen."""


def learned_effects(memory: Memory, clock: Clock) -> Effects:
    """Learn from the journal as the live twin does, and tell the effects. Raises JournalError."""
    now = clock.now()
    history = history_at(memory, clock, Basis(position=memory.journal.position(), at=now))
    days = Horizon(first_day(memory.settings, now), site_date(now, memory.site.timezone))
    cases = memory.suite(clock, days).cases.values()
    options = memory.settings.duration_options()
    return effects_of(models_of(cases, options, history=history, start=memory.start))


def effects_of(models: Models) -> dict[str, list[EffectShown]]:
    """By what is moved; all four, empty where the cases told nothing yet."""
    mine: dict[str, Regressors] = {
        "room_time": models.room.model.regressors,
        "surgical_time": models.surgical.model.regressors,
        **{stage.value: told for stage, told in models.stays.regressors.items()},
    }
    return {name: [_shown(each) for each in mine[name].effects()] if name in mine else [] for name in TIMES}


def _shown(effect: Effect) -> EffectShown:
    low, percent, high = (100 * (ratio - 1) for ratio in (effect.low, effect.ratio, effect.high))
    return EffectShown(
        name=effect.name,
        value=effect.value,
        per=effect.per,
        cases=effect.cases,
        percent=percent,
        percent_95=(low, high),
    )


def effect_tables(effects: Effects) -> Iterator[Table]:
    """For a terminal: one table for each time that something moves."""
    for name, mine in effects.items():
        if mine:
            table = Table(f"what moves the {TIMES[name]}", "cases", "%", "95 %", title_justify="left")
            for each in mine:
                low, high = each.percent_95
                table.add_row(_label(each), str(each.cases), f"{each.percent:+.1f}", f"{low:+.1f} to {high:+.1f}")
            yield table


def _label(effect: EffectShown) -> str:
    name = effect.name.replace("_", " ")
    return f"{name} {(effect.value or '').rpartition('|')[2]}" if effect.per is None else f"{name} + {effect.per:.3g}"
