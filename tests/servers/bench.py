"""What a behaviour is measured with, and the list of all behaviours: each a function that says in a few words how one
server behaves. What must hold on every server is asserted in it.
"""

import json
import uuid
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from fhir_adapters.answers import Answer
from fhir_adapters.client import FhirClient, Params
from fhir_adapters.errors import FhirServerError

Json = dict[str, Any]
SYSTEM = "urn:jumeau:test"
PATIENT = "Patient/contract"
EVER = (("_since", "1970-01-01T00:00:00Z"), ("_count", "200"))
"""For whole histories: without `_since` HAPI cuts them to the number of versions that it counted up to a minute ago."""


@dataclass(frozen=True, slots=True)
class Bench:
    """One server through our client, a name that nobody else uses, and an empty folder."""

    client: FhirClient
    url: str
    folder: Path
    tag: str

    def ref(self, name: str = "x", resource_type: str = "Appointment") -> str:
        """`Type/id` of a resource of this measurement."""
        return f"{resource_type}/{self.tag}-{name}"

    def body(self, name: str = "x", **members: Any) -> Json:
        """An Appointment that can be found by this measurement's identifier."""
        return {
            "resourceType": "Appointment",
            "id": f"{self.tag}-{name}",
            "identifier": [{"system": SYSTEM, "value": self.tag}],
            "status": "booked",
            "participant": [{"status": "accepted", "actor": {"reference": PATIENT}}],
            **members,
        }

    async def book(self, name: str = "x", **members: Any) -> str:
        """Put such an Appointment on the server; its `Type/id`."""
        ref = self.ref(name)
        await self.client.update(ref, self.body(name, **members), if_match=None)
        return ref

    async def book_many(self, count: int) -> None:
        """As many in one transaction, named 0, 1, 2…"""
        bodies = (self.body(str(number)) for number in range(count))
        await self.client.transaction(transaction(bodies))

    @property
    def mine(self) -> list[tuple[str, str]]:
        """Search parameters that find what this measurement has put there."""
        return [("identifier", f"{SYSTEM}|{self.tag}")]

    async def pages(self, *more: tuple[str, str]) -> list[Json]:
        """The Bundles of a search for this measurement's Appointments."""
        return [page.bundle async for page in self.client.search("Appointment", [*self.mine, *more])]

    async def found(self, *more: tuple[str, str]) -> list[str]:
        """Ids that such a search gives, in its order."""
        return [entry["resource"]["id"] for page in await self.pages(*more) for entry in page.get("entry", [])]

    async def history(self, ref: str, params: Params = ()) -> list[Json]:
        """Entries of the first page of a history."""
        answer = await self.client.get(f"{ref}/_history", params=list(params))
        entries: list[Json] = answer.json().get("entry", [])
        return entries


class Section(StrEnum):
    """The tables of the document, in their order."""

    PAGES = "Pages"
    CHANGES = "Changes"
    HISTORY = "History and deletes"
    VERSIONS = "Versions"
    GUARDS = "If-Match"
    PATCHES = "JSON Patch"
    CONTENT = "Content"
    ANNOTATIONS = "Our annotations"
    COMPANIONS = "Companions (RiskAssessments of our own)"
    SEARCH = "SearchParameter on our extension"
    PUSH = "Subscription (rest-hook)"
    LINE = "The whole line"
    TWO_WRITERS = "Two writers at once"


Measure = Callable[[Bench], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One row of the table."""

    section: Section
    name: str
    measure: Measure


ALL: list[Behaviour] = []


def behaviour(section: Section, name: str) -> Callable[[Measure], Measure]:
    """Adds a measurement to the table."""

    def add(measure: Measure) -> Measure:
        ALL.append(Behaviour(section, name, measure))
        return measure

    return add


def new_tag() -> str:
    """A name that begins with a letter, as HAPI wants ids to."""
    return f"t{uuid.uuid4().hex[:10]}"


def transaction(bodies: Iterable[Json], **request: str) -> Json:
    """A transaction that puts resources under their ids."""
    entries = [
        {"resource": body, "request": {"method": "PUT", "url": f"{body['resourceType']}/{body['id']}", **request}}
        for body in bodies
    ]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


async def status(work: Awaitable[Answer]) -> int:
    """The status that a request is answered with, success or not."""
    try:
        return (await work).status
    except FhirServerError as error:
        if error.status is None:
            raise
        return error.status


async def resource(bench: Bench, ref: str) -> Json:
    """The newest version of a resource."""
    read: Json = json.loads((await bench.client.read(ref)).body)
    return read


def link(bundle: Json, relation: str) -> str | None:
    """The address of one link of a Bundle."""
    return next((one["url"] for one in bundle.get("link", []) if one["relation"] == relation), None)


def yes(true: object) -> str:
    """A cell of the table."""
    return "yes" if true else "no"
