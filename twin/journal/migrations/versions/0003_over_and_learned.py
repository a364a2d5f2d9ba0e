"""What a start needn't read or learn again: when what a version tells was over, and what finished cases taught."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Facts of before are read at every start, as they were."""
    op.add_column("fact", sa.Column("over_at", TEXT, nullable=False, server_default=""))
    op.create_table(
        "learned",
        sa.Column("server", TEXT, nullable=False),
        sa.Column("basis", TEXT, nullable=False, primary_key=True),
        sa.Column("position", NUMBER, nullable=False),
        sa.Column("at", TEXT, nullable=False),
        sa.Column("content", TEXT, nullable=False),
    )
