"""`jumeau durations`: what the hospital's own history says of how long cases take, and of who predicts it best."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.commands.common import ConfigOption, Exit, JsonOption, fail, guarded, settings_of

if TYPE_CHECKING:
    from api.effects import Effects
    from api.settings import Settings
    from twin.durations.evaluation.compare import Comparison
    from twin.durations.history.cases import History

durations_app = typer.Typer(help="How long cases take: evaluate and learn from a file.", no_args_is_help=True)

_MOST_BYTES = 500_000_000

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="Finished cases as a text table, one row a case.")]
MapOption = Annotated[
    list[str] | None,
    typer.Option(
        "--map",
        metavar="NAME=COLUMN",
        help="Where the file has case_id, procedure, surgeon, service, booked_min, actual_min or started_at. "
        "Columns of these very names are found; NAME= alone: not used.",
    ),
]
CovariateOption = Annotated[
    list[str] | None,
    typer.Option("--covariate", metavar="COLUMN", help="A column known before the case, such as ASA. Repeatable."),
]


@durations_app.command("evaluate")
def evaluate(
    file: FileArgument,
    maps: MapOption = None,
    covariates: CovariateOption = None,
    folds: Annotated[int, typer.Option(min=2, max=50)] = 5,
    repeats: Annotated[int, typer.Option(min=1, max=50)] = 3,
    seed: Annotated[int, typer.Option(min=0, help="Repeat i shuffles with seed + i.")] = 0,
    challenger: Annotated[bool, typer.Option(help="Compare the challenger too, where it is installed.")] = True,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Compare booked times, medians and the model on your own finished cases, each predicted unseen.

    With started_at: in time order, each day from the cases that ended before it. Else: random folds.
    """
    from twin.durations.evaluation.compare import Plan, compare
    from twin.errors import TwinError

    options = settings_of(config).duration_options()
    history = _history(file, maps or [], covariates or [])
    try:
        found = compare(history, Plan(folds, repeats, seed, challenger=challenger), options)
    except TwinError as error:
        fail(Exit.USAGE, str(error))
    if as_json:
        typer.echo(json.dumps(_values(found), ensure_ascii=False))
    else:
        _show(found)


