"""The Bulk Data export of a server: asked for, waited for, downloaded and deleted.

Kick-off with `Prefer: respond-async` and `_type`; the job's address is polled as Retry-After asks; the files of the
manifest are read one after the other, from below the server's base only; the job is deleted afterwards, whatever
happened.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

from fhir_adapters import dates
from fhir_adapters.answers import Answer, http_date
from fhir_adapters.client import FhirClient
from fhir_adapters.errors import AdapterError, BadAnswerError, SlowError
from fhir_adapters.gathering import Batch
from fhir_adapters.ndjson import CHUNK_BYTES, Chunk, Loaded, blocks, read_chunk
from fhir_adapters.normalise import Normaliser
from twin.timebase import monotonic, wall_now

NDJSON = "application/fhir+ndjson"
MAX_WAIT_S = 4 * 3600.0
POLL_S = 5.0
_LONGEST_PAUSE_S = 120.0


async def export(
    client: FhirClient,
    normaliser: Normaliser,
    types: Iterable[str],
    *,
    poll_s: float = POLL_S,
    max_wait_s: float = MAX_WAIT_S,
) -> AsyncIterator[Batch]:
    """All resources of these types, in batches of a bounded size.

    Each batch's cursor is the instant that the export stands for. Raises FhirServerError, SlowError where it isn't
    ready after `max_wait_s`, BadAnswerError for a manifest that can't be followed.
    """
    params = [("_type", ",".join(types)), ("_outputFormat", NDJSON)]
    asked = await client.get("$export", params=params, headers={"Prefer": "respond-async"})
    job = asked.headers.get("content-location", "")
    if asked.status != 202 or not job:
        raise BadAnswerError("an export was not begun: 202 with a Content-Location was expected", method="GET")
    try:
        manifest = (await _ready(client, job, poll_s, max_wait_s)).json()
        at = dates.instant(manifest.get("transactionTime")) if isinstance(manifest, dict) else None
        for kind, url in _files(manifest):
            body = (await client.get(url, headers={"Accept": NDJSON})).body
            for chunk in _chunks(kind, body):
                for loaded in await asyncio.to_thread(_read, normaliser, chunk):
                    yield _batch(loaded, kind, at or wall_now())
    finally:
        with contextlib.suppress(AdapterError):
            await client.discard(job)


def _read(normaliser: Normaliser, chunk: Chunk) -> list[Loaded]:
    return list(read_chunk(normaliser, chunk))


async def _ready(client: FhirClient, job: str, poll_s: float, max_wait_s: float) -> Answer:
    ends = monotonic() + max_wait_s
    while True:
        answer = await client.get(job)
        if answer.status != 202:
            return answer
        pause = _pause_s(answer.headers.get("retry-after", ""), poll_s)
        if monotonic() + pause > ends:
            raise SlowError(f"the export was not ready in {max_wait_s:g} s", method="GET")
        await asyncio.sleep(pause)


def _pause_s(told: str, poll_s: float) -> float:
    if told.isdecimal() and len(told) < 10:
        return min(float(told), _LONGEST_PAUSE_S)
    at = http_date(told)
    asked = (at - wall_now()).total_seconds() if at else poll_s
    return min(max(asked, 0.0), _LONGEST_PAUSE_S)


def _files(manifest: object) -> list[tuple[str, str]]:
    """Type and address of each file."""
    output: Any = manifest.get("output") if isinstance(manifest, dict) else None
    if not isinstance(output, list):
        raise BadAnswerError("an export's manifest without `output`", method="GET")
    files = [(one.get("type"), one.get("url")) for one in output if isinstance(one, dict)]
    if not all(isinstance(kind, str) and isinstance(url, str) for kind, url in files):
        raise BadAnswerError("an export's manifest with a file that has no type or address", method="GET")
    return [(str(kind), str(url)) for kind, url in files]


def _chunks(kind: str, body: bytes) -> list[Chunk]:
    now = wall_now()
    return [Chunk(f"export of {kind}", first, text, now) for first, text in blocks(BytesIO(body), CHUNK_BYTES)]


def _batch(loaded: Loaded, kind: str, at: datetime) -> Batch:
    return Batch(
        facts=tuple(loaded.facts),
        quarantined=tuple(loaded.quarantined),
        read=len(loaded.facts) + len(loaded.quarantined),
        cursor={kind: at.astimezone(UTC)},
        patient_ids=frozenset(loaded.patient_ids),
    )
