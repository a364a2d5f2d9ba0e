"""Subscriptions kept against a small server in memory, and what comes in for them."""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from urllib.parse import urlsplit

import httpx
import pytest

from api.push import MISSED, Push
from api.sections import PushSettings
from fhir_adapters import subscriptions
from fhir_adapters.client import FhirClient
from fhir_adapters.errors import FhirServerError
from tests.unit.test_subscriptions import BASE, SOURCE, Server
from twin.timebase import monotonic, wall_now

CALLBACK = "http://127.0.0.1:8000"


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
async def client(server: Server) -> AsyncIterator[FhirClient]:
    async with FhirClient(BASE, transport=httpx.MockTransport(server), backoff_s=0.0) as one:
        yield one


@pytest.fixture
def later() -> list[float]:
    """Seconds by which the clock given to the program is ahead."""
    return [0.0]


def push_of(client: FhirClient, later: Sequence[float] = (0.0,), **settings: object) -> Push:
    told = PushSettings.model_validate({"callback_url": CALLBACK, **settings})
    return Push(client, told, SOURCE, now=lambda: monotonic() + later[0])


async def active(client: FhirClient, later: Sequence[float] = (0.0,)) -> Push:
    push = push_of(client, later)
    await push.keep()
    await push.keep()
    assert push.state == "active"
    push.woken.clear()
    return push


def key(server: Server, kind: str = "Appointment") -> tuple[str, str]:
    """Name and secret of a Subscription, as the server knows them."""
    channel = next(one["channel"] for one in server.held.values() if one["criteria"] == f"{kind}?")
    return urlsplit(channel["endpoint"]).path.removeprefix("/push/"), channel["header"][0].partition(": ")[2]


def of_type(server: Server, kind: str = "Appointment") -> set[str]:
    return {one for one, body in server.held.items() if body["criteria"] == f"{kind}?"}


async def test_one_of_each_type(client: FhirClient, server: Server) -> None:
    push = push_of(client)
    assert push.state == "starting"
    await push.keep()
    kinds = ["Appointment?", "Encounter?", "Location?", "Procedure?"]
    assert sorted(one["criteria"] for one in server.held.values()) == kinds
    secrets = {key(server, kind.rstrip("?")) for kind in kinds}
    assert len({part for pair in secrets for part in pair}) == 8
    assert all(len(part) >= 32 for pair in secrets for part in pair)


async def test_start_removes_what_a_kill_left(client: FhirClient, server: Server) -> None:
    await active(client)
    before = set(server.held)
    server.held["theirs"] = {"id": "theirs", "reason": "another", "criteria": "Patient?"}
    await active(client)
    assert len(server.held) == 5
    assert "theirs" in server.held
    assert len(before) == 4


async def test_wakes_when_active(client: FhirClient) -> None:
    push = push_of(client)
    await push.keep()
    push.woken.clear()
    await push.keep()
    assert push.woken.is_set()


async def test_notification_wakes(client: FhirClient, server: Server) -> None:
    push = await active(client)
    assert push.take(*key(server))
    assert push.woken.is_set()


async def test_wrong_secret_does_not_wake(client: FhirClient, server: Server) -> None:
    push = await active(client)
    name, secret = key(server)
    other = key(server, "Location")[1]
    for wrong in ((name, ""), (name, other), ("", secret), (name, secret + "é"), ("\ud800", secret)):
        assert not push.take(*wrong)
    assert not push.woken.is_set()


@pytest.mark.parametrize("status", ["off", "error", None])
async def test_failed_is_made_again(client: FhirClient, server: Server, later: list[float], status: str | None) -> None:
    push = await active(client, later)
    (old,) = of_type(server)
    if status is None:
        del server.held[old]
    else:
        server.held[old]["status"] = status
    later[0] = 3600
    await push.keep()
    assert len(of_type(server) - {old}) == 1
    assert len(server.held) == 4
    assert push.take(*key(server))


