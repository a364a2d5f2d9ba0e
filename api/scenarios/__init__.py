"""Scenario files: a start, what goes wrong from then on, and what comes of it."""
