"""Annotations as FHIR extensions and back. The only importer of fhir.resources (R4B, equal to R4 for what we write).

    predicted-timeline   on the case's carrier, one per case; its parts use short urls
    predicted-start      on the carrier: P50 of patient_in_room; carries no source, it belongs to the timeline beside it
    predicted-end        on the carrier: P50 of patient_out_of_room; likewise
    predicted-room-end   on a Location, one per block of the day

What is built reads back equal, but for what publishing drops: see `published`.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from fhir_adapters.canonical import (
    OURS,
    PREDICTED_END,
    PREDICTED_ROOM_END,
    PREDICTED_START,
    PREDICTED_TIMELINE,
    is_ours,
)
from twin.facts import Carried
from twin.timebase import whole_minute
from twin.timeline import Annotation, PredictedRoomEnd, PredictedStage, PredictedTimeline
from twin.vocabulary import Milestone

Json = dict[str, Any]

_BESIDE = {PREDICTED_START: Milestone.PATIENT_IN_ROOM, PREDICTED_END: Milestone.PATIENT_OUT_OF_ROOM}
_UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, ArithmeticError)
_UTC = ZoneInfo("UTC")


class InvalidAnnotationError(ValueError):
    """An annotation breaks a rule of its profile; it can't be written."""


# --- values -> extensions ---------------------------------------------------------------------------------------------


def build(annotation: Annotation, zone: ZoneInfo) -> list[Json]:
    """Top-level extensions of an annotation, in a fixed order, times with the offset of `zone`.

    Raises InvalidAnnotationError where a required part is missing or a value can't be written in FHIR.
    """
    shown = published(annotation, zone)
    built: list[Json] = []
    if shown.timeline is not None:
        built.append(_timeline(shown.timeline))
        for url, milestone in _BESIDE.items():
            stage = shown.timeline.stage(milestone)
            if stage is not None and stage.p50 is not None:
                built.append(_part(url, "valueDateTime", _text(stage.p50)))
    built += [_room_end(end) for end in shown.room_ends]
    for extension in built:
        _validate(extension)
    return built


def published(annotation: Annotation, zone: ZoneInfo) -> Annotation:
    """The annotation as others may see it: whole minutes, probabilities to two decimals, stamps of ours in seconds.

    Times have the fixed offset that `zone` has at their instant.
    """
    timeline = annotation.timeline
    if timeline is not None:
        timeline = replace(
            timeline,
            generated_at=_second(timeline.generated_at, zone),
            valid_until=_second(timeline.valid_until, zone),
            stages=tuple(_published_stage(stage, zone) for stage in timeline.stages),
        )
    return Annotation(timeline, tuple(_published_end(end, zone) for end in annotation.room_ends))


def same_content(one: Annotation | None, other: Annotation | None) -> bool:
    """True where both say the same; generatedAt, validUntil, run and basedOn don't count."""
    if one is None or other is None:
        return one is other
    return _content(one) == _content(other)


def _content(annotation: Annotation) -> Annotation:
    shown = published(annotation, _UTC)
    never = datetime.min.replace(tzinfo=UTC)
    timeline = shown.timeline
    if timeline is not None:
        timeline = replace(timeline, generated_at=never, valid_until=never, run="", based_on=())
    ends = tuple(replace(end, generated_at=never, valid_until=never) for end in shown.room_ends)
    return Annotation(timeline, ends)


def _published_stage(stage: PredictedStage, zone: ZoneInfo) -> PredictedStage:
    return replace(
        stage,
        p50=_minute(stage.p50, zone),
        p10=_minute(stage.p10, zone),
        p90=_minute(stage.p90, zone),
        probability=None if stage.probability is None else _two_decimals(stage.probability),
        quantiles_s=(),
    )


def _published_end(end: PredictedRoomEnd, zone: ZoneInfo) -> PredictedRoomEnd:
    return replace(
        end,
        session_start=_fixed(whole_minute(end.session_start, zone)),
        session_end=_fixed(whole_minute(end.session_end, zone)),
        p50=_fixed(whole_minute(end.p50, zone)),
        p10=_minute(end.p10, zone),
        p90=_minute(end.p90, zone),
        overrun_probability=_two_decimals(end.overrun_probability),
        generated_at=_second(end.generated_at, zone),
        valid_until=_second(end.valid_until, zone),
    )


def _minute(instant: datetime | None, zone: ZoneInfo) -> datetime | None:
    return None if instant is None else _fixed(whole_minute(instant, zone))


def _second(instant: datetime, zone: ZoneInfo) -> datetime:
    return _fixed(instant.astimezone(zone).replace(microsecond=0))


def _fixed(instant: datetime) -> datetime:
    # With a zone, instants of the hour that comes twice equal none of another zone (PEP 495); with an offset they do.
    return instant.replace(tzinfo=timezone(instant.utcoffset() or timedelta()), fold=0)


def _two_decimals(probability: float) -> float:
    return round(float(probability), 2)


