"""Draws by table: near the law in the body, the law itself in the tails, the same compiled or not."""

import numpy as np
import pytest

from twin.durations.distribution import LogT
from twin.simulation import draws, filling, kernel
from twin.simulation.draws import Key, sample, uniforms

LAW = LogT.of_median(90, 0.4, df=8)
KEY = Key(3, "case", "room_time", 200_000)


@pytest.mark.parametrize("elapsed_min", [0.0, 75.0, 400.0])
def test_table_keeps_to_the_law(elapsed_min: float) -> None:
    seconds, u = sample(LAW, KEY, elapsed_min), uniforms(KEY)
    survival = LAW.sf(elapsed_min + seconds / 60) / LAW.sf(elapsed_min)
    assert np.abs(1 - survival - u).max() < 1e-3
    exact = LAW.residual_ppf(u, elapsed_min) * 60
    assert seconds.mean() == pytest.approx(exact.mean(), rel=1e-3)
    far = (u < 2**-16) | (u > 1 - 2**-16)
    assert far.any()
    assert np.abs(seconds - exact)[far].max() <= 0.5


def test_compiled_draws_are_the_same() -> None:
    kernel.warm()
    table, words = draws._table(LAW, 0.0), draws._hashed(KEY)
    plain, fast = np.empty(KEY.replications, dtype=np.int64), np.empty(KEY.replications, dtype=np.int64)
    assert draws._look_up(words, table, plain) == filling.fill(np.uint64(KEY.word), 0, table, fast) > 0
    assert np.array_equal(plain, fast)


def test_part_draws_what_the_whole_does() -> None:
    part = KEY._replace(replications=50, first=100)
    assert np.array_equal(sample(LAW, part), sample(LAW, KEY)[100:150])


def test_constant_law_is_constant() -> None:
    assert set(sample(LogT.constant(12.5), KEY).tolist()) == {750}
