"""References in files that are no `Type/id`: URNs of a transaction, and the base of the server that exported them."""

import json
from pathlib import Path
from typing import Any

from fhir_adapters import ndjson
from fhir_adapters.file_links import OwnBase
from tests.unit.fhir_samples import APPOINTMENT, BASE, ENCOUNTER, NORMALISER, changed
from twin.facts import EncounterFact, Fact

EXPORTER = "https://his.example/fhir/R4"
URN = "urn:uuid:0c1f2a3b-0000-4000-8000-00000000000"


def facts(folder: Path) -> list[Fact]:
    own_base = OwnBase(BASE)
    pieces = [
        loaded
        for path in ndjson.files_of(folder)
        for chunk in ndjson.chunks_of(path)
        for loaded in ndjson.read_chunk(NORMALISER, chunk, own_base)
    ]
    assert [bad for piece in pieces for bad in piece.quarantined] == []
    return [fact for piece in pieces for fact in piece.facts]


def same(found: list[Fact]) -> list[Any]:
    return [fact.assertion for fact in found]


def lines(folder: Path, text: str) -> list[Fact]:
    (folder / "all.ndjson").write_text(text, encoding="utf-8")
    return facts(folder)


def test_export_of_another_base(tmp_path: Path) -> None:
    plain = "\n".join(json.dumps(one) for one in (APPOINTMENT, ENCOUNTER))
    absolute = plain.replace('"reference": "', f'"reference": "{EXPORTER}/')
    assert same(lines(tmp_path, absolute)) == same(lines(tmp_path, plain))


def test_the_first_base_only(tmp_path: Path) -> None:
    encounters = [changed(ENCOUNTER, id=f"e{one}") for one in range(3)]
    bases = (f"{EXPORTER}/", f"{EXPORTER}/", "https://elsewhere.example/")
    text = "\n".join(
        json.dumps(one).replace("Appointment/a1", f"{base}Appointment/a1")
        for one, base in zip(encounters, bases, strict=True)
    )
    found = [fact.assertion for fact in lines(tmp_path, text)]
    told = [one.appointments for one in found if isinstance(one, EncounterFact)]
    assert told[0] == told[1] != told[2]


def test_base_is_told() -> None:
    own_base = OwnBase(BASE)
    assert own_base.found is None
    assert own_base.relative(f'{{"reference":"{EXPORTER}/Patient/1"}}'.encode()) == b'{"reference":"Patient/1"}'
    assert own_base.found == EXPORTER


def test_own_base_first_leaves_others_foreign() -> None:
    own_base, foreign = OwnBase(BASE), f'{{"reference":"{EXPORTER}/Patient/1"}}'.encode()
    own_base.relative(f'{{"reference":"{BASE}/Patient/1"}}'.encode())
    assert own_base.relative(foreign) == foreign
    assert not own_base.found


def test_transaction_without_ids(tmp_path: Path) -> None:
    ids = {"a1": f"{URN}1", "e1": f"{URN}2"}
    posted = []
    for one in (ENCOUNTER, APPOINTMENT):  # forward references too
        text = json.dumps({key: value for key, value in one.items() if key != "id"})
        resource = json.loads(text.replace("Appointment/a1", ids["a1"]))
        posted.append({"fullUrl": ids[one["id"]], "resource": resource, "request": {"method": "POST"}})
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": posted}
    (tmp_path / "bundle.json").write_text(json.dumps(bundle), encoding="utf-8")
    encounter, appointment = facts(tmp_path)
    assert appointment.key.ref == f"Appointment/{ids['a1'].removeprefix('urn:uuid:')}"
    assert isinstance(encounter.assertion, EncounterFact)
    assert encounter.assertion.appointments == (appointment.key.ref,)


def test_ids_of_their_own_stay(tmp_path: Path) -> None:
    entries = [{"fullUrl": f"{URN}1", "resource": APPOINTMENT}]
    (tmp_path / "b.json").write_text(json.dumps({"resourceType": "Bundle", "entry": entries}), encoding="utf-8")
    assert [fact.key.ref for fact in facts(tmp_path)] == ["Appointment/a1"]
