"""Where the FHIR server tells that something changed: a wake-up. Nothing that its body or path says is believed."""

from typing import Annotated

from fastapi import APIRouter, Header, Response

from api.deps import TheProgram
from api.problems import problem

METHODS = ["POST", "PUT", "DELETE"]

router = APIRouter(prefix="/push", include_in_schema=False)


@router.api_route("/{name}", methods=METHODS)
@router.api_route("/{name}/{rest:path}", methods=METHODS)
async def told(name: str, program: TheProgram, x_jumeau_secret: Annotated[str, Header()] = "") -> Response:
    """Any notification: empty, of a resource (PUT, DELETE below the endpoint), or a Bundle of the R4 Backport."""
    if program.notified(name, x_jumeau_secret):
        return Response()
    return problem(404, "There is no such Subscription, or its secret is another.", headers={"Connection": "close"})
