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
