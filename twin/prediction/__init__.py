"""Predicted timelines of cases and rooms, and when they are worth writing again."""

MODEL = "jumeau-closed-form-simpy 3"
"""Name and version of what makes a prediction; goes up when the same input gives other numbers."""
