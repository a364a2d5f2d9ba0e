"""Experiments that the predictions must pass (design: Experiments): `python -m tests.experiments [--only V1 ...]`."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure and its mark: at least `low`, at most `high`."""

    experiment: str
    what: str
    value: float
    low: float = float("-inf")
    high: float = float("inf")

    @property
    def passed(self) -> bool:
        """Inside its mark."""
        return self.low <= self.value <= self.high

    @property
    def mark(self) -> str:
        """The mark for a person."""
        if self.low == -self.high == float("-inf"):
            return "none"
        if self.low == float("-inf"):
            return f"≤ {self.high:g}"
        return f"≥ {self.low:g}" if self.high == float("inf") else f"{self.low:g} – {self.high:g}"
