"""The whole line, as an installed program, on a small morning."""

import asyncio

from tests.servers.bench import Bench, Json, Section, behaviour, transaction
from tests.strangers import checks, plain
from tests.strangers.cli import Jumeau
from tests.strangers.resources import at, morning

NOW = at("10:30")
TODAY = ("Appointment/a1", "Appointment/a2", "Appointment/a4", "Appointment/a5")
ROOMS = ("Location/s1", "Location/s2")


@behaviour(Section.LINE, "`run --once`: resources annotated, by a second run, left by `write-back --remove`")
async def once(bench: Bench) -> str:
    await bench.client.transaction(transaction(morning()))
    before = _texts(bench)
    jumeau = Jumeau(bench.folder, bench.url)
    first = (await asyncio.to_thread(jumeau.once, NOW)).report
    for ref in TODAY:
        checks.timeline(_read(bench, ref), NOW, valid_min=60)
    for ref in ROOMS:
        checks.room_end(_read(bench, ref), NOW)
    assert _untouched(before, _texts(bench))
    second = (await asyncio.to_thread(jumeau.once, NOW)).report
    assert (first["failed"], first["conflicts"], second["failed"], second["conflicts"]) == (0, 0, 0, 0)
    removed = (await asyncio.to_thread(jumeau, "write-back", "--remove", "--json")).report
    assert removed == {"removed": first["written"], "conflicts": 0, "failed": 0}
    left = [ref for ref in before if checks.ours(_read(bench, ref))]
    assert _untouched(before, _texts(bench))
    return f"{first['written']}, {second['written']}, {len(left)}"


def _read(bench: Bench, ref: str) -> Json:
    return plain.get(f"{bench.url}/{ref}")


def _texts(bench: Bench) -> dict[str, str]:
    refs = (f"{one['resourceType']}/{one['id']}" for one in morning())
    return {ref: plain.text(f"{bench.url}/{ref}") for ref in refs}


def _untouched(before: dict[str, str], after: dict[str, str]) -> bool:
    return {ref: checks.his(text) for ref, text in before.items()} == {
        ref: checks.his(text) for ref, text in after.items()
    }
