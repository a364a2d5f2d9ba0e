"""Routes: thin, read only, over the running program that they get from `api.deps`."""

from api.routes import cases, health, pages, recalibrations, scores, stream, suite

ROUTERS = (health.router, suite.router, cases.router, scores.router, recalibrations.router, stream.router, pages.router)
