"""What the profiles say of our extensions, checked by other means than the program's own reader."""

import json
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from fhir.resources.R4B.appointment import Appointment
from fhir.resources.R4B.encounter import Encounter
from fhir.resources.R4B.location import Location
from fhir.resources.R4B.procedure import Procedure
from fhir.resources.R4B.riskassessment import RiskAssessment
from pydantic import BaseModel

from tests.strangers import text

Json = dict[str, Any]
Quantiles = tuple[datetime, datetime, datetime]
OURS = "https://w3id.org/jumeau/fhir/StructureDefinition/"
PARIS = ZoneInfo("Europe/Paris")
PATHWAY = [
    "patient_in_facility",
    "patient_sent_for",
    "patient_in_holding",
    "room_ready",
    "patient_in_room",
    "anesthesia_start",
    "anesthesia_ready",
    "incision",
    "closure_start",
    "procedure_finish",
    "patient_out_of_room",
    "room_cleanup_finish",
    "pacu_arrival",
    "pacu_ready",
    "pacu_discharge",
    "unit_arrival",
    "facility_discharge",
]
_MODELS: dict[str, type[BaseModel]] = {
    "Appointment": Appointment,
    "Encounter": Encounter,
    "Location": Location,
    "Procedure": Procedure,
    "RiskAssessment": RiskAssessment,
}


def ours(resource: Json) -> list[Json]:
    """The extensions of ours on a resource."""
    return [one for one in resource.get("extension", []) if one["url"].startswith(OURS)]


def his(raw: str) -> Any:
    """What the hospital says in the text of a resource: without meta, text and ours, number literals kept."""
    said = {name: one for name, one in text.loads(raw).items() if name not in ("meta", "text")}
    left = [one for one in said.pop("extension", []) if not one["url"].startswith(OURS)]
    return {**said, **({"extension": left} if left else {})}


def timeline(resource: Json, at: str, *, valid_min: int = 60) -> dict[str, Quantiles]:
    """P10, P50, P90 by milestone of a carrier, after everything that its profile demands was checked."""
    _is_valid(resource)
    by_url = {one["url"].removeprefix(OURS): one for one in ours(resource)}
    assert len(by_url) == len(ours(resource)), "each at most once"
    assert set(by_url) <= {"predicted-timeline", "predicted-start", "predicted-end"}
    parts = by_url["predicted-timeline"]["extension"]
    _signed(parts, at, valid_min)
    assert value(parts, "model", "valueString")
    based_on = [part["valueString"] for part in parts if part["url"] == "basedOn"]
    assert based_on
    assert all(len(one.split("/")) == 4 and one.split("/")[2] == "_history" for one in based_on)
    assert value(parts, "run", "valueUri").startswith("urn:uuid:")
    stages = dict(_stage(part["extension"]) for part in parts if part["url"] == "stage")
    known = ("generatedAt", "validUntil", "model", "source", "basedOn", "run", "detail", "stage")
    assert {part["url"] for part in parts} <= set(known)
    assert sorted(stages, key=PATHWAY.index) == list(stages)
    _beside(by_url, "predicted-start", stages.get("patient_in_room"))
    _beside(by_url, "predicted-end", stages.get("patient_out_of_room"))
    return stages


def based_on(resource: Json) -> list[str]:
    """The versions that a timeline names."""
    (found,) = [one for one in ours(resource) if one["url"].endswith("predicted-timeline")]
    return [part["valueString"] for part in found["extension"] if part["url"] == "basedOn"]


def _is_valid(resource: Json) -> None:
    """As FHIR has it, but for the version id, which some servers tell as a number."""
    meta = {name: str(value) if name == "versionId" else value for name, value in resource["meta"].items()}
    _MODELS[resource["resourceType"]].model_validate_json(json.dumps({**resource, "meta": meta}))


def room_end(resource: Json, at: str) -> tuple[Quantiles, float]:
    """Quantiles of a room's only predicted end, and the probability that it is past its block."""
    _is_valid(resource)
    (found,) = ours(resource)
    assert found["url"] == OURS + "predicted-room-end"
    parts = found["extension"]
    _signed(parts, at, 60)
    assert value(parts, "date", "valueDate") == at[:10]
    session = value(parts, "session", "valuePeriod")
    assert instant(session["start"]) < instant(session["end"])
    overrun = value(parts, "overrunProbability", "valueDecimal")
    assert 0 <= overrun <= 1
    return _quantiles(parts), overrun


def _signed(parts: list[Json], at: str, valid_min: int) -> None:
    generated = instant(value(parts, "generatedAt", "valueInstant"))
    assert timedelta() <= generated - datetime.fromisoformat(at) < timedelta(seconds=60)
    assert instant(value(parts, "validUntil", "valueInstant")) == generated + timedelta(minutes=valid_min)
    assert ":" in value(parts, "source", "valueUri")


def _stage(parts: list[Json]) -> tuple[str, Quantiles]:
    milestone = value(parts, "milestone", "valueCode")
    assert milestone in PATHWAY
    return milestone, _quantiles(parts)


def _quantiles(parts: list[Json]) -> Quantiles:
    told = [instant(value(parts, name, "valueDateTime")) for name in ("p10", "p50", "p90")]
    assert told == sorted(told)
    assert all(one.second == 0 for one in told)
    return told[0], told[1], told[2]


def _beside(by_url: dict[str, Json], name: str, stage: Quantiles | None) -> None:
    if stage is None:
        assert name not in by_url
    else:
        assert instant(by_url[name]["valueDateTime"]) == stage[1]


def value(parts: list[Json], url: str, kind: str) -> Any:
    """The value of a part that must be there once."""
    (found,) = [part for part in parts if part["url"] == url]
    assert set(found) == {"url", kind}
    return found[kind]


def instant(told: str) -> datetime:
    """An instant or dateTime that has a time of day and the site's own offset."""
    read = datetime.fromisoformat(told)
    assert read.utcoffset() == read.astimezone(PARIS).utcoffset(), told
    return read
