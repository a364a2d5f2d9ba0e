"""Resources of the synthetic clinic for the benchmarks: many days as they stand in the evening, versions included."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from fixtures.clinic.day import ClinicDay, generate_day
from fixtures.clinic.edits import edited
from fixtures.clinic.loading import encode

PARIS = ZoneInfo("Europe/Paris")
FIRST = date(2025, 1, 6)
YEAR = 68_000
"""Resources of a year: 17,000 cases of about four resources."""
MONTH = YEAR // 12
DAY = YEAR // 249
SHARED = frozenset({"Location", "Practitioner"})
"""Types whose resources are the same on all days."""


def lines(count: int) -> Iterator[tuple[str, bytes]]:
    """So many resources, in the order of their days: the type, and the JSON as a server holds it."""
    day, shared, made = FIRST, set[str](), 0
    while True:
        for resource in _evening(generate_day(day, PARIS)):
            kind = resource["resourceType"]
            ref = f"{kind}/{resource['id']}"
            if kind == "Practitioner" or ref in shared:
                continue
            if kind in SHARED:
                shared.add(ref)
            yield kind, encode(resource)
            made += 1
            if made == count:
                return
        day += timedelta(days=3 if day.weekday() == 4 else 1)


def _evening(day: ClinicDay) -> list[dict[str, Any]]:
    """What the server holds when the day is over, with the number of each resource's version and its time."""
    held = {f"{one['resourceType']}/{one['id']}": one for one in day.resources}
    versions = dict.fromkeys(held, 1)
    times = dict.fromkeys(held, day.opens)
    for write in day.script:
        held[write.ref] = write.resource or edited(held[write.ref], write.edits)
        versions[write.ref] = versions.get(write.ref, 0) + 1
        times[write.ref] = write.at
    return [
        {
            **resource,
            "meta": {
                "versionId": str(versions[ref]),
                "lastUpdated": times[ref].isoformat(timespec="milliseconds"),
                **resource.get("meta", {}),
            },
        }
        for ref, resource in held.items()
    ]
