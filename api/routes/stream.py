"""The live stream: server-sent events.

`suite` carries the document of the day (that of /day) and the number of its snapshot as id: one on connecting, unless
Last-Event-ID names it already, then one for every newer snapshot; a slow reader skips to the newest. `feed` carries
site time and the age of the data, on connecting and every few seconds, also where nothing changes.
"""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Response
from fastapi.sse import EventSourceResponse, format_sse_event

from api.deps import Program, TheProgram
from api.routes.document import DayDocuments, TheDocuments
from api.views import moment
from twin.timebase import monotonic

FIRST_WAIT_S, FEED_EVERY_S = 1.0, 5.0
"""Two times soon after another tell the page how fast site time runs."""
RETRY_MS = 2000
NOTHING_YET = 0
"""Snapshots are numbered from 1."""
_EARLY_S = 0.5
"""A wait that gives up this much before its time was ended by the program."""

router = APIRouter(tags=["stream"])


@router.get(
    "/stream",
    response_class=Response,  # with EventSourceResponse here, FastAPI would encode each event anew for every reader
    responses={200: {"content": {"text/event-stream": {}}, "description": "Events `suite` and `feed`"}},
)
async def stream(
    program: TheProgram, documents: TheDocuments, last_event_id: Annotated[str, Header()] = ""
) -> EventSourceResponse:
    """Server-sent events: `suite` is the document of /day at each change, `feed` site time and the age of the data."""
    events = _events(program, documents, _number(last_event_id))
    return EventSourceResponse(events, headers={"X-Accel-Buffering": "no"})


def _number(last_event_id: str) -> int:
    short = last_event_id.isascii() and last_event_id.isdecimal() and len(last_event_id) < 18
    return int(last_event_id) if short else NOTHING_YET


async def _events(program: Program, documents: DayDocuments, known: int) -> AsyncIterator[bytes]:
    yield _feed(program, retry_ms=RETRY_MS)
    snapshot = program.snapshot
    if snapshot is not None and snapshot.number != known:
        yield documents.of(program, snapshot).event
    number = NOTHING_YET if snapshot is None else snapshot.number
    wait_s = FIRST_WAIT_S
    while True:
        started = monotonic()
        snapshot = await program.newer(number, wait_s)
        if snapshot is None and monotonic() - started < wait_s - _EARLY_S:
            return
        wait_s = FEED_EVERY_S
        # The time goes first: the page places the rest by it.
        yield _feed(program)
        if snapshot is not None:
            number = snapshot.number
            yield documents.of(program, snapshot).event


def _feed(program: Program, retry_ms: int | None = None) -> bytes:
    return format_sse_event(data_str=moment(program).model_dump_json(), event="feed", retry=retry_ms)
