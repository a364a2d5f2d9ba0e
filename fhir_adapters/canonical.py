"""Names of what we put on a FHIR server. A url is a name: nothing resolves it at run time."""

CANONICAL = "https://w3id.org/jumeau/fhir"
STRUCTURES = f"{CANONICAL}/StructureDefinition/"
"""Every extension of ours, of this version or another, has a url below this one."""

PREDICTED_TIMELINE = f"{STRUCTURES}predicted-timeline"
PREDICTED_START = f"{STRUCTURES}predicted-start"
PREDICTED_END = f"{STRUCTURES}predicted-end"
PREDICTED_ROOM_END = f"{STRUCTURES}predicted-room-end"

OURS = frozenset({PREDICTED_TIMELINE, PREDICTED_START, PREDICTED_END, PREDICTED_ROOM_END})

PREDICTION_CODES = f"{CANONICAL}/CodeSystem/prediction"
CASE_TIMELINE = "case-timeline"
"""What a RiskAssessment of ours says: the predicted course of one case."""
MILESTONE_CODES = f"{CANONICAL}/CodeSystem/milestone"
PATIENT_OF = f"{CANONICAL}/patient-of"
"""System of the identifier that means *the patient of this resource*: `Type/id`."""


def is_ours(url: object) -> bool:
    """True for the url of an extension of ours."""
    return isinstance(url, str) and url.startswith(STRUCTURES)
