"""`jumeau db`: the schema of the journal."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.commands.common import ConfigOption, Exit, JsonOption, guarded, settings_of

if TYPE_CHECKING:
    from twin.journal import SchemaStatus, Upgrade

db_app = typer.Typer(help="The journal's database: its schema, and bringing it up to date.", no_args_is_help=True)


@db_app.command("status")
def db_status(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Compare the schema of the journal with the one that this version needs; exit 1 where they differ."""
    settings = settings_of(config)
    from twin.journal import schema

    async def work() -> "SchemaStatus":
        return schema.status(settings.database_url)

    told = guarded(work(), server="none")
    state = _state(told)
    values = {"database": told.name, "schema": told.found, "needed": told.needed, "state": state}
    typer.echo(json.dumps(values, ensure_ascii=False) if as_json else _WORDS[state].format(**values))
    raise typer.Exit(Exit.DONE if state in ("current", "new") else Exit.CHECK_FAILED)


@db_app.command("upgrade")
def db_upgrade(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Try it, print the SQL, and take everything back.")
    ] = False,
    no_backup: Annotated[
        bool, typer.Option("--no-backup", help="Don't copy a SQLite file beside itself first.")
    ] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Bring the journal to the schema of this version, all or nothing. End every program that uses it first."""
    settings = settings_of(config)
    from twin.journal import schema

    async def work() -> "Upgrade":
        return schema.upgrade(settings.database_url, dry_run=dry_run, backup=not no_backup)

    done = guarded(work(), server="none")
    typer.echo(json.dumps(_values(done, dry_run=dry_run)) if as_json else _text(done, dry_run=dry_run))


_WORDS = {
    "new": "{database}: nothing there yet; `jumeau serve` or `jumeau run --once` makes it with schema {needed}",
    "current": "{database}: schema {schema}, as this version needs it",
    "older": "{database}: schema {schema}, this version needs {needed}: run `jumeau db upgrade`",
    "newer": "{database}: schema {schema}, this version knows {needed}: install the version that wrote it",
}


def _state(told: "SchemaStatus") -> str:
    if told.found is None:
        return "new"
    return "current" if told.found == told.needed else "older" if told.found < told.needed else "newer"


def _values(done: "Upgrade", *, dry_run: bool) -> dict[str, Any]:
    return {
        "before": done.before,
        "after": done.after,
        "dry_run": dry_run,
        "backup": str(done.backup) if done.backup else None,
        "statements": list(done.statements),
    }


def _text(done: "Upgrade", *, dry_run: bool) -> str:
    if done.before == done.after:
        return f"schema {done.before}: nothing to do"
    if dry_run:
        return "\n".join([*(f"{statement};" for statement in done.statements), "-- tried, and taken back"])
    backup = f"; the journal as it was: {done.backup}" if done.backup else ""
    return f"schema {done.before} -> {done.after}{backup}"
