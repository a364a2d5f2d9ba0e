"""The tables. Instants are ISO text in UTC with microseconds, since SQLite drops the offset of a timezone column.

Rows are only ever appended; `cursor`, `learned` and `meta` hold state and are the exception.
"""

from typing import Any

from sqlalchemy import BigInteger, Integer, Table, UniqueConstraint
from sqlmodel import Field, SQLModel

SCHEMA = 3
"""Goes up with every change of a table, together with a migration."""
NUMBER: Any = BigInteger().with_variant(Integer(), "sqlite")
"""Of 64 bits in both: SQLite counts positions only in a column that is plainly INTEGER."""


class FactRow(SQLModel, table=True):
    """What one version asserts, by one reading of it."""

    __tablename__ = "fact"
    # `server` stands last so that a walk in journal order goes along the positions, not along this index.
    __table_args__ = (UniqueConstraint("id", "type", "version_id", "last_updated", "reading", "server"),)

    position: int | None = Field(default=None, primary_key=True, sa_type=NUMBER)
    server: str
    type: str
    id: str
    """A Patient's is a pseudonym."""
    version_id: str
    last_updated: str
    reading: str
    """Names the mapping and the normalisers' version: a changed one reads the same version anew."""
    observed_at: str
    content_hash: str
    kind: str
    assertion: str
    over_at: str = Field(default="", sa_column_kwargs={"server_default": ""})
    """The last time that it tells where it is over for good; empty where it is not, and in rows of schema 2."""


class QuarantineRow(SQLModel, table=True):
    """A version that could not be read."""

    __tablename__ = "quarantine"
    __table_args__ = (UniqueConstraint("server", "type", "id", "version_id", "reason", "reading"),)

    position: int | None = Field(default=None, primary_key=True, sa_type=NUMBER)
    server: str
    type: str
    id: str
    version_id: str
    reason: str
    reading: str
    observed_at: str


class RunRow(SQLModel, table=True):
    """One prediction run."""

    __tablename__ = "run"

    id: str = Field(primary_key=True)
    server: str
    position: int = Field(sa_type=NUMBER)
    at: str
    seed: int = Field(sa_type=NUMBER)
    replications: int = Field(sa_type=NUMBER)
    model: str
    code_version: str
    result_hash: str
    wall_at: str = Field(index=True)
    context: str = Field(default="", sa_column_kwargs={"server_default": ""})
    """Hash of its row of `context`; empty for a run of version 0.1.0."""


class ContextRow(SQLModel, table=True):
    """What runs were made under besides the facts: settings and clock, once for all runs that share them."""

    __tablename__ = "context"

    hash: str = Field(primary_key=True)
    content: str


class LearnedRow(SQLModel, table=True):
    """What was learned from the finished cases: made again from the facts at any time, kept since that takes long."""

    __tablename__ = "learned"

    server: str
    basis: str = Field(primary_key=True)
    """Hash of all that it depends on besides the facts."""
    position: int = Field(sa_type=NUMBER)
    """Journal position up to which it has the facts."""
    at: str
    content: str


class TimelineRow(SQLModel, table=True):
    """A prediction of a run: of a case (`subject` is its id) or of the blocks of a room (`subject` is its ref)."""

    __tablename__ = "timeline"

    run: str = Field(primary_key=True)
    kind: str = Field(primary_key=True)
    subject: str = Field(primary_key=True)
    prediction: str


class OutcomeRow(SQLModel, table=True):
    """What became of a write order."""

    __tablename__ = "outcome"
    __table_args__ = (UniqueConstraint("ref", "at", "run", "server"),)

    position: int | None = Field(default=None, primary_key=True, sa_type=NUMBER)
    server: str
    run: str
    ref: str
    status: str
    version_id: str | None
    reason: str
    at: str


class DecisionRow(SQLModel, table=True):
    """What a person decided on something that the program proposed."""

    __tablename__ = "decision"

    position: int | None = Field(default=None, primary_key=True, sa_type=NUMBER)
    server: str
    kind: str
    """What was proposed: recalibration."""
    subject: str
    choice: str
    """accepted, changed, refused."""
    person: str
    reason: str
    content: str
    """What was proposed and what was chosen, as JSON."""
    at: str
    wall_at: str


class CursorRow(SQLModel, table=True):
    """The server's time up to which a type was read."""

    __tablename__ = "cursor"

    server: str = Field(primary_key=True)
    type: str = Field(primary_key=True)
    at: str


class MetaRow(SQLModel, table=True):
    """The journal's own: schema, key_fingerprint, created."""

    __tablename__ = "meta"

    name: str = Field(primary_key=True)
    value: str


def _table(name: str) -> Table:
    return SQLModel.metadata.tables[name]


FACT = _table("fact")
QUARANTINE = _table("quarantine")
RUN = _table("run")
CONTEXT = _table("context")
TIMELINE = _table("timeline")
OUTCOME = _table("outcome")
DECISION = _table("decision")
LEARNED = _table("learned")
CURSOR = _table("cursor")
META = _table("meta")
TABLES = (FACT, QUARANTINE, RUN, CONTEXT, TIMELINE, OUTCOME, DECISION, LEARNED, CURSOR, META)
