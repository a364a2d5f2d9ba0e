"""`jumeau recalibration`: bookings that are too short or too long, and what a person decides on them."""

import json
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.commands.common import ConfigOption, JsonOption, guarded, settings_of

if TYPE_CHECKING:
    from api.settings import Settings

recalibration_app = typer.Typer(
    help="`Booked 1h30, takes 2 h`: proposals, and decisions on them.", no_args_is_help=True
)
IdArgument = Annotated[str, typer.Argument(metavar="ID", help="Id of the proposal, as `list` shows it.")]
PersonOption = Annotated[str, typer.Option(help="Who decides.")]
ReasonOption = Annotated[str, typer.Option(help="Why.")]


@recalibration_app.command("list")
def listed(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """What the finished cases propose to book otherwise, by procedure."""
    settings = settings_of(config)
    from api.compose import memory_of
    from api.recalibrating import Offer, offers

    async def work() -> list[Offer]:
        with memory_of(settings) as memory:
            return await offers(memory, settings.make_clock())

    found = guarded(work(), server="none")
    if as_json:
        typer.echo(json.dumps([offer.values() for offer in found], ensure_ascii=False))
    else:
        typer.echo(
            "\n".join(offer.text() for offer in found) or "nothing to propose: bookings fit, or cases are too few"
        )


@recalibration_app.command("decisions")
def decisions(config: ConfigOption = None) -> None:
    """What was decided, as JSON, the newest last."""
    settings = settings_of(config)
    from api.compose import memory_of
    from api.recalibrating import decided

    async def work() -> list[dict[str, Any]]:
        with memory_of(settings) as memory:
            return decided(memory)

    typer.echo(json.dumps(guarded(work(), server="none"), indent=2, ensure_ascii=False))


@recalibration_app.command("accept")
def accept(offer: IdArgument, person: PersonOption, reason: ReasonOption, config: ConfigOption = None) -> None:
    """Book the typical time from now on."""
    _decide(settings_of(config), offer, choice="accepted", person=person, reason=reason)


@recalibration_app.command("change")
def change(
    offer: IdArgument,
    minutes: Annotated[float, typer.Option(min=5, max=1440, help="Book so long from now on.")],
    person: PersonOption,
    reason: ReasonOption,
    config: ConfigOption = None,
) -> None:
    """Book another time than the proposed one from now on."""
    _decide(settings_of(config), offer, choice="changed", person=person, reason=reason, minutes=minutes)


@recalibration_app.command("refuse")
def refuse(offer: IdArgument, person: PersonOption, reason: ReasonOption, config: ConfigOption = None) -> None:
    """Go on booking as before."""
    _decide(settings_of(config), offer, choice="refused", person=person, reason=reason)


def _decide(settings: "Settings", offer: str, **told: Any) -> None:
    from api.compose import memory_of
    from api.recalibrating import decide
    from twin.journal import Decision

    async def work() -> Decision:
        with memory_of(settings) as memory:
            return await decide(memory, settings.make_clock(), offer, **told)

    deciding: Coroutine[Any, Any, Decision] = work()
    decision = guarded(deciding, server="none")
    typer.echo(f"{decision.choice} by {decision.person}, kept in the journal; the hospital's bookings are not changed")
