"""Files of resources: what is read of them, what is counted, and that nothing is lost silently."""

import gzip
import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from fhir_adapters import ndjson
from fhir_adapters.errors import BadSourceError
from fhir_adapters.ndjson import Loaded
from tests.unit.fhir_samples import APPOINTMENT, BASE, ENCOUNTER, LOCATION, NORMALISER, PATIENT, PSEUDONYMS, changed
from twin.facts import AppointmentFact, Deleted, EncounterFact


def line(resource: Any) -> bytes:
    return json.dumps(resource, ensure_ascii=False).encode()


def read(folder: Path) -> Loaded:
    """Everything of a folder as one."""
    whole = Loaded()
    for path in ndjson.files_of(folder):
        for chunk in ndjson.chunks_of(path):
            for loaded in ndjson.read_chunk(NORMALISER, chunk):
                whole.facts += loaded.facts
                whole.quarantined += loaded.quarantined
                whole.ignored += loaded.ignored
    return whole


def refs(loaded: Loaded) -> set[str]:
    return {fact.key.ref for fact in loaded.facts}


def test_lines_of_any_dress(tmp_path: Path) -> None:
    texts = [b"\xef\xbb\xbf" + line(APPOINTMENT), b"", b"  ", line(ENCOUNTER)]
    (tmp_path / "mixed.ndjson").write_bytes(b"\r\n".join(texts))
    (tmp_path / "Location.ndjson.gz").write_bytes(gzip.compress(line(LOCATION)))
    (tmp_path / "readme.txt").write_text("not read")
    loaded = read(tmp_path)
    assert refs(loaded) == {"Appointment/a1", "Encounter/e1", "Location/room-1"}
    assert loaded.quarantined == []


def test_bad_lines_cost_themselves_only(tmp_path: Path) -> None:
    bad = [b'{"resourceType": "App', b"[1]", line(changed(APPOINTMENT, status="banana")), b"\xff\xfe", b"null"]
    (tmp_path / "Appointment.ndjson").write_bytes(b"\n".join([*bad, line(changed(APPOINTMENT, id="good"))]))
    loaded = read(tmp_path)
    assert refs(loaded) == {"Appointment/good"}
    assert len(loaded.quarantined) == 4
    assert {bad.reason.partition(" (")[2] for bad in loaded.quarantined} == {
        "Appointment.ndjson line 1)",
        "Appointment.ndjson line 2, entry 1)",
        "Appointment.ndjson line 4)",
        "",
    }


def test_two_lines_with_the_same_fault_are_two(tmp_path: Path) -> None:
    (tmp_path / "a.ndjson").write_bytes(b"{\n{\n")
    assert len({bad.reason for bad in read(tmp_path).quarantined}) == 2


def test_unknown_types_are_counted(tmp_path: Path) -> None:
    others = [{"resourceType": "Practitioner", "id": "d1"}, {"resourceType": "Practitioner"}, {"resourceType": 3}, {}]
    (tmp_path / "a.ndjson").write_bytes(b"\n".join(map(line, others)))
    assert read(tmp_path).ignored == {"Practitioner": 2, "other": 2}


@pytest.mark.parametrize("kind", ["collection", "searchset", "transaction", "history"])
def test_bundle_file(tmp_path: Path, kind: str) -> None:
    entries = [{"resource": APPOINTMENT, "request": {"method": "PUT"}}, {"resource": PATIENT}, {"fullUrl": "x"}]
    (tmp_path / "all.json").write_text(json.dumps({"resourceType": "Bundle", "type": kind, "entry": entries}, indent=2))
    loaded = read(tmp_path)
    assert refs(loaded) == {"Appointment/a1", f"Patient/{PSEUDONYMS.patient(PATIENT['id'])}"}
    assert loaded.ignored == {"other": 1}


def test_bundle_with_an_entry_of_no_kind(tmp_path: Path) -> None:
    bundle = {"resourceType": "Bundle", "entry": [{"resource": APPOINTMENT}, None, 3]}
    (tmp_path / "b.json").write_bytes(line(bundle))
    loaded = read(tmp_path)
    assert refs(loaded) == {"Appointment/a1"}
    assert len(loaded.quarantined) == 2


def test_delete_of_a_history(tmp_path: Path) -> None:
    gone = {
        "request": {"method": "DELETE", "url": "Appointment/a1/_history/3"},
        "response": {"lastModified": "2026-11-24T09:00:00Z"},
    }
    bundle = {"resourceType": "Bundle", "type": "history", "entry": [gone, {"resource": APPOINTMENT}]}
    (tmp_path / "h.json").write_bytes(line(bundle))
    deleted = [fact for fact in read(tmp_path).facts if fact.assertion == Deleted()]
    assert [(fact.key.ref, fact.key.last_updated.hour) for fact in deleted] == [("Appointment/a1", 9)]