def _timeline(timeline: PredictedTimeline) -> Json:
    if not timeline.stages or not timeline.based_on:
        raise InvalidAnnotationError("a predicted timeline needs at least one stage and one version it is based on")
    parts = [
        _part("generatedAt", "valueInstant", _text(timeline.generated_at)),
        _part("validUntil", "valueInstant", _text(timeline.valid_until)),
        _part("model", "valueString", timeline.model),
        _part("source", "valueUri", timeline.source),
        *(_part("basedOn", "valueString", version) for version in timeline.based_on),
    ]
    if timeline.run:
        parts.append(_part("run", "valueUri", timeline.run))
    parts += [_stage(stage) for stage in timeline.stages]
    return {"url": PREDICTED_TIMELINE, "extension": parts}


def _stage(stage: PredictedStage) -> Json:
    _check_band(stage.p10, stage.p90)
    if stage.p50 is None and stage.probability is None:
        raise InvalidAnnotationError("a predicted stage needs a p50 or a probability")
    parts = [_part("milestone", "valueCode", stage.milestone.value), *_quantiles(stage.p50, stage.p10, stage.p90)]
    if stage.probability is not None:
        parts.append(_part("probability", "valueDecimal", _probability(stage.probability)))
    return {"url": "stage", "extension": parts}


def _room_end(end: PredictedRoomEnd) -> Json:
    _check_band(end.p10, end.p90)
    session = {"start": _text(end.session_start), "end": _text(end.session_end)}
    parts = [
        _part("date", "valueDate", end.day.isoformat()),
        _part("session", "valuePeriod", session),
        *_quantiles(end.p50, end.p10, end.p90),
        _part("overrunProbability", "valueDecimal", _probability(end.overrun_probability)),
        _part("generatedAt", "valueInstant", _text(end.generated_at)),
        _part("validUntil", "valueInstant", _text(end.valid_until)),
        _part("source", "valueUri", end.source),
    ]
    return {"url": PREDICTED_ROOM_END, "extension": parts}


def _check_band(p10: datetime | None, p90: datetime | None) -> None:
    if (p10 is None) != (p90 is None):
        raise InvalidAnnotationError("p10 and p90 are given together or not at all")


def _quantiles(p50: datetime | None, p10: datetime | None, p90: datetime | None) -> list[Json]:
    given = (("p50", p50), ("p10", p10), ("p90", p90))
    return [_part(name, "valueDateTime", _text(at)) for name, at in given if at is not None]


def _part(url: str, kind: str, value: object) -> Json:
    return {"url": url, kind: value}


def _text(instant: datetime) -> str:
    return instant.isoformat(timespec="seconds")


def _validate(extension: Json) -> None:
    # Imported where it is needed: that takes longer than all else of a short command.
    from fhir.resources.R4B.extension import Extension

    try:
        Extension.model_validate(extension)
    except ValueError:
        # Not chained: pydantic would repeat the input.
        raise InvalidAnnotationError(f"{extension['url']} is not a valid R4 extension") from None


def check_assessment(resource: Json) -> None:
    """Raises InvalidAnnotationError where a RiskAssessment of ours is not valid R4."""
    from fhir.resources.R4B.riskassessment import RiskAssessment

    try:
        RiskAssessment.model_validate(resource)
    except ValueError:
        raise InvalidAnnotationError("a RiskAssessment of ours is not valid R4") from None


# --- extensions -> values ---------------------------------------------------------------------------------------------


def reader(source: str) -> Callable[[object], Carried]:
    """A function from a resource's top-level `extension` array to what it carries of the installation `source`.

    It never raises: an extension of ours that is off in any way gives present=True and annotation=None.
    """
    return partial(_carried, source)


def _carried(source: str, extensions: object) -> Carried:
    found = [item for item in _items(extensions) if is_ours(item.get("url"))]
    others = tuple(sorted(_foreign_sources(found, source)))
    ours = [found[index] for index in owned(found, source)]
    if not ours:
        return Carried(foreign=others)
    try:
        annotation = _annotation(ours)
    except _UNREADABLE:
        annotation = None
    return Carried(annotation=annotation, present=True, foreign=others)


def owned(extensions: object, source: str, *, take_over: bool = False) -> list[int]:
    """Indices of the extensions of the installation `source` in a resource's `extension` array.

    One of our urls without a readable source is nobody else's, so it counts; predicted-start and predicted-end belong
    to the timeline beside them; a url of another version of this program counts where it names the source. With
    `take_over` everything under our urls counts, whoever wrote it.
    """
    items = extensions if isinstance(extensions, list) else []
    found = [(index, item) for index, item in enumerate(items) if isinstance(item, dict) and is_ours(item.get("url"))]
    if take_over:
        return [index for index, _ in found]
    beside_theirs = any(item["url"] == PREDICTED_TIMELINE and _is_foreign(item, source) for _, item in found)

    def counts(item: Json) -> bool:
        if item["url"] in _BESIDE:
            return not beside_theirs
        return not _is_foreign(item, source) if item["url"] in OURS else _source(item) == source

    return [index for index, item in found if counts(item)]


