"""PostgreSQL for the tests marked `servers`: started once, a new database a test."""

from collections.abc import Iterator

import pytest

from fixtures.servers.postgres import PostgresServer


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server
