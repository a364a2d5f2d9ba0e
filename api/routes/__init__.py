"""Routes: thin, read only, over the running program that they get from `api.deps`."""

from api.routes import cases, health, pages, scores, stream, suite

ROUTERS = (health.router, suite.router, cases.router, scores.router, stream.router, pages.router)
