import json
from datetime import timedelta
from typing import Any

import pytest

from fhir_adapters.write_back import plan_patch
from tests.unit.fhir_fake import HIS, NOW, OTHER, SOURCE, annotation, apply, extensions_of


def patched(resource: dict[str, Any], wanted: list[dict[str, Any]], **options: bool) -> Any:
    return apply(json.loads(json.dumps(resource)), plan_patch(resource, wanted, SOURCE, **options))


def test_patch_adds_the_array() -> None:
    resource = {"resourceType": "Appointment", "meta": {"versionId": "7"}}
    wanted = extensions_of(annotation())
    assert plan_patch(resource, wanted, SOURCE) == [
        {"op": "test", "path": "/meta/versionId", "value": "7"},
        {"op": "add", "path": "/extension", "value": wanted},
    ]


def test_patch_replaces_in_place() -> None:
    old, new = extensions_of(annotation()), extensions_of(annotation(NOW + timedelta(minutes=9)))
    operations = plan_patch({"extension": [HIS, old[0], HIS, old[1], old[2]]}, new, SOURCE)
    assert [(one["op"], one["path"]) for one in operations] == [
        ("test", "/extension/1/url"),
        ("test", "/extension/3/url"),
        ("test", "/extension/4/url"),
        ("replace", "/extension/1"),
        ("replace", "/extension/3"),
        ("replace", "/extension/4"),
    ]


def test_patch_makes_one_of_several() -> None:
    old, new = extensions_of(annotation()), extensions_of(annotation(NOW + timedelta(minutes=9)))
    result = patched({"extension": [old[0], HIS, old[0], old[1], old[1], old[1]]}, new)
    assert result == {"extension": [new[0], HIS, new[1], new[2]]}


def test_patch_removes_from_the_end() -> None:
    ours = extensions_of(annotation())
    operations = plan_patch({"extension": [ours[0], HIS, ours[1], ours[2]]}, [], SOURCE)
    assert [one["path"] for one in operations if one["op"] == "remove"] == [
        "/extension/3",
        "/extension/2",
        "/extension/0",
    ]
    assert patched({"extension": [ours[0], HIS, ours[1], ours[2]]}, []) == {"extension": [HIS]}


def test_patch_removes_the_array() -> None:
    assert patched({"extension": extensions_of(annotation())}, []) == {}


@pytest.mark.parametrize("resource", [{}, {"extension": [HIS]}, {"extension": extensions_of(annotation(source=OTHER))}])
def test_patch_nothing_to_remove(resource: dict[str, Any]) -> None:
    assert plan_patch(resource, [], SOURCE) == []


def test_patch_nothing_new() -> None:
    assert plan_patch({"extension": extensions_of(annotation())}, extensions_of(annotation()), SOURCE) == []


def test_patch_take_over() -> None:
    theirs, ours = extensions_of(annotation(source=OTHER)), extensions_of(annotation())
    assert patched({"extension": [HIS, *theirs]}, ours, take_over=True) == {"extension": [HIS, *ours]}


def test_patch_only_what_changed() -> None:
    later = annotation(made=NOW + timedelta(minutes=50))
    operations = plan_patch({"extension": extensions_of(annotation())}, extensions_of(later), SOURCE)
    assert [one["path"] for one in operations if one["op"] == "replace"] == ["/extension/0"]


def test_patch_refuses_other_than_array() -> None:
    with pytest.raises(ValueError, match="not an array"):
        plan_patch({"extension": {}}, [], SOURCE)
