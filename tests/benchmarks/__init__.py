"""Speed, measured against a peer within one run, each with a known answer; `python -m tests.benchmarks [--json]`."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One contender of a benchmark. `ratio` is its speed over the slowest peer's."""

    benchmark: str
    contender: str
    per_second: float
    unit: str
    ratio: float
