"""How a server is read: pages, links, cursors, freshness, histories and deletes."""

import asyncio
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from fhir_adapters import sync
from fhir_adapters.client import Params
from fhir_adapters.errors import FhirServerError
from fhir_adapters.normalise import Normaliser
from fhir_adapters.pseudonyms import Pseudonyms, new_key
from tests.servers.bench import EVER, Bench, Json, Section, behaviour, link, resource, status, transaction, yes
from twin.timebase import wall_now

BOOKED = 230
BUSY_S = 6.0


@behaviour(Section.PAGES, f"entries of the first page, 200 of {BOOKED} asked for")
async def first_page(bench: Bench) -> str:
    await bench.book_many(BOOKED)
    pages = await bench.pages(("_count", "200"))
    ids = [entry["resource"]["id"] for page in pages for entry in page["entry"]]
    assert len(ids) == len(set(ids)) == BOOKED, "all links followed give everything, each once"
    return str(len(pages[0]["entry"]))


@behaviour(Section.PAGES, "`next` link")
async def nextlink(bench: Bench) -> str:
    await bench.book_many(12)
    page = (await bench.pages(("_count", "5")))[0]
    following = link(page, "next") or ""
    return "token" if "_getpages=" in following else "offset" if re.search("offset|page", following) else "other"


@behaviour(Section.PAGES, "`total` in a page")
async def total(bench: Bench) -> str:
    await bench.book_many(30)
    return yes("total" in (await bench.pages(("_count", "10")))[0])


@behaviour(Section.PAGES, "`self` link repeats the filter")
async def selflink(bench: Bench) -> str:
    await bench.book()
    return yes("identifier=" in (link((await bench.pages())[0], "self") or ""))


@behaviour(Section.PAGES, "of 30, missed when 2 of the first page are deleted meanwhile")
async def deleted_between_pages(bench: Bench) -> str:
    await bench.book_many(30)
    seen: list[str] = []
    deleted: set[str] = set()
    async for page in bench.client.search("Appointment", [*bench.mine, ("_count", "10")]):
        seen += [entry["resource"]["id"] for entry in page.bundle["entry"]]
        if page.number == 1:
            deleted = set(seen[:2])
            for one in deleted:
                await bench.client.delete(f"Appointment/{one}")
    assert deleted
    return str(30 - len(set(seen)))


@behaviour(Section.PAGES, "page token that is not known (any more)")
async def lost_token(bench: Bench) -> str:
    await bench.book_many(3)
    following = link((await bench.pages(("_count", "2")))[0], "next") or ""
    lost = re.sub(r"_getpages=[0-9a-f-]+", "_getpages=00000000-0000-4000-8000-000000000000", following)
    return "no token" if lost == following else str(await status(bench.client.get(lost)))


@behaviour(Section.CHANGES, "`_lastUpdated=ge` holds the instant itself")
async def inclusive(bench: Bench) -> str:
    at = (await resource(bench, await bench.book()))["meta"]["lastUpdated"]
    return yes(await bench.found(("_lastUpdated", f"ge{_utc(at)}")))


@behaviour(Section.CHANGES, "`_sort=_lastUpdated,_id` is kept over all pages")
async def sorted_by_time(bench: Bench) -> str:
    for start in range(3):
        await asyncio.gather(*(bench.book(str(number)) for number in range(start, 30, 3)))
    pages = await bench.pages(("_sort", "_lastUpdated,_id"), ("_count", "7"))
    order = [entry["resource"]["meta"]["lastUpdated"] for page in pages for entry in page["entry"]]
    assert len(order) == 30
    return yes(all(_time(one) <= _time(other) for one, other in pairwise(order)))


