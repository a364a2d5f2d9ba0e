"""The one door to Dask: blocks of a sweep on the workers of a cluster that exists.

A worker that is lost costs nothing but time: Dask gives its blocks to another. Every worker must run the same Jumeau,
down to the source of what simulates, or the sweep ends in an error that says so.
"""

import hashlib
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, cast

from twin.errors import SettingsError, SimulationError
from twin.simulation.replications import Engine, best_engine
from twin.simulation.scenario import Scenario
from twin.simulation.summary import Tally, tally_part
from twin.simulation.sweep import Job

CONNECT_S = 5.0
_ADDRESS = re.compile(r"(?:[a-z]+://)?[\w.\-\[\]:]+:\d{1,5}", re.ASCII)
_HOW = "cluster: give the scheduler's address, such as tcp://10.0.0.5:8786"
_SOURCES = ("durations/*.py", "simulation/*.py", "*.py")
_PACKAGES = ("python", "distributed", "msgpack", "cloudpickle", "numpy")
_RETRIES = 3


class Cluster:
    """Simulates on the workers of a Dask cluster."""

    def __init__(self, client: Any) -> None:
        self._client = client

    @property
    def width(self) -> int:
        """Threads of all workers; they may come and go."""
        return max(int(sum(self._client.nthreads().values())), 1)

    def submit(self, part: Scenario) -> Job:
        """Queues a block."""
        return _Block(self._client.submit(simulate_there, part, fingerprint(), pure=False, retries=_RETRIES))


class _Block:
    def __init__(self, future: Any) -> None:
        self._future = future

    def result(self, timeout: float | None = None) -> Tally:
        error = self._future.exception(timeout=timeout)
        if error is None:
            return cast(Tally, self._future.result())
        if isinstance(error, SimulationError):
            raise error
        raise SimulationError(
            f"the cluster could not simulate ({type(error).__name__}): install the same Jumeau on every worker, "
            "and see the logs of the scheduler and the workers"
        ) from error

    def cancel(self) -> object:
        return self._future.cancel()


@contextmanager
def cluster(address: str, *, connect_s: float = CONNECT_S) -> Iterator[Cluster]:
    """Connected to a scheduler, such as tcp://10.0.0.5:8786, for as long as the context lasts.

    SettingsError without the extra, where nobody answers in time, where there is no worker, or one runs other versions.
    """
    client = _client(address, connect_s)
    try:
        _check(client, connect_s)
        yield Cluster(client)
    finally:
        client.close(timeout=connect_s)


def _client(address: str, connect_s: float) -> Any:
    if not _ADDRESS.fullmatch(address):
        raise SettingsError(_HOW)
    try:
        import distributed
    except ImportError:
        raise SettingsError("cluster: Dask is not installed here: install the extra 'cluster'") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", distributed.versions.VersionMismatchWarning)  # `_check` says it better
            connect: Any = distributed.Client
            return connect(address, timeout=connect_s, set_as_default=False)
    except (OSError, TimeoutError):
        raise SettingsError(
            f"cluster: no scheduler answers at {address} within {connect_s:g} s: start one, or give its address"
        ) from None
    except ValueError:
        raise SettingsError(_HOW) from None


def _check(client: Any, connect_s: float) -> None:
    try:
        client.wait_for_workers(1, timeout=connect_s)
    except TimeoutError:
        raise SettingsError("cluster: the scheduler has no worker: start some (dask worker ADDRESS)") from None
    versions = client.get_versions()
    mine = versions["client"]["packages"]
    for name, theirs in (("the scheduler", versions["scheduler"]), *versions["workers"].items()):
        differing = mismatch(mine, theirs["packages"])
        if differing:
            raise SettingsError(f"cluster: {name} differs from here in {differing}: install the same versions")


def mismatch(mine: Mapping[str, str | None], theirs: Mapping[str, str | None]) -> str:
    """What differs of the versions that matter, as "package there, not here"; empty where nothing does."""
    return ", ".join(
        f"{package} {theirs.get(package)}, not {mine.get(package)}"
        for package in _PACKAGES
        if _release(theirs.get(package)) != _release(mine.get(package))
    )


def _release(version: str | None) -> tuple[str, ...]:
    """Major and minor number."""
    return tuple((version or "").split(".")[:2])


@cache
def fingerprint() -> str:
    """Of the source of all that simulates: equal where the numbers are."""
    root = Path(__file__).parents[1]
    files = sorted(file for pattern in _SOURCES for file in root.glob(pattern))
    told = hashlib.blake2b(digest_size=16)
    for file in files:
        told.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes())
    return told.hexdigest()


def simulate_there(part: Scenario, expected: str) -> Tally:
    """A worker's side. SimulationError where its Jumeau is another than `expected`, the fingerprint of who asks."""
    if fingerprint() != expected:
        raise SimulationError(
            "a worker of the cluster runs another version of Jumeau: install the same on every worker"
        )
    return tally_part(part, _engine())


@cache
def _engine() -> Engine:
    return best_engine()
