"""One version of one resource in, what it asserts out. Total: any JSON value gives a Fact or a Quarantined."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import partial
from itertools import groupby
from typing import Any

import msgspec

from fhir_adapters import content, dates, links
from fhir_adapters.canonical import is_ours
from fhir_adapters.errors import BadAddressError
from fhir_adapters.normalise.mapping import Mapping, default_mapping
from fhir_adapters.normalise.reading import Reader, Rules, UnreadableError
from fhir_adapters.normalise.resources import READERS
from fhir_adapters.normalise.results import RESULT_TYPES, named_codes
from fhir_adapters.normalise.structs import Meta
from fhir_adapters.pseudonyms import Pseudonyms
from twin.facts import Carried, Deleted, Fact, Quarantined, VersionKey

TYPES = tuple(READERS)
"""The resource types that are read."""
DELETED = "deleted"
"""Version id and content hash of what is no longer on the server."""
SUBSETTED = "not the whole resource (SUBSETTED)"
"""Why a resource is quarantined that came with only some of its elements: reading it by itself gives all."""


_NOTHING = Carried()
_R5 = {
    "Encounter": ("actualPeriod", "plannedStartDate", "plannedEndDate"),
    "Procedure": ("occurrencePeriod", "occurrenceDateTime"),
}
"""Elements that R4 calls otherwise: without them a resource would say less than it does, and nobody would know."""


def carries_nothing(extensions: list[dict[str, Any]]) -> Carried:
    """Reads no annotation: for a program that writes none."""
    return Carried()


@dataclass(frozen=True, slots=True)
class Reading:
    """The outcome, and the real ids of the patients referred to: for fetching them, never to be stored."""

    outcome: Fact | Quarantined
    patient_ids: frozenset[str] = frozenset()


class Normaliser:
    """Reads the resources of one server. Keeps nothing between two of them."""

    def __init__(
        self,
        server: str,
        pseudonyms: Pseudonyms,
        zone: tzinfo,
        *,
        mapping: Mapping | None = None,
        read_annotation: Callable[[list[dict[str, Any]]], Carried] = carries_nothing,
        results: frozenset[str] = frozenset(),
    ) -> None:
        """`server` names it in every fact; where it is its base URL, absolute references below it are understood.

        `zone` is for times written without an offset. `read_annotation` gets a resource's top-level extensions of
        ours and must take any JSON value. `results`: `system|code` of the Observations and RiskAssessments to keep.
        """
        self.server = server
        self.pseudonyms = pseudonyms
        self._read_annotation = read_annotation
        self._mapping = table = mapping or default_mapping()
        entries = sorted(table.milestone, key=lambda entry: (entry.resource, entry.path))
        self._rules = Rules(
            base=_base(server),
            pseudonyms=pseudonyms,
            zone=zone,
            entries={path: tuple(each) for path, each in groupby(entries, lambda one: (one.resource, one.path))},
            settings=table.care_setting,
            results=results,
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """Made anew in another process: it keeps nothing that has to go along."""
        rules = self._rules
        make = partial(Normaliser, mapping=self._mapping, read_annotation=self._read_annotation, results=rules.results)
        return make, (self.server, self.pseudonyms, rules.zone)

    def wants(self, raw: dict[str, Any]) -> bool:
        """False for a result that the site doesn't name: it is not read."""
        if raw.get("resourceType") not in RESULT_TYPES:
            return True
        return any(code in self._rules.results for code in named_codes(raw))

    def version(self, raw: object, observed_at: datetime) -> Fact | Quarantined:
        """What a version asserts, or why it can't be read.

        `observed_at` (aware) stands in for a missing lastUpdated, and ages count from it.
        """
        return self.read(raw, observed_at).outcome

    def read(self, raw: object, observed_at: datetime, *, flat: bool = False) -> Reading:
        """The same, with the ids of the patients referred to. `flat`: `content.is_flat` is known to hold."""
        if not isinstance(raw, dict):
            return Reading(Quarantined(self.server, "", "", "", "not an object"))
        reader = Reader(self._rules, observed_at)
        try:
            outcome = self._fact(reader, raw, flat=flat)
        except UnreadableError as error:
            return Reading(self._quarantined(raw, str(error)))
        except msgspec.ValidationError as error:
            # It names the path and the JSON types, never a value.
            return Reading(self._quarantined(raw, f"wrong type: {error}"))
        except UnicodeEncodeError:
            return Reading(self._quarantined(raw, "a lone surrogate in the name of an element"))
        return Reading(outcome, frozenset(reader.patients))

    def gone(self, resource_type: str, resource_id: str, at: datetime) -> Fact:
        """What it means that a resource of a type that is read is no longer there."""
        stored = self._rules.patients[resource_id] if resource_type == "Patient" else resource_id
        return Fact(VersionKey(self.server, resource_type, stored, DELETED, at.astimezone(UTC)), DELETED, Deleted())

    def _fact(self, reader: Reader, raw: dict[str, Any], *, flat: bool) -> Fact:
        if reason := _refusal(raw, flat=flat):
            raise UnreadableError(reason)
        assertion = READERS[raw["resourceType"]](reader, raw)
        key = self._key(reader, raw)
        return Fact(
            key=key,
            content_hash=content.semantic_hash(raw, self.pseudonyms),
            assertion=assertion,
            carried=self._carried(raw),
            findings=tuple(reader.findings),
        )

    def _key(self, reader: Reader, raw: dict[str, Any]) -> VersionKey:
        meta = msgspec.convert(raw.get("meta") or {}, Meta)
        last_updated = dates.instant(meta.last_updated)
        if last_updated is None:
            reader.found("no-last-updated")
        told = links.version_told(meta.version_id)
        version_id = told if links.is_version(told) else None
        if version_id is None:
            reader.found("no-version-id")
        return VersionKey(
            server=self.server,
            type=raw["resourceType"],
            id=self._id(raw),
            version_id=version_id or content.content_version(raw, self.pseudonyms),
            last_updated=(last_updated or reader.observed_at).astimezone(UTC),
        )

    def _id(self, raw: dict[str, Any]) -> str:
        """The id that may be stored: a patient's as pseudonym, "" for none or a bad one."""
        resource_id = raw.get("id")
        if not isinstance(resource_id, str) or not links.is_id(resource_id):
            return ""
        return self._rules.patients[resource_id] if raw.get("resourceType") == "Patient" else resource_id

    def _carried(self, raw: dict[str, Any]) -> Carried:
        extensions = raw.get("extension")
        ours = [one for one in extensions if isinstance(one, dict) and is_ours(one.get("url"))] if extensions else []
        return self._read_annotation(ours) if ours else _NOTHING

    def _quarantined(self, raw: dict[str, Any], reason: str) -> Quarantined:
        resource_type, meta = raw.get("resourceType"), raw.get("meta")
        known = isinstance(resource_type, str) and resource_type in READERS
        version_id = meta.get("versionId") if isinstance(meta, dict) else None
        return Quarantined(
            server=self.server,
            type=str(resource_type) if known else "",
            # An id of an unknown type might be a patient's.
            id=self._id(raw) if known else "",
            version_id=str(version_id) if links.is_version(version_id) else "",
            reason=reason,
        )


