"""Predictions beside the hospital's resources, as an installed program keeps them: the life of a companion."""

import asyncio
from pathlib import Path

from fhir_adapters.companion import TYPE
from tests.servers.bench import Bench, Json, Section, behaviour, status, transaction
from tests.strangers import checks, plain
from tests.strangers.cli import Jumeau, Ran
from tests.strangers.resources import at, morning

NOW = at("10:30")
CASES = {"Appointment/a1", "Appointment/a2", "Appointment/a4", "Appointment/a5"}
MODE = "JUMEAU_WRITE_BACK__MODE"


def installation(bench: Bench, name: str, mode: str = "companion") -> Jumeau:
    """One of its own, with its own key and so its own source."""
    folder: Path = bench.folder / name
    folder.mkdir(exist_ok=True)
    return Jumeau(folder, bench.url, ((MODE, mode),))


async def once(jumeau: Jumeau, *arguments: str, now: str = NOW) -> Ran:
    return await asyncio.to_thread(jumeau.once, now, *arguments)


async def remove(jumeau: Jumeau, *arguments: str) -> Json:
    return (await asyncio.to_thread(jumeau, "write-back", "--remove", "--json", *arguments)).report


async def found(bench: Bench, carrier: str = "", **query: str) -> list[Json]:
    """What any reader finds, of one carrier or all; asked with no-cache, as HAPI repeats an answer for a minute."""
    pages = [page.bundle async for page in bench.client.search(TYPE, list(query.items()))]
    resources = [entry["resource"] for page in pages for entry in page.get("entry", [])]
    return [one for one in resources if "identifier" in one and about(one) in (carrier or about(one))]


def about(one: Json) -> str:
    return str(one["identifier"][0]["value"])


@behaviour(Section.COMPANIONS, "`run --once`: created, by a second run, after a restart without a journal")
async def created(bench: Bench) -> str:
    await bench.client.transaction(transaction(morning()))
    before = {ref: plain.text(f"{bench.url}/{ref}") for ref in CASES}
    jumeau = installation(bench, "one")
    runs = [(await once(jumeau)).report]
    made = {about(one): one for one in await found(bench)}
    assert made.keys() >= CASES
    runs.append((await once(jumeau)).report)
    (jumeau.folder / "twin.db").unlink()
    runs.append((await once(jumeau)).report)
    assert {about(one): one["id"] for one in await found(bench)} == {ref: one["id"] for ref, one in made.items()}
    assert {ref: plain.text(f"{bench.url}/{ref}") for ref in CASES} == before
    for ref in CASES:
        checks.timeline(made[ref], NOW)
    assert [run["failed"] + run["conflicts"] for run in runs] == [0, 0, 0]
    await remove(jumeau)
    return ", ".join(str(run["written"]) for run in runs)


@behaviour(Section.COMPANIONS, "found by others: `identifier=Appointment/…` gives that one only")
async def named(bench: Bench) -> str:
    await bench.client.transaction(transaction(morning()))
    jumeau = installation(bench, "one")
    await once(jumeau)
    told = [about(one) for one in await found(bench, identifier="Appointment/a2")]
    await remove(jumeau)
    assert "Appointment/a2" in told
    return "yes" if told == ["Appointment/a2"] else "no: the filter is ignored"


@behaviour(Section.COMPANIONS, "renewed and changed: the same resource, a new version")
async def updated(bench: Bench) -> str:
    await bench.client.transaction(transaction(morning()))
    jumeau = installation(bench, "one")
    await once(jumeau)
    before = {about(one): one for one in await found(bench)}
    assert (await once(jumeau, now=at("11:15"))).report["failed"] == 0
    after = {about(one): one for one in await found(bench)}
    assert {ref: one["id"] for ref, one in after.items()} == {ref: one["id"] for ref, one in before.items()}
    assert after["Appointment/a2"]["meta"]["versionId"] != before["Appointment/a2"]["meta"]["versionId"]
    checks.timeline(after["Appointment/a2"], at("11:15"))
    await remove(jumeau)
    return "yes"


@behaviour(Section.COMPANIONS, "DELETE of the booking by the hospital; companions of it after the next run")
async def deleted(bench: Bench) -> str:
    await bench.client.transaction(transaction(morning()))
    jumeau = installation(bench, "one")
    await once(jumeau)
    answered = await status(bench.client.delete("Appointment/a5"))
    assert (await once(jumeau)).report["failed"] == 0
    left = len(await found(bench, "Appointment/a5"))
    await remove(jumeau)
    return f"{answered}; {left}"


@behaviour(Section.COMPANIONS, "removed while something refers to it: deleted, or cancelled and empty")
async def referred(bench: Bench) -> str:
    await bench.client.transaction(transaction(morning()))
    jumeau = installation(bench, "one")
    await once(jumeau)
    (one,) = await found(bench, "Appointment/a5")
    entry = [{"item": {"reference": f"{TYPE}/{one['id']}"}}]
    theirs = {"resourceType": "List", "id": f"{bench.tag}-r", "status": "current", "mode": "working", "entry": entry}
    await bench.client.update(f"List/{theirs['id']}", theirs, if_match=None)
    assert (await remove(jumeau))["failed"] == 0
    left = await found(bench, "Appointment/a5")
    await bench.client.delete(f"List/{theirs['id']}")
    await remove(jumeau)
    assert await found(bench, "Appointment/a5") == []
    if not left:
        return "deleted"
    assert not checks.ours(left[0])
    return f"{left[0]['status']} and empty"


@behaviour(Section.COMPANIONS, "with one of another installation: companions of a case; after `--take-over`")
async def taken(bench: Bench) -> str:
    await bench.client.transaction(transaction(morning()))
    one, other = installation(bench, "one"), installation(bench, "other")
    await once(one)
    await once(other)
    both = len(await found(bench, "Appointment/a2"))
    assert (await once(other, "--take-over")).report["failed"] == 0
    left = await found(bench, "Appointment/a2")
    assert (await remove(one))["removed"] == 0
    removed = (await remove(other))["removed"]
    assert removed >= len(CASES)
    return f"{both}; {len(left)}"


@behaviour(Section.LINE, "annotations of another installation: left alone by `run --once`; replaced with `--take-over`")
async def taken_over(bench: Bench) -> str:
    await bench.client.transaction(transaction(morning()))
    one, other = installation(bench, "one", "annotate"), installation(bench, "other", "annotate")
    written = (await once(one)).report["written"]
    alone = (await once(other)).report["written"]
    replaced = (await once(other, "--take-over")).report["written"]
    assert (await remove(one))["removed"] == 0
    assert (await remove(other))["removed"] == written == replaced
    return f"{written - alone}; {replaced}"
