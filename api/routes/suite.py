"""The suite, its rooms, and the whole day in one document."""

from typing import Annotated

from fastapi import APIRouter, Header, Response

from api.deps import TheProgram
from api.routes.document import TheDocuments, TheSnapshot, TheView
from api.schemas import DayDocument, Room, Suite

router = APIRouter(tags=["suite"])


@router.get("/suite")
async def suite(program: TheProgram, view: TheView) -> Suite:
    """The suite now: figures, rooms, who waits, how old the data are."""
    return view.suite(program)


@router.get("/rooms")
async def rooms(view: TheView) -> list[Room]:
    """Every room on the site's day, with its list and the predicted end of each block."""
    return view.rooms()


@router.get(
    "/day",
    response_class=Response,
    responses={
        200: {"model": DayDocument, "description": "As of the newest snapshot"},
        304: {"description": "No newer snapshot than that of If-None-Match"},
    },
)
async def day(
    program: TheProgram,
    snapshot: TheSnapshot,
    documents: TheDocuments,
    if_none_match: Annotated[str, Header()] = "",
) -> Response:
    """All that the page of the day shows; the stream sends the same at each change."""
    document = documents.of(program, snapshot)
    if document.is_known(if_none_match):
        return Response(status_code=304, headers={"ETag": document.etag})
    return Response(document.json, media_type="application/json", headers={"ETag": document.etag})