def _base(server: str) -> links.Base | None:
    try:
        return links.base_of(server)
    except BadAddressError:
        return None


def _refusal(raw: dict[str, Any], *, flat: bool) -> str:
    """Why a resource is not read at all; empty where it is."""
    resource_type = raw.get("resourceType")
    if not isinstance(resource_type, str) or resource_type not in READERS:
        return "unknown resource type"
    if not links.is_id(raw.get("id")):
        return "bad id" if "id" in raw else "no id"
    flat = flat or content.is_flat(raw)
    if not flat and content.is_too_deep(raw):
        return "too deep"
    if _is_subset(raw.get("meta")):
        return SUBSETTED
    if isinstance(raw.get("class"), list) or any(name in raw for name in _R5.get(resource_type, ())):
        return "a resource of FHIR R5: R4 and R4B are read"
    if raw.get("implicitRules"):
        return "implicit rules"
    if not flat and _is_modified(raw):
        return "unknown modifier extension"
    return "" if isinstance(raw.get("extension") or [], list) else "wrong type: extension"


def _is_subset(meta: object) -> bool:
    tags = meta.get("tag") if isinstance(meta, dict) else None
    return isinstance(tags, list) and any(isinstance(tag, dict) and tag.get("code") == "SUBSETTED" for tag in tags)


def _is_modified(raw: dict[str, Any]) -> bool:
    """True where the resource or one of its elements has a modifierExtension: we know none, and it changes meanings."""
    elements = [raw]
    for name, value in raw.items():
        if name != "contained":
            elements += [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, dict)]
    return any(element.get("modifierExtension") for element in elements)
