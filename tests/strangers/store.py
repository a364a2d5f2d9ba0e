"""Versions of resources in memory, and the searches over them."""

import uuid
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

from tests.strangers.text import Number
from tests.strangers.traits import Traits

Json = dict[str, Any]
_FORMATS = {"seconds": "%Y-%m-%dT%H:%M:%SZ", "millis": "%Y-%m-%dT%H:%M:%S.%fZ"}
_AHEAD = timezone(timedelta(hours=9, minutes=30))
_OFFSET_FORM = "%Y-%m-%dT%H:%M:%S.%f"


@dataclass(frozen=True, slots=True)
class Version:
    """One version; `resource` None is a delete."""

    resource: Json | None
    version_id: str
    at: datetime


@dataclass(slots=True)
class Store:
    """Resources by `Type/id`, all their versions, oldest first."""

    traits: Traits
    held: dict[str, list[Version]] = field(default_factory=dict)

    def newest(self, ref: str) -> Version | None:
        """The newest version, None where there never was one."""
        versions = self.held.get(ref)
        return versions[-1] if versions else None

    def put(self, resource: Json) -> Version:
        """A new version of it, with the meta of this server."""
        ref = f"{resource['resourceType']}/{resource['id']}"
        before = self.newest(ref)
        if before and before.resource and not self.traits.identical_makes_version and _same(before.resource, resource):
            return before
        return self._add(ref, resource)

    def delete(self, ref: str) -> Version:
        """Mark it deleted."""
        return self._add(ref, None)

    def restore(self, at: datetime) -> None:
        """Forget what was written after an instant of its own clock."""
        kept = {ref: [one for one in versions if one.at <= at] for ref, versions in self.held.items()}
        self.held = {ref: versions for ref, versions in kept.items() if versions}

    def _add(self, ref: str, resource: Json | None) -> Version:
        versions = self.held.setdefault(ref, [])
        number = str(len(versions) + 1)
        version_id = str(uuid.uuid4()) if self.traits.version_ids == "uuid" else number
        at = self.now()
        if resource is not None:
            meta = {
                name: one for name, one in resource.get("meta", {}).items() if name not in ("versionId", "lastUpdated")
            }
            if self.traits.tells_version:
                meta["versionId"] = Number(number) if self.traits.version_ids == "json" else version_id
            if self.traits.last_updated != "none":
                meta["lastUpdated"] = self.stamp(at)
            said = {name: one for name, one in resource.items() if name not in ("resourceType", "id", "meta")}
            resource = {"resourceType": resource["resourceType"], "id": resource["id"], "meta": meta, **said}
        versions.append(Version(resource, version_id, at))
        return versions[-1]

    def now(self) -> datetime:
        """Its own clock."""
        return datetime.now(UTC) + timedelta(seconds=self.traits.skew_s)

    def stamp(self, at: datetime) -> str:
        """An instant as this server writes it."""
        if self.traits.last_updated == "offset":
            return at.astimezone(_AHEAD).strftime(_OFFSET_FORM)[:-3] + "+09:30"
        text = at.strftime(_FORMATS.get(self.traits.last_updated, _FORMATS["millis"]))
        return text if self.traits.last_updated == "seconds" else text[:-4] + "Z"

    def search(self, resource_type: str, params: list[tuple[str, str]]) -> list[Json]:
        """What matches, in the order of the ids (or of lastUpdated where asked for)."""
        found = [
            version
            for ref, versions in sorted(self.held.items())
            if ref.startswith(f"{resource_type}/") and (version := versions[-1]).resource is not None
        ]
        for name, value in params:
            found = [version for version in found if _matches(version, name, value)]
        if any(name == "_sort" for name, _ in params):
            found.sort(key=lambda version: version.at)
        return [version.resource for version in found if version.resource is not None]


def _same(one: Json, other: Json) -> bool:
    return {**one, "meta": None} == {**other, "meta": None}


def _matches(version: Version, name: str, value: str) -> bool:
    resource = version.resource or {}
    match name:
        case "_id":
            return resource["id"] in value.split(",")
        case "status":
            return resource.get("status") in value.split(",")
        case "_lastUpdated":
            return version.at >= datetime.fromisoformat(value.removeprefix("ge"))
        case "date":
            return _in_range(resource, value[:2], date.fromisoformat(value[2:12]))
        case "patient" | "subject":
            subject = resource.get("subject", {}).get("reference", "")
            return subject.rpartition("/")[2] in [one.rpartition("/")[2] for one in value.split(",")]
        case "identifier":
            return any(f"{one.get('system')}|" in value for one in resource.get("identifier", []))
        case "code":
            codings = resource.get("code", {}).get("coding", [])
            return any(f"{one.get('system')}|{one.get('code')}" in value.split(",") for one in codings)
    return True


def _in_range(resource: Json, prefix: str, day: date) -> bool:
    """A search by date finds only what has one."""
    period = resource.get("period") or resource.get("performedPeriod") or {}
    starts = resource.get("start") or resource.get("performedDateTime") or period.get("start")
    if not isinstance(starts, str):
        return False
    first = date.fromisoformat(starts[:10])
    if prefix == "ge":
        last = period.get("end") if period else starts
        return last is None or date.fromisoformat(last[:10]) >= day
    return first <= day


def plain(value: Any) -> Any:
    """The values as Python knows them."""
    if isinstance(value, Number):
        return float(value.literal) if "." in value.literal else int(value.literal)
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list) else value
