"""Tests against a public FHIR server: opt-in, synthetic data only, and nothing left behind. See docs/sandbox.md."""
