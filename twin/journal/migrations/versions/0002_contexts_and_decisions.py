"""What a run was made under is kept with it, so that it can be made again; and what people decide."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """A table of contexts, which runs of before have none of, and one of decisions."""
    op.create_table(
        "context",
        sa.Column("hash", TEXT, nullable=False, primary_key=True),
        sa.Column("content", TEXT, nullable=False),
    )
    names = ("server", "kind", "subject", "choice", "person", "reason", "content", "at", "wall_at")
    op.create_table(
        "decision",
        sa.Column("position", NUMBER, nullable=False, primary_key=True),
        *(sa.Column(name, TEXT, nullable=False) for name in names),
    )
    op.add_column("run", sa.Column("context", TEXT, nullable=False, server_default=""))