@behaviour(Section.CHANGES, "lastUpdated is earlier than a search that did not show it yet")
async def late_commit(bench: Bench) -> str:
    """What makes an overlap needed: a cursor taken from that search would never come back for it."""
    bodies = [bench.body(str(number), description="long " * 50) for number in range(400)]
    writing = asyncio.create_task(bench.client.transaction(transaction(bodies)))
    empty: list[datetime] = []
    while not writing.done():
        pages = [page async for page in bench.client.search("Appointment", bench.mine)]
        empty += [page.server_time for page in pages if page.server_time and not page.bundle.get("entry")]
    await writing
    entries = [entry for page in await bench.pages(("_count", "200")) for entry in page["entry"]]
    earliest = min(_time(entry["resource"]["meta"]["lastUpdated"]) for entry in entries)
    return yes(any(earliest < at for at in empty))


@behaviour(Section.CHANGES, "changes lost by our cursor with 10 s of overlap, singles and transactions at once")
async def cursor(bench: Bench) -> str:
    normaliser = Normaliser(bench.url, Pseudonyms(new_key()), ZoneInfo("Europe/Paris"))
    writing = [asyncio.create_task(_write_on(bench, number)) for number in range(3)]
    known: dict[str, str] = {}
    at: dict[str, datetime] = {"Appointment": wall_now() - timedelta(seconds=5)}
    while True:
        over = all(task.done() for task in writing)
        batch = await sync.read_changes(bench.client, normaliser, at, overlap_s=10.0)
        known |= {fact.key.ref: fact.key.version_id for fact in batch.facts}
        at = {**at, **batch.cursor}
        if over:
            break
        await asyncio.sleep(0.3)
    written = Counter[str]()
    for task in writing:
        written.update(task.result())
    assert len(written) > 100
    lost = [ref for ref, version in written.items() if int(known.get(ref, 0)) < version]
    assert lost == []
    return str(len(lost))


async def _write_on(bench: Bench, number: int) -> dict[str, int]:
    """Write for some seconds, in a transaction each time where the number is 0; the newest version of each."""
    written: dict[str, int] = {}
    deadline = asyncio.get_running_loop().time() + BUSY_S
    turn = 0
    while asyncio.get_running_loop().time() < deadline:
        names = [f"{number}-{turn}-{one}" for one in range(60 if number == 0 else 1)]
        if number == 0:
            await bench.client.transaction(transaction(bench.body(name) for name in names))
        else:
            await bench.book(names[0])
        written |= {bench.ref(name): 1 for name in names}
        turn += 1
    return written


@behaviour(Section.CHANGES, "a search repeated after a write, without `no-cache`")
async def stale_search(bench: Bench) -> str:
    return await _repeated(bench, fresh=False)


@behaviour(Section.CHANGES, "the same with `Cache-Control: no-cache`, as we send it")
async def fresh_search(bench: Bench) -> str:
    seen = await _repeated(bench, fresh=True)
    assert seen == "new"
    return seen


async def _repeated(bench: Bench, *, fresh: bool) -> str:
    await bench.book("one")

    async def found() -> int:
        answer = await bench.client.get("Appointment", params=bench.mine, fresh=fresh)
        return len(answer.json().get("entry", []))

    assert await found() == 1
    await bench.book("two")
    return "new" if await found() == 2 else "old"


@behaviour(Section.CHANGES, "unknown search parameter")
async def unknown_parameter(bench: Bench) -> str:
    try:
        answer = await bench.client.get("Appointment", params=[*bench.mine, ("nonsense", "1")])
    except FhirServerError as error:
        return str(error.status)
    return f"{answer.status}, {'kept in' if 'nonsense' in answer.body.decode() else 'left out of'} the self link"


@behaviour(Section.HISTORY, "`_history` of a resource, newest first")
async def instance_history(bench: Bench) -> str:
    ref = await bench.book()
    for number in range(3):
        await bench.book(description=f"edit {number}")
    versions = [int(entry["resource"]["meta"]["versionId"]) for entry in await bench.history(ref)]
    assert sorted(versions) == [1, 2, 3, 4]
    return yes(versions == [4, 3, 2, 1])


