"""How good predictions of durations are on finished cases that they have not seen: methods side by side."""
