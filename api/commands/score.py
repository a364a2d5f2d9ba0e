"""`jumeau score`: predictions against what happened."""

from typing import TYPE_CHECKING, Annotated

import typer

from api.commands.common import ConfigOption, JsonOption, guarded, settings_of

if TYPE_CHECKING:
    from api.schemas import ScoreCardShown
    from api.settings import Settings


def score(
    days: Annotated[int, typer.Option(min=1, max=366, help="Cases of so many days, today included.")] = 30,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Judge every prediction whose truth has arrived: CRPS, coverage, bias, by lead time, service, room and more."""
    settings = settings_of(config)
    card = guarded(_card(settings, days), server=settings.fhir.base_url)
    if as_json:
        typer.echo(card.model_dump_json())
        return
    from rich.console import Console

    from api.scoring import tables

    out = Console(highlight=False)
    out.print(f"{card.n} predictions of {card.cases} cases judged, the last {card.days} days")
    for table in tables(card):
        out.print(table)


async def _card(settings: "Settings", days: int) -> "ScoreCardShown":
    from api.compose import memory_of
    from api.scoring import judge

    with memory_of(settings) as memory:
        return await judge(memory, settings.make_clock(), days=days)
