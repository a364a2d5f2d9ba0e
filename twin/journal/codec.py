"""Predictions out of their text."""

import msgspec

from twin.fact_text import decoded
from twin.timeline import PredictedRoomEnd, PredictedTimeline

_TIMELINE = msgspec.json.Decoder(PredictedTimeline)
_ROOM_ENDS = msgspec.json.Decoder(tuple[PredictedRoomEnd, ...])


def timeline_of(text: str) -> PredictedTimeline:
    """The timeline of `text_of`."""
    return decoded(_TIMELINE, text)


def room_ends_of(text: str) -> tuple[PredictedRoomEnd, ...]:
    """The room ends of `text_of`."""
    return decoded(_ROOM_ENDS, text)
