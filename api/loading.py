"""A folder of resources into the journal: `jumeau sync --from DIR`. Read, kept and forgotten piece by piece."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from api.compose import worker_of
from api.garbage import uncollected
from api.parts import Parts
from api.settings import Settings
from fhir_adapters import file_links, ndjson
from fhir_adapters.errors import BadSourceError
from fhir_adapters.readers import Readers, Texts, processes_for
from twin.facts import Quarantined
from twin.timebase import monotonic, wall_now

Progress = Callable[[int, int, int], None]
"""Called with the resources read so far, the bytes done and the bytes of all."""


@dataclass(slots=True)
class LoadReport:
    """What a load has to tell."""

    server: str
    resources: int = 0
    """All that were read: understood, quarantined or ignored."""
    facts: int = 0
    new: int = 0
    """Rows that the journal did not have, versions in between and what is gone included."""
    quarantined: int = 0
    ignored: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)

    def values(self) -> dict[str, Any]:
        """The keys of `--json`."""
        return {
            "server": self.server,
            "resources": self.resources,
            "facts": self.facts,
            "new": self.new,
            "quarantined": self.quarantined,
            "reasons": dict(self.reasons.most_common(20)),
            "ignored": dict(sorted(self.ignored.items())),
            "seconds": round(self.seconds, 2),
            "rate": round(self.resources / self.seconds) if self.seconds else 0,
        }

    def text(self) -> str:
        """The same for a person."""
        told = self.values()
        lines = [
            f"{told['resources']} resources as those of {self.server}: {told['facts']} understood, {told['new']} new, "
            f"{told['quarantined']} quarantined",
            f"{told['seconds']} s, {told['rate']} a second",
        ]
        lines += [f"  quarantined, {count}: {reason}" for reason, count in self.reasons.most_common(20)]
        lines += [f"  not read, {count}: {kind}" for kind, count in told["ignored"].items()]
        return "\n".join(lines)


async def load_folder(settings: Settings, folder: Path, progress: Progress) -> LoadReport:
    """Every resource of the folder's files into the journal, as the settings' server's.

    Raises BadSourceError where there is nothing to load, JournalError.
    """
    files = ndjson.files_of(folder)
    async with worker_of(settings, settings.make_clock()) as worker:
        return await asyncio.to_thread(load_files, worker.parts, files, progress)


def load_files(parts: Parts, files: list[Path], progress: Progress) -> LoadReport:
    """The same with the parts at hand; synchronous. What was kept before an error stays kept."""
    started = monotonic()
    told = LoadReport(parts.settings.fhir.base_url)
    own_base = file_links.OwnBase(told.server)
    source = _Source(files, told.server)
    # Looking for cycles took a quarter of the time.
    with uncollected(), Readers(parts.normaliser, own_base, processes_for(source.total)) as readers:
        for texts in chain(readers.read(source.chunks()), source.failed()):
            told.new += parts.journal.append_texts(
                told.server, texts.facts, texts.quarantined, {}, reading=parts.reading, observed_at=wall_now()
            )
            _count(told, texts)
            progress(told.resources, source.done, source.total)
    told.seconds = monotonic() - started
    if own_base.found:
        told.notes.append(f"references to {own_base.found} were read as those of the settings' server (fhir.base_url)")
    return told


class _Source:
    """The files of a folder, one after the other, and how far they were read."""

    def __init__(self, files: list[Path], server: str) -> None:
        self._sizes, self._server = {path: path.stat().st_size for path in files}, server
        self.done, self.total = 0, sum(self._sizes.values())
        self._unread: list[Quarantined] = []

    def chunks(self) -> Iterator[ndjson.Chunk]:
        """All of them. A file that can't be read to its end costs what is missing of it, not the others."""
        before = 0
        for path, size in self._sizes.items():
            try:
                for chunk in ndjson.chunks_of(path):
                    yield chunk
                    # Of an archive it is not known how much of it a piece is.
                    self.done += 0 if path.suffix.lower() == ".gz" else len(chunk.text)
            except BadSourceError as error:
                self._unread.append(Quarantined(self._server, "", "", "", str(error)))
            before = self.done = before + size

    def failed(self) -> Iterator[Texts]:
        """The files that were not read to their end, once all were."""
        if self._unread:
            yield Texts([], self._unread, Counter())


def _count(told: LoadReport, loaded: Texts) -> None:
    told.resources += len(loaded.facts) + len(loaded.quarantined) + loaded.ignored.total()
    told.facts += len(loaded.facts)
    told.quarantined += len(loaded.quarantined)
    told.ignored.update(loaded.ignored)
    # The place is in the journal; here the kinds are counted.
    told.reasons.update(bad.reason.partition(" (")[0] for bad in loaded.quarantined)


async def sync_server(settings: Settings) -> LoadReport:
    """The server's horizon into the journal: no prediction, no write. Raises FhirServerError, JournalError."""
    started = monotonic()
    async with worker_of(settings, settings.make_clock()) as worker:
        await worker.rebuild()
        counts = await worker.read_all()
    return LoadReport(
        settings.fhir.base_url,
        resources=counts.read,
        facts=counts.facts,
        new=counts.new,
        quarantined=counts.quarantined,
        seconds=monotonic() - started,
        notes=list(dict.fromkeys(counts.warnings)),
    )
