"""The score-card as the API and `jumeau score` show it: predictions of the last days against what happened."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta

from rich.table import Table

from api.past import Memory
from api.schemas import ScoreCardShown
from twin.facts import Horizon
from twin.prediction.score import ScoreCard, room_scores_of, score_card, scores_of
from twin.timebase import Clock, day_start, site_date


async def judge(memory: Memory, clock: Clock, *, days: int) -> ScoreCardShown:
    """The score-card of the last days, from the journal alone. Raises JournalError."""
    card = await asyncio.to_thread(_card, memory, clock, days)
    return ScoreCardShown.model_validate(card).model_copy(update={"days": days})


def _card(memory: Memory, clock: Clock, days: int) -> ScoreCard:
    server, site, now = memory.settings.fhir.base_url, memory.site, clock.now()
    today = site_date(now, site.timezone)
    first = today - timedelta(days=days)
    suite = memory.suite(clock, Horizon(first, today))
    # A case of the first day may have been predicted for days before.
    since = day_start(first - timedelta(days=memory.settings.sync.ahead_days), site.timezone)
    scores = scores_of(suite.cases.values(), memory.journal.issued_timelines(server, since=since), upto=now)
    rooms = room_scores_of(suite, memory.journal.issued_room_ends(server, since=since), upto=now)
    return score_card(scores, rooms)


def tables(card: ScoreCardShown) -> Iterator[Table]:
    """For a terminal: one table a group, and one of the rooms that end late."""
    for group, lines in card.lines.items():
        table = Table(group, "n", "CRPS", "MAE", "bias", "in 50 %", "in 80 %", "in 90 %", title_justify="left")
        for name, line in lines.items():
            shares = (f"{line.coverage[nominal].share:.2f}" for nominal in (50, 80, 90))
            table.add_row(name, str(line.n), f"{line.crps:.1f}", f"{line.mae:.1f}", f"{line.bias:+.1f}", *shares)
        yield table
    if card.rooms:
        table = Table("room ends late, minutes before", "n", "late", "Brier", "Brier of the base rate")
        for lead, told in card.rooms.items():
            table.add_row(lead, str(told.n), str(told.late), f"{told.brier:.3f}", f"{told.brier_base:.3f}")
        yield table
