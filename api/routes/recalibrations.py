"""`Booked 1h30, takes 2 h`: what is proposed, and what a person decides on it."""

from typing import Annotated

from fastapi import APIRouter, HTTPException, Path

from api.deps import TheProgram
from api.schemas import DecisionGiven, DecisionKept, RecalibrationShown
from twin.errors import JournalError, SettingsError

router = APIRouter(tags=["recalibrations"])


@router.get("/recalibrations")
async def recalibrations(program: TheProgram) -> list[RecalibrationShown]:
    """Bookings that are too short or too long, by procedure; never a ranking of people."""
    return await program.recalibrations()


@router.post("/recalibrations/{offer_id}/decision", status_code=201)
async def decide(
    offer_id: Annotated[str, Path(pattern="^[0-9a-f]{12}$")], given: DecisionGiven, program: TheProgram
) -> DecisionKept:
    """Keep a person's decision with its reason. Nothing on the hospital's server changes."""
    try:
        return await program.decide(offer_id, given)
    except SettingsError as error:
        raise HTTPException(422, str(error)) from None
    except JournalError as error:
        raise HTTPException(404, str(error)) from None
