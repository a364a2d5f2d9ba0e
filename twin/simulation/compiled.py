"""The one door to Numba. Where it is absent the SimPy reference answers, and what is compiled here is plain Python."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from twin.errors import SimulationError

try:
    import numba
except ImportError:
    numba = None  # type: ignore[assignment, unused-ignore]

F = TypeVar("F", bound=Callable[..., Any])
Ints = NDArray[np.int64]

LOADED = numba is not None
FAULTS: tuple[type[Exception], ...] = (SimulationError, OSError, RuntimeError, AttributeError, TypeError, ValueError)
"""What making it ready can end in: no room on the disk, a stale cache, a compiler that doesn't know the processor."""
if numba is not None:
    FAULTS = (*FAULTS, numba.core.errors.NumbaError)


def compiled(function: F) -> F:
    """Compiled at its first call, or read from the cache on disk; runs without the GIL.

    Numba keeps the cache in NUMBA_CACHE_DIR, else beside the source, else in the user's own cache folder.
    """
    if numba is None:
        return function
    try:
        return _jit(function, cache=True)
    except RuntimeError:  # no folder can be written to
        return _jit(function, cache=False)


def is_cached(function: Callable[..., Any]) -> bool | None:
    """Whether a compiled function of these sources lies on the disk; None where it can't be kept there."""
    stats = getattr(function, "stats", None)
    if stats is None or stats.cache_path is None:
        return None
    code = function.__code__
    written = [one.stat().st_mtime for one in Path(stats.cache_path).glob(f"*.{function.__name__}-*.nbi")]
    return any(at >= Path(code.co_filename).stat().st_mtime for at in written)


def inlined(function: F) -> F:
    """Only ever called by compiled functions, and made a part of them."""
    if numba is None:
        return function
    return _jit(function, cache=False, forceinline=True)


def _jit(function: F, *, cache: bool, forceinline: bool = False) -> F:
    jit: Any = numba.njit
    options = {"nogil": True, "error_model": "numpy", "boundscheck": False, "forceinline": forceinline}
    made: F = jit(function, cache=cache, **options)
    return made


def pointer(array: Ints) -> Ints:
    """Inside compiled functions: the array's data as they lie, without length, negative indices and references."""
    return array


def lowest_bit(bits: int) -> int:
    """The number of the lowest bit that is 1, of a word that has some."""
    return (int(bits) & -int(bits)).bit_length() - 1


def _teach_lowest_bit() -> None:
    from numba.cpython.unsafe.numbers import trailing_zeros
    from numba.extending import overload

    count: Any = trailing_zeros

    def lowest_bit_of(bits):  # type: ignore[no-untyped-def]
        return lambda bits: count(bits)

    overload(lowest_bit)(lowest_bit_of)


def _teach_pointer() -> None:
    from numba import types
    from numba.extending import intrinsic, overload

    @intrinsic  # type: ignore[untyped-decorator, unused-ignore]
    def data(typing: Any, array: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return context.make_array(signature.args[0])(context, builder, arguments[0]).data

        make: Any = types.CPointer
        return make(array.dtype)(array), code

    get: Any = data

    def data_of(array):  # type: ignore[no-untyped-def]  # Numba compares the bare signatures
        return lambda array: get(array)

    overload(pointer)(data_of)


if numba is not None:
    _teach_pointer()
    _teach_lowest_bit()
