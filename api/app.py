"""The web application over a running program."""

from importlib.metadata import version

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from api.deps import Program
from api.front import DayInFront
from api.guard import Guard
from api.problems import OPENAPI_RESPONSES, install
from api.routes import ROUTERS
from api.routes.document import DayDocuments
from api.routes.pages import BOARD

_DESCRIPTION = (
    "A living twin of every surgical patient and of the operating suite. Read only; instants carry the site's offset. "
    "Predictions are quantiles: P50 is as likely to be passed as not, four of five ends fall between P10 and P90."
)


def create_app(program: Program) -> FastAPI:
    """The API and the page of the day; `program` is what they show, and is not started or stopped here."""
    app = FastAPI(
        title="Jumeau",
        version=version("jumeau"),
        description=_DESCRIPTION,
        responses=OPENAPI_RESPONSES,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},  # no call home
    )
    app.state.program = program
    app.state.documents = DayDocuments()
    for router in ROUTERS:
        app.include_router(router)
    app.mount("/static", StaticFiles(directory=BOARD / "static"))
    app.add_middleware(DayInFront, program=program, documents=app.state.documents)
    app.add_middleware(Guard)
    install(app)
    return app
