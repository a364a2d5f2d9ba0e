"""The first schema, as version 0.1.0 made it on SQLite."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

# By bytes: faster than a language's order, and that of ISO instants is the order of time.
TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")
NUMBER = sa.Integer().with_variant(sa.BigInteger(), "postgresql")


def upgrade() -> None:
    """Make every table."""
    op.create_table(
        "fact",
        sa.Column("position", NUMBER, primary_key=True),
        *_texts("server", "type", "id", "version_id", "last_updated", "reading", "observed_at", "content_hash"),
        *_texts("kind", "assertion"),
        sa.UniqueConstraint("id", "type", "version_id", "last_updated", "reading", "server"),
    )
    op.create_table(
        "quarantine",
        sa.Column("position", NUMBER, primary_key=True),
        *_texts("server", "type", "id", "version_id", "reason", "reading", "observed_at"),
        sa.UniqueConstraint("server", "type", "id", "version_id", "reason", "reading"),
    )
    _make_runs()
    op.create_table("cursor", *_texts("server", "type", key=True), *_texts("at"))
    op.create_table("meta", *_texts("name", key=True), *_texts("value"))


def _make_runs() -> None:
    op.create_table(
        "run",
        *_texts("id", key=True),
        *_texts("server"),
        sa.Column("position", NUMBER, nullable=False),
        *_texts("at"),
        sa.Column("seed", NUMBER, nullable=False),
        sa.Column("replications", NUMBER, nullable=False),
        *_texts("model", "code_version", "result_hash", "wall_at"),
    )
    op.create_index("ix_run_wall_at", "run", ["wall_at"])
    op.create_table("timeline", *_texts("run", "kind", "subject", key=True), *_texts("prediction"))
    op.create_table(
        "outcome",
        sa.Column("position", NUMBER, primary_key=True),
        *_texts("server", "run", "ref", "status"),
        sa.Column("version_id", TEXT, nullable=True),
        *_texts("reason", "at"),
        sa.UniqueConstraint("ref", "at", "run", "server"),
    )


def _texts(*names: str, key: bool = False) -> list[sa.Column[str]]:
    return [sa.Column(name, TEXT, nullable=False, primary_key=key) for name in names]
