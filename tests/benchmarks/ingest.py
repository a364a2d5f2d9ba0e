"""A year of files: bytes to the durable journal and the twins, against fhir.resources and SQLModel's `merge`.

Ours runs in a process of its own, so that its peak of memory is its own: NDJSON on disk → redacted facts → SQLite with
synchronous FULL, and each piece folded into the ledger of the live twin, the suite's twin at the end. The peer parses
each resource by its fhir.resources class, hashes it, and merges one row of it with a commit, as a program does that
handles one resource after the other; it makes no twins. It runs on every n-th resource, and its time is scaled.
Both must hold the same resources, with the same versions and content hashes.
"""

import asyncio
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable
from datetime import date, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlmodel import Field, Session, SQLModel, create_engine

from tests.benchmarks import Row
from tests.benchmarks._clinic import DAY, MONTH, PARIS, YEAR, lines

PEER_SAMPLE = 2_000
UNIT = "resources"


class PeerRow(SQLModel, table=True):
    """A resource as the peer keeps it."""

    __tablename__ = "peer"

    type: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    version_id: str
    content_hash: str
    body: str


def run() -> list[Row]:
    """Day, month and year of ours, and the peer of the year."""
    rows = []
    for name, count in (("day", DAY), ("month", MONTH), ("year", YEAR)):
        told = measured(count)
        assert told["equal"] is True
        rows.append(Row("ingest", f"{name}, {count} resources", count / told["ours_s"], UNIT, told["ratio"]))
        if name == "year":
            assert told["peak_mb"] < 400
            rows.append(Row("ingest", "fhir.resources + SQLModel merge (peer)", count / told["peer_s"], UNIT, 1.0))
    return rows


def measured(count: int) -> dict[str, Any]:
    """Both sides of so many resources."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        write(lines(count), out)
        command = [sys.executable, "-m", "tests.benchmarks.ingest", "--ours", folder]
        ours = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        step = max(1, count // PEER_SAMPLE)
        sample = list(islice(lines(count), 0, None, step))
        seconds, held = peer(sample, out / "peer.db")
        scaled = seconds * count / len(sample)
        return {
            "resources": ours["resources"],
            "ours_s": ours["seconds"],
            "peer_s": round(scaled, 2),
            "ratio": round(scaled / ours["seconds"], 1),
            "peak_mb": ours["peak_mb"],
            "equal": ours["resources"] == count and same(out / "ours.db", held),
            "peer_sample": len(sample),
        }


def write(found: Iterable[tuple[str, bytes]], out: Path) -> None:
    """One file a type."""
    texts = defaultdict(list)
    for kind, text in found:
        texts[kind].append(text)
    for kind, each in texts.items():
        (out / f"{kind}.ndjson").write_bytes(b"\n".join(each) + b"\n")


# Ours


def ours(folder: Path) -> dict[str, Any]:
    """Load the folder; seconds from the first byte to journal and twins, and this process's peak of memory."""
    from api.compose import worker_of
    from api.loading import load_files
    from api.sections import LIVE_PAST_DAYS
    from api.settings import Settings
    from fhir_adapters import ndjson
    from twin.projections.suite_twin import suite_twin

    today = last_day(folder)
    settings = Settings.model_validate(
        {
            "database_url": f"sqlite:///{folder / 'ours.db'}",
            "privacy": {"key_file": str(folder / "key")},
            "clock": {"anchor": datetime(today.year, today.month, today.day, 18, tzinfo=PARIS)},
            "sync": {"past_days": LIVE_PAST_DAYS, "ahead_days": 30},
        }
    )

    async def work() -> dict[str, Any]:
        clock = settings.make_clock()
        async with worker_of(settings, clock) as worker:
            started = time.perf_counter()
            told = load_files(worker.parts, ndjson.files_of(folder), lambda *done: None)
            await worker.rebuild()
            server, horizon = worker.parts.normaliser.server, worker.horizon
            suite = suite_twin(worker.ledger, worker.parts.site, clock=clock, horizon=horizon, server=server)
            seconds = time.perf_counter() - started
        assert suite.cases
        return {"resources": told.facts, "seconds": round(seconds, 3), "peak_mb": peak_mb()}

    return asyncio.run(work())


def last_day(folder: Path) -> date:
    """The day of the last booking."""
    starts = re.findall(rb'"start":"(\d{4}-\d\d-\d\d)', (folder / "Appointment.ndjson").read_bytes())
    return date.fromisoformat(max(starts).decode())


def peak_mb() -> float:
    """The most memory that this process and its readers had, MB: the largest reader counts once for each core."""
    own, readers = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return round((own + readers * len(os.sched_getaffinity(0))) / 1024, 1)


# The peer


def peer(sample: list[tuple[str, bytes]], database: Path) -> tuple[float, dict[tuple[str, str], tuple[str, str]]]:
    """Seconds, and what it holds: (type, id) → (version, hash)."""
    from fhir.resources.R4B import get_fhir_model_class

    keyed = _pseudonyms(database.parent)
    classes: dict[str, Any] = {kind: get_fhir_model_class(kind) for kind, _ in sample}
    engine = create_engine(f"sqlite:///{database}")
    event.listen(engine, "connect", _durable)
    SQLModel.metadata.create_all(engine, tables=[SQLModel.metadata.tables["peer"]])
    with Session(engine) as session:
        started = time.perf_counter()
        for kind, text in sample:
            model: Any = classes[kind].model_validate_json(text)
            hashed = keyed.digest("content", _canonical(text))
            name = keyed.patient(model.id) if kind == "Patient" else model.id
            session.merge(
                PeerRow(
                    type=kind,
                    id=name,
                    version_id=model.meta.versionId,
                    content_hash=hashed,
                    body=model.model_dump_json(),
                )
            )
            session.commit()
        seconds = time.perf_counter() - started
        rows = session.exec(_all()).all()
        held = {(row.type, row.id): (row.version_id, row.content_hash) for row in rows}
    engine.dispose()
    return seconds, held


def _all() -> Any:
    from sqlmodel import select

    return select(PeerRow)


def _durable(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")


def _pseudonyms(folder: Path) -> Any:
    from fhir_adapters.pseudonyms import Pseudonyms, load_or_create_key

    return Pseudonyms(load_or_create_key(folder / "key"))


def _canonical(text: bytes) -> bytes:
    """What is hashed, by the standard library alone: numbers with a point keep their literal."""
    said = json.loads(text, parse_float=lambda literal: {"\0": literal})
    said = {name: value for name, value in said.items() if name not in ("meta", "text")}
    return json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def same(database: Path, held: dict[tuple[str, str], tuple[str, str]]) -> bool:
    """True where the journal holds what the peer holds."""
    import sqlite3

    with sqlite3.connect(database) as connection:
        found = {
            (kind, name): (version, hashed)
            for kind, name, version, hashed in connection.execute("select type, id, version_id, content_hash from fact")
        }
    return len(held) > 0 and all(found.get(key) == value for key, value in held.items())


if __name__ == "__main__":
    if sys.argv[1:2] == ["--ours"]:
        sys.stdout.write(json.dumps(ours(Path(sys.argv[2]))) + "\n")
    else:
        sys.stdout.write(json.dumps(measured(YEAR)) + "\n")
