"""Routes: thin, read only but for the wake-up, over the running program that they get from `api.deps`."""

from api.routes import cases, health, pages, push, stream, suite

ROUTERS = (health.router, suite.router, cases.router, stream.router, pages.router, push.router)
