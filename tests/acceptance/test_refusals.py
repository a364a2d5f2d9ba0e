"""What goes wrong before anything is written: one clear line, the documented exit code, and no traceback."""

from pathlib import Path

import pytest

from tests.strangers.cli import Jumeau, Warm
from tests.strangers.resources import at, morning
from tests.strangers.server import Stranger
from tests.strangers.traits import Traits

pytestmark = pytest.mark.server

NOW = at("10:30")


@pytest.fixture
def jumeau(warm: Warm, tmp_path: Path) -> Jumeau:
    """An installation whose server isn't there."""
    return Jumeau(tmp_path, "http://127.0.0.1:9/fhir", warm=warm)


def at_server(jumeau: Jumeau, server: Stranger) -> Jumeau:
    return Jumeau(jumeau.folder, server.url, warm=jumeau.warm)


def test_nobody_there(jumeau: Jumeau) -> None:
    told = Jumeau(jumeau.folder, jumeau.url).once(NOW)
    assert (told.code, told.out) == (3, "")
    assert "nobody answers" in told.complaint
    assert jumeau.url in told.complaint


@pytest.mark.parametrize(
    ("traits", "says"),
    [
        (Traits(refuses=401), "credentials"),
        (Traits(refuses=403), "does not allow"),
        (Traits(html=True), "not JSON"),
        (Traits(redirects=True), "redirects"),
        (Traits(hidden=frozenset({"Appointment"})), "does not allow"),
        (Traits(page=2, astray="http://fhir.clinic.example"), "`next` link"),
    ],
    ids=["401", "403", "html", "redirect", "no appointments", "links elsewhere"],
)
def test_server_refuses(jumeau: Jumeau, traits: Traits, says: str) -> None:
    with Stranger(traits, *morning()) as server:
        told = at_server(jumeau, server).once(NOW)
        assert (told.code, told.out) == (3, "")
        assert says in told.complaint
        assert server.writes() == 0


def test_wrong_base_is_no_empty_server(jumeau: Jumeau) -> None:
    with Stranger(Traits(base="/fhir/r4"), *morning()) as server:
        told = Jumeau(jumeau.folder, server.url.removesuffix("/r4"), warm=jumeau.warm).once(NOW)
        assert (told.code, told.out) == (3, "")
        assert "base URL" in told.complaint


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("JUMEAU_WRITE_BACK__MODE", "yes", "write_back.mode"),
        ("JUMEAU_WRITE_BACK__MOD", "annotate", "write_back.mod"),
        ("JUMEAU_WRITEBACK__MODE", "annotate", "JUMEAU_WRITEBACK__MODE"),
        ("JUMEAU_SITE__TIMEZONE", "Europe/Pariss", "site.timezone"),
        ("JUMEAU_FHIR__BASE_URL", "fhir.clinic.fr", "fhir.base_url"),
        ("JUMEAU_FHIR__BASE_URL", "http://me:secret@127.0.0.1/fhir", "credentials"),
        ("JUMEAU_SIMULATION__REPLICATIONS", "many", "simulation.replications"),
        ("JUMEAU_API__HOST", "0.0.0.0", "api.host"),
        ("JUMEAU_DATABASE_URL", "nonsense", "database"),
        ("JUMEAU_DATABASE_URL", "sqlite:////nowhere/at/all/twin.db", "database"),
        ("JUMEAU_CONFIG", "/nowhere/jumeau.toml", "jumeau.toml"),
        ("JUMEAU_SITE__MILESTONES", "/nowhere/milestones.toml", "milestone"),
        ("JUMEAU_SITE", "not json", "site"),
    ],
)
def test_bad_settings(jumeau: Jumeau, name: str, value: str, says: str) -> None:
    told = jumeau.once(NOW, **{name: value})
    assert (told.code, told.out) == (2, "")
    assert says in told.complaint
    assert "secret" not in told.err


def test_unknown_key_in_the_file(jumeau: Jumeau) -> None:
    (jumeau.folder / "jumeau.toml").write_text('[site]\nzone = "Europe/Paris"\n')
    told = jumeau.once(NOW)
    assert (told.code, told.complaint) == (2, "jumeau: site.zone: unknown setting")


def test_the_tests_own_variables_pass(jumeau: Jumeau) -> None:
    assert jumeau("config", "show", JUMEAU_TEST_RESOURCES="/x").report["write_back"]["mode"] == "annotate"


@pytest.mark.parametrize("key", [b"", b"too short", None], ids=["empty", "short", "folder"])
def test_wrong_key_file(jumeau: Jumeau, key: bytes | None) -> None:
    file = jumeau.folder / "the.key"
    file.mkdir() if key is None else file.write_bytes(key)
    told = jumeau.once(NOW, JUMEAU_PRIVACY__KEY_FILE=str(file))
    assert told.code == 2
    assert "key" in told.complaint


def test_another_key_than_the_journals(jumeau: Jumeau) -> None:
    with Stranger(Traits()) as server:
        assert at_server(jumeau, server).once(NOW).code == 0
        (jumeau.folder / "twin.db.key").unlink()
        told = at_server(jumeau, server).once(NOW)
        assert told.code == 2
        assert "key" in told.complaint


def test_damaged_database(jumeau: Jumeau) -> None:
    (jumeau.folder / "twin.db").write_bytes(b"this is no database" * 500)
    told = jumeau.once(NOW)
    assert told.code == 2
    assert "database" in told.complaint


@pytest.mark.parametrize("nonsense", ["tomorrow", "10:30", "2026-13-01T10:00+01:00", ""])
def test_nonsense_instant(jumeau: Jumeau, nonsense: str) -> None:
    told = jumeau.once(nonsense)
    assert told.code == 2
    assert "--at" in told.complaint


def test_one_instant_in_many_forms(jumeau: Jumeau) -> None:
    with Stranger(Traits(), *morning()) as server:
        assert at_server(jumeau, server).once(NOW).report["written"] == 7
        for same in ("2026-11-24T10:30", "2026-11-24T09:30:00Z", "2026-11-24T15:00:00+05:30"):
            assert at_server(jumeau, server).once(same).report["written"] == 0


@pytest.mark.parametrize(
    "arguments",
    [("run",), ("write-back",), ("serve", "--nonsense"), ("clinic", "generate"), ("demo", "--check"), ("fly",)],
    ids=" ".join,
)
def test_wrong_usage(jumeau: Jumeau, arguments: tuple[str, ...]) -> None:
    told = jumeau(*arguments)
    assert (told.code, told.out) == (2, "")
    assert told.err
    assert "Traceback" not in told.err


def test_generated_day_is_read(jumeau: Jumeau) -> None:
    made = jumeau("clinic", "generate", "--out", "day", "--day", "2026-11-24", "--rooms", "2", "--seed", "3")
    assert made.code == 0, made.err
    files = sorted(path.name for path in (jumeau.folder / "day").iterdir())
    assert "Appointment.ndjson" in files
    with Stranger(Traits()) as server:
        for file in (jumeau.folder / "day").iterdir():
            for line in file.read_text().splitlines():
                server.put(line)
        report = at_server(jumeau, server).once(at("07:00")).report
        assert len(report["rooms"]) == 2
        assert report["quarantined"] == 0
        assert report["written"] == report["cases"] + 2
        assert report["not_surgical"] > 0
