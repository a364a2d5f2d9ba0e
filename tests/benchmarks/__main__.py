"""Runs every module of this folder that has `run() -> list[Row]`, prints a table or JSON, writes docs/benchmarks.md."""

import dataclasses
import importlib
import json
import pkgutil
import sys
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks import Row

DOCUMENT = Path(__file__).parents[2] / "docs" / "benchmarks.md"
_HEAD = """# Benchmarks

Written by `make bench`; each can be run alone, as in `python -m tests.benchmarks.ingest --json`. Times drift with the
machine and with what else it does; the ratio is within one run, against the slowest contender, and every benchmark
asserts a known answer. What each one measures, and what its peer is, stands at the head of its file in
`tests/benchmarks`.

"""


def main(arguments: list[str]) -> int:
    """0 when every benchmark gave its known answer; a wrong answer ends it with an AssertionError."""
    if set(arguments) - {"--json"}:
        sys.stderr.write("usage: python -m tests.benchmarks [--json]\n")
        return 2
    names = sorted(module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)]))
    modules = [importlib.import_module(f"tests.benchmarks.{name}") for name in names if not name.startswith("_")]
    rows: list[Row] = [row for module in modules for row in module.run()]
    sys.stdout.write(shown(rows, as_json="--json" in arguments))
    DOCUMENT.write_text(_document(rows), "utf-8")
    return 0


def alone(run: Callable[[], list[Row]], arguments: list[str]) -> int:
    """The same for one module: `python -m tests.benchmarks.NAME [--json]`."""
    rows = run()
    sys.stdout.write(shown(rows, as_json="--json" in arguments))
    return 0


def shown(rows: list[Row], *, as_json: bool) -> str:
    """As JSON or as a table."""
    return _json(rows) if as_json else _table(rows)


def _json(rows: list[Row]) -> str:
    return json.dumps([dataclasses.asdict(row) for row in rows], indent=2) + "\n"


def _table(rows: list[Row]) -> str:
    lines = [f"{'benchmark':<24} {'contender':<44} {'per second':>12} {'ratio':>8}"]
    lines += [
        f"{row.benchmark:<24} {row.contender:<44} {row.per_second:>12,.0f} {row.ratio:>7.1f}x  {row.unit}"
        for row in rows
    ]
    return "\n".join(lines) + "\n"


def _document(rows: list[Row]) -> str:
    lines = ["| benchmark | contender | per second | of | ratio |", "| --- | --- | --- | --- | --- |"]
    lines += [
        f"| {row.benchmark} | {row.contender} | {row.per_second:,.0f} | {row.unit} | {row.ratio:.1f}x |" for row in rows
    ]
    return _HEAD + "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
