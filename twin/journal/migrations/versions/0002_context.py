"""What a run was made under is kept with it, so that it can be made again."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    """A table of contexts; runs of before have none."""
    op.create_table(
        "context",
        sa.Column("hash", TEXT, nullable=False, primary_key=True),
        sa.Column("content", TEXT, nullable=False),
    )
    op.add_column("run", sa.Column("context", TEXT, nullable=False, server_default=""))
