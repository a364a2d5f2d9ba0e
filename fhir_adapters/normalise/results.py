"""Results of other systems: an Observation or a RiskAssessment, of which the site names what it is of.

Only the codes that were asked for, numbers, codes and when they were known are kept; words never. An ASA class is read
from words too ("ASA III", "classe 3"), and kept as its number. A result whose value is absent, or a number below or
above a limit of measurement, tells none.
"""

import math
import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

import msgspec

from fhir_adapters import dates
from fhir_adapters.normalise import words
from fhir_adapters.normalise.reading import Reader, UnreadableError, concept_codes, concept_texts, unique
from fhir_adapters.normalise.structs import CodeableConcept, Element, Period, Reference
from twin.facts import ResultFact, Value
from twin.site import ASA, ASA_CODES

RESULT_TYPES = ("Observation", "RiskAssessment")
_STATUSES = frozenset(
    {
        *("registered", "preliminary", "final", "amended", "corrected", "cancelled", "entered-in-error", "unknown"),
        "appended",
    }
)
_ASA_WORDS = re.compile(
    r"\b(?:asa|class|classe|score|grade|stade)\W{0,3}(?:class|classe|score)?\W{0,3}(vi|iv|v|i{1,3}|[1-6])\b",
    re.IGNORECASE,
)
_ASA_ALONE = re.compile(r"\s*(vi|iv|v|i{1,3}|[1-6])\s*", re.IGNORECASE)
_ROMAN = {"i": "1", "ii": "2", "iii": "3", "iv": "4", "v": "5", "vi": "6"}
_MOST_VALUES = 50


class Quantity(Element, frozen=True):
    """A number with its unit."""

    value: Any = None
    comparator: str | None = None
    unit: str | None = None
    code: str | None = None


class Measured(Element, frozen=True):
    """What an Observation and its components share."""

    code: CodeableConcept | None = None
    value_quantity: Quantity | None = None
    value_integer: Any = None
    value_codeable_concept: CodeableConcept | None = None
    value_string: Any = None


class Observation(Measured, frozen=True):
    """A measurement or a finding."""

    status: str | None = None
    subject: Reference | None = None
    encounter: Reference | None = None
    effective_date_time: str | None = None
    effective_period: Period | None = None
    effective_instant: str | None = None
    issued: str | None = None
    component: list[Measured] | None = None


class Outcome(Element, frozen=True):
    """One outcome that a RiskAssessment speaks of."""

    outcome: CodeableConcept | None = None
    probability_decimal: Any = None
    qualitative_risk: CodeableConcept | None = None


class RiskAssessment(Element, frozen=True):
    """A risk that another system tells."""

    status: str | None = None
    code: CodeableConcept | None = None
    method: CodeableConcept | None = None
    subject: Reference | None = None
    encounter: Reference | None = None
    occurrence_date_time: str | None = None
    occurrence_period: Period | None = None
    prediction: list[Outcome] | None = None


def observation(reader: Reader, raw: dict[str, Any]) -> ResultFact:
    """A measurement or a finding, with its components."""
    read = msgspec.convert(raw, Observation)
    of = read.effective_date_time or read.effective_instant or _until(read.effective_period)
    parts = [read, *(read.component or ())][:_MOST_VALUES]
    return ResultFact(
        status=_status(read.status),
        patient=reader.patient(read.subject),
        encounter=_optional(reader, read.encounter),
        at=_latest(reader, of, read.issued),
        values=tuple(_kept(reader, (_measured(part, read.code) for part in parts))),
    )


def risk_assessment(reader: Reader, raw: dict[str, Any]) -> ResultFact:
    """A risk: its outcomes, each named by the outcome and by what the whole is of."""
    read = msgspec.convert(raw, RiskAssessment)
    whole = [code for concept in (read.code, read.method) if concept for code in concept_codes(concept)]
    return ResultFact(
        status=_status(read.status),
        patient=reader.patient(read.subject),
        encounter=_optional(reader, read.encounter),
        at=_latest(reader, read.occurrence_date_time or _until(read.occurrence_period)),
        values=tuple(_kept(reader, (_risk(one, whole) for one in (read.prediction or ())[:_MOST_VALUES]))),
    )


def named_codes(raw: dict[str, Any]) -> Iterator[str]:
    """`system|code` of all that a result may be named by, whatever JSON it is."""
    parts = [raw, *_dicts(raw.get("component")), *_dicts(raw.get("prediction"))]
    for concept in (part.get(name) for part in parts for name in ("code", "method", "outcome")):
        for coding in _dicts(concept.get("coding") if isinstance(concept, dict) else None):
            yield f"{coding.get('system')}|{coding.get('code')}"


def _dicts(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _status(status: str | None) -> str:
    if status not in _STATUSES:
        raise UnreadableError("no-status" if status is None else "unknown-status")
    return status


def _optional(reader: Reader, value: Reference | None) -> str | None:
    return None if value is None else reader.ref(value, "Encounter")


def _until(period: Period | None) -> str | None:
    return (period.end or period.start) if period else None


def _latest(reader: Reader, *told: str | None) -> datetime | None:
    """The latest of some times; of a day alone its end, so that nothing counts before it was known."""
    known = [at for one in told if one and (at := _end(reader, one)) is not None]
    return max(known, default=None)


def _end(reader: Reader, told: str) -> datetime | None:
    if (last := dates.latest(told)) is not None and "T" not in told:
        return dates.instant(f"{last.isoformat()}T23:59:59", reader.rules.zone)
    return reader.instant(told)


def _kept(reader: Reader, values: Iterable[Value]) -> Iterator[Value]:
    """Those that tell something, named only by what the site asks for."""
    for value in values:
        of = tuple(code for code in value.of if code in reader.rules.results)
        if of and (value.number is not None or value.levels):
            yield Value(of, value.number, value.unit, value.levels)


def _measured(part: Measured, whole: CodeableConcept | None) -> Value:
    of = unique(concept_codes(part.code)) if part.code else ()
    quantity = part.value_quantity
    number = _number(quantity.value) if quantity and not quantity.comparator else _number(part.value_integer)
    unit = words.kept(quantity.code or quantity.unit)[:16] if quantity else ""
    told = part.value_codeable_concept
    levels = _levels(told)
    if not set(of).isdisjoint(ASA_CODES):
        levels += tuple(f"{ASA}|{asa}" for asa in _asa_classes(told, part.value_string))
    return Value(of, number, unit, levels)


def _risk(one: Outcome, whole: list[str]) -> Value:
    own = concept_codes(one.outcome) if one.outcome else []
    return Value(unique([*own, *whole]), _number(one.probability_decimal), "", _levels(one.qualitative_risk))


def _levels(told: CodeableConcept | None) -> tuple[str, ...]:
    return unique(words.kept(code) for code in concept_codes(told)) if told else ()


def _asa_classes(told: CodeableConcept | None, text: object) -> Iterator[str]:
    """The class that words tell, and where they are nothing else, a bare number."""
    texts = [*(concept_texts(told) if told else ()), *([text] if isinstance(text, str) else ())]
    for found in (_ASA_WORDS.search(one[:200]) or _ASA_ALONE.fullmatch(one[:200]) for one in texts):
        if found:
            yield _ROMAN.get(found[1].lower(), found[1])
            return


def _number(value: object) -> float | None:
    """A finite number; None for anything else."""
    if value is None or isinstance(value, bool | str):
        return None
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
