"""What is asked of the table of facts, and of the predictions."""

from collections.abc import Iterable

from sqlalchemy import ColumnElement, Executable, and_, exists, func, or_, select, true, tuple_

from twin.journal.tables import FACT, RUN, TIMELINE

PAGE = 2_000
"""Facts read at once; the lock is free between two pages."""


def page(server: str, reading: str, after: int, upto: int, latest: str | None) -> Executable:
    """The next facts beyond a position; at most PAGE."""
    inside = between(server, after, upto, latest)
    return select(FACT).where(inside, _as_read(reading, upto)).order_by(FACT.c.position).limit(PAGE)


def between(server: str, after: int, upto: int, latest: str | None) -> ColumnElement[bool]:
    """Facts of a server between two positions, known to it by `latest`."""
    known = true() if latest is None else FACT.c.last_updated <= latest
    return and_(FACT.c.position > after, FACT.c.position <= upto, FACT.c.server == server, known)


def _as_read(reading: str, upto: int) -> ColumnElement[bool]:
    """Of each version the row of this reading, else the newest."""
    other = FACT.alias()
    beaten = exists().where(
        *(other.c[name] == FACT.c[name] for name in ("id", "type", "version_id", "last_updated", "server")),
        other.c.position <= upto,
        or_(other.c.reading == reading, other.c.position > FACT.c.position),
    )
    return or_(FACT.c.reading == reading, ~beaten)


def unfinished(inside: ColumnElement[bool], reading: str, upto: int, since: str) -> Executable:
    """Positions of the facts of resources that were not over before `since`."""
    live = select(FACT.c.id, FACT.c.type).where(inside, or_(FACT.c.over_at == "", FACT.c.over_at >= since))
    mine = tuple_(FACT.c.id, FACT.c.type).in_(live)
    return select(FACT.c.position).where(inside, mine, _as_read(reading, upto)).order_by(FACT.c.position)


def newest_predictions(inside: Iterable[ColumnElement[bool]]) -> Executable:
    """One row a case or room: its newest of the runs that are inside."""
    mine = (TIMELINE.c.kind, TIMELINE.c.subject)
    nth = func.row_number().over(partition_by=mine, order_by=RUN.c.wall_at.desc()).label("nth")
    ranked = select(*mine, TIMELINE.c.prediction, nth).join(RUN, RUN.c.id == TIMELINE.c.run).where(*inside).subquery()
    return select(ranked).where(ranked.c.nth == 1)
