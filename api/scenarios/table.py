"""The document of a scenario for a terminal."""

from collections.abc import Iterator
from datetime import date, datetime

from rich.console import Console
from rich.table import Table

from api.scenarios.answer import Answer, CaseOutcome, Moved, Outcome, Shift, Spread
from twin.vocabulary import Milestone

_NOTHING = "–"
_NEVER = "never"
_MOST_WAITS = 6


def show(answer: Answer) -> None:
    """Rooms, cases and waits; with hazards beside what they change."""
    out = Console(highlight=False, markup=False, emoji=False)  # a name may hold brackets
    name = f"{answer.name}, " if answer.name else ""
    out.print(
        f"{name}{_clock(answer.at, answer.day)} of {answer.day}: {answer.replications} futures, seed {answer.seed}; "
        f"probabilities ± {round(100 * answer.probability_half_width)} points"
    )
    if answer.alternatives:
        out.print(_alternatives(answer))
        return
    shown = answer.with_hazards or answer.baseline
    out.print(_rooms(answer, shown))
    out.print(_cases(answer, shown))
    for line in _remarks(answer, shown):
        out.print(line)


def _remarks(answer: Answer, shown: Outcome) -> Iterator[str]:
    """What to say beside the tables."""
    for wait in shown.waits[:_MOST_WAITS]:
        if wait.minutes:
            yield f"waiting for {wait.resource}: {wait.minutes} min, {round(100 * wait.share)} % of all waiting"
    for staff in shown.staff:
        yield f"{staff.staff} at work beyond their shifts: {staff.overtime_min} min in all"
    if shown.pacu_hold_min:
        yield f"rooms blocked for want of a PACU place: {shown.pacu_hold_min} min"
    for case in shown.cases:
        yield from _case_remarks(case)
    yield from answer.notes
    if answer.difference and answer.difference.lost:
        yield f"cancelled: {', '.join(answer.difference.lost)}"


def _case_remarks(case: CaseOutcome) -> Iterator[str]:
    if case.past_target is not None:
        yield f"{case.case} (urgency {case.urgency}) later than its target: {round(100 * case.past_target)} %"
    if case.not_operated:
        yield f"{case.case} does not take place: {round(100 * case.not_operated)} %"


def _alternatives(answer: Answer) -> Table:
    table = _table(
        "Alternative", "Overtime", "Rooms past their end", "Not operated", "Blocked rooms", "Most waited for"
    )
    days = [("(as it stands)", answer.baseline)]
    if answer.with_hazards:
        days.append(("(hazards)", answer.with_hazards))
    for name, day in [*days, *((one.name, one.outcome) for one in answer.alternatives)]:
        table.add_row(
            name,
            f"{sum(room.overtime_min or 0 for room in day.rooms)} min",
            f"{sum(room.past_end or 0 for room in day.rooms):.1f}",
            f"{sum(case.not_operated for case in day.cases):.1f}",
            f"{day.pacu_hold_min} min",
            day.waits[0].resource if day.waits else _NOTHING,
        )
    return table


def _rooms(answer: Answer, shown: Outcome) -> Table:
    table = _table("Room", "Last out: P10, P50, P90", "Session end", "Past it", "Overtime")
    moved = {room.id: room for room in answer.difference.rooms} if answer.difference else {}
    if moved:
        table.add_column("Changed by")
    for room in shown.rooms:
        late = _NOTHING if room.past_end is None else f"{round(100 * room.past_end)} %"
        minutes = _NOTHING if room.overtime_min is None else f"{room.overtime_min} min"
        cells = [room.room, _three(room.end, answer.day), _clock(room.session_end, answer.day), late, minutes]
        change = moved.get(room.id)
        table.add_row(*cells, *([_change(change.end, change.past_end) if change else ""] if moved else []))
    return table


def _cases(answer: Answer, shown: Outcome) -> Table:
    table = _table("Room", "Case", "Entry: P10, P50, P90", "Out: P10, P50, P90")
    moved = {case.case_id: case for case in answer.difference.cases} if answer.difference else {}
    if moved:
        table.add_column("Out later by")
    for case in shown.cases:
        entry, leaving = (
            case.milestones.get(Milestone.PATIENT_IN_ROOM),
            case.milestones.get(Milestone.PATIENT_OUT_OF_ROOM),
        )
        if leaving is None:
            continue
        change = moved[case.case_id].milestones.get(Milestone.PATIENT_OUT_OF_ROOM) if case.case_id in moved else None
        cells = [case.room or _NOTHING, case.case, _three(entry, answer.day), _three(leaving, answer.day)]
        table.add_row(*cells, *([_change(change, None)] if moved else []))
    return table


def _table(*columns: str) -> Table:
    table = Table(box=None)
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in ("Room", "Case", "Alternative"))
    return table


def _three(spread: Spread | None, day: str) -> str:
    if spread is None:
        return ""
    return " ".join(_clock(at, day, missing=_NEVER) for at in (spread.p10, spread.p50, spread.p90))


def _change(shift: Shift | None, late: Moved | None) -> str:
    minutes = f"{shift.p50:+d} min" if shift else ""
    points = f"{round(100 * late.mean):+d} points" if late else ""
    return ", ".join(part for part in (minutes, points) if part)


def _clock(instant: str | None, day: str, *, missing: str = _NOTHING) -> str:
    """Such as 23:50, and 00:10+1d on the day after."""
    if instant is None:
        return missing
    at = datetime.fromisoformat(instant)
    days = (at.date() - date.fromisoformat(day)).days
    return f"{at:%H:%M}{days:+d}d" if days else f"{at:%H:%M}"
