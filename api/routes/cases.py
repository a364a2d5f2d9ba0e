"""Cases: in short, whole, and their timelines."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Query
from pydantic import BeforeValidator

from api.routes.document import TheView
from api.schemas import Case, CaseSummary, Timeline
from twin.projections.patient_twin import PatientTwin
from twin.projections.suite_twin import list_order
from twin.vocabulary import CaseStatus

router = APIRouter(tags=["cases"])


def _day(told: str) -> date:
    try:
        return date.fromisoformat(told)
    except ValueError:
        raise ValueError("give a day such as 2026-11-24") from None


AskedDay = Annotated[
    date | None, BeforeValidator(_day), Query(alias="day", description="A day of the site; by default its today")
]
AskedStatus = Annotated[
    list[CaseStatus] | None, Query(description="May be repeated; by default all that are not withdrawn")
]


def case_of(case_id: str, view: TheView) -> PatientTwin:
    """The case of an id, or of one that it had before a merge; 404 where there is none."""
    twin = view.snapshot.suite.case(case_id)
    if twin is None:
        raise HTTPException(404, "No case of the horizon has this id: /cases lists those of a day.")
    return twin


TheCase = Annotated[PatientTwin, Depends(case_of)]


@router.get("/cases")
async def cases(view: TheView, asked_day: AskedDay = None, status: AskedStatus = None) -> list[CaseSummary]:
    """Cases of one day in the order of their entry; cancelled and the like only where `status` asks for them."""
    day = asked_day or view.snapshot.suite.day
    mine = (twin for twin in view.snapshot.suite.cases.values() if twin.day == day)
    wanted = (twin for twin in mine if (twin.status in status if status else twin.live))
    return view.summaries(sorted(wanted, key=list_order))


@router.get("/cases/{case_id}")
async def case(view: TheView, twin: TheCase) -> Case:
    """A whole case: milestones planned, actual and predicted, how each is known, the resources it is made of."""
    return view.case(twin)


@router.get("/cases/{case_id}/timeline")
async def timeline(view: TheView, twin: TheCase) -> Timeline:
    """The milestones of a case, and the run, model and versions that its prediction comes from."""
    return view.timeline(twin)
