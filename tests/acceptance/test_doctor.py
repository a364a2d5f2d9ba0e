"""`jumeau doctor` as an installed program: on a real server, and its exit codes."""

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures.servers.sekmet import SekmetServer
from tests.strangers import plain
from tests.strangers.cli import Jumeau, Ran, Warm
from tests.strangers.resources import at, morning
from tests.strangers.server import Stranger
from tests.strangers.traits import Traits

pytestmark = pytest.mark.server

AT_HALF_PAST_TEN = {"JUMEAU_CLOCK__ANCHOR": at("10:30"), "JUMEAU_SIMULATION__REPLICATIONS": "10"}


@pytest.fixture
def jumeau(warm: Warm, tmp_path: Path) -> Jumeau:
    """An installation that has no database yet; its settings name a server that isn't there."""
    return Jumeau(tmp_path, "http://127.0.0.1:9/fhir", settings=(), warm=warm)


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real server with today's synthetic clinic on it."""
    with SekmetServer(tmp_path_factory.mktemp("sekmet"), port=0) as server:
        folder = tmp_path_factory.mktemp("generator")
        made = Jumeau(folder, server.base_url)("clinic", "generate", "--to", server.base_url, "--rooms", "3")
        assert made.code == 0, made.err
        yield server.base_url


def findings(told: Ran) -> dict[str, list[dict[str, object]]]:
    out: dict[str, list[dict[str, object]]] = {}
    for one in json.loads(told.out)["findings"]:
        out.setdefault(one["check"], []).append(one)
    return out


def left(jumeau: Jumeau) -> set[str]:
    """Files in the installation's folder, without what the test harness puts there."""
    return {path.name for path in jumeau.folder.iterdir()} - {"stdout", "stderr"}


def test_a_real_server(jumeau: Jumeau, clinic: str) -> None:
    before = plain.text(f"{clinic}/Appointment?_count=500&_sort=_id")
    told = jumeau("doctor", "--fhir", clinic, "--json")
    assert told.code == 0, told.err
    report = json.loads(told.out)
    assert (report["schema"], report["reached"], report["works"], report["server"]) == (1, True, True, clinic)
    found = findings(told)
    assert len(found["rooms"][0]["numbers"]["rooms"]) == 3  # type: ignore[index]
    assert {one["level"] for one in found["filters"]} == {"ok"}
    assert "would-write" in found
    assert "try-write" not in found
    assert json.loads(before)["entry"] == plain.get(f"{clinic}/Appointment?_count=500&_sort=_id")["entry"]
    assert left(jumeau) == set()


def test_for_a_person(jumeau: Jumeau, clinic: str) -> None:
    told = jumeau("doctor", "--fhir", clinic)
    assert told.code == 0, told.err
    assert told.out.startswith(f"{clinic}\n\nThe server\n  ok      software: FHIR 4.0.1")
    assert "\x1b" not in told.out
    assert told.out.splitlines()[-1].startswith("The line can work here (")


def test_try_write_leaves_it_as_it_was(jumeau: Jumeau, clinic: str) -> None:
    ref = plain.get(f"{clinic}/Appointment?_count=1")["entry"][0]["resource"]["id"]
    before = plain.get(f"{clinic}/Appointment/{ref}")
    told = jumeau("doctor", "--fhir", clinic, "--json", "--try-write", f"Appointment/{ref}")
    assert told.code == 0, told.err
    tried = [one for check, (one, *_) in findings(told).items() if check.startswith("try-")]
    assert len(tried) == 5
    assert {one["level"] for one in tried} == {"ok"}
    after = plain.get(f"{clinic}/Appointment/{ref}")
    assert len(plain.versions(clinic, f"Appointment/{ref}")) > 1
    assert {**after, "meta": after["meta"]["tag"]} == {**before, "meta": before["meta"]["tag"]}


