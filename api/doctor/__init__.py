"""`jumeau doctor`: what a FHIR server is like, how much of the line works on it, and what to do about the rest."""

from api.doctor.examination import consult, examine
from api.doctor.findings import Check, Diagnosis, Finding, Level, Section
from api.doctor.report import show
from api.doctor.trying import NotTaggedError

__all__ = ["Check", "Diagnosis", "Finding", "Level", "NotTaggedError", "Section", "consult", "examine", "show"]
