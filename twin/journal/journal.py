"""Append and read. Every append is one transaction, and there when the call returns."""

import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from sqlalchemy import (
    Connection,
    Executable,
    RowMapping,
    Table,
    and_,
    delete,
    func,
    select,
    text,
)

from twin.errors import JournalError
from twin.fact_text import FactText, fact_of, fact_text, instant_of, instant_text, text_of
from twin.facts import Fact, Quarantined
from twin.journal import codec, queries, schema
from twin.journal.records import Decision, KeptOutcome, Learned, Predictions, Run
from twin.journal.rows import Row, Rows, rows_of
from twin.journal.store import BUSY_S, Store, open_store
from twin.journal.tables import CONTEXT, CURSOR, DECISION, FACT, LEARNED, OUTCOME, QUARANTINE, RUN, TABLES, TIMELINE
from twin.timeline import PredictedRoomEnd, PredictedTimeline, WriteOutcome

T = TypeVar("T")

_FACT_COLUMNS = (*FactText._fields, "reading", "observed_at")
_SET_CURSOR = text(
    "INSERT INTO cursor (server, type, at) VALUES (:server, :type, :at) "
    "ON CONFLICT (server, type) DO UPDATE SET at = excluded.at"
)


class Journal:
    """Facts, predictions and outcomes of writes, appended and never changed; appending again changes nothing.

    Synchronous. Any thread may call it, one at a time goes on (an asyncio program calls by `asyncio.to_thread`).
    Every method raises JournalError, without data, where the database fails.
    """

    def __init__(self, store: Store) -> None:
        """Use `Journal.open`."""
        self._store = store
        self._lock = threading.Lock()
        self._open = True

    @classmethod
    def open(cls, url: str, *, key_fingerprint: str, busy_s: float = BUSY_S) -> "Journal":
        """The journal at `sqlite:///FILE` or `postgresql://…`, made where it is not there.

        `:memory:` is the fake for tests. `busy_s`: wall seconds to wait for another program that writes. Raises
        WrongKeyError where it was begun under another pseudonym key, SchemaTooNewError or SchemaTooOldError where
        another version wrote it, else JournalError.
        """
        store = open_store(url, busy_s=busy_s)
        journal = cls(store)
        try:
            with journal._transaction(writes=True) as connection:
                schema.prepare(connection, store, key_fingerprint)
        except JournalError:
            journal.close()
            raise
        return journal

    def close(self) -> None:
        """End it. What is called afterwards raises JournalError."""
        with self._lock:
            self._open = False
            self._store.engine.dispose()

    # --- appending ----------------------------------------------------------------------------------------------------

    def append_batch(
        self,
        server: str,
        facts: Iterable[Fact],
        quarantined: Iterable[Quarantined],
        cursor: Mapping[str, datetime],
        *,
        reading: str,
        observed_at: datetime,
    ) -> int:
        """Keep what one reading gave, and up to where it read, all or nothing; the number of facts that are new.

        `reading` names the mapping and the normalisers' version: another one keeps the same versions anew.
        """
        texts = list(map(fact_text, facts))
        return self.append_texts(server, texts, quarantined, cursor, reading=reading, observed_at=observed_at)

    def append_texts(
        self,
        server: str,
        facts: Iterable[FactText],
        quarantined: Iterable[Quarantined],
        cursor: Mapping[str, datetime],
        *,
        reading: str,
        observed_at: datetime,
    ) -> int:
        """`append_batch` of facts that are text already."""
        seen = instant_text(observed_at)
        fact_rows = Rows(_FACT_COLUMNS, [(*fact, reading, seen) for fact in facts])
        bad_rows = [_quarantine_row(bad, reading, seen) for bad in quarantined]
        cursor_rows = [{"server": server, "type": of, "at": instant_text(at)} for of, at in cursor.items()]
        if {values[0] for values in fact_rows.values}.union(row["server"] for row in bad_rows) - {server}:
            raise JournalError("a batch holds what one server gave: append each server's by itself")
        with self._transaction(writes=True) as connection:
            new = self._store.append(connection, FACT, fact_rows) if fact_rows.values else 0
            self._append(connection, QUARANTINE, bad_rows)
            if cursor_rows:
                connection.execute(_SET_CURSOR, cursor_rows)
        return new

    def append_run(
        self,
        server: str,
        run: Run,
        timelines: Mapping[str, PredictedTimeline],
        room_ends: Mapping[str, tuple[PredictedRoomEnd, ...]],
    ) -> None:
        """Keep a run with those of its predictions that are to be kept: by case id, and by `Location/id`."""
        rows = [_timeline_row(run, "case", subject, timeline) for subject, timeline in timelines.items()]
        rows += [_timeline_row(run, "room", subject, ends) for subject, ends in room_ends.items()]
        with self._transaction(writes=True) as connection:
            position = _position(connection) if run.position is None else run.position
            context = _context_row(run.context)
            self._append(connection, CONTEXT, [context] if run.context else [])
            self._append(connection, RUN, [_run_row(server, run, position) | {"context": context["hash"]}])
            self._append(connection, TIMELINE, rows)

    def append_outcomes(self, server: str, outcomes: Iterable[WriteOutcome], *, run: str | None, at: datetime) -> None:
        """Keep what became of the write orders of one round; `at` is wall time, `run` the run they came from."""
        told = instant_text(at)
        rows: list[Row] = [
            {
                "server": server,
                "run": run or "",
                "ref": outcome.ref,
                "status": outcome.status,
                "version_id": outcome.version_id,
                "reason": outcome.reason,
                "at": told,
            }
            for outcome in outcomes
        ]
        with self._transaction(writes=True) as connection:
            self._append(connection, OUTCOME, rows)

    def keep_learned(self, server: str, basis: str, learned: Learned) -> None:
        """Keep what was learned of a server, in the place of what was kept before."""
        row = {"server": server, "basis": basis, "position": learned.position, "at": instant_text(learned.at)}
        with self._transaction(writes=True) as connection:
            connection.execute(delete(LEARNED).where(LEARNED.c.server == server))
            self._append(connection, LEARNED, [row | {"content": learned.content}])

    def append_decision(self, server: str, decision: Decision) -> None:
        """Keep what a person decided."""
        instants = {name: instant_text(getattr(decision, name)) for name in ("at", "wall_at")}
        told = {name: getattr(decision, name) for name in ("kind", "subject", "choice", "person", "reason", "content")}
        with self._transaction(writes=True) as connection:
            self._append(connection, DECISION, [{"server": server, **told, **instants}])

    # --- reading ------------------------------------------------------------------------------------------------------

    def facts(
        self,
        server: str,
        *,
        reading: str | None = None,
        after: int = 0,
        upto: int | None = None,
        until: datetime | None = None,
        since: datetime | None = None,
    ) -> Iterator[Fact]:
        """Facts of a server in the journal's order, beyond position `after`, as the journal stands at the call or
        stood at position `upto`.

        Each version comes once: as `reading` read it where that is kept, else by its newest reading. `until`: only
        versions that the server had by then, on its own clock (lastUpdated). `since`: only resources of which one of
        these versions was not over for good before, with all their versions; some that were may come too.
        """
        upto = self.position() if upto is None else upto
        latest = None if until is None else instant_text(until)
        if since is not None:
            inside = queries.between(server, after, upto, latest)
            yield from self._facts_at(queries.unfinished(inside, reading or "", upto, instant_text(since)))
            return
        while rows := self._rows(queries.page(server, reading or "", after, upto, latest)):
            yield from map(fact_of, rows)
            after = rows[-1]["position"]

    def _facts_at(self, query: Executable) -> Iterator[Fact]:
        with self._transaction() as connection:
            positions = connection.execute(query).scalars().all()
        for first in range(0, len(positions), queries.PAGE):
            some = FACT.c.position.in_(positions[first : first + queries.PAGE])
            yield from map(fact_of, self._rows(select(FACT).where(some).order_by(FACT.c.position)))

    def position(self) -> int:
        """Position of the newest fact; 0 for none."""
        with self._transaction() as connection:
            return _position(connection)

    def cursor(self, server: str) -> dict[str, datetime]:
        """The server's time up to which each type was read."""
        rows = self._rows(select(CURSOR).where(CURSOR.c.server == server))
        return {row["type"]: instant_of(row["at"]) for row in rows}

    def quarantined(self, server: str, *, limit: int = 100) -> tuple[Quarantined, ...]:
        """What could not be read, newest first."""
        table = QUARANTINE
        rows = self._rows(select(table).where(table.c.server == server).order_by(table.c.position.desc()).limit(limit))
        return tuple(
            Quarantined(row["server"], row["type"], row["id"], row["version_id"], row["reason"]) for row in rows
        )

    def runs(self, server: str, *, limit: int = 100) -> tuple[Run, ...]:
        """Runs, newest first."""
        rows = self._rows(select(RUN).where(RUN.c.server == server).order_by(RUN.c.wall_at.desc()).limit(limit))
        return tuple(_run_of(row) for row in rows)

    def run(self, run_id: str) -> Run | None:
        """One run with its context; None for an unknown id."""
        told = select(RUN, CONTEXT.c.content).join(CONTEXT, CONTEXT.c.hash == RUN.c.context, isouter=True)
        found = self._rows(told.where(RUN.c.id == run_id))
        return replace(_run_of(found[0]), context=found[0]["content"] or "") if found else None

    def timelines(self, run_id: str) -> dict[str, PredictedTimeline]:
        """The timelines kept of a run, by case id."""
        return {row["subject"]: codec.timeline_of(row["prediction"]) for row in self._predictions(run_id, "case")}

    def room_ends(self, run_id: str) -> dict[str, tuple[PredictedRoomEnd, ...]]:
        """The room ends kept of a run, by `Location/id`."""
        return {row["subject"]: codec.room_ends_of(row["prediction"]) for row in self._predictions(run_id, "room")}

    def issued_timelines(self, server: str, *, since: datetime) -> dict[str, list[PredictedTimeline]]:
        """All timelines kept of the runs that predicted from `since` (site time) on: by case id, oldest first."""
        return _by_subject(self._issued(server, "case", since), codec.timeline_of)

    def issued_room_ends(self, server: str, *, since: datetime) -> dict[str, list[tuple[PredictedRoomEnd, ...]]]:
        """All room ends kept of the runs that predicted from `since` (site time) on: by room ref, oldest first."""
        return _by_subject(self._issued(server, "room", since), codec.room_ends_of)

    def predictions(self, server: str, *, since: datetime, until: datetime) -> Predictions:
        """What was predicted by `until` (wall time), in runs since `since`."""
        inside = (
            RUN.c.server == server,
            RUN.c.wall_at >= instant_text(since),
            RUN.c.wall_at <= instant_text(until),
        )
        newest = self._rows(select(RUN).where(*inside).order_by(RUN.c.wall_at.desc()).limit(1))
        kept = self._rows(queries.newest_predictions(inside))
        told: dict[str, dict[str, str]] = {"case": {}, "room": {}}
        for row in kept:
            told[row["kind"]][row["subject"]] = row["prediction"]
        return Predictions(
            run=_run_of(newest[0]) if newest else None,
            timelines={subject: codec.timeline_of(text) for subject, text in told["case"].items()},
            room_ends={subject: codec.room_ends_of(text) for subject, text in told["room"].items()},
        )

    def outcomes(self, server: str, *, ref: str | None = None, limit: int = 100) -> tuple[KeptOutcome, ...]:
        """What became of writes, newest first; of one resource where `ref` is given."""
        query = select(OUTCOME).where(OUTCOME.c.server == server).order_by(OUTCOME.c.position.desc()).limit(limit)
        rows = self._rows(query if ref is None else query.where(OUTCOME.c.ref == ref))
        return tuple(
            KeptOutcome(
                WriteOutcome(row["ref"], row["status"], row["version_id"], row["reason"]),
                run=row["run"],
                at=instant_of(row["at"]),
            )
            for row in rows
        )

    def decisions(self, server: str, kind: str) -> tuple[Decision, ...]:
        """What was decided of one kind, in the order in which it was."""
        mine = select(DECISION).where(DECISION.c.server == server, DECISION.c.kind == kind)
        return tuple(
            Decision(
                **{name: row[name] for name in ("kind", "subject", "choice", "person", "reason", "content")},
                at=instant_of(row["at"]),
                wall_at=instant_of(row["wall_at"]),
            )
            for row in self._rows(mine.order_by(DECISION.c.position))
        )

    def learned(self, basis: str) -> Learned | None:
        """What was learned on a basis; None where that is not kept."""
        for row in self._rows(select(LEARNED).where(LEARNED.c.basis == basis)):
            return Learned(row["position"], instant_of(row["at"]), row["content"])
        return None

    def counts(self) -> dict[str, int]:
        """Rows by table."""
        with self._transaction() as connection:
            return {
                table.name: connection.execute(select(func.count()).select_from(table)).scalar_one() for table in TABLES
            }

    def _predictions(self, run_id: str, kind: str) -> Sequence[RowMapping]:
        return self._rows(select(TIMELINE).where(TIMELINE.c.run == run_id, TIMELINE.c.kind == kind))

    def _issued(self, server: str, kind: str, since: datetime) -> Sequence[RowMapping]:
        told = select(TIMELINE.c.subject, TIMELINE.c.prediction).join(RUN, RUN.c.id == TIMELINE.c.run)
        mine = and_(RUN.c.server == server, RUN.c.at >= instant_text(since), TIMELINE.c.kind == kind)
        return self._rows(told.where(mine).order_by(RUN.c.at, RUN.c.wall_at))

    def _rows(self, query: Executable) -> Sequence[RowMapping]:
        with self._transaction() as connection:
            return connection.execute(query).mappings().all()

    def _append(self, connection: Connection, table: Table, rows: list[Row]) -> int:
        return self._store.append(connection, table, rows_of(rows)) if rows else 0

    @contextmanager
    def _transaction(self, *, writes: bool = False) -> Iterator[Connection]:
        with self._lock:
            if not self._open:
                raise JournalError("the journal is closed: open it again")
            with self._store.transaction(writes=writes) as connection:
                yield connection