def test_untagged_is_usage(jumeau: Jumeau, clinic: str) -> None:
    plain.request("PUT", f"{clinic}/Location/untagged", {"resourceType": "Location", "id": "untagged"})
    told = jumeau("doctor", "--fhir", clinic, "--json", "--try-write", "Location/untagged")
    assert (told.code, told.out) == (2, "")
    assert "not tagged" in told.complaint
    assert len(plain.versions(clinic, "Location/untagged")) == 1


def test_starting_settings(jumeau: Jumeau, clinic: str) -> None:
    told = jumeau("doctor", "--fhir", clinic, "--write-config", "made.toml")
    assert told.code == 0, told.err
    assert "made.toml is written" in told.err
    assert tomllib.loads((jumeau.folder / "made.toml").read_text())["fhir"] == {"base_url": clinic}
    assert jumeau("config", "show", "--config", "made.toml").report["write_back"]["mode"] == "off"
    again = jumeau("doctor", "--fhir", clinic, "--write-config", "made.toml")
    assert (again.code, again.out) == (2, "")
    assert "not overwritten" in again.complaint


def test_not_reached(jumeau: Jumeau) -> None:
    told = jumeau("doctor", "--json", "--write-config", "made.toml", JUMEAU_FHIR__TIMEOUT_S="1")
    assert told.code == 3
    report = json.loads(told.out)
    assert (report["reached"], report["works"]) == (False, False)
    assert "not written" in told.err
    assert left(jumeau) == set()


@pytest.mark.parametrize(
    "traits",
    [Traits(refuses=401), Traits(page=2, astray="http://fhir.clinic.example"), Traits(html=True)],
    ids=["401", "links elsewhere", "html"],
)
def test_useless(jumeau: Jumeau, traits: Traits) -> None:
    with Stranger(traits, *morning()) as server:
        told = jumeau("doctor", "--fhir", server.url, "--json", **AT_HALF_PAST_TEN)
        assert server.writes() == 0
    assert told.code == 1
    assert any(one["level"] == "problem" and one["todo"] for one in json.loads(told.out)["findings"])


@pytest.mark.parametrize(
    ("traits", "check"),
    [
        (Traits(unknown_params=501, lacks=frozenset({"date", "_count", "_sort", "_lastUpdated"})), "filters"),
        (Traits(hidden=frozenset({"Encounter"})), "sign-in"),
        (Traits(page=2, public="http://fhir.internal:8080", moves=307, loops=True), "reading"),
    ],
    ids=["hardly any search", "403 on Encounter", "hidden"],
)
def test_useful_all_the_same(jumeau: Jumeau, traits: Traits, check: str) -> None:
    with Stranger(traits, *morning()) as server:
        told = jumeau("doctor", "--fhir", server.url, "--json", **AT_HALF_PAST_TEN)
        assert server.writes() == 0
    assert told.code == 0, told.out
    found = findings(told)
    assert all(one["level"] != "problem" for each in found.values() for one in each)
    assert any(one["level"] == "warning" and one["todo"] for one in found[check])
    assert len(found["rooms"][0]["numbers"]["rooms"]) == 2  # type: ignore[index]


def test_usage(jumeau: Jumeau) -> None:
    told = jumeau("doctor", "--fhir", "fhir.clinic.fr")
    assert (told.code, told.out) == (2, "")
    assert "--fhir" in told.complaint


def test_its_own_annotations_are_not_anothers(jumeau: Jumeau) -> None:
    with Stranger(Traits(), *morning()) as server:
        mine = Jumeau(jumeau.folder, server.url, warm=jumeau.warm)
        assert mine.once(at("10:30")).report["written"] == 7
        known = findings(mine("doctor", "--json", **AT_HALF_PAST_TEN))
        assert known["annotations"][0]["numbers"]["count"] == 7  # type: ignore[index]
        assert known["other-installations"][0]["level"] == "ok"
        (jumeau.folder / "twin.db.key").unlink()
        other = findings(mine("doctor", "--json", **AT_HALF_PAST_TEN))
        assert other["other-installations"][0]["level"] == "warning"
        assert not (jumeau.folder / "twin.db.key").exists()
