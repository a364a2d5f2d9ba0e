"""Migrations, run by Alembic inside the caller's transaction. `versions` holds one file a schema, `0001` the first.

A new one: the next number as its `revision`, `tables.SCHEMA` raised to it, both databases in mind (SQLite alters by
`op.batch_alter_table`), and the tests of tests/contract/test_migrations.py run.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection

if TYPE_CHECKING:
    from alembic.config import Config

_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Plan:
    """The schema to reach, and folders with more migrations than those of this package."""

    schema: int
    more: tuple[Path, ...] = ()


def revision_of(schema: int) -> str:
    """Alembic's name of a schema: four digits."""
    return f"{schema:04}"


def run(connection: Connection, plan: Plan) -> None:
    """Run what is missing up to the plan's schema."""
    from alembic import command

    command.upgrade(_config(connection, plan), revision_of(plan.schema))


def adopt(connection: Connection, schema: int, plan: Plan) -> None:
    """Note that a database without Alembic's table has this schema."""
    from alembic import command

    command.stamp(_config(connection, plan), revision_of(schema))


def _config(connection: Connection, plan: Plan) -> "Config":
    from alembic.config import Config  # costs 0.3 s, and most starts need none of it

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(_HERE).replace("%", "%%"))
    folders = "\n".join(str(folder) for folder in (_HERE / "versions", *plan.more))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", folders.replace("%", "%%"))
    return config
