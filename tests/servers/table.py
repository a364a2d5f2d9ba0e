"""`docs/servers.md`: every behaviour on every server, written by the test run and compared with what is committed."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from tests.servers.bench import Behaviour, Section

FILE = Path(__file__).parents[2] / "docs" / "servers.md"
START, END = "<!-- measured -->", "<!-- /measured -->"


@dataclass(slots=True)
class Measured:
    """What a run has found: software and version by server, cells by (behaviour, server)."""

    servers: dict[str, str] = field(default_factory=dict)
    cells: dict[tuple[str, str], str] = field(default_factory=dict)

    def is_complete(self, behaviours: list[Behaviour], names: list[str]) -> bool:
        """True where nothing was left out of the run."""
        return all((one.name, name) in self.cells for one in behaviours for name in names)

    def text(self, behaviours: list[Behaviour], names: list[str]) -> str:
        """The tables, one a section."""
        parts = []
        ordered = sorted(behaviours, key=lambda one: list(Section).index(one.section))
        for section, rows in groupby(ordered, key=lambda one: one.section):
            titles = [str(section), *(self.servers[name] for name in names)]
            lines = [titles, ["---"] * len(titles)]
            lines += [[row.name, *(self.cells[row.name, name] for name in names)] for row in rows]
            parts.append("\n".join(f"| {' | '.join(line)} |" for line in lines))
        return "\n\n".join(parts)


def committed() -> str:
    """The measured part of the document as it is in the working tree."""
    found = re.search(f"{START}\n(.*)\n{END}", FILE.read_text(encoding="utf-8"), re.DOTALL)
    return found[1] if found else ""


def expected(text: str, names: list[str]) -> Mapping[tuple[str, str], str]:
    """Cells by (behaviour, server) of the tables in a text."""
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines() if line]
    return {(row[0], name): cell for row in rows for name, cell in zip(names, row[1:], strict=False)}


def rewrite(tables: str) -> None:
    """Put the tables into the document; the words around them stay."""
    before, rest = FILE.read_text(encoding="utf-8").split(START)
    after = rest.split(END)[1]
    FILE.write_text(f"{before}{START}\n{tables}\n{END}{after}", encoding="utf-8")
