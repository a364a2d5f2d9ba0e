"""The document says what was measured: rewritten by a complete run, and a difference fails."""

import pytest

from tests.servers.bench import ALL
from tests.servers.conftest import SERVERS
from tests.servers.table import Measured, committed, rewrite

pytestmark = pytest.mark.servers


def test_document_is_what_was_measured(measured: Measured) -> None:
    names = list(SERVERS)
    assert measured.is_complete(ALL, names), "a run of everything is needed: make test-servers"
    found, before = measured.text(ALL, names), committed()
    if found != before:
        rewrite(found)
    assert found == before, "docs/servers.md was rewritten: read what changed, then commit it"