@behaviour(Section.HISTORY, "`_history` read again after an edit holds it")
async def history_again(bench: Bench) -> str:
    """Where it is cut to the number of versions counted before, the oldest are what is missing."""
    return yes(await _grown(bench, []))


@behaviour(Section.HISTORY, "the same with `_since`, long ago")
async def history_since(bench: Bench) -> str:
    grown = await _grown(bench, EVER)
    assert grown
    return yes(grown)


async def _grown(bench: Bench, params: Params) -> bool:
    ref = await bench.book()
    assert len(await bench.history(ref, params)) == 1
    await bench.book(description="edit")
    return len(await bench.history(ref, params)) == 2


@behaviour(Section.HISTORY, "the oldest version by its address")
async def version_read(bench: Bench) -> str:
    ref = await bench.book(description="first")
    await bench.book(description="second")
    answer = await bench.client.get(f"{ref}/_history/1")
    assert answer.json()["description"] == "first"
    return str(answer.status)


@behaviour(Section.HISTORY, "a deleted resource by read, its history, and a PUT that brings it back")
async def deleted(bench: Bench) -> str:
    ref = await bench.book()
    await bench.client.delete(ref)
    read = await status(bench.client.read(ref))
    history = await status(bench.client.get(f"{ref}/_history"))
    again = await status(bench.client.update(ref, bench.body(), if_match=None))
    version = (await resource(bench, ref))["meta"]["versionId"]
    return f"{read}, {history}, {again} as version {version}"


@behaviour(Section.HISTORY, "entry of a delete in `_history`")
async def delete_entry(bench: Bench) -> str:
    ref = await bench.book()
    await bench.client.delete(ref)
    entry = (await bench.history(ref))[0]
    assert entry["request"]["method"] == "DELETE"
    assert "resource" not in entry
    return _entry_form(ref, entry)


@behaviour(Section.HISTORY, "`_history?_since` of a type tells deletes")
async def type_history(bench: Bench) -> str:
    ref = await bench.book()
    since = (await resource(bench, ref))["meta"]["lastUpdated"]
    await bench.client.delete(ref)
    try:
        entries = await bench.history("Appointment", [("_since", _utc(since))])
    except FhirServerError as error:
        return str(error.status)
    told = [entry for entry in entries if entry["request"]["method"] == "DELETE"]
    return yes([entry for entry in told if ref in entry["request"]["url"]])


@behaviour(Section.HISTORY, "`_history?_since` of the whole server")
async def system_history(bench: Bench) -> str:
    ref = await bench.book()
    since = (await resource(bench, ref))["meta"]["lastUpdated"]
    return str(await status(bench.client.get("_history", params=[("_since", _utc(since))])))


@behaviour(Section.HISTORY, "`_sort` with `_history`")
async def history_sort(bench: Bench) -> str:
    await bench.book()
    return str(await status(bench.client.get("Appointment/_history", params=[("_sort", "_lastUpdated")])))


@behaviour(Section.HISTORY, "a Patient that is referred to, deleted")
async def delete_referred(bench: Bench) -> str:
    ref = bench.ref("p", "Patient")
    await bench.client.update(ref, {"resourceType": "Patient", "id": ref.partition("/")[2]}, if_match=None)
    await bench.book(participant=[{"status": "accepted", "actor": {"reference": ref}}])
    return _accepted(await status(bench.client.delete(ref)))


def _accepted(code: int) -> str:
    return "accepted" if code < 300 else str(code)


def _entry_form(ref: str, entry: Json) -> str:
    url = entry["request"]["url"].removeprefix("/")
    form = "Type/id" if url.endswith(ref) else "Type/id/_history/v" if f"{ref}/_history/" in url else "other"
    dated = "lastModified" in entry.get("response", {})
    return f"{form}, {'with' if dated else 'without'} lastModified"


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _utc(text: str) -> str:
    """An instant without a plus, which a query would turn into a space."""
    return _time(text).astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
