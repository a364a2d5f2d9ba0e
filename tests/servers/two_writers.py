"""Two writers at once: a hospital's program edits the very Appointments that the living twin annotates."""

import asyncio
import json
import random
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise

from fhir_adapters import splice
from fhir_adapters.errors import ConflictError, RejectedError
from tests.servers.bench import EVER, Bench, Json, Section, behaviour, link, resource, transaction
from tests.strangers import checks
from tests.strangers.cli import Jumeau
from tests.strangers.resources import appointment, at, morning, patient
from tests.strangers.serving import Serving

WRITERS, EDITS, EVERY_S = 10, 200, 0.5
"""2,000 edits, 20 a second: 100 s, and longer where the server or the machine is slower."""
MIN_INTERVAL_S = 1.0
QUIET_S, QUIET_WITHIN_S = 5.0, 180.0
BOOKED = tuple(
    appointment(f"n{number}", f"s{1 + number % 2}", f"{14 + number // 2}:00", f"{14 + number // 2}:50")
    for number in range(8)
)
EDITED = ("Appointment/a2", "Appointment/a5", *(f"Appointment/{one['id']}" for one in BOOKED))
LIVING = {
    "JUMEAU_CLOCK__ANCHOR": at("10:30"),
    "JUMEAU_SYNC__POLL_S": "1",
    "JUMEAU_SIMULATION__EVERY_S": "1",
    "JUMEAU_WRITE_BACK__MIN_INTERVAL_S": str(MIN_INTERVAL_S),
    "JUMEAU_WRITE_BACK__MAX_PER_HOUR": "3600",
    "JUMEAU_WRITE_BACK__BUDGET_PER_S": "60",
}


@dataclass(slots=True)
class Hospital:
    """Its edits that the server has accepted, by resource."""

    accepted: dict[str, set[str]] = field(default_factory=dict)

    @property
    def edits(self) -> int:
        """How many."""
        return sum(map(len, self.accepted.values()))


@behaviour(Section.TWO_WRITERS, "2,000 edits by ten writers, 20 a second, on what we annotate: lost; changed by us")
async def two_writers(bench: Bench) -> str:
    people = [patient(f"p-{one['id']}") for one in BOOKED]
    await bench.client.transaction(transaction([*morning(), *people, *BOOKED]))
    hospital = Hospital()
    jumeau = Jumeau(bench.folder, bench.url)
    with await asyncio.to_thread(Serving, jumeau, **LIVING) as living:
        await _annotated(bench)
        started = time.monotonic()
        await asyncio.gather(*(_edit_on(bench, number, hospital) for number in range(WRITERS)))
        await _quiet(bench)
        lasted_s = time.monotonic() - started
        code, _ = await asyncio.to_thread(living.end, signal.SIGTERM)
        assert code == 0
    assert hospital.edits == WRITERS * EDITS
    lost = changed = 0
    for ref in EDITED:
        versions = await _versions(bench, ref)
        accepted = hospital.accepted[ref]
        lost += len(accepted - set(_said(versions[-1]).split()))
        mine = [(one, other) for one, other in pairwise(versions) if _said(one) == _said(other)]
        changed += sum(not splice.untouched(one, other) for one, other in mine)
        assert len(versions) == 1 + len(accepted) + len(mine), "nobody else writes"
        assert 0 < len(mine) <= lasted_s / MIN_INTERVAL_S + 2, "no loop"
    removed = (await asyncio.to_thread(jumeau, "write-back", "--remove", "--json")).report
    assert removed["failed"] == 0
    return f"{lost}; {changed}"


async def _annotated(bench: Bench) -> None:
    deadline = time.monotonic() + QUIET_WITHIN_S
    while not all([checks.ours(await resource(bench, ref)) for ref in EDITED]):
        assert time.monotonic() < deadline, "not everything was annotated"
        await asyncio.sleep(0.5)


async def _edit_on(bench: Bench, number: int, hospital: Hospital) -> None:
    """One writer of the hospital's, at its own pace: a mark in the description, another end, under If-Match."""
    rng = random.Random(number)
    next_s = time.monotonic() + rng.random() * EVERY_S
    for turn in range(EDITS):
        await asyncio.sleep(max(0.0, next_s - time.monotonic()))
        next_s += EVERY_S
        ref, mark = rng.choice(EDITED), f"{number}.{turn}"
        while not await _edit(bench, ref, mark, later=timedelta(minutes=rng.randrange(-10, 40))):
            pass
        hospital.accepted.setdefault(ref, set()).add(mark)


async def _edit(bench: Bench, ref: str, mark: str, *, later: timedelta) -> bool:
    """False where another one was faster."""
    answer = await bench.client.read(ref)
    booked = json.loads(answer.body)
    said = f"{booked.get('description', '')} {mark}".strip()
    end = (datetime.fromisoformat(booked["start"]) + timedelta(minutes=60) + later).isoformat()
    try:
        if int(mark.partition(".")[2]) % 4:
            body: Json = {**booked, "description": said, "end": end}
            await bench.client.update(ref, body, if_match=answer.version_id)
        else:
            changes = {"/description": said, "/end": end}
            operations = [{"op": "add", "path": path, "value": value} for path, value in changes.items()]
            await bench.client.patch(ref, operations, if_match=answer.version_id)
    except (ConflictError, RejectedError):
        return False
    return True


async def _quiet(bench: Bench) -> None:
    """Wait until nothing is written any more."""
    deadline = time.monotonic() + QUIET_WITHIN_S
    seen, since = await _numbers(bench), time.monotonic()
    while time.monotonic() - since < QUIET_S:
        assert time.monotonic() < deadline, "writing goes on though the hospital has stopped"
        await asyncio.sleep(0.5)
        if (now := await _numbers(bench)) != seen:
            seen, since = now, time.monotonic()


async def _numbers(bench: Bench) -> Sequence[str]:
    return [(await resource(bench, ref))["meta"]["versionId"] for ref in EDITED]


async def _versions(bench: Bench, ref: str) -> list[bytes]:
    """The texts of all versions, oldest first."""
    found: list[bytes] = []
    answer = await bench.client.get(f"{ref}/_history", params=EVER)
    while True:
        found += splice.entries(answer.body)
        following = link(answer.json(), "next")
        if following is None:
            break
        answer = await bench.client.get(following)
    return sorted(found, key=lambda body: int(json.loads(body)["meta"]["versionId"]))


def _said(body: bytes) -> str:
    said: str = json.loads(body).get("description", "")
    return said
