"""Files as hospitals export them: encodings, separators, numbers, dates, dirt; and the command on them."""

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import structlog
from typer.testing import CliRunner

from api.cli import app
from twin.durations.history.cases import Columns, history_of
from twin.durations.history.instants import instants_of
from twin.durations.history.numbers import numbers_of, spans_of
from twin.durations.history.table import read_table
from twin.durations.portable import model_of
from twin.errors import SettingsError

SMALL = "procedure;surgeon;booked_min;actual_min\nHüfte;Ä;90;95,5\nKnie;Ö;60;NULL\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "latin-1", "utf-16", "utf-16-le"])
def test_encodings_are_found(encoding: str) -> None:
    table = read_table(SMALL.encode(encoding))
    assert table.columns["procedure"] == ["Hüfte", "Knie"]
    assert table.columns["surgeon"] == ["Ä", "Ö"]


@pytest.mark.parametrize("separator", [";", ",", "\t", "|"])
def test_separators_are_found(separator: str) -> None:
    lines = [["procedure", "actual_min"], ['"a; b, c | d"', '"95,5"'], ["e", "60"]]
    table = read_table("\r\n".join(separator.join(line) for line in lines).encode())
    assert table.columns == {"procedure": ["a; b, c | d", "e"], "actual_min": ["95,5", "60"]}


def test_uneven_rows_are_counted() -> None:
    table = read_table(b"sep=,\na,b\n1,2\n1,2,,\n1,2,3\n1\n\n")
    assert table.columns == {"a": ["1", "1", "1"], "b": ["2", "2", ""]}
    assert table.uneven == 1


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04xxxx", b"\n\n"])
def test_no_table_is_told(data: bytes) -> None:
    with pytest.raises(SettingsError):
        read_table(data)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["95,5", "100", "NULL", ""], [95.5, 100, None, None]),
        (["1.234,5", "95,0"], [1234.5, 95]),
        (["1,234.5", "95.0"], [1234.5, 95]),
        (["1.234", "95"], [1234, 95]),
        (["95.125", "88.500"], [95.125, 88.5]),
        (["1 234", "-15", "−3", "n/a", "soon"], [1234, -15, -3, None, None]),
        (["1e2", "inf", "nan"], [100, None, None]),
    ],
)
def test_numbers_by_column(cells: list[str], expected: list[float | None]) -> None:
    assert numbers_of(cells) == expected


@pytest.mark.parametrize(
    ("cells", "name", "expected", "read_as"),
    [
        (["1:35", "0:45"], "d", [95, 45], "hh:mm"),
        (["95:30", "45:00"], "d", [95.5, 45], "mm:ss"),
        (["01:35:00", "1 day, 2:00:00"], "d", [95, 1560], "minutes"),
        (["1h35", "45 min", "2 h", "90'", "PT1H5M"], "d", [95, 45, 120, 90, 65], "minutes"),
        (["1,5", "2,25"], "duur", [90, 135], "hours"),
        (["2", "1"], "Length (hours)", [120, 60], "hours"),
        (["5400", "3600"], "d", [90, 60], "seconds"),
        (["5.5", "6.5"], "actual_min", [5.5, 6.5], "minutes"),
    ],
)
def test_spans_as_minutes(cells: list[str], name: str, expected: list[float], read_as: str) -> None:
    found = spans_of(cells, name)
    assert found.minutes == pytest.approx(expected)
    assert found.read_as == read_as


@pytest.mark.parametrize(
    "text",
    [
        "2025-03-04T10:30:00Z", "2025-03-04 10:30", "2025-03-04T11:30+01:00", "04/03/2025 10:30", "04.03.25 10:30",
        "4-3-2025 10:30:00", "20250304T1030", "202503041030", "45720.4375", "4 mars 2025 10h30", "4-Mar-2025 10:30",
        "Mar 4, 2025 10:30 AM", "1741084200", "1741084200000",
    ],
)  # fmt: skip
def test_dates_in_many_forms(text: str) -> None:
    assert instants_of([text]).at == [datetime(2025, 3, 4, 10, 30, tzinfo=UTC)]


def test_month_first_where_it_must_be() -> None:
    assert instants_of(["03/04/2025", "03/25/2025"]).at[0] == datetime(2025, 3, 4, tzinfo=UTC)
    assert instants_of(["03/04/2025", "25/03/2025"]).at[0] == datetime(2025, 4, 3, tzinfo=UTC)


def test_implausible_rows_have_reasons() -> None:
    rows = "\n".join(f"p,{minutes}" for minutes in (100, 110, 120, 1, -5, 2000, "x", "", 4))
    history = history_of(read_table(f"procedure,actual_min\n{rows}\nq,4\nq,4\nq,4".encode()), Columns())
    assert history.set_aside == {
        "actual time under 5 min and under a fifth of what is typical": 2,
        "actual time zero or negative": 1,
        "actual time over 24 h": 1,
        "actual time not a number": 1,
        "actual time missing": 1,
    }
    assert [row.case.actual_min for row in history.rows] == [100, 110, 120, 4, 4, 4]


