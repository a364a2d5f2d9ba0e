"""What a FHIR server says that it can do: its CapabilityStatement, read tolerantly.

A statement is a claim, not a proof: what it denies is not tried, what it leaves out is *not known* (None), and what it
promises may fail all the same. `jumeau doctor` tries what matters.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from fhir_adapters import links
from fhir_adapters.client import JSON_PATCH, FhirClient, is_away
from fhir_adapters.errors import FhirServerError, WrongServerError

_VERSION = re.compile(r"(\d{1,3})\.\d{1,3}", re.ASCII)
_MAX_TEXT = 100


@dataclass(frozen=True, slots=True)
class TypeCapabilities:
    """What the server says of one resource type; empty where it says nothing."""

    interactions: frozenset[str] = frozenset()
    """read, vread, update, patch, delete, history-instance, history-type, create, search-type."""
    versioning: str = ""
    """no-version, versioned, versioned-update (If-Match is heeded), or not told."""
    search_params: frozenset[str] = frozenset()
    includes: frozenset[str] = frozenset()
    """`_include` values, such as `Appointment:patient`."""
    conditional_update: bool = False
    update_create: bool = False
    """A PUT to an unknown id creates it."""


@dataclass(frozen=True, slots=True)
class ServerCapabilities:
    """One CapabilityStatement. `told` is False where none could be read: then nothing is known."""

    told: bool = False
    fhir_version: str = ""
    software: str = ""
    software_version: str = ""
    types: Mapping[str, TypeCapabilities] = field(default_factory=lambda: MappingProxyType({}))
    formats: frozenset[str] = frozenset()
    patch_formats: frozenset[str] = frozenset()
    interactions: frozenset[str] = frozenset()
    """Of the whole server: transaction, batch, search-system, history-system."""
    exports: bool = False
    """It says that it offers the Bulk Data export."""

    @property
    def name(self) -> str:
        """Software and version for a person; empty where not told."""
        return f"{self.software} {self.software_version}".strip()

    @property
    def is_r4(self) -> bool:
        """False for a server that says it speaks another FHIR than R4 or R4B; True where it does not say."""
        said = _VERSION.match(self.fhir_version)
        return said is None or said[1] == "4"

    def offers_type(self, resource_type: str) -> bool | None:
        """Whether the server has a resource type; None where it lists no types."""
        return resource_type in self.types if self.types else None

    def offers(self, resource_type: str, interaction: str) -> bool | None:
        """Whether it has an interaction on a type; None where the statement lists none for that type."""
        known = self.types.get(resource_type)
        if known is None:
            return self.offers_type(resource_type)
        return interaction in known.interactions if known.interactions else None

    def offers_param(self, resource_type: str, name: str) -> bool | None:
        """Whether it searches a type by a parameter; None where the statement lists none for that type."""
        known = self.types.get(resource_type)
        if known is None:
            return self.offers_type(resource_type)
        return name in known.search_params if known.search_params else None

    def json_patch(self, resource_type: str) -> bool | None:
        """Whether JSON Patch of a type is understood; None where the statement leaves it open."""
        if self.offers(resource_type, "patch") is False:
            return False
        if self.patch_formats:
            return JSON_PATCH in self.patch_formats
        return None

    def heeds_if_match(self, resource_type: str) -> bool | None:
        """Whether a stale If-Match is refused, by `versioning`; None where not told. Many heed it without saying so."""
        said = self.types.get(resource_type, TypeCapabilities()).versioning
        return {"versioned-update": True, "no-version": False}.get(said)


async def probe(client: FhirClient) -> ServerCapabilities:
    """Read `/metadata`; nothing is known where there is none that can be read.

    Raises WrongServerError for a server of another FHIR version than R4 or R4B, and a temporary FhirServerError where
    the server is not reached.
    """
    try:
        found = capabilities_of(await client.capabilities())
    except FhirServerError as error:
        if is_away(error):
            raise
        return ServerCapabilities()
    if not found.is_r4:
        raise WrongServerError(
            f"the server speaks FHIR {found.fhir_version}: give the base URL of its R4 (4.0) or R4B (4.3) endpoint"
        )
    return found


def capabilities_of(statement: object) -> ServerCapabilities:
    """What a CapabilityStatement says; parts that make no sense are passed over. Total."""
    raw = _dict(statement)
    software = _dict(raw.get("software"))
    rests = [rest for rest in _dicts(raw.get("rest")) if rest.get("mode") in (None, "server")]
    types: dict[str, TypeCapabilities] = {}
    for rest in rests:
        general = _names(rest.get("searchParam"), "name")
        for told in _dicts(rest.get("resource")):
            if links.is_type(told.get("type")):
                types.setdefault(told["type"], _type_of(told, general))
    return ServerCapabilities(
        told=raw.get("resourceType") == "CapabilityStatement",
        fhir_version=_text(raw.get("fhirVersion")),
        software=_text(software.get("name")),
        software_version=_text(software.get("version")),
        types=MappingProxyType(types),
        formats=_texts(raw.get("format")),
        patch_formats=_texts(raw.get("patchFormat")),
        interactions=frozenset(code for rest in rests for code in _names(rest.get("interaction"), "code")),
        exports=any("export" in _names(rest.get("operation"), "name") for rest in rests)
        or any("/bulk-data" in url for url in _texts(raw.get("instantiates"))),
    )


def _type_of(told: Mapping[str, Any], general: frozenset[str]) -> TypeCapabilities:
    params = _names(told.get("searchParam"), "name")
    return TypeCapabilities(
        interactions=_names(told.get("interaction"), "code"),
        versioning=_text(told.get("versioning")),
        # Those of every type (`_lastUpdated`) often stand once, at the level above.
        search_params=params | general if params else params,
        includes=_texts(told.get("searchInclude")),
        conditional_update=told.get("conditionalUpdate") is True,
        update_create=told.get("updateCreate") is True,
    )


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _dicts(value: object) -> Iterator[dict[str, Any]]:
    """The objects of a list; one alone where a server left the brackets out."""
    each = value if isinstance(value, list) else [value]
    return (one for one in each if isinstance(one, dict))


def _names(value: object, key: str) -> frozenset[str]:
    return frozenset(name for one in _dicts(value) if (name := _text(one.get(key))))


def _texts(value: object) -> frozenset[str]:
    each = value if isinstance(value, list) else [value]
    return frozenset(text for one in each if (text := _text(one)))


def _text(value: object) -> str:
    """A short printable text, else an empty one."""
    text = value.strip() if isinstance(value, str) else ""
    return text if text.isprintable() and len(text) <= _MAX_TEXT else ""
