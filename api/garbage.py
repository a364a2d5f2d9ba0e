"""When Python looks for cycles. Values of the twin form none: they go when nobody holds them any more."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected(*, lasting: bool = False) -> Iterator[None]:
    """Make many values without a search for cycles at every few thousand, which takes as long again.

    `lasting`: what there is at the end stays, and later searches pass over it.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if lasting:
            gc.freeze()
        if was_on:
            gc.enable()
