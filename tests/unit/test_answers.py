"""What an answer tells of itself."""

import pytest

from fhir_adapters.answers import Answer, http_date


@pytest.mark.parametrize(
    ("headers", "body", "version"),
    [
        ({"etag": 'W/"2"'}, b'{"meta": {"versionId": "1"}}', "1"),
        ({"etag": 'W/"2"', "content-location": "x/_history/3"}, b"", "2"),
        ({"content-location": "x/_history/3", "location": "x/_history/4"}, b"{}", "3"),
        ({"location": "x/_history/4"}, b"[]", "4"),
        ({"location": "x/7"}, b"<html>", None),
    ],
)
def test_version_of_answer(headers: dict[str, str], body: bytes, version: str | None) -> None:
    assert Answer(200, headers, body).version_id == version


@pytest.mark.parametrize("text", ["", "0", "Tue, 99 Nov 2026 09:00:00 GMT", "nonsense", "x" * 10_000])
def test_no_http_date(text: str) -> None:
    assert http_date(text) is None
