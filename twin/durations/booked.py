"""Booked minutes brought to the interval that a model predicts: booked and actual meet only as the same interval."""

from twin.durations.stages import default_nonsurgical_min, default_turnover_min
from twin.vocabulary import BookedInterval

_LEAST_SHARE = 0.5
"""Of a booking shorter than what is taken off it, this share is kept (guess)."""


def booked_room_min(
    booked_min: float | None,
    interval: BookedInterval,
    nonsurgical_min: float | None = None,
    *,
    turnover_min: float | None = None,
) -> float | None:
    """Booked minutes as room time, wheels in to wheels out; None where nothing usable is booked.

    `nonsurgical_min` is the mean of room time - surgical time, `turnover_min` that of cleaning; None: the defaults.
    """
    if booked_min is None or booked_min <= 0:
        return None
    if interval is BookedInterval.SKIN_TO_SKIN:
        return booked_min + (default_nonsurgical_min() if nonsurgical_min is None else nonsurgical_min)
    if interval is BookedInterval.ROOM_AND_CLEANING:
        return _less(booked_min, default_turnover_min() if turnover_min is None else turnover_min)
    return booked_min


def booked_surgical_min(room_min: float | None, nonsurgical_min: float | None = None) -> float | None:
    """Booked room time as surgical time, incision to procedure finish; None stays None."""
    if room_min is None:
        return None
    return _less(room_min, default_nonsurgical_min() if nonsurgical_min is None else nonsurgical_min)


def _less(minutes: float, part_min: float) -> float:
    return max(minutes - part_min, _LEAST_SHARE * minutes)
