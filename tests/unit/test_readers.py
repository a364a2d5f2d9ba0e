"""Reading in processes gives what reading here gives, whatever becomes of them."""

import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest

from fhir_adapters import file_links, ndjson, readers
from fhir_adapters.readers import Readers, Texts, processes_for
from tests.unit.fhir_samples import APPOINTMENT, BASE, ENCOUNTER, NORMALISER, changed

BOOKINGS = 400
SMALL = 20_000


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Bookings with absolute references of an export's own server, Encounters, and lines that can't be read."""
    bookings = [json.dumps(changed(APPOINTMENT, id=f"a{number}")) for number in range(BOOKINGS)]
    (tmp_path / "Appointment.ndjson").write_text("\n".join([*bookings, "{"]))
    actor = {"actor": {"reference": "https://elsewhere.test/r4/Location/room-9"}}
    elsewhere = [json.dumps(changed(APPOINTMENT, id=f"b{number}", participant=[actor])) for number in range(50)]
    (tmp_path / "B.ndjson").write_text("\n".join(elsewhere))
    stays = [json.dumps(changed(ENCOUNTER, id=f"e{number}")) for number in range(50)]
    (tmp_path / "Encounter.ndjson").write_text("\n".join([*stays, '{"resourceType": "Device"}']))
    return ndjson.files_of(tmp_path)


def chunks(files: list[Path]) -> Iterator[ndjson.Chunk]:
    for path in files:
        yield from ndjson.chunks_of(path, chunk_bytes=SMALL)


def read(files: list[Path], processes: int, *, kill: bool = False) -> list[Texts]:
    with Readers(NORMALISER, file_links.OwnBase(BASE), processes) as made:
        if kill:
            for process in made._processes:
                process.kill()
                process.wait()
        return list(made.read(chunks(files)))


@pytest.mark.parametrize("kill", [False, True])
def test_processes_read_the_same(files: list[Path], *, kill: bool) -> None:
    here = read(files, 0)
    apart = read(files, 2, kill=kill)
    assert sum(len(texts.facts) for texts in here) == BOOKINGS + 100
    assert apart == here


def test_ended_early_they_are_gone(files: list[Path]) -> None:
    with Readers(NORMALISER, file_links.OwnBase(BASE), 3) as made:
        next(made.read(chunks(files)))
        processes = list(made._processes)
    assert len(processes) == 3
    assert all(process.returncode is not None for process in processes)


def test_processes_pay_for_many_bytes_on_many_cores() -> None:
    much = readers.WORTH_BYTES
    assert [processes_for(much, cores=1), processes_for(much - 1, cores=8)] == [0, 0]
    assert [processes_for(much, cores=2), processes_for(much, cores=99)] == [2, readers.MOST]


def test_half_an_answer_is_none() -> None:
    whole = BytesIO()
    readers._send(whole, ["x" * 1000])
    for size in (3, 8, 500):
        with pytest.raises(EOFError):
            readers._received(BytesIO(whole.getvalue()[:size]))
    assert readers._received(BytesIO(whole.getvalue())) == ["x" * 1000]


def test_a_killed_reader_is_replaced(files: list[Path]) -> None:
    with Readers(NORMALISER, file_links.OwnBase(BASE), 1) as made:
        (killed,) = made._processes
        killed.kill()
        killed.wait()
        read = list(made.read(chunks(files)))
        (fresh,) = made._processes
        assert (fresh is killed, fresh.poll()) == (False, None)
    assert sum(len(texts.facts) for texts in read) == BOOKINGS + 100
