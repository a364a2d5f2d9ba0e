"""The newest snapshot, and the document of the day that the page and the stream share: encoded once per snapshot."""

import hashlib
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, HTTPException, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.sse import format_sse_event

from api.deps import Program, TheProgram
from api.instants import past_instant
from api.schemas import DayDocument
from api.snapshot import PAST, BusyError, Snapshot
from api.views import View
from twin.errors import JournalError

AskedInstant = Annotated[
    str | None,
    Query(
        description="A past instant with its offset: the twin as it was known then (docs/past-instants.md)",
        json_schema_extra={"format": "date-time"},
    ),
]


@dataclass(frozen=True, slots=True)
class Encoded:
    """One snapshot as the bytes that are sent."""

    snapshot: Snapshot
    json: bytes
    event: bytes
    etag: str

    def is_known(self, if_none_match: str) -> bool:
        """True where the header names the tag, weak or strong, or `*`."""
        known = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
        return self.etag in known or "*" in known


class DayDocuments:
    """Keeps the newest encoding, so that two hundred pages cost what one does. Used from one event loop only."""

    def __init__(self) -> None:
        self._newest: Encoded | None = None

    def of(self, program: Program, snapshot: Snapshot) -> Encoded:
        """The document of a snapshot; of past ones none is kept."""
        if snapshot.number == PAST:
            return _encode(program, snapshot)
        if self._newest is None or self._newest.snapshot is not snapshot:
            self._newest = _encode(program, snapshot)
        return self._newest


def _encode(program: Program, snapshot: Snapshot) -> Encoded:
    view, twin = View(snapshot, program.site.timezone), snapshot.suite
    # A case of yesterday that is still in its room is on today's list as well.
    shown = {case_id: twin.cases[case_id] for room in twin.rooms for case_id in room.cases}
    shown.update((case.case_id, case) for case in twin.of_day(twin.day))
    document = DayDocument(suite=view.suite(program), cases=view.summaries(shown.values()))
    text = document.model_dump_json()
    return Encoded(
        snapshot=snapshot,
        json=text.encode(),
        event=format_sse_event(data_str=text, event="suite", id=str(snapshot.number)),
        # Numbers start anew with the program; the digest tells two programs' documents apart.
        etag=f'"{snapshot.number}-{hashlib.blake2b(text.encode(), digest_size=6).hexdigest()}"',
    )


def documents_of(request: Request) -> DayDocuments:
    """The application's documents."""
    documents: DayDocuments = request.app.state.documents
    return documents


async def snapshot_of(program: TheProgram, at: AskedInstant = None) -> Snapshot:
    """The newest snapshot, 503 before the first; or the one that was known at a past instant."""
    if at is not None:
        return await _past(program, at)
    snapshot = program.snapshot
    if snapshot is None:
        raise HTTPException(503, "The FHIR server has not been read yet: /health/ready says why.", {"Retry-After": "2"})
    return snapshot


async def _past(program: Program, at: str) -> Snapshot:
    try:
        return await program.past(past_instant(at, program.now()))
    except ValueError as error:
        raise RequestValidationError([{"loc": ("query", "at"), "msg": str(error), "type": "value_error"}]) from None
    except BusyError:
        raise HTTPException(503, "Many past instants are being made: try again.", {"Retry-After": "5"}) from None
    except JournalError as error:
        raise HTTPException(503, f"{error}.", {"Retry-After": "5"}) from None


def view_of(snapshot: Annotated[Snapshot, Depends(snapshot_of)], program: TheProgram) -> View:
    """The snapshot asked for, in the site's time zone."""
    return View(snapshot, program.site.timezone)


TheDocuments = Annotated[DayDocuments, Depends(documents_of)]
TheSnapshot = Annotated[Snapshot, Depends(snapshot_of)]
TheView = Annotated[View, Depends(view_of)]
