"""What was learned as text, and back to the bit: every float keeps all its digits."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import date, datetime
from typing import Any

from twin.durations.distribution import LogT
from twin.durations.monitor import Monitor, Review, Stream
from twin.durations.portable import model_of, regressors_of, regressors_told, values_of
from twin.durations.stages import StageLaw
from twin.durations.watched import Watched
from twin.errors import SettingsError
from twin.prediction.models import History
from twin.prediction.recovery import Stays
from twin.vocabulary import CareSetting, Milestone, Stage


def text_of(history: History) -> str:
    """JSON of all of it."""
    return json.dumps(
        {
            "before": history.before.isoformat(),
            "room": _watched(history.room),
            "surgical": _watched(history.surgical),
            "laws": [asdict(law) for law in history.laws],
            "stays": {stage: regressors_told(mine) for stage, mine in history.stays.regressors.items()},
            "lags": history.lags,
        }
    )


def history_of_text(text: str) -> History | None:
    """The history of `text_of`; None for anything else, which another version may have written."""
    try:
        told = json.loads(text)
        return History(
            date.fromisoformat(told["before"]),
            _watched_of(told["room"]),
            _watched_of(told["surgical"]),
            tuple(map(_law_of, told["laws"])),
            Stays({Stage(stage): regressors_of(mine) for stage, mine in told["stays"].items()}),
            {Milestone(milestone): tuple(mine) for milestone, mine in told["lags"].items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError, SettingsError):
        return None


def _watched(watched: Watched) -> dict[str, Any]:
    reviews = [asdict(review) | {"at": review.at and review.at.isoformat()} for review in watched.monitor.reviews]
    streams = {service: asdict(stream) for service, stream in watched.monitor.streams.items()}
    return {"model": values_of(watched.model), "streams": streams, "reviews": reviews}


def _watched_of(told: Mapping[str, Any]) -> Watched:
    streams = {service: Stream(**stream) for service, stream in told["streams"].items()}
    reviews = tuple(
        Review(**one | {"at": datetime.fromisoformat(one["at"]) if one["at"] else None}) for one in told["reviews"]
    )
    return Watched(model_of(told["model"]), Monitor(streams, reviews))


def _law_of(told: Mapping[str, Any]) -> StageLaw:
    return StageLaw(
        Stage(told["stage"]),
        LogT(**told["law"]),
        told["source"],
        told["origin_min"],
        tuple(CareSetting(setting) for setting in told["settings"]),
    )
