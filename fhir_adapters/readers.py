"""Processes that read lines of files while this one stores what was read: reading takes most of the time of a load.

Each is a fresh interpreter that imports what reading needs only. It gets chunks of lines on its standard input, answers
with facts as text, and ends when the input closes, so it can't outlive this process.
"""

import gc
import os
import pickle
import signal
import subprocess
import sys
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from copy import copy
from dataclasses import dataclass
from queue import SimpleQueue
from types import TracebackType
from typing import IO, Any

from fhir_adapters import file_links, ndjson
from fhir_adapters.normalise import Normaliser
from twin.errors import JournalError
from twin.fact_text import FactText, fact_text
from twin.facts import Quarantined

MOST = 8
"""More processes would only wait for the one that stores."""
WORTH_BYTES = 4 * ndjson.CHUNK_BYTES
"""Less than this is read sooner than a process has started."""
_LARGE_BYTES = 8 * ndjson.CHUNK_BYTES
_SERVE = "from fhir_adapters.readers import serve; serve()"
_LENGTH_BYTES = 8


@dataclass(slots=True)
class Texts:
    """What a piece of a file gave."""

    facts: list[FactText]
    quarantined: list[Quarantined]
    ignored: Counter[str]

    def __reduce__(self) -> tuple[Any, ...]:
        """By columns: a process writes and reads them in half the time."""
        return _texts, (list(zip(*self.facts, strict=True)), self.quarantined, self.ignored)


def _texts(columns: list[tuple[str, ...]], quarantined: list[Quarantined], ignored: Counter[str]) -> Texts:
    return Texts(list(map(FactText, *columns)) if columns else [], quarantined, ignored)


def texts_of(normaliser: Normaliser, chunk: ndjson.Chunk, own_base: file_links.OwnBase) -> Iterator[Texts]:
    """What a chunk asserts, read in this process, in pieces of a bounded size. Raises JournalError."""
    for loaded in ndjson.read_chunk(normaliser, chunk, own_base):
        yield Texts(list(map(fact_text, loaded.facts)), loaded.quarantined, loaded.ignored)


class Readers:
    """The processes; with none this process reads. Close it, or use it in `with`."""

    def __init__(self, normaliser: Normaliser, own_base: file_links.OwnBase, processes: int) -> None:
        """`own_base`: what is known of the files' base goes along with each chunk."""
        self._normaliser = normaliser
        self._own_base = own_base
        self._closed = False
        self._processes = [_started(normaliser) for _ in range(processes)]
        self._idle: SimpleQueue[subprocess.Popen[bytes]] = SimpleQueue()
        for process in self._processes:
            self._idle.put(process)
        self._threads = ThreadPoolExecutor(max(processes, 1), thread_name_prefix="reader")

    def __enter__(self) -> "Readers":
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closed, whatever came."""
        self.close()

    def close(self) -> None:
        """Ends the processes, whatever they do."""
        self._closed = True
        for process in self._processes:
            process.kill()
        self._threads.shutdown(cancel_futures=True)
        for process in self._processes:
            process.communicate()

    def read(self, chunks: Iterable[ndjson.Chunk]) -> Iterator[Texts]:
        """What the chunks assert, in their order; a few are read ahead. Raises JournalError."""
        if not self._processes:
            for chunk in chunks:
                yield from texts_of(self._normaliser, chunk, self._own_base)
            return
        ahead: deque[Future[list[Texts]]] = deque()
        for chunk in chunks:
            if len(chunk.text) > _LARGE_BYTES:  # a Bundle whose pieces should not all be in memory
                while ahead:
                    yield from ahead.popleft().result()
                yield from texts_of(self._normaliser, chunk, self._own_base)
                continue
            ahead.append(self._threads.submit(self._answered, chunk, self._seen(chunk)))
            if len(ahead) > len(self._processes):
                yield from ahead.popleft().result()
        while ahead:
            yield from ahead.popleft().result()

    def _seen(self, chunk: ndjson.Chunk) -> file_links.OwnBase:
        """What is known of the base once the chunk was looked at: what it has not is not looked for again."""
        self._own_base.look(chunk.text)
        seen = copy(self._own_base)
        seen.found = seen.found or ""
        return seen

    def _answered(self, chunk: ndjson.Chunk, own_base: file_links.OwnBase) -> list[Texts]:
        process = self._idle.get()
        try:
            return _exchanged(process, (chunk, own_base))
        except (OSError, EOFError):  # it was killed: what it should have read is read here, unless nobody waits for it
            if self._closed:
                return []
            process = self._replaced(process)
            return list(texts_of(self._normaliser, chunk, own_base))
        finally:
            self._idle.put(process)

    def _replaced(self, dead: "subprocess.Popen[bytes]") -> "subprocess.Popen[bytes]":
        import structlog  # a reading process needs none of it, and would start in twice the time

        structlog.get_logger().warning("a reading process ended, another takes its place", status=dead.poll())
        try:
            fresh = _started(self._normaliser)
        except OSError:
            return dead  # its share goes on being read here
        self._processes[self._processes.index(dead)] = fresh
        dead.kill()
        dead.communicate()
        return fresh


def processes_for(size: int, *, cores: int | None = None) -> int:
    """How many processes pay for so many bytes; `cores`: of this machine, where they are not told."""
    if cores is None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, MOST) if cores > 1 and size >= WORTH_BYTES else 0


def _started(normaliser: Normaliser) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-P", "-c", _SERVE]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    _send(process.stdin, normaliser)  # the key of the pseudonyms too: it goes through a pipe, not along a command line
    return process


def _exchanged(process: "subprocess.Popen[bytes]", request: object) -> list[Texts]:
    _send(process.stdin, request)
    answer = _received(process.stdout)
    if isinstance(answer, JournalError):
        raise answer
    found: list[Texts] = answer
    return found


def serve() -> None:
    """The process's side: chunks in, texts out, until the input closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then closes this process
    gc.disable()  # nothing that is read has cycles
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    try:
        normaliser: Normaliser = _received(requests)
        while True:
            chunk, own_base = _received(requests)
            _send(answers, _read(normaliser, chunk, own_base))
    except (EOFError, BrokenPipeError):
        return


def _read(normaliser: Normaliser, chunk: ndjson.Chunk, own_base: file_links.OwnBase) -> list[Texts] | JournalError:
    try:
        return list(texts_of(normaliser, chunk, own_base))
    except JournalError as error:
        return error


def _send(pipe: "IO[bytes] | None", value: object) -> None:
    if pipe is None:
        raise EOFError
    body = pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    pipe.write(len(body).to_bytes(_LENGTH_BYTES, "big"))
    pipe.write(body)
    pipe.flush()


def _received(pipe: "IO[bytes] | None") -> Any:
    """The next value. Raises EOFError where the other side ended, also in the middle of it."""
    header = b"" if pipe is None else pipe.read(_LENGTH_BYTES)
    size = int.from_bytes(header, "big")
    body = b"" if pipe is None or len(header) < _LENGTH_BYTES else pipe.read(size)
    if not body or len(body) < size:
        raise EOFError
    return pickle.loads(body)