def test_lines_in_a_file_called_json(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(line(APPOINTMENT) + b"\n\n" + line(ENCOUNTER) + b"\n{\n")
    loaded = read(tmp_path)
    assert refs(loaded) == {"Appointment/a1", "Encounter/e1"}
    assert [bad.reason.partition(" (")[2] for bad in loaded.quarantined] == ["a.json line 4)"]


@pytest.mark.parametrize("indent", [None, 1])
def test_array_file(tmp_path: Path, indent: int | None) -> None:
    bundle = {"resourceType": "Bundle", "entry": [{"resource": ENCOUNTER}]}
    (tmp_path / "a.json").write_text(json.dumps([APPOINTMENT, bundle, 3, [LOCATION]], indent=indent))
    loaded = read(tmp_path)
    assert refs(loaded) == {"Appointment/a1", "Encounter/e1"}
    assert [bad.reason for bad in loaded.quarantined] == [f"not an object (a.json, entry {n})" for n in (3, 4)]


@pytest.mark.parametrize(
    ("good", "bad", "where"),
    [
        ('"id": "a1"', '"id": a1', "a.json line 7"),
        ("]\n}", "", "a.json, which ends too early"),
    ],
)
def test_a_broken_file_is_one_finding(tmp_path: Path, good: str, bad: str, where: str) -> None:
    text = json.dumps({"resourceType": "Bundle", "entry": [{"resource": APPOINTMENT}] * 20}, indent=1)
    (tmp_path / "a.json").write_text(text.replace(good, bad, 1))
    loaded = read(tmp_path)
    assert [bad.reason for bad in loaded.quarantined] == [f"the body is not JSON in UTF-8 ({where})"]
    assert loaded.facts == []


@pytest.mark.parametrize("name", ["a.json", "a.ndjson"])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32-be"])
def test_another_encoding_is_one_finding(tmp_path: Path, name: str, encoding: str) -> None:
    (tmp_path / name).write_text(f"{json.dumps(APPOINTMENT)}\n" * 3, encoding=encoding)
    with pytest.raises(BadSourceError, match="convert it to UTF-8"):
        read(tmp_path)


def test_whole_files_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(changed(APPOINTMENT, comment="x" * 5000), indent=1))
    monkeypatch.setattr(ndjson, "MAX_LINE_BYTES", 4096)
    assert "MiB (a.json)" in read(tmp_path).quarantined[0].reason
    monkeypatch.setattr(ndjson, "MAX_BUNDLE_BYTES", 4096)
    with pytest.raises(BadSourceError, match="a resource a line"):
        read(tmp_path)


def test_links_lead_nowhere(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "a.ndjson").write_bytes(line(APPOINTMENT))
    (tmp_path / "inside" / "again").symlink_to(tmp_path)
    (tmp_path / "nowhere.ndjson").symlink_to("nothing")
    os.mkfifo(tmp_path / "pipe.ndjson")
    assert [path.name for path in ndjson.files_of(tmp_path)] == ["a.ndjson"]


def test_without_meta_known_since_the_file(tmp_path: Path) -> None:
    path = tmp_path / "Appointment.ndjson"
    path.write_bytes(line(changed(APPOINTMENT, meta=None)))
    os.utime(path, (1.6e9, 1.6e9))
    (first,), (again,) = read(tmp_path).facts, read(tmp_path).facts
    assert first == again
    assert first.key.last_updated == datetime.fromisoformat("2020-09-13T12:26:40+00:00")


def test_absolute_and_contained_references(tmp_path: Path) -> None:
    actors = [f"{BASE}/Location/room-1", "#inside", "https://elsewhere.example/Location/x"]
    participants = [{"actor": {"reference": one}, "status": "accepted"} for one in actors]
    (tmp_path / "a.ndjson").write_bytes(line(changed(APPOINTMENT, participant=participants)))
    (fact,) = read(tmp_path).facts
    assert isinstance(fact.assertion, AppointmentFact)
    assert fact.assertion.locations == ("Location/room-1",)


def test_huge_line_is_quarantined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ndjson, "MAX_LINE_BYTES", 4096)
    huge = line(changed(APPOINTMENT, id="huge", comment="x" * 10_000))
    (tmp_path / "a.ndjson").write_bytes(huge + b"\n" + line(changed(ENCOUNTER)) + b"\n")
    loaded = read(tmp_path)
    assert refs(loaded) == {"Encounter/e1"}
    assert len(loaded.quarantined) == 1
    assert isinstance(loaded.facts[0].assertion, EncounterFact)


def test_pieces_are_bounded(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    path.write_bytes(b"\n".join([line(APPOINTMENT)] * 50))
    chunks = list(ndjson.chunks_of(path, chunk_bytes=3 * len(line(APPOINTMENT))))
    assert [chunk.first for chunk in chunks][:3] == [1, 4, 7]
    assert sum(bool(text) for chunk in chunks for text in chunk.texts) == 50


def test_damaged_archive(tmp_path: Path) -> None:
    (tmp_path / "a.ndjson.gz").write_bytes(gzip.compress(line(APPOINTMENT) * 200)[:60])
    with pytest.raises(BadSourceError, match="to its end"):
        read(tmp_path)


def test_nothing_to_load(tmp_path: Path) -> None:
    with pytest.raises(BadSourceError, match="holds no"):
        ndjson.files_of(tmp_path)
    with pytest.raises(BadSourceError, match="no such folder"):
        ndjson.files_of(tmp_path / "none")
