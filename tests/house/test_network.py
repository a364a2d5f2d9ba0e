"""The tests' own guard: nothing leaves this machine."""

import asyncio
import socket
from threading import Thread

import httpx
import pytest

from tests.conftest import NetworkError


@pytest.mark.parametrize("address", ["http://192.0.2.1/fhir", "http://fhir.example.org/fhir", "http://[2001:db8::1]/"])
def test_far_servers_are_refused(address: str) -> None:
    with pytest.raises(NetworkError, match=r"127\.0\.0\.1"):
        httpx.get(address, trust_env=False)


async def test_far_servers_are_refused_in_a_loop() -> None:
    with pytest.raises(NetworkError, match="marker `server`"):
        await asyncio.open_connection("192.0.2.1", 80)


def test_this_machine_is_reached() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        answer = Thread(target=lambda: server.accept()[0].close())
        answer.start()
        with socket.create_connection(server.getsockname(), timeout=5) as client:
            assert client.recv(1) == b""
        answer.join()
