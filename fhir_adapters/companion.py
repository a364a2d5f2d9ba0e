"""Predictions in RiskAssessments of our own: the hospital's resources stay as they are.

One for each case, about its carrier (`Appointment/a1`), which is named by identifiers only: a literal reference would
make the hospital's own DELETE fail. Others find it by `identifier=Appointment/a1`, we ours by `identifier=<source>|`.
Rooms have none: the subject of a RiskAssessment is a patient, who must be there; a room's end stays in the API.
"""

from typing import Any
from zoneinfo import ZoneInfo

from fhir_adapters import extensions, links
from fhir_adapters.canonical import CASE_TIMELINE, MILESTONE_CODES, PATIENT_OF, PREDICTION_CODES
from twin.timeline import Annotation, PredictedStage, PredictedTimeline

Json = dict[str, Any]

TYPE = "RiskAssessment"
CANCELLED = "cancelled"


def assessment(annotation: Annotation, carrier: str, *, base_url: str, source: str, zone: ZoneInfo) -> Json:
    """The RiskAssessment of one case, without an id; the same extensions as on a carrier say everything.

    `base_url` is the server's: with `Type/id` it makes the identifiers that refer to the hospital's resources. Raises
    InvalidAnnotationError where a required part is missing.
    """
    carried = extensions.build(annotation, zone)
    shown = extensions.published(annotation, zone).timeline
    if shown is None:
        raise extensions.InvalidAnnotationError("a RiskAssessment of ours needs a predicted timeline")
    made = {
        **_frame(carrier, source, "preliminary"),
        "extension": carried,
        "occurrenceDateTime": shown.generated_at.isoformat(timespec="seconds"),
        "basis": [_logical(ref, base_url) for ref in _told_by(shown)],
        "prediction": [_prediction(stage) for stage in shown.stages],
    }
    made["method"] = {**made["method"], "text": shown.model}
    extensions.check_assessment(made)
    return made


def cancelled(carrier: str, source: str) -> Json:
    """What is left where the server does not let us delete: it predicts nothing."""
    made = _frame(carrier, source, CANCELLED)
    extensions.check_assessment(made)
    return made


def _frame(carrier: str, source: str, status: str) -> Json:
    coding = {"system": PREDICTION_CODES, "code": CASE_TIMELINE, "display": "Predicted course of a case"}
    return {
        "resourceType": TYPE,
        "identifier": [{"system": source, "value": carrier}],
        "status": status,
        # `method` can be searched by, `code` can't.
        "method": {"coding": [coding]},
        "code": {"coding": [coding]},
        # Who the patient is, we don't know (pseudonyms only) and needn't say: the carrier tells it to who may read it.
        "subject": {"type": "Patient", "identifier": {"system": PATIENT_OF, "value": carrier}},
    }


def _told_by(timeline: PredictedTimeline) -> list[str]:
    refs = ("/".join(version.split("/")[:2]) for version in timeline.based_on)
    return list(dict.fromkeys(refs))


def _logical(ref: str, base_url: str) -> Json:
    resource_type, _, resource_id = ref.partition("/")
    return {"type": resource_type, "identifier": {"system": f"{base_url}/{resource_type}", "value": resource_id}}


def _prediction(stage: PredictedStage) -> Json:
    """A milestone with its band. A probability here would be that of the band, so it stands only where there is none.

    R4: a decimal is a percentage.
    """
    told: Json = {"outcome": {"coding": [{"system": MILESTONE_CODES, "code": stage.milestone.value}]}}
    first, last = stage.p10 or stage.p50, stage.p90 or stage.p50
    if first and last:
        told["whenPeriod"] = {"start": first.isoformat(timespec="seconds"), "end": last.isoformat(timespec="seconds")}
    elif stage.probability is not None:
        told["probabilityDecimal"] = round(100 * stage.probability)
    return told


def carrier_of(resource: Json, source: str, *, take_over: bool = False) -> str | None:
    """The carrier that a RiskAssessment of the installation `source` is about; None for any other resource.

    With `take_over` those of other installations count too.
    """
    codings = _listed(resource.get("method"), "coding")
    if not any((one.get("system"), one.get("code")) == (PREDICTION_CODES, CASE_TIMELINE) for one in codings):
        return None
    named = [one for one in _listed(resource, "identifier") if take_over or one.get("system") == source]
    return next((one["value"] for one in named if links.is_reference(one.get("value"))), None)


def _listed(holder: object, name: str) -> list[Json]:
    value = holder.get(name) if isinstance(holder, dict) else None
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
