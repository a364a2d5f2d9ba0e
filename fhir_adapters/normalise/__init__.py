"""From one version of one FHIR R4 resource to what it asserts, redacted."""

from fhir_adapters.normalise.mapping import Mapping, default_mapping, load_mapping
from fhir_adapters.normalise.normaliser import SUBSETTED, TYPES, Normaliser, Reading
from fhir_adapters.normalise.results import RESULT_TYPES

__all__ = ["RESULT_TYPES", "SUBSETTED", "TYPES", "Mapping", "Normaliser", "Reading", "default_mapping", "load_mapping"]
