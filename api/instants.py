"""Past instants as people and programs write them."""

from datetime import UTC, datetime

FIRST_YEAR = 2000


def past_instant(text: str, now: datetime) -> datetime:
    """The aware instant of a text, by `now` at the latest. ValueError says what to write instead, never what was."""
    try:
        # In the query of an address a plus sign means a space.
        value = datetime.fromisoformat(text.replace(" ", "+"))
        told = value.astimezone(UTC) if value.tzinfo else None
    except (ValueError, OverflowError):
        told = None
    if told is None:
        raise ValueError("give an instant with its offset, such as 2026-11-24T10:30:00+01:00")
    if told > now:
        raise ValueError("give an instant that is past: what will be known is not known")
    if told.year < FIRST_YEAR:
        raise ValueError(f"give an instant after the year {FIRST_YEAR}")
    return told
