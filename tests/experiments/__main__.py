"""Runs the experiments, prints them with their marks and, when all were run, writes docs/experiments.md."""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path

from tests.experiments import (
    Figure,
    v1_coverage,
    v2_skill,
    v3_real,
    v4_recalibration,
    v5_remaining,
    v6_late_stamps,
    v7,
    v8,
    v9_room_ends,
    v10,
)
from tests.experiments.prequential import Run, run

DOCUMENT = Path(__file__).parents[2] / "docs" / "experiments.md"

NAMES = {
    "V1": "durations, prequential: is the twin as sure as it should be?",
    "V2": "durations: is it better than booked times, and how near to perfect knowledge?",
    "V3": "durations on real cardiothoracic cases",
    "V4": "booking habits: told when wrong, silent when right",
    "V5": "time remaining of running cases",
    "V6": "late and wrong time stamps",
    "V7": "the simulator against closed forms",
    "V8": "trace replay: observed durations give the observed day",
    "V9": "when rooms end, told at 9, 12 and 15 h of 60 days",
    "V10": "common random numbers, 40 moves of one case",
}


def main(arguments: Sequence[str]) -> int:
    """0 when every figure is within its mark, 1 when one is not, 2 for a wrong call."""
    parser = argparse.ArgumentParser(prog="python -m tests.experiments")
    parser.add_argument("--only", nargs="+", choices=list(NAMES), default=list(NAMES), metavar="V1")
    parser.add_argument("--seed", type=int, default=0)
    told = parser.parse_args(arguments)
    figures: list[Figure] = []
    for name in told.only:
        started = time.perf_counter()
        try:
            found = _experiments(told.seed)[name]()
        except FileNotFoundError as error:
            sys.stderr.write(f"{error}\n")
            return 2
        sys.stdout.write(_lines(found))
        sys.stdout.write(f"   ({time.perf_counter() - started:.0f} s)\n")
        figures += found
    if told.only == list(NAMES):
        DOCUMENT.write_text(document(figures, told.seed), encoding="utf-8")
    return 0 if all(figure.passed for figure in figures) else 1


def _experiments(seed: int) -> dict[str, Callable[[], list[Figure]]]:
    first = partial(_first, seed)
    return {
        "V1": lambda: v1_coverage.figures(seed, first()),
        "V2": lambda: v2_skill.figures(seed, first()),
        "V3": lambda: v3_real.figures(seed),
        "V4": lambda: v4_recalibration.figures(seed),
        "V5": lambda: v5_remaining.figures(first()),
        "V6": lambda: v6_late_stamps.figures(seed),
        "V7": lambda: v7.figures(seed),
        "V8": lambda: v8.figures(seed),
        "V9": lambda: v9_room_ends.figures(seed),
        "V10": lambda: v10.figures(seed),
    }


@cache
def _first(seed: int) -> Run:
    return run(seed)


def _lines(figures: Sequence[Figure]) -> str:
    return "".join(
        f"{each.experiment} {each.what:<52} {each.value:>8.3f}  {each.mark:<14} {'pass' if each.passed else 'FAIL'}\n"
        for each in figures
    )


def document(figures: Sequence[Figure], seed: int) -> str:
    """The page: every figure with its mark."""
    parts = [
        "# Experiments\n",
        f"Written by `make experiments` (`python -m tests.experiments --seed {seed}`); do not edit. G0 is a pinned",
        "generator of a clinic's year that is not the model (`tests/experiments/g0.py`); V3 is on real cases; V6 and "
        "V9",
        "are on 60 days of room lists of G0's cases (`tests/experiments/room_days.py`).\n",
    ]
    for name, title in NAMES.items():
        rows = [f"| {f.what} | {f.value:.3f} | {f.mark} | {_judged(f)} |" for f in figures if f.experiment == name]
        parts += [
            f"## {name}: {title}\n",
            f"Seed {seed}.\n",
            "| figure | measured | mark | passed |",
            "| --- | --- | --- | --- |",
            *rows,
            "",
        ]
    return "\n".join(parts)


def _judged(figure: Figure) -> str:
    if figure.mark == "none":
        return ""
    return "yes" if figure.passed else "**no**"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
