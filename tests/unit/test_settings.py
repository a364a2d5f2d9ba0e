"""Settings of reading and writing that a person may mistype."""

import pytest

from api.settings import load
from twin.errors import SettingsError


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("empty"))


def test_more_search_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    told = '{"Appointment": "service-type=394609007&location=Location/s1", "Encounter": "?class=IMP"}'
    monkeypatch.setenv("JUMEAU_SYNC__SEARCH", told)
    assert load().sync.extra() == {
        "Appointment": [("service-type", "394609007"), ("location", "Location/s1")],
        "Encounter": [("class", "IMP")],
    }


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ('{"Patient": "name=x"}', "no searched type: give one of Location, Appointment"),
        ('{"Appointment": "service-type"}', "Appointment: give parameters as in a query"),
        ("service-type=x", "sync"),
    ],
)
def test_mistyped_search_parameters(monkeypatch: pytest.MonkeyPatch, told: str, says: str) -> None:
    monkeypatch.setenv("JUMEAU_SYNC__SEARCH", told)
    with pytest.raises(SettingsError, match=says):
        load()


def test_take_over_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not load().write_back.take_over
    monkeypatch.setenv("JUMEAU_WRITE_BACK__TAKE_OVER", "true")
    assert load().write_back.take_over


def test_push_is_off() -> None:
    assert load().push.callback_url is None


def test_secret_of_push_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUMEAU_PUSH__SECRET", "zq-canary-0123456789")
    assert "zq-canary" not in f"{load().shown()} {load()!r}"


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://127.0.0.1", "http://u:p@127.0.0.1", "http://127.0.0.1?x=1"])
def test_mistyped_callback(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("JUMEAU_PUSH__CALLBACK_URL", url)
    with pytest.raises(SettingsError, match=r"push\.callback_url: give an http"):
        load()


def test_short_secret_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUMEAU_PUSH__SECRET", "zq-canary")
    with pytest.raises(SettingsError, match=r"push\.secret: give at least 16") as told:
        load()
    assert "zq-canary" not in str(told.value)
