"""A migration of the tests: a column, an index and new values, with a pause in the middle for who wants to kill it."""

import os
import time

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Change a table, wait, change rows."""
    with op.batch_alter_table("outcome") as table:
        table.add_column(sa.Column("told_by", sa.String(), nullable=False, server_default="nobody"))
        table.create_index("ix_outcome_told_by", ["told_by"])
    if "JUMEAU_TEST_PAUSE" in os.environ:
        os.write(1, b"half-way\n")
        time.sleep(float(os.environ["JUMEAU_TEST_PAUSE"]))
    op.execute("UPDATE outcome SET told_by = 'writer' WHERE status = 'written'")
