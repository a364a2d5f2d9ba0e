"""Each behaviour on each server, as `docs/servers.md` has it."""

import pytest

from tests.servers import companion, line, ours, push, reading, two_writers, writing
from tests.servers.bench import ALL, Behaviour, Bench
from tests.servers.conftest import SERVERS, Running
from tests.servers.table import Measured, committed, expected

pytestmark = pytest.mark.servers

MODULES = (reading, writing, ours, push, companion, line, two_writers)
"""Importing them is what fills the list."""
EXPECTED = expected(committed(), list(SERVERS))


@pytest.mark.parametrize("one", ALL, ids=[one.measure.__name__ for one in ALL])
async def test_behaviour(one: Behaviour, bench: Bench, server: Running, measured: Measured) -> None:
    cell = await one.measure(bench)
    measured.cells[one.name, server.name] = cell
    known = EXPECTED.get((one.name, server.name))
    assert cell == known, "docs/servers.md says otherwise; a complete run rewrites it"