def _foreign_sources(found: Iterable[Json], source: str) -> set[str]:
    sources = (_source(item) for item in found)
    return {other for other in sources if other is not None and other != source}


def _is_foreign(extension: Json, source: str) -> bool:
    return _source(extension) not in (None, source)


def _items(extensions: object) -> list[Json]:
    return [item for item in extensions if isinstance(item, dict)] if isinstance(extensions, list) else []


def _source(extension: Json) -> str | None:
    for part in _items(extension.get("extension")):
        value = part.get("valueUri")
        if part.get("url") == "source" and isinstance(value, str) and value:
            return value
    return None


def _annotation(ours: Sequence[Json]) -> Annotation:
    timelines = [_read_timeline(item) for item in ours if item["url"] == PREDICTED_TIMELINE]
    ends = tuple(_read_room_end(item) for item in ours if item["url"] == PREDICTED_ROOM_END)
    if len(timelines) > 1 or any(item["url"] not in OURS for item in ours):
        raise ValueError("several timelines, or an extension of another version of this program")
    timeline = timelines[0] if timelines else None
    for url, milestone in _BESIDE.items():
        beside = [_instant(item["valueDateTime"]) for item in ours if item["url"] == url]
        stage = timeline.stage(milestone) if timeline is not None else None
        p50 = stage.p50 if stage is not None else None
        if beside != ([] if p50 is None else [p50]):
            raise ValueError("predicted-start or predicted-end contradicts the timeline")
    return Annotation(timeline, ends)


def _read_timeline(extension: Json) -> PredictedTimeline:
    parts = _items(extension["extension"])
    stages = tuple(_read_stage(_items(part["extension"])) for part in parts if part.get("url") == "stage")
    based_on = tuple(_string(value) for value in _all(parts, "basedOn", "valueString"))
    if not stages or not based_on:
        raise ValueError("no stage or no version")
    return PredictedTimeline(
        generated_at=_instant(_one(parts, "generatedAt", "valueInstant")),
        valid_until=_instant(_one(parts, "validUntil", "valueInstant")),
        model=_string(_one(parts, "model", "valueString")),
        source=_string(_one(parts, "source", "valueUri")),
        run=_string(_maybe(parts, "run", "valueUri") or ""),
        based_on=based_on,
        stages=stages,
    )


def _read_stage(parts: list[Json]) -> PredictedStage:
    probability = _maybe(parts, "probability", "valueDecimal")
    p50, p10, p90 = _read_quantiles(parts)
    if p50 is None and probability is None:
        raise ValueError("neither p50 nor probability")
    return PredictedStage(
        milestone=Milestone(_one(parts, "milestone", "valueCode")),
        p50=p50,
        p10=p10,
        p90=p90,
        probability=None if probability is None else _probability(probability),
    )


def _read_room_end(extension: Json) -> PredictedRoomEnd:
    parts = _items(extension["extension"])
    session = _one(parts, "session", "valuePeriod")
    p50, p10, p90 = _read_quantiles(parts)
    if p50 is None:
        raise ValueError("no p50")
    return PredictedRoomEnd(
        day=date.fromisoformat(_one(parts, "date", "valueDate")),
        session_start=_instant(session["start"]),
        session_end=_instant(session["end"]),
        p50=p50,
        p10=p10,
        p90=p90,
        overrun_probability=_probability(_one(parts, "overrunProbability", "valueDecimal")),
        generated_at=_instant(_one(parts, "generatedAt", "valueInstant")),
        valid_until=_instant(_one(parts, "validUntil", "valueInstant")),
        source=_string(_one(parts, "source", "valueUri")),
    )


def _read_quantiles(parts: list[Json]) -> tuple[datetime | None, datetime | None, datetime | None]:
    found = [_maybe(parts, name, "valueDateTime") for name in ("p50", "p10", "p90")]
    p50, p10, p90 = (None if value is None else _instant(value) for value in found)
    _check_band(p10, p90)
    return p50, p10, p90


def _all(parts: list[Json], url: str, kind: str) -> list[Any]:
    return [part[kind] for part in parts if part.get("url") == url]


def _maybe(parts: list[Json], url: str, kind: str) -> Any:
    found = _all(parts, url, kind)
    if len(found) > 1:
        raise ValueError("a part is repeated")
    return found[0] if found else None


def _one(parts: list[Json], url: str, kind: str) -> Any:
    (value,) = _all(parts, url, kind)
    return value


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a string")
    return value


def _instant(value: str) -> datetime:
    instant = datetime.fromisoformat(value)
    if instant.tzinfo is None:
        raise ValueError("no offset")
    return instant


def _probability(value: float | Decimal) -> float:
    """The value, if it is a number from 0 to 1; a JSON number may have been parsed to int, float or Decimal."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal) or not 0 <= value <= 1:
        raise InvalidAnnotationError("a probability must be a number from 0 to 1")
    return float(value)
