"""The score-card as the API and `jumeau score` show it: predictions of the last days against what happened."""

import asyncio
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from rich.table import Table

from api.context import Basis
from api.effects import effect_tables, effects_of
from api.learning import history_at
from api.past import Memory
from api.schemas import ReviewShown, ScoreCardShown
from twin.durations.monitor import Monitor
from twin.facts import Horizon
from twin.prediction.models import History, models_of
from twin.prediction.score import room_scores_of, score_card, scores_of
from twin.timebase import Clock, day_start, site_date, with_offset

_TOLD_WIDTH = 0.05
"""A width nearer to 1 is left out of the terminal's tables: it comes and goes with single cases."""


async def judge(memory: Memory, clock: Clock, *, days: int, history: History | None = None) -> ScoreCardShown:
    """The score-card of the last days, from the journal alone. Raises JournalError.

    `history`: what is known of the days before; None: it is learned for this, which takes seconds for a year.
    """
    return await asyncio.to_thread(_card, memory, clock, days, history)


def _card(memory: Memory, clock: Clock, days: int, history: History | None) -> ScoreCardShown:
    server, site, now = memory.settings.fhir.base_url, memory.site, clock.now()
    today = site_date(now, site.timezone)
    first = today - timedelta(days=days)
    suite = memory.suite(clock, Horizon(first, today))
    # A case of the first day may have been predicted for days before.
    since = day_start(first - timedelta(days=memory.settings.sync.ahead_days), site.timezone)
    scores = scores_of(suite.cases.values(), memory.journal.issued_timelines(server, since=since), upto=now)
    rooms = room_scores_of(suite, memory.journal.issued_room_ends(server, since=since), upto=now)
    history = history or history_at(memory, clock, Basis(position=memory.journal.position(), at=now))
    options = memory.settings.duration_options()
    models = models_of(suite.cases.values(), options, history=history, start=memory.start)
    shown = ScoreCardShown.model_validate(score_card(scores, rooms))
    told = {"days": days, "effects": effects_of(models)}
    return shown.model_copy(update={**told, **_watched(models.room.monitor, since=first, zone=site.timezone)})


def _watched(monitor: Monitor, *, since: date, zone: ZoneInfo) -> dict[str, Any]:
    """The reviews opened since a day, the newest first, and the multipliers."""
    opened = [
        ReviewShown(
            service=review.service,
            direction=review.direction,
            cases=review.cases,
            case_id=review.case_id,
            at=with_offset(review.at, zone).isoformat(timespec="seconds"),
        )
        for review in reversed(monitor.reviews)
        if review.at and site_date(review.at, zone) >= since
    ]
    return {
        "reviews": opened,
        "multipliers": {service: stream.multiplier for service, stream in sorted(monitor.streams.items())},
    }


def tables(card: ScoreCardShown) -> Iterator[Table]:
    """For a terminal: one table a group, and one of the rooms that end late."""
    for group, lines in card.lines.items():
        table = Table(group, "n", "CRPS", "MAE", "bias", "in 50 %", "in 80 %", "in 90 %", title_justify="left")
        for name, line in lines.items():
            shares = (f"{line.coverage[nominal].share:.2f}" for nominal in (50, 80, 90))
            table.add_row(
                _short(name), str(line.n), f"{line.crps:.1f}", f"{line.mae:.1f}", f"{line.bias:+.1f}", *shares
            )
        yield table
    if card.rooms:
        table = Table("room ends late, minutes before", "n", "late", "Brier", "Brier of the base rate")
        for lead, told in card.rooms.items():
            table.add_row(lead, str(told.n), str(told.late), f"{told.brier:.3f}", f"{told.brier_base:.3f}")
        yield table
    moved = {service: ratio for service, ratio in card.multipliers.items() if abs(ratio - 1) >= _TOLD_WIDTH}
    if moved:
        table = Table("service", "width of its room times", title_justify="left")
        for service, ratio in moved.items():
            table.add_row(_short(service), f"x {ratio:.2f}")
        yield table
    if card.reviews:
        table = Table("to be looked at", "room times", "since", "after cases", title_justify="left")
        for review in card.reviews:
            table.add_row(_short(review.service), f"{review.direction} than said", review.at[:10], str(review.cases))
        yield table
    yield from effect_tables(card.effects)


def _short(name: str) -> str:
    """The code of `system|code`: a terminal is narrow."""
    return name.rpartition("|")[2] or name
