"""What the acceptance tests share: the installed command, its imports done once."""

from collections.abc import Iterator

import pytest

from tests.strangers.cli import Warm


@pytest.fixture(scope="session")
def warm() -> Iterator[Warm]:
    process = Warm()
    yield process
    process.close()
