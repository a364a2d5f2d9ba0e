"""The compiled kernel equals the SimPy specification, to the second and to the tie; conservation holds in both.

JUMEAU_KERNEL_EXAMPLES=10000 makes a night's run of it.
"""

import os
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.programs import Programs, open_suite, suite
from twin.simulation import kernel, readiness, reference
from twin.simulation.draws import Seconds
from twin.simulation.lists import draw_plan
from twin.simulation.pathway import write
from twin.simulation.program import Give, Program, Take
from twin.simulation.scenario import Scenario

EXAMPLES = int(os.environ.get("JUMEAU_KERNEL_EXAMPLES", "200"))
RANDOMS = st.randoms(use_true_random=False)
FAR = 10**12


@pytest.fixture(scope="module", autouse=True)
def warm() -> None:
    kernel.warm()
    assert readiness.ready()


@settings(max_examples=EXAMPLES, deadline=None)
@given(RANDOMS)
def test_any_program(rng: Random) -> None:
    programs = Programs(rng)
    program = programs.program()
    draws = np.array([programs.row() for _ in range(3)], dtype=np.int64)
    assert np.array_equal(kernel.run(program, draws), reference.run(program, draws))


@settings(max_examples=EXAMPLES, deadline=None)
@given(RANDOMS.map(suite))
def test_any_suite(scenario: Scenario) -> None:
    pathway = write(draw_plan(scenario))
    instants = reference.run(pathway.program, pathway.draws)
    assert np.array_equal(kernel.run(pathway.program, pathway.draws, threads=2), instants)
    time_runs_on(pathway.program, instants)
    for replication in range(instants.shape[1]):
        for resource in range(len(pathway.program.resources)):
            places_are_kept(pathway.program, instants[:, replication], resource)


@settings(max_examples=EXAMPLES, deadline=None)
@given(RANDOMS.map(open_suite))
def test_nobody_is_lost(scenario: Scenario) -> None:
    pathway = write(draw_plan(scenario))
    instants = kernel.run(pathway.program, pathway.draws)
    ends = [end - 1 for end in pathway.program.offsets[1:]]
    assert (instants[ends] >= 0).all()


def time_runs_on(program: Program, instants: Seconds) -> None:
    """Within a task no step is done before one that stands ahead of it."""
    for begin, end in zip(program.offsets, program.offsets[1:], strict=False):
        for replication in range(instants.shape[1]):
            done = instants[begin:end, replication]
            assert (np.diff(done[done >= 0]) >= 0).all()


def places_are_kept(program: Program, instants: Seconds, resource: int) -> None:
    """Never more are in than the most places that there were, or than were held at the start."""
    taken, given = columns_of(program)
    mine = [n for n, need in enumerate(program.needs) if need.resources == (resource,)]
    held = [need for need in mine if need in program.held]
    changes = []
    for need in mine:
        start = -1 if need in held else instants[taken[need]] if need in taken else -1
        if need in held or start >= 0:
            end = instants[given[need]] if need in given else -1
            changes += [(int(start), 1), (int(end) if end >= 0 else FAR, -1)]
    told = program.resources[resource]
    most = max(len(held), told.capacity, *(capacity for _, capacity in told.changes), 0)
    present = np.cumsum([change for _, change in sorted(changes)])
    assert present.max(initial=0) <= most


def columns_of(program: Program) -> tuple[dict[int, int], dict[int, int]]:
    """By need, the columns at which its place is taken and given back."""
    taken, given = dict[int, int](), dict[int, int]()
    for task, offset in zip(program.tasks, program.offsets, strict=False):
        for number, step in enumerate(task.steps, start=1):
            if isinstance(step, Take):
                taken[step.need] = offset + number
            elif isinstance(step, Give):
                given[step.need] = offset + number
    return taken, given
