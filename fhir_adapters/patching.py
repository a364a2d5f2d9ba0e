"""What to change: a guarded JSON Patch of our extensions, from a resource as read and the extensions wanted."""

from collections.abc import Sequence
from typing import Any

from fhir_adapters import extensions

Json = dict[str, Any]


def plan_patch(resource: Json, wanted: Sequence[Json], source: str, *, take_over: bool = False) -> list[Json]:
    """A guarded JSON Patch that makes `wanted` all that `resource` carries of the installation `source`.

    It tests the version and the url of each element it touches; [] where nothing is to be done. Extensions of other
    installations stay unless `take_over`. Raises ValueError where `extension` is not an array.
    """
    present = resource.get("extension", [])
    if not isinstance(present, list):
        raise ValueError("`extension` is not an array")
    places = extensions.owned(present, source, take_over=take_over)
    free, additions, replacements = list(places), [], []
    for one in wanted:
        place = next((at for at in free if present[at].get("url") == one["url"]), None)
        if place is None:
            additions.append(one)
            continue
        free.remove(place)
        if present[place] != one:
            replacements.append((place, one))
    changes = _changes(present, additions, replacements, removals=free)
    if not changes:
        return []
    tested = sorted({*free, *(place for place, _ in replacements)})
    tests = [_test(f"/extension/{place}/url", present[place]["url"]) for place in tested]
    return [*_version_test(resource), *tests, *changes]


def _changes(
    present: list[Any], additions: list[Json], replacements: list[tuple[int, Json]], *, removals: list[int]
) -> list[Json]:
    """Replacements first and removals from the highest index down, so that no index moves before it is used."""
    if removals and not additions and len(removals) == len(present):
        return [{"op": "remove", "path": "/extension"}]
    changes = [{"op": "replace", "path": f"/extension/{place}", "value": one} for place, one in replacements]
    if not present:
        return [*changes, {"op": "add", "path": "/extension", "value": additions}] if additions else changes
    changes += [{"op": "add", "path": "/extension/-", "value": one} for one in additions]
    return changes + [{"op": "remove", "path": f"/extension/{place}"} for place in sorted(removals, reverse=True)]


def _version_test(resource: Json) -> list[Json]:
    version = version_of(resource)
    return [_test("/meta/versionId", version)] if version else []


def _test(path: str, value: str) -> Json:
    return {"op": "test", "path": path, "value": value}


def version_of(resource: Json) -> str | None:
    """meta.versionId, where the body tells it."""
    meta = resource.get("meta")
    version = meta.get("versionId") if isinstance(meta, dict) else None
    return version if isinstance(version, str) and version else None
