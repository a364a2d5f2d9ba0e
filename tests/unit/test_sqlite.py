"""What only a journal in a file can meet."""

from pathlib import Path

import pytest

from twin.errors import JournalError
from twin.journal import Journal
from twin.timebase import wall_now


def append(journal: Journal) -> None:
    journal.append_batch("s", (), (), {"Patient": wall_now()}, reading="r", observed_at=wall_now())


@pytest.mark.parametrize("replaced", [False, True])
def test_deleted_or_replaced_while_it_is_open(tmp_path: Path, *, replaced: bool) -> None:
    file = tmp_path / "jumeau.db"
    journal = Journal.open(f"sqlite:///{file}", key_fingerprint="k")
    append(journal)
    file.rename(tmp_path / "moved.db")
    if replaced:
        file.touch()
    with pytest.raises(JournalError, match="was deleted or replaced"):
        append(journal)
    journal.close()
