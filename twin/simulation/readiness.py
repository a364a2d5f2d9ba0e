"""Whether the compiled kernel is there and loaded: what may be asked without loading it."""

import importlib.util
import sys
import threading

AVAILABLE = sys.modules.get("numba", ...) is not None and importlib.util.find_spec("numba") is not None
"""Numba is installed, and not kept out of this process."""
_READY = threading.Event()


def ready() -> bool:
    """True once what is compiled is loaded; compiling takes long, so nobody waits for it unasked."""
    return _READY.is_set()


def now_ready() -> None:
    """Told by the kernel when it is warm."""
    _READY.set()
