"""Routes over the running program that they get from `api.deps`: thin; all read but the wake-up and the decisions."""

from api.routes import cases, health, pages, push, recalibrations, scores, stream, suite

ROUTERS = (
    health.router,
    suite.router,
    cases.router,
    scores.router,
    recalibrations.router,
    stream.router,
    pages.router,
    push.router,
)
