"""Many futures of the rest of a day, from the live state."""
