"""Where the journals of these tests are. PostgreSQL, for those marked `servers`, is started once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures.servers.postgres import PostgresServer


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


@pytest.fixture(params=["memory", "file", pytest.param("postgres", marks=pytest.mark.servers)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres")
        return server.new_database()
    return ":memory:" if request.param == "memory" else f"sqlite:///{tmp_path / 'journal.db'}"


@pytest.fixture(params=["file", pytest.param("postgres", marks=pytest.mark.servers)])
def lasting_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database that outlives its connections."""
    if request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres")
        return server.new_database()
    return f"sqlite:///{tmp_path / 'journal.db'}"
