"""Between a FHIR server and the twin's values: reading, redaction, and the way back.

Functions over values: nothing here knows the journal. Errors: fhir_adapters.errors.
"""
