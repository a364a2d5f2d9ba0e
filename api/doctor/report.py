"""A diagnosis for a person: colored where the output is a terminal, plain lines where it is not."""

from collections import Counter

from rich.console import Console
from rich.text import Text

from api.doctor.findings import Diagnosis, Finding, Level, Section, listed

_STYLES = {Level.OK: "green", Level.NOTE: "cyan", Level.WARNING: "yellow", Level.PROBLEM: "bold red"}
_WIDTH = 8
_MAX_LINES = 40


def show(diagnosis: Diagnosis, console: Console | None = None) -> None:
    """Print it on stdout, or on the console given."""
    out = console or Console(highlight=False, soft_wrap=True)
    for line in lines(diagnosis):
        out.print(line, soft_wrap=not out.is_terminal)


def lines(diagnosis: Diagnosis) -> list[Text]:
    """The report, line by line."""
    found = [Text(diagnosis.server, "bold")]
    for section in Section:
        mine = diagnosis.findings.get(section, ())
        if mine:
            found += [Text(), Text(section, "bold")]
            found += [line for finding in mine for line in _of(finding)]
    return [*found, Text(), _verdict(diagnosis)]


def _of(finding: Finding) -> list[Text]:
    head = Text.assemble(
        (f"  {finding.level:<{_WIDTH}}", _STYLES[finding.level]), f"{finding.check}: {_safe(finding.found)}"
    )
    blank = " " * (_WIDTH + 2)
    details = [line for detail in finding.details for line in detail.splitlines()]
    body = [Text(f"{blank}  {_safe(line)}", "dim") for line in details[:_MAX_LINES]]
    if len(details) > _MAX_LINES:
        body.append(Text(f"{blank}  … {len(details) - _MAX_LINES} more lines; --json has all", "dim"))
    todo = [Text(f"{blank}→ {_safe(finding.todo)}", "italic")] if finding.todo else []
    return [head, *body, *todo]


def _verdict(diagnosis: Diagnosis) -> Text:
    levels = Counter(str(finding.level) for finding in diagnosis.all())
    counts = listed(levels)
    if not diagnosis.reached:
        return Text(f"The server is not reached ({counts}).", "bold red")
    if not diagnosis.works:
        return Text(f"The line can't work here yet: mend the problems ({counts}).", "bold red")
    return Text(f"The line can work here ({counts}).", "bold green")


def _safe(text: str) -> str:
    """Names come from the server: no control characters on a terminal."""
    return "".join(char if char.isprintable() else " " for char in text)
