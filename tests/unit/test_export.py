"""Tables of futures: every row once, readable by others, in any format; refused early."""

import csv
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.simulation_days import at, suite_day
from twin.errors import SettingsError
from twin.simulation import hazards as hz
from twin.simulation import kernel
from twin.simulation.export import TABLES, Export, Format, Told, records
from twin.simulation.hazards import with_hazards
from twin.simulation.summary import summarise

WHOLE = suite_day(replications=260)
DAY = replace(WHOLE, cases=WHOLE.cases[:6])
HIT = with_hazards(DAY, [hz.NoShow(DAY.cases[0].key, 0.5)])
ENDS = {str(DAY.cases[0].room): at(15)}


@pytest.fixture(scope="module")
def told() -> list[Told]:
    kernel.warm()
    names = (("baseline", DAY), ("with_hazards", HIT))
    return [Told(name, each, summarise(each, kernel.run, ENDS)) for name, each in names]


def test_csv_and_parquet_say_the_same(told: list[Told], tmp_path: Path) -> None:
    Export(tmp_path / "v.csv").write(told, kernel.run)
    Export(tmp_path / "v.parquet").write(told, kernel.run)
    with (tmp_path / "v.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    table = pq.read_table(tmp_path / "v.parquet")
    assert table.num_rows == len(rows)
    assert list(rows[0]) == table.column_names == [column.name for column in TABLES["visits"]]
    for name in ("replication", "case", "resource", "end_s"):
        assert ["" if value is None else str(value) for value in table[name].to_pylist()] == [r[name] for r in rows]
    assert table.schema.field("end_s").metadata[b"unit"] == b"s since now"


def test_every_record_once(told: list[Told], tmp_path: Path) -> None:
    Export(tmp_path / "v.parquet").write(told[:1], kernel.run)
    rows = pq.read_table(tmp_path / "v.parquet").to_pylist()
    found = [(r["replication"], r["case"], r["stage"], r["resource"] or "", r["begin_s"], r["end_s"]) for r in rows]
    assert found == [tuple(record) for record in records(DAY, kernel.run)]
    assert {r["replication"] for r in rows} == set(range(260))


@pytest.mark.parametrize("file_format", Format)
def test_a_folder_holds_all_tables(told: list[Told], tmp_path: Path, file_format: Format) -> None:
    files = Export(tmp_path / "out", file_format).write(told, kernel.run)
    assert {file.name for file in files} == {f"{name}.{file_format}" for name in TABLES}
    assert {file.name for file in (tmp_path / "out").iterdir()} == {file.name for file in files}


def test_summaries_as_told(told: list[Told], tmp_path: Path) -> None:
    Export(tmp_path / "out", Format.PARQUET).write(told, kernel.run)
    rooms = pq.read_table(tmp_path / "out" / "rooms.parquet").to_pylist()
    (known,) = [row for row in rows_of(rooms, "baseline") if row["room"] in ENDS]
    assert known["past_end"] == told[0].summary.past_end[known["room"]]
    assert known["p50_s"] == told[0].summary.room_end[known["room"]][1]
    assert all(row["past_end"] is None for row in rooms if row["room"] not in ENDS)
    milestones = pq.read_table(tmp_path / "out" / "milestones.parquet").num_rows
    assert milestones == sum(len(mine) for each in told for mine in each.summary.milestones.values())


def rows_of(rows: list[dict[str, Any]], scenario: str) -> list[dict[str, Any]]:
    return [row for row in rows if row["scenario"] == scenario]


def test_empty_day(tmp_path: Path) -> None:
    nobody = replace(DAY, cases=())
    Export(tmp_path / "out").write([Told("baseline", nobody, summarise(nobody, kernel.run))], kernel.run)
    assert (tmp_path / "out" / "waits.csv").read_text() == "scenario,resource,case,wait_min\n"


@pytest.mark.parametrize(("name", "says"), [("v.xlsx", "give FILE.csv"), ("no/v.csv", "does not exist")])
def test_refused_before_simulating(tmp_path: Path, name: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        Export(tmp_path / name)


def test_nothing_half_written(told: list[Told], tmp_path: Path) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        Export(tmp_path / "v.csv").write(told, broken)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_parquet_needs_its_extra() -> None:
    code = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "from pathlib import Path\n"
        "from twin.errors import SettingsError\n"
        "from twin.simulation.export import Export\n"
        "try:\n    Export(Path('v.parquet'))\n"
        "except SettingsError as error:\n    print(error)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "extra 'tables'" in told.stdout


def test_columns_are_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "simulation.md").read_text()
    for name, columns in TABLES.items():
        for column in columns:
            assert f"| {name} | `{column.name}` | {column.unit or column.kind} |" in page
