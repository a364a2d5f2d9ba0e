"""A year of files: bytes to the durable journal and the twins, against fhir.resources and SQLModel's `merge`.

Ours runs in a process of its own: NDJSON on disk → redacted facts → SQLite with synchronous FULL, as `jumeau sync` does
it with its reading processes; then the twins that a start of the program has of them, by its default settings.

The peer does what a program does that handles one resource after the other with these libraries: parse it by its
fhir.resources class, hash it, and merge, with one commit, the resource and the projection a twin would be made from: a
row for each stretch of time, with its place. It makes no twins. A second figure is of a peer that merges the resource
only. Both run on every n-th resource, and their time is scaled; both sides must hold the same resources, with the same
versions and content hashes.
"""

import asyncio
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import event
from sqlmodel import Field, Session, SQLModel, create_engine

from fixtures.clinic.delivery import write_ndjson
from fixtures.clinic.period import Length, Period, span_of
from tests.benchmarks import Row

PARIS = ZoneInfo("Europe/Paris")
LAST = date(2025, 12, 19)
"""The last day: a Friday."""
PEER_SAMPLE = 2_000
Key = tuple[str, str]
UNIT = "resources"


class PeerRow(SQLModel, table=True):
    """A resource as the peer keeps it."""

    __tablename__ = "peer"

    type: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    version_id: str
    content_hash: str
    body: str


class PeerStretch(SQLModel, table=True):
    """A stretch of time that a resource tells, as the peer's projection keeps it."""

    __tablename__ = "peer_stretch"

    type: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    nth: int = Field(primary_key=True)
    start: datetime | None
    end: datetime | None
    place: str | None
    status: str | None


def run() -> list[Row]:
    """Day, month and year of ours, and the peers of the year."""
    rows = []
    for length in (Length.DAY, Length.MONTH, Length.YEAR):
        told = measured(length)
        assert told["equal"] is True
        count = told["resources"]
        rows.append(Row("ingest", f"{length}, {count} resources", count / told["ours_s"], UNIT, told["ratio"]))
    assert told["peak_mb"] < 400
    alone = count / told["peer_row_s"]
    rows.append(
        Row("ingest", "fhir.resources, merge of the resource only", alone, UNIT, told["peer_s"] / told["peer_row_s"])
    )
    rows.append(Row("ingest", "fhir.resources + SQLModel merge (peer)", count / told["peer_s"], UNIT, 1.0))
    return rows