def _by_subject(rows: Sequence[RowMapping], read: Callable[[str], T]) -> dict[str, list[T]]:
    found: dict[str, list[T]] = {}
    for row in rows:
        found.setdefault(row["subject"], []).append(read(row["prediction"]))
    return found


def _position(connection: Connection) -> int:
    return connection.execute(select(func.max(FACT.c.position))).scalar() or 0


def _quarantine_row(bad: Quarantined, reading: str, observed_at: str) -> Row:
    return {
        "server": bad.server,
        "type": bad.type,
        "id": bad.id,
        "version_id": bad.version_id,
        "reason": bad.reason,
        "reading": reading,
        "observed_at": observed_at,
    }


def _timeline_row(run: Run, kind: str, subject: str, prediction: object) -> Row:
    return {"run": run.id, "kind": kind, "subject": subject, "prediction": text_of(prediction)}


def _run_row(server: str, run: Run, position: int) -> Row:
    return {
        "id": run.id,
        "server": server,
        "position": position,
        "at": instant_text(run.at),
        "seed": run.seed,
        "replications": run.replications,
        "model": run.model,
        "code_version": run.code_version,
        "result_hash": run.result_hash,
        "wall_at": instant_text(run.wall_at),
    }


def _context_row(content: str) -> Row:
    digest = hashlib.blake2b(content.encode(), digest_size=16).hexdigest()
    return {"hash": digest if content else "", "content": content}


def _run_of(row: RowMapping) -> Run:
    return Run(
        id=row["id"],
        at=instant_of(row["at"]),
        seed=row["seed"],
        replications=row["replications"],
        code_version=row["code_version"],
        wall_at=instant_of(row["wall_at"]),
        model=row["model"],
        result_hash=row["result_hash"],
        position=row["position"],
    )
