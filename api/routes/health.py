"""Is it alive, is what it shows fresh, and how busy it is."""

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from api.deps import TheProgram
from api.schemas import Live, Ready
from api.snapshot import Feed

STALE_S = 120.0
"""Wall seconds without a successful read after which the data count as stale (guess)."""
_WRITING = frozenset({"off", "annotate", "companion"})
_PUSH = frozenset({"off", "by hand", "starting", "active"})

router = APIRouter(tags=["health"])


@router.get("/health/live")
async def live() -> Live:
    """The process answers."""
    return Live()


@router.get("/health/ready", responses={503: {"model": Ready, "description": "Nothing to show yet"}})
async def ready(program: TheProgram, response: Response) -> Ready:
    """200 as soon as there is something to show, `degraded` where it is old or writing stopped; 503 before."""
    feed = program.feed
    reasons = list(_reasons(feed))
    if program.snapshot is None:
        response.status_code = 503
        return Ready(status="starting", data_age_s=feed.age_s, reasons=reasons or ["first read under way"])
    return Ready(status="degraded" if reasons else "ready", data_age_s=feed.age_s, reasons=reasons)


def _reasons(feed: Feed) -> list[str]:
    reasons = []
    if feed.failing:
        reasons.append(f"reading fails: {feed.failing}")
    if feed.age_s is not None and feed.age_s > STALE_S:
        reasons.append(f"last read {feed.age_s:.0f} s ago")
    if feed.writing not in _WRITING:
        reasons.append(f"writing: {feed.writing}")
    if feed.push not in _PUSH:
        reasons.append(f"push: {feed.push}")
    return reasons


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(program: TheProgram) -> Response:
    """Metrics in the text format of Prometheus."""
    return Response(generate_latest(program.metrics), headers={"Content-Type": CONTENT_TYPE_LATEST})
