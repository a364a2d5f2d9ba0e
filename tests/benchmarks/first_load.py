"""A year of bookings from a server 100 ms away that gives pages of 20: weeks at once against one walk along `next`.

The server stands in the same process and only waits: what is measured is the order of the requests. Both sides read
every booking into facts; they must be the same.
"""

import asyncio
import json
import sys
import time
from datetime import date, timedelta
from typing import Any

import httpx

from fhir_adapters.client import FhirClient
from fhir_adapters.gathering import Batch, Gathered
from fhir_adapters.normalise import Normaliser
from fhir_adapters.partitions import AT_ONCE, load, weeks_of
from fhir_adapters.pseudonyms import Pseudonyms
from tests.benchmarks import Row
from tests.world import PARIS, booking
from twin.facts import Horizon

BASE = "https://his.example/r4"
LATENCY_S = 0.1
PAGE, A_DAY = 20, 16
FIRST, WEEKS = date(2025, 1, 6), 52
NORMALISER = Normaliser(BASE, Pseudonyms(b"a key of the benchmarks, 32 bytes"), PARIS)


def run() -> list[Row]:
    """Both ways."""
    told = asyncio.run(measured())
    assert told["equal"]
    count = told["resources"]
    return [
        Row(
            "first load, 100 ms", f"{WEEKS} weeks, {AT_ONCE} at once", count / told["ours_s"], "bookings", told["ratio"]
        ),
        Row("first load, 100 ms", "one walk along next (peer)", count / told["peer_s"], "bookings", 1.0),
    ]


async def measured() -> dict[str, Any]:
    """Seconds of both sides."""
    year = _year()
    async with FhirClient(BASE, transport=httpx.MockTransport(_Far(year)), max_in_flight=AT_ONCE) as client:
        started = time.perf_counter()
        weeks = await _by_weeks(client)
        ours_s = time.perf_counter() - started
        started = time.perf_counter()
        walked = await _walked(client)
        peer_s = time.perf_counter() - started
    return {
        "resources": len(weeks),
        "ours_s": round(ours_s, 2),
        "peer_s": round(peer_s, 2),
        "ratio": round(peer_s / ours_s, 1),
        "equal": weeks == walked and len(weeks) == len(year),
    }


async def _by_weeks(client: FhirClient) -> dict[str, str]:
    found: dict[str, str] = {}

    async def take(_name: str, batch: Batch) -> None:
        found.update((fact.key.ref, fact.content_hash) for fact in batch.facts)

    span = Horizon(FIRST, FIRST + timedelta(days=7 * WEEKS - 1))
    await load(client, NORMALISER, [week for week in weeks_of([span]) if week.type == "Appointment"], take)
    return found


async def _walked(client: FhirClient) -> dict[str, str]:
    into = Gathered(NORMALISER)
    async for page in client.search("Appointment", [("_count", "200")]):
        await into.add(page, "Appointment")
    return {fact.key.ref: fact.content_hash for fact in into.batch("Appointment").facts}


def _year() -> list[tuple[str, dict[str, Any]]]:
    """Bookings with their days, in order: five days a week."""
    days = [FIRST + timedelta(days=7 * week + day) for week in range(WEEKS) for day in range(5)]
    meta = {"versionId": "1", "lastUpdated": "2025-12-31T00:00:00Z"}
    return [
        (str(day), booking(f"a-{day}-{number}", f"{day}T08:00:00+01:00", f"{day}T09:00:00+01:00", meta=meta))
        for day in days
        for number in range(A_DAY)
    ]


class _Far:
    """Answers searches of Appointment by date, 100 ms late, with the self link and `next` by offset."""

    def __init__(self, held: list[tuple[str, dict[str, Any]]]) -> None:
        self._held = held

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(LATENCY_S)
        params = request.url.params
        asked = params.get_list("date")
        first = next((value[2:] for value in asked if value.startswith("ge")), "0")
        last = next((value[2:] for value in asked if value.startswith("le")), "9")
        found = [one for day, one in self._held if first <= day <= last]
        offset = int(params.get("offset", 0))
        link = [{"relation": "self", "url": str(request.url)}]
        if offset + PAGE < len(found):
            link.append({"relation": "next", "url": str(request.url.copy_set_param("offset", offset + PAGE))})
        entry = [{"resource": one} for one in found[offset : offset + PAGE]]
        return httpx.Response(200, json={"resourceType": "Bundle", "type": "searchset", "link": link, "entry": entry})


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(measured())) + "\n")
