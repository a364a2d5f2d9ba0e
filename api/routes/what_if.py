"""What would happen if: hazards from the live state on, simulated now. Nothing is kept, nothing is written."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Body, HTTPException, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.models import Example

from api.deps import TheProgram
from api.scenarios.answer import Answer
from api.scenarios.errors import FieldError
from api.scenarios.model import WhatIf
from api.snapshot import BusyError
from twin.errors import SettingsError, SimulationError

router = APIRouter(tags=["what-if"])
_EXAMPLES = {
    "room": Example(
        summary="A room is down until two, and the PACU loses two places",
        value={
            "hazards": [
                {"kind": "room_down", "room": "Salle 3", "from": "10:30", "until": "14:00"},
                {"kind": "pacu_closed", "places": 2},
            ]
        },
    ),
    "emergency": Example(
        summary="An emergency of the first class at eleven, for whichever room is free first",
        value={"hazards": [{"kind": "emergency", "at": "11:00", "urgency": 1, "minutes": 90}]},
    ),
    "case": Example(
        summary="A case takes an hour longer, 1,000 futures",
        value={
            "hazards": [{"kind": "longer_case", "case": "Appointment/123", "minutes": 60}],
            "options": {"replications": 1000},
        },
    ),
}


@router.post("/what-if", response_class=Response, responses={200: {"model": Answer, "description": "What comes of it"}})
async def what_if(asked: Annotated[WhatIf, Body(openapi_examples=_EXAMPLES)], program: TheProgram) -> Response:
    """The rest of today as it stands, with the hazards, and the difference, future by future. docs/scenarios.md"""
    if program.snapshot is None:
        raise HTTPException(503, "The FHIR server has not been read yet: /health/ready says why.", {"Retry-After": "2"})
    try:
        answer = await program.what_if(asked)
    except FieldError as error:
        wrong = {"loc": ("body", *error.path), "msg": error.reason, "type": "value_error"}
        raise RequestValidationError([wrong], body=asked.model_dump(mode="json")) from None
    except SettingsError as error:
        raise HTTPException(422, str(error)) from None
    except BusyError:
        raise HTTPException(503, "Other questions are being answered: try again.", {"Retry-After": "2"}) from None
    except SimulationError as error:
        raise HTTPException(503, f"{error}.", {"Retry-After": "5"}) from None
    # Some hundred kB: encoding them would hold up the event loop.
    return Response(await asyncio.to_thread(answer.model_dump_json), media_type="application/json")