@durations_app.command("learn")
def learn(
    file: FileArgument,
    out: Annotated[Path, typer.Option(help="Write the model here.")] = Path("durations.json"),
    maps: MapOption = None,
    covariates: CovariateOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Learn the model of room time from finished cases and write it as JSON: sums by procedure, surgeon and service."""
    from twin.durations.batch import Batch, replay
    from twin.durations.estimate import estimated
    from twin.durations.model import DurationModel
    from twin.durations.portable import values_of

    options = settings_of(config).duration_options()
    history = _history(file, maps or [], covariates or [])
    batch = Batch.of(history.in_order())
    model = replay(estimated(DurationModel.without_history(options), batch, gaps=True), batch).model
    try:
        out.write_text(json.dumps(values_of(model), ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        fail(Exit.USAGE, f"{out} can't be written: {error.strerror}")
    levels = ("procedure", "pair", "specialty")
    counts = {level: sum(key[0] == level for key in model.tallies) for level in levels}
    told = {
        "model": str(out), "cases": len(batch), "procedures": counts["procedure"],
        "procedures_by_surgeon": counts["pair"], "services": counts["specialty"],
        "constants": asdict(model.constants), "set_aside": history.set_aside, "notes": list(history.notes),
        "effects": [{"label": effect.label, **asdict(effect)} for effect in model.regressors.effects()],
    }  # fmt: skip
    if as_json:
        typer.echo(json.dumps(told, ensure_ascii=False))
        return
    _show_reading(history)
    typer.echo(
        f"{len(batch)} cases learned: {counts['procedure']} procedures, {counts['pair']} by surgeon, "
        f"{counts['specialty']} services; the model is in {out}"
    )
    for told_effect in model.regressors.effects():
        typer.echo(f"  {told_effect.text}")


@durations_app.command("effects")
def effects(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """How what is known of patients moves the times, as finished cases tell: percent, 95 % interval, cases.

    Care setting, age band, ASA class, BMI, and the results named in durations.regressors.
    """
    settings = settings_of(config)
    found = guarded(_effects(settings), server=settings.fhir.base_url)
    if as_json:
        shown = {name: [each.model_dump(mode="json") for each in mine] for name, mine in found.items()}
        typer.echo(json.dumps(shown, ensure_ascii=False))
        return
    from rich.console import Console

    from api.effects import effect_tables

    out, tables = Console(highlight=False), list(effect_tables(found))
    for table in tables:
        out.print(table)
    if not tables:
        out.print("nothing yet: too few finished cases in the journal tell their care setting, age band or results")


async def _effects(settings: "Settings") -> "Effects":
    from api.compose import memory_of
    from api.effects import learned_effects

    with memory_of(settings) as memory:
        return learned_effects(memory, settings.make_clock())


def _history(file: Path, maps: list[str], covariates: list[str]) -> "History":
    from twin.durations.history.cases import Columns, history_of, mapping_of
    from twin.durations.history.table import read_table
    from twin.errors import TwinError

    try:
        if file.stat().st_size > _MOST_BYTES:
            fail(Exit.USAGE, f"{file} is over {_MOST_BYTES // 1_000_000} MB: give a part of it")
        data = file.read_bytes()
    except OSError as error:
        fail(Exit.USAGE, f"{file} can't be read: {error.strerror}")
    try:
        table = read_table(data)
        return history_of(table, Columns(mapping_of(maps), tuple(covariates)))
    except TwinError as error:
        fail(Exit.USAGE, str(error))


def _values(found: "Comparison") -> dict[str, Any]:
    return {
        "n": found.n,
        "order": "time" if found.in_time_order else "folds",
        "folds": found.folds,
        "repeats": found.repeats,
        "seed": found.seed,
        "rows": found.history.read,
        "set_aside": found.history.set_aside,
        "left_out": found.left_out,
        "methods": {name: asdict(scores) for name, scores in found.methods.items()},
        "everyone": {"n": found.everyone.n, "model": asdict(found.everyone)},
        "notes": [*found.history.notes, *found.notes],
    }


def _show_reading(history: "History") -> None:
    typer.echo(f"{history.read} rows read, {len(history.rows)} cases usable")
    for reason, count in sorted(history.set_aside.items(), key=lambda each: -each[1]):
        typer.echo(f"  set aside: {count} ({reason})")
    for note in history.notes:
        typer.echo(f"  {note}")


def _show(found: "Comparison") -> None:
    from rich.console import Console
    from rich.table import Table

    from twin.durations.evaluation.compare import NAMES

    _show_reading(found.history)
    for note in found.notes:
        typer.echo(f"  {note}")
    how = (
        "in time order, each day from the cases that ended before it"
        if found.in_time_order
        else f"{found.folds} folds × {found.repeats}, seed {found.seed}"
    )
    typer.echo(f"{found.n} cases compared, {how}")
    for reason, count in found.left_out.items():
        typer.echo(f"  not compared: {count} ({reason})")
    table = Table("minutes", *(_HEADS), box=None, pad_edge=False)
    for name, scores in found.methods.items():
        table.add_row(NAMES[name], *_cells(asdict(scores), point=scores.crps == scores.mae))
    if found.everyone.n > found.n:
        table.add_row(f"the model, all {found.everyone.n}", *_cells(asdict(found.everyone), point=False))
    Console(width=120, highlight=False).print(table)


_HEADS = ("n", "MAE", "median error", "within 20 %", "CRPS", "pinball", "in 50 %", "in 80 %", "in 90 %")


def _cells(scores: dict[str, float], *, point: bool) -> list[str]:
    shares = ["–" if point else f"{scores[name]:.1%}" for name in ("cov50", "cov80", "cov90")]
    return [
        f"{scores['n']}", f"{scores['mae']:.1f}", f"{scores['median_error']:.1f}", f"{scores['within_20']:.1%}",
        f"{scores['crps']:.1f}", f"{scores['pinball']:.1f}", *shares,
    ]  # fmt: skip
