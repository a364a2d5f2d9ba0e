"""The domain: twins, simulation and prediction. Knows no FHIR and no HTTP."""
