"""The page of the day and the page of the API: plain files, no template engine, no asset of anyone else."""

from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse, HTMLResponse

from api.deps import TheProgram
from api.routes.document import TheDocuments

BOARD = Path(__file__).parent.parent / "board"

router = APIRouter(include_in_schema=False)


@router.get("/")
async def board(program: TheProgram, documents: TheDocuments) -> HTMLResponse:
    """The page of the day, with the newest document in it: complete at first sight, before its stream opens."""
    snapshot = program.snapshot
    # Inside a script element only `<` could end it; as an escape it is the same JSON.
    day = documents.of(program, snapshot).json.decode().replace("<", "\\u003c") if snapshot else "null"
    page = (BOARD / "templates" / "board.html").read_text("utf-8").replace(">null</script>", f">{day}</script>")
    return HTMLResponse(page)


@router.get("/docs")
async def docs() -> FileResponse:
    """The operations of /openapi.json, readable without the internet."""
    return FileResponse(
        BOARD / "templates" / "docs.html", media_type="text/html", headers={"Cache-Control": "no-cache"}
    )
