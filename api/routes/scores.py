"""How good the predictions were."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.deps import TheProgram
from api.schemas import ScoreCardShown

router = APIRouter(tags=["scores"])


@router.get("/score-card")
async def score_card(program: TheProgram, days: Annotated[int, Query(ge=1, le=366)] = 30) -> ScoreCardShown:
    """Every prediction of the last days whose truth has arrived, judged: by lead time, service, room, care setting."""
    return await program.score_card(days)