def measured(length: Length) -> dict[str, Any]:
    """Both sides of a period of the clinic."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        made = write_ndjson(_period(length), out, lambda done: None)
        for path in out.glob("Practitioner*"):
            path.unlink()  # neither side keeps them
        command = [sys.executable, "-m", "tests.benchmarks.ingest", "--ours", folder]
        ours = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        texts = [line for path in sorted(out.glob("*.ndjson")) for line in path.read_bytes().splitlines()]
        sample = texts[:: max(1, len(texts) // PEER_SAMPLE)]
        (seconds, held), (alone, _) = (
            peer(sample, out / f"{mode}.db", projects=mode == "both") for mode in ("both", "row")
        )
        scale = len(texts) / len(sample)
        assert made.resources >= len(texts)
        return {
            "resources": ours["resources"],
            "ours_s": ours["seconds"],
            "peer_s": round(seconds * scale, 2),
            "ratio": round(seconds * scale / ours["seconds"], 1),
            "peak_mb": ours["peak_mb"],
            "equal": ours["resources"] == len(texts) and same(out / "ours.db", held),
            "peer_row_s": round(alone * scale, 2),
            "ratio_row": round(alone * scale / ours["seconds"], 1),
            "peer_sample": len(sample),
        }


def _period(length: Length) -> Period:
    first, last = span_of(length, None, LAST)
    return Period(first, last, PARIS, seed=0, known_at=datetime(LAST.year, LAST.month, LAST.day, 18, tzinfo=PARIS))


# Ours


def ours(folder: Path) -> dict[str, Any]:
    """Load the folder; seconds from the first byte to journal and twins, and the peak of memory of the processes."""
    from api.compose import worker_of
    from api.loading import load_files
    from api.settings import Settings
    from fhir_adapters import ndjson
    from twin.projections.suite_twin import suite_twin

    settings = Settings.model_validate(
        {
            "database_url": f"sqlite:///{folder / 'ours.db'}",
            "privacy": {"key_file": str(folder / "key")},
            "clock": {"anchor": datetime(LAST.year, LAST.month, LAST.day, 18, tzinfo=PARIS)},
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
        return {"resources": told.facts, "seconds": round(seconds, 3)}

    with Memory() as memory:
        told = asyncio.run(work())
    return {**told, "peak_mb": memory.peak_mb}


class Memory:
    """The most memory that this process and those it started had together, MB; looked at twenty times a second."""

    def __init__(self) -> None:
        self.peak_mb, self._ended = 0.0, threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> "Memory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.05):
            children = [pid for path in Path("/proc/self/task").glob("*/children") for pid in path.read_text().split()]
            self.peak_mb = max(self.peak_mb, round(sum(map(_resident_mb, ("self", *children))), 1))


def _resident_mb(process: str) -> float:
    try:
        told = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
    except OSError:
        return 0.0  # it has ended
    return int(told[1]) / 1024 if told else 0.0


# The peer


def peer(sample: list[bytes], database: Path, *, projects: bool) -> tuple[float, dict[Key, tuple[str, str]]]:
    """Seconds, and what it holds: (type, id) → (version, hash)."""
    from fhir.resources.R4B import get_fhir_model_class

    keyed = _pseudonyms(database.parent)
    kinds = [json.loads(text)["resourceType"] for text in sample]
    classes: dict[str, Any] = {kind: get_fhir_model_class(kind) for kind in kinds}
    engine = create_engine(f"sqlite:///{database}")
    event.listen(engine, "connect", _durable)
    SQLModel.metadata.create_all(engine, tables=[SQLModel.metadata.tables[name] for name in ("peer", "peer_stretch")])
    with Session(engine) as session:
        started = time.perf_counter()
        for kind, text in zip(kinds, sample, strict=True):
            model: Any = classes[kind].model_validate_json(text)
            hashed = keyed.digest("content", _canonical(text))
            name = keyed.patient(model.id) if kind == "Patient" else model.id
            row = PeerRow(type=kind, id=name, version_id=model.meta.versionId, content_hash=hashed, body=text.decode())
            session.merge(row)
            for nth, stretch in enumerate(_stretches(kind, model)) if projects else ():
                session.merge(PeerStretch(type=kind, id=name, nth=nth, **stretch))
            session.commit()
        seconds = time.perf_counter() - started
        rows = session.exec(_all()).all()
        held = {(row.type, row.id): (row.version_id, row.content_hash) for row in rows}
    engine.dispose()
    return seconds, held


def _stretches(kind: str, model: Any) -> Iterator[dict[str, Any]]:
    """When and where: of a booking, of an act, of a stay and of each of its places."""
    if kind == "Appointment":
        places = (one.actor.reference for one in model.participant if one.actor and one.actor.reference)
        place = next((ref for ref in places if ref.startswith("Location/")), None)
        yield {"start": model.start, "end": model.end, "place": place, "status": model.status}
    elif kind == "Procedure" and model.performedPeriod:
        place = model.location.reference if model.location else None
        yield {**_ends(model.performedPeriod), "place": place, "status": model.status}
    elif kind == "Encounter":
        yield {**_ends(model.period), "place": None, "status": model.status}
        for entry in model.location or ():
            yield {**_ends(entry.period), "place": entry.location.reference, "status": entry.status}


def _ends(period: Any) -> dict[str, Any]:
    return {"start": period.start if period else None, "end": period.end if period else None}


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


def same(database: Path, held: dict[Key, tuple[str, str]]) -> bool:
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
        sys.stdout.write(json.dumps(measured(Length.YEAR)) + "\n")
