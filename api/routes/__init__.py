"""Routes over the running program that they get from `api.deps`: thin; only decisions change what is kept."""

from api.routes import cases, health, pages, push, recalibrations, scores, stream, suite, what_if

ROUTERS = (
    health.router,
    suite.router,
    cases.router,
    scores.router,
    recalibrations.router,
    what_if.router,
    stream.router,
    pages.router,
    push.router,
)