def test_unmapped_columns_are_never_used() -> None:
    data = b"Op,Min,Leak,asa\na,60,61,2\nb,90,91,3"
    columns = Columns({"procedure": "op", "actual_min": "Min"}, ("ASA",))
    [first, _] = history_of(read_table(data), columns).rows
    assert first.case.features.covariates == (("asa", "2"),)
    assert first.case.features.booked_min is None


@pytest.mark.parametrize(
    ("mapped", "said"),
    [
        ({}, "columns are: Op, Min"),
        ({"procedure": "Operation"}, "columns are: Op, Min"),
        ({"minutes": "Min"}, "give one of"),
        ({"procedure": "Op", "actual_min": "Min", "booked_min": "Min"}, "is what is predicted"),
    ],
)
def test_wrong_map_is_told(mapped: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        history_of(read_table(b"Op,Min\na,60"), Columns(mapped))


def _run(tmp_path: Path, text: str, *arguments: str) -> tuple[int, str]:
    file = tmp_path / "cases.csv"
    file.write_text(text)
    done = CliRunner().invoke(app, ["durations", *arguments[:1], str(file), *arguments[1:]])
    structlog.reset_defaults()  # the command had it write to the runner's stderr, which is closed now
    return done.exit_code, done.stdout


def _clinic(count: int, *, dates: bool = False) -> str:
    rng = np.random.default_rng(7)
    lines = ["case_id,procedure,surgeon,booked_min,actual_min,asa" + (",started_at" if dates else "")]
    for number in range(count):
        p, s, asa = rng.integers(5), rng.integers(3), rng.integers(1, 5)
        actual = round(float(np.exp(4 + 0.25 * p + 0.1 * s + 0.25 * rng.standard_normal())))
        at = f",2025-{1 + number * 12 // count:02}-{1 + number % 28:02} 08:00" if dates else ""
        lines.append(f"{number},p{p},s{s},{60 + 15 * p},{actual},{asa}{at}")
    return "\n".join(lines)


@pytest.mark.parametrize("dates", [False, True])
def test_evaluate_compares_side_by_side(tmp_path: Path, dates: bool) -> None:
    code, out = _run(tmp_path, _clinic(160, dates=dates), "evaluate", "--covariate", "asa", "--json")
    found = json.loads(out)
    assert code == 0
    assert found["order"] == ("time" if dates else "folds")
    assert found["n"] == 160 - found["left_out"].get("nothing ended before its day", 0)
    assert found["methods"]["model"]["mae"] < found["methods"]["booked"]["mae"]
    assert found["methods"]["booked"]["crps"] == pytest.approx(found["methods"]["booked"]["mae"])
    assert 0.6 < found["methods"]["model"]["cov80"] <= 1


def test_evaluate_is_repeatable(tmp_path: Path) -> None:
    first, again = (_run(tmp_path, _clinic(60), "evaluate", "--json", "--repeats", "1") for _ in range(2))
    assert first == again


@pytest.mark.parametrize(
    "text",
    [
        _clinic(10),
        "procedure,actual_min\n" + "p,60\n" * 12,
        "procedure,surgeon,booked_min,actual_min\n" + "p,,,60\nq,NULL,soon,30\n" * 6,
        "procedure,booked_min,actual_min\n" + ",45,60\nNULL,30,40\n" * 6,
        "case_id,procedure,actual_min,started_at\n" + "\n".join(f"same,p,{40 + n},NULL" for n in range(12)),
    ],
    ids=["ten rows", "constant", "columns that say nothing", "no procedure", "one id, no date"],
)
def test_poor_files_end_in_a_table(tmp_path: Path, text: str) -> None:
    code, out = _run(tmp_path, text, "evaluate")
    assert code == 0
    assert "the model" in out


@pytest.mark.parametrize(
    "text", ["", "procedure,actual_min", "procedure,actual_min\np,-1\n", "procedure,actual_min\np,60", "a b c"]
)
def test_hopeless_files_end_in_one_error(tmp_path: Path, text: str) -> None:
    assert _run(tmp_path, text, "evaluate") == (2, "")


def test_learn_writes_a_model(tmp_path: Path) -> None:
    out = tmp_path / "model.json"
    code, told = _run(tmp_path, _clinic(80, dates=True), "learn", "--out", str(out), "--json")
    model = model_of(json.loads(out.read_text()))
    assert code == 0
    assert json.loads(told)["cases"] == 80
    assert model.tallies[("site",)].cases == 80
