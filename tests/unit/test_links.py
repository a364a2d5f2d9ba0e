"""Addresses that lead outside are refused, however they are dressed."""

import pytest

from fhir_adapters import links
from fhir_adapters.errors import BadAddressError

BASE = links.base_of("https://fhir.clinic.fr/r4/")
SEEN = "https://fhir.clinic.fr/r4/Patient?_count=2"


@pytest.mark.parametrize(
    ("link", "address"),
    [
        ("https://fhir.clinic.fr/r4?_getpages=1", "https://fhir.clinic.fr/r4?_getpages=1"),
        ("https://FHIR.clinic.fr:443/r4/Patient?page=2", "https://FHIR.clinic.fr:443/r4/Patient?page=2"),
        ("Patient?page=2", "https://fhir.clinic.fr/r4/Patient?page=2"),
        ("/r4/Patient?page=2", "https://fhir.clinic.fr/r4/Patient?page=2"),
        ("?page=2", "https://fhir.clinic.fr/r4/Patient?page=2"),
        ("?page=2&a=../x", "https://fhir.clinic.fr/r4/Patient?page=2&a=../x"),
    ],
)
def test_follows_own_link(link: str, address: str) -> None:
    assert BASE.resolve(link, seen_at=SEEN) == address


@pytest.mark.parametrize(
    "link",
    [
        "https://fhir.clinic.fr/r4/../admin",
        "https://fhir.clinic.fr/r4%2e%2e/",
        "https://fhir.clinic.fr/r4/%2e%2e/admin",
        "https://fhir.clinic.fr/r4/%252e%252e/admin",
        "https://fhir.clinic.fr/r4/..;/admin",
        "https://fhir.clinic.fr/r4/..%5cadmin",
        "https://fhir.clinic.fr/r4x/Patient",
        "https://fhir.clinic.fr/",
        "https://fhir.clinic.fr.evil.com/r4/Patient",
        "https://evil.com/r4/Patient",
        "//evil.com/r4/Patient",
        "http://fhir.clinic.fr/r4/Patient",
        "https://fhir.clinic.fr:8443/r4/Patient",
        "https://fhir.clinic.fr@evil.com/r4/Patient",
        "https://user:pass@fhir.clinic.fr/r4/Patient",
        "https://fhir.clinic.fr\\@evil.com/r4",
        "https://evil.com#@fhir.clinic.fr/r4",
        "https://fhir.clinic.fr/r4/Patient\r\nHost: evil.com",
        "https://[::1/r4",
        "javascript:alert(1)",
        "file:///etc/passwd",
    ],
)
def test_refuses_foreign_link(link: str) -> None:
    with pytest.raises(BadAddressError):
        BASE.resolve(link, seen_at=SEEN)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://fhir.clinic.fr",
        "fhir.clinic.fr/r4",
        "https://u:p@fhir.clinic.fr/r4",
        "https://h/r4?x=1",
        "https://h/a/../b",
        "https://h:99999/",
        "https:///r4",
    ],
)
def test_refuses_base(url: str) -> None:
    with pytest.raises(BadAddressError):
        links.base_of(url)


@pytest.mark.parametrize("ref", ["Patient", "Patient/", "Patient/..", "Patient/a/b", "Patient/a%2fb", "../x", "p/1"])
def test_refuses_reference(ref: str) -> None:
    with pytest.raises(BadAddressError):
        links.reference(ref)


def test_reference_with_underscore() -> None:
    assert links.reference("Location/room_1") == ("Location", "room_1")


def test_id_is_at_most_64_long() -> None:
    assert links.is_id("x" * 64)
    assert not links.is_id("x" * 65)


@pytest.mark.parametrize("path", ["../metadata", "Patient/../x", "/Patient", "Patient?x=1", "Patient/%2e", "a//b"])
def test_refuses_path(path: str) -> None:
    with pytest.raises(BadAddressError):
        BASE.address(path)


@pytest.mark.parametrize(("version", "tag"), [("3", 'W/"3"'), ('W/"3"', 'W/"3"'), ('"3"', '"3"'), ("a-b", 'W/"a-b"')])
def test_entity_tag(version: str, tag: str) -> None:
    assert links.entity_tag(version) == tag


@pytest.mark.parametrize("version", ["", "a b", 'a"b', "a\r\nX: y", "é", "x" * 129])
def test_refuses_version(version: str) -> None:
    with pytest.raises(BadAddressError):
        links.entity_tag(version)


def test_no_path_of_foreign_url() -> None:
    assert BASE.relative("https://fhir.clinic.fr/r4/Location/1") == "Location/1"
    assert BASE.relative("https://evil.com/r4/Location/1") is None
    assert BASE.relative("https://fhir.clinic.fr/r4/Location?identifier=x") is None
