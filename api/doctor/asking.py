"""Single questions to a FHIR server, their answers taken as they are."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from fhir_adapters.answers import Answer
from fhir_adapters.client import FhirClient, Params, may_be_the_search
from fhir_adapters.errors import BadAnswerError, FhirServerError

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PageSeen:
    """One page of a search: its resources of the type asked for, and what it says of itself."""

    url: str
    resources: tuple[Json, ...]
    total: int | None
    self_link: str | None
    next_link: str | None

    @property
    def refs(self) -> tuple[str, ...]:
        """`Type/id` of its resources that have an id."""
        return tuple(f"{one['resourceType']}/{one['id']}" for one in self.resources if isinstance(one.get("id"), str))

    def repeats(self, name: str) -> bool | None:
        """Whether its self link repeats a search parameter; None where it has none."""
        if self.self_link is None:
            return None
        return name in {key.partition(":")[0] for key, _ in parse_qsl(urlsplit(self.self_link).query)}


async def search(client: FhirClient, resource_type: str, *params: tuple[str, str]) -> PageSeen:
    """The first page. Raises FhirServerError."""
    return await page(client, resource_type, resource_type, params)


async def page(
    client: FhirClient, url: str, resource_type: str, params: Params | None = None, *, fresh: bool = True
) -> PageSeen:
    """A page of a search for a type. Raises FhirServerError, BadAddressError."""
    return seen_in(await client.get(url, params=params, fresh=fresh), resource_type)


def seen_in(answer: Answer, resource_type: str) -> PageSeen:
    """What an answer to a search shows. Raises BadAnswerError."""
    bundle = answer.json()
    if not isinstance(bundle, dict) or bundle.get("resourceType") != "Bundle":
        raise BadAnswerError("a Bundle was expected", method="GET", resource=resource_type)
    total = bundle.get("total")
    return PageSeen(
        url=answer.url,
        resources=tuple(one for one in _resources(bundle) if one.get("resourceType") == resource_type),
        total=total if isinstance(total, int) and not isinstance(total, bool) else None,
        self_link=_link(bundle, "self"),
        next_link=_link(bundle, "next"),
    )


async def sized(client: FhirClient, resource_type: str, count: int) -> Answer:
    """A page of so many where the server takes `_count`, else as many as it likes. Raises FhirServerError."""
    try:
        return await client.get(resource_type, params=[("_count", str(count))])
    except FhirServerError as error:
        if not may_be_the_search(error):
            raise
    return await client.get(resource_type)


def last_updated(resource: Mapping[str, Any]) -> str | None:
    """meta.lastUpdated as it is written."""
    meta = resource.get("meta")
    value = meta.get("lastUpdated") if isinstance(meta, dict) else None
    return value if isinstance(value, str) and value else None


def starts(resource: Mapping[str, Any]) -> str | None:
    """When a resource of a day begins, as it is written."""
    periods = [resource.get(name) for name in ("period", "performedPeriod")]
    told = [one.get("start") for one in periods if isinstance(one, dict)]
    found = next((one for one in (resource.get("start"), resource.get("performedDateTime"), *told) if one), None)
    return found if isinstance(found, str) else None


def _resources(bundle: Mapping[str, Any]) -> Iterator[Json]:
    entries = bundle.get("entry")
    for entry in entries if isinstance(entries, list) else []:
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if isinstance(resource, dict):
            yield resource


def _link(bundle: Mapping[str, Any], relation: str) -> str | None:
    links = bundle.get("link")
    for one in links if isinstance(links, list) else []:
        if isinstance(one, dict) and one.get("relation") == relation and isinstance(one.get("url"), str):
            return str(one["url"])
    return None