async def test_made_again_more_and_more_rarely(client: FhirClient, server: Server, later: list[float]) -> None:
    push = await active(client, later)
    made = set(of_type(server))
    for minute in range(240):
        later[0] = minute * 60
        for one in of_type(server):
            server.held[one]["status"] = "error"
        await push.keep()
        made |= {f"{one} {server.held[one]['channel']['endpoint']}" for one in of_type(server)}
    assert len(made) < 12
    assert "Appointment" in push.state
    assert "polling goes on" in push.state


async def test_renewed_before_its_end(client: FhirClient, server: Server, later: list[float]) -> None:
    push = push_of(client, later, valid_s=60)
    await push.keep()
    old = set(server.held)
    push._watched[0].until = wall_now() + timedelta(seconds=19)
    later[0] = 3600
    await push.keep()
    assert len(set(server.held) - old) == 1
    assert len(server.held) == 4


async def test_old_secret_is_good_for_what_is_under_way(client: FhirClient, server: Server, later: list[float]) -> None:
    push = await active(client, later)
    old = key(server)
    (one,) = of_type(server)
    server.held[one]["status"] = "off"
    later[0] = 3600
    await push.keep()
    assert push.take(*old)


async def test_silent_one_is_made_again(client: FhirClient, server: Server, later: list[float]) -> None:
    push = await active(client, later)
    old = of_type(server)
    for _ in range(MISSED):
        push.found({"Appointment"})
    later[0] = 120
    await push.keep()
    assert of_type(server).isdisjoint(old)


async def test_announced_changes_are_well(client: FhirClient, server: Server, later: list[float]) -> None:
    push = await active(client, later)
    old = set(server.held)
    for minute in range(60):
        later[0] = minute * 60
        push.take(*key(server))
        push.found({"Appointment", "Patient"})
        await push.keep()
    assert set(server.held) == old


@pytest.mark.parametrize("status", [403, 405, 422, 501])
async def test_refusal_leaves_polling(client: FhirClient, server: Server, status: int) -> None:
    server.refuses = status
    push = push_of(client)
    await push.keep()
    await push.keep()
    assert f"({status})" in push.state
    assert push.state.endswith("polling goes on")


async def test_refusal_of_one_type(client: FhirClient, server: Server, later: list[float]) -> None:
    push = push_of(client, later)
    await push.keep()
    server.refuses = 403
    later[0] = 3600
    push._watched[0].ref = None
    await push.keep()
    assert "(403)" in push.state
    server.refuses = 0
    later[0] = 7300
    await push.keep()
    await push.keep()
    assert push.state == "active"


async def test_server_away_is_raised(client: FhirClient, server: Server) -> None:
    server.refuses = 503
    with pytest.raises(FhirServerError):
        await push_of(client).keep()


async def test_clean_end_removes_them(client: FhirClient, server: Server) -> None:
    push = await active(client)
    await push.remove()
    assert server.held == {}


async def test_end_without_a_server(client: FhirClient, server: Server) -> None:
    push = await active(client)
    server.refuses = 500
    await push.remove()
    assert len(await _found(server)) == 4


async def _found(server: Server) -> list[str]:
    server.refuses = 0
    async with FhirClient(BASE, transport=httpx.MockTransport(server)) as client:
        return await subscriptions.find_ours(client, SOURCE)


async def test_made_by_hand(client: FhirClient) -> None:
    push = Push(client, PushSettings.model_validate({"secret": "0123456789abcdef"}), SOURCE)
    assert (push.wanted, push.state) == (False, "by hand")
    assert not push.take("hook", "0123456789abcdeg")
    assert push.take("hook", "0123456789abcdef")
    assert push.woken.is_set()


async def test_off_takes_nothing(client: FhirClient) -> None:
    push = Push(client, PushSettings(), SOURCE)
    assert (push.wanted, push.state) == (False, "off")
    assert not push.take("", "")
    assert not push.take("hook", "")
