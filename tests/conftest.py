"""What all tests share: the site's zone, repeatable random inputs, and no network but this machine."""

import ipaddress
import os
import socket
from collections.abc import Callable
from zoneinfo import ZoneInfo

import pytest
from hypothesis import settings

settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")

Connect = Callable[[socket.socket, object], object]
Lookup = Callable[..., object]


class NetworkError(RuntimeError):
    """A test tried to leave this machine. No OSError: a client must not take it for a server that is away."""


@pytest.fixture
def zone() -> ZoneInfo:
    """The reference site's zone: not UTC, with two changes of the clocks a year."""
    return ZoneInfo("Europe/Paris")


@pytest.fixture(autouse=True)
def no_network(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections go to this machine only; tests marked `server` start other programs and are left alone."""
    if "server" not in request.keywords:
        for name in ("connect", "connect_ex"):
            monkeypatch.setattr(socket.socket, name, _guarded_connect(getattr(socket.socket, name)))
        monkeypatch.setattr(socket, "getaddrinfo", _guarded_lookup(socket.getaddrinfo))


def _guarded_connect(connect: Connect) -> Connect:
    def guarded(self: socket.socket, address: object) -> object:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            _refuse_far(address[0] if isinstance(address, tuple) else address)
        return connect(self, address)

    return guarded


def _guarded_lookup(lookup: Lookup) -> Lookup:
    def guarded(host: object, *args: object, **kwargs: object) -> object:
        _refuse_far(host)
        return lookup(host, *args, **kwargs)

    return guarded


def _refuse_far(host: object) -> None:
    if not _is_here(host.decode() if isinstance(host, bytes) else host):
        raise NetworkError(
            "tests stay on this machine: answer with a fake, or start a server on 127.0.0.1 (pytest marker `server`)"
        )


def _is_here(host: object) -> bool:
    if host is None or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(str(host)).is_loopback
    except ValueError:
        return False
