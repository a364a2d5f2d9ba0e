"""The page of the day and the page of the API: plain files, no template engine, no asset of anyone else."""

from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse

BOARD = Path(__file__).parent.parent / "board"

router = APIRouter(include_in_schema=False)


@router.get("/")
async def board() -> FileResponse:
    """The page of the day."""
    return _page("board.html")


@router.get("/docs")
async def docs() -> FileResponse:
    """The operations of /openapi.json, readable without the internet."""
    return _page("docs.html")


def _page(name: str) -> FileResponse:
    return FileResponse(BOARD / "templates" / name, media_type="text/html", headers={"Cache-Control": "no-cache"})
