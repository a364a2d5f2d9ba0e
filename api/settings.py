"""Settings: the only reader of the environment. `JUMEAU_SECTION__KEY=value`, or the same keys in one TOML file.

The file is `--config FILE`, else `JUMEAU_CONFIG`, else `jumeau.toml` in the working directory where there is one. The
environment wins over the file. An unknown key is an error, in both; `JUMEAU_TEST_*` belongs to the tests.
"""

import os
import tomllib
from datetime import datetime, time
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from twin.errors import SettingsError
from twin.site import (
    WEEKDAYS,
    BlockTime,
    DurationOptions,
    HorizonOptions,
    MaterialOptions,
    SimulationOptions,
    SiteOptions,
)
from twin.timebase import Clock
from twin.vocabulary import BookedInterval

PREFIX = "JUMEAU_"
CONFIG_VARIABLE = "JUMEAU_CONFIG"
DEFAULT_FILE = Path("jumeau.toml")
SEARCHED = ("Location", "Appointment", "Encounter", "Procedure")
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def _listed(value: object) -> object:
    """Lists may be written with commas in the environment."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


Listed = Annotated[list[str], NoDecode, BeforeValidator(_listed)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, frozen=True)


class FhirSettings(_Section):
    """The hospital's FHIR server."""

    base_url: str = "http://127.0.0.1:8090/fhir"
    timeout_s: float = Field(30.0, gt=0, le=600)

    @field_validator("base_url")
    @classmethod
    def _plain_url(cls, value: str) -> str:
        parts = urlsplit(value)
        if (
            parts.scheme not in ("http", "https")
            or not parts.hostname
            or parts.username
            or parts.query
            or parts.fragment
        ):
            raise ValueError("give an http(s) URL without credentials or query, such as https://fhir.clinic.fr/r4")
        return value.rstrip("/")


class SyncSettings(_Section):
    """How much is read, and how often (wall seconds)."""

    past_days: int = Field(2, ge=0, le=3660)
    ahead_days: int = Field(30, ge=0, le=3660)
    poll_s: float = Field(5.0, ge=0.2)
    overlap_s: float = Field(10.0, ge=0)
    reconcile_s: float = Field(600.0, ge=5)
    search: dict[str, str] = {}
    """More search parameters of a type, as in a query: `{"Appointment": "service-type=394609007"}`."""

    @field_validator("search")
    @classmethod
    def _known_types(cls, value: dict[str, str]) -> dict[str, str]:
        for name, query in value.items():
            if name not in SEARCHED:
                raise ValueError(f"no searched type: give one of {', '.join(SEARCHED)}")
            if not parse_qsl(query.removeprefix("?")):
                raise ValueError(f"{name}: give parameters as in a query, such as service-type=394609007")
        return value

    def extra(self) -> dict[str, list[tuple[str, str]]]:
        """`search` as names and values by type."""
        return {name: parse_qsl(query.removeprefix("?")) for name, query in self.search.items()}


class WriteBackSettings(_Section):
    """Writing predictions to the FHIR server: off unless turned on."""

    mode: Literal["off", "annotate"] = "off"
    targets: Listed = ["case", "room"]
    min_interval_s: float = Field(60.0, ge=0)
    budget_per_s: float = Field(20.0, gt=0)
    source: str | None = None
    """Names this installation in what it writes; by default derived from the pseudonym key."""
    max_per_hour: int = Field(240, ge=1)
    """Writes of one resource in an hour, after which it is left alone for a while."""
    p50_min: float = Field(5.0, ge=1)
    take_over: bool = False
    """Replace the predictions of other installations of this program, instead of leaving their resources alone."""

    @field_validator("targets")
    @classmethod
    def _known_targets(cls, value: list[str]) -> list[str]:
        if unknown := set(value) - {"case", "room"}:
            raise ValueError(f"unknown target {sorted(unknown)[0]!r}: give case, room or both")
        return value


class SimulationSettings(_Section):
    """How many futures, how often (wall seconds)."""

    replications: int = Field(50, ge=10, le=2000)
    seed: int = Field(0, ge=0)
    every_s: float = Field(30.0, ge=1)
    early_start_min: float = Field(15.0, ge=0, le=240)
    timeout_s: float = Field(60.0, gt=0)


class BlockSettings(_Section):
    """A weekly opening: `{days = "mon-fri", start = "08:00", end = "18:00"}`."""

    days: str = "mon-fri"
    start: time = time(8)
    end: time = time(18)

    @field_validator("days")
    @classmethod
    def _known_days(cls, value: str) -> str:
        try:
            _weekdays(value)
        except SettingsError as error:
            raise ValueError(str(error)) from None
        return value

    def value(self) -> BlockTime:
        """The opening as the domain knows it; SettingsError for unknown days."""
        return BlockTime(frozenset(_weekdays(self.days)), self.start, self.end)


class SiteSettings(_Section):
    """The site file: what the data don't tell about places and openings. Everything is optional."""

    timezone: str = "Europe/Paris"
    name: str = "Bloc opératoire"
    rooms: Listed | None = None
    not_rooms: Listed = []
    blocks: dict[str, list[BlockSettings]] = {}
    working_days: Listed = []
    pacu_places: int | None = Field(None, ge=1, le=1000)
    booked_interval: BookedInterval = BookedInterval.ROOM
    milestones: Path | None = None
    """Another milestone mapping than the shipped one."""

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError("unknown time zone: give a name such as Europe/Paris") from error
        return value


class ClockSettings(_Section):
    """Site time: `anchor` is the instant that the start of the program counts as."""

    anchor: datetime | None = None
    speed: float = Field(1.0, gt=0, le=3600)

    @field_validator("anchor")
    @classmethod
    def _aware(cls, value: datetime | None) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError("give the offset too, as in 2026-11-24T07:00:00+01:00")
        return value


class PrivacySettings(_Section):
    """Where the key of the pseudonyms is."""

    key_file: Path | None = None


class ApiSettings(_Section):
    """Where the API listens. Without sign-in it is served to this machine only."""

    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535)

    @field_validator("host")
    @classmethod
    def _loopback(cls, value: str) -> str:
        if value not in LOOPBACK:
            raise ValueError("only 127.0.0.1, localhost or ::1: there is no sign-in yet, so other machines are refused")
        return value


class Settings(BaseSettings):
    """Everything that can be set. Frozen; made by `load`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        nested_model_default_partial_update=True,
    )

    database_url: str = "sqlite:///jumeau.db"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    fhir: FhirSettings = FhirSettings()
    site: SiteSettings = SiteSettings()
    sync: SyncSettings = SyncSettings()
    write_back: WriteBackSettings = WriteBackSettings()
    simulation: SimulationSettings = SimulationSettings()
    clock: ClockSettings = ClockSettings()
    privacy: PrivacySettings = PrivacySettings()
    api: ApiSettings = ApiSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment wins over the file, whose values come as arguments."""
        return env_settings, init_settings

    def site_options(self) -> SiteOptions:
        """The site as the domain knows it."""
        site = self.site
        try:
            days = frozenset(datetime.strptime(day, "%Y-%m-%d").date() for day in site.working_days)  # noqa: DTZ007
        except ValueError as error:
            raise SettingsError("site.working_days: give days as 2026-11-24") from error
        return SiteOptions(
            timezone=ZoneInfo(site.timezone),
            name=site.name,
            rooms=frozenset(site.rooms) if site.rooms is not None else None,
            not_rooms=frozenset(site.not_rooms),
            blocks={room: tuple(block.value() for block in blocks) for room, blocks in site.blocks.items()},
            working_days=days,
            pacu_places=site.pacu_places,
            booked_interval=site.booked_interval,
        )

    def horizon_options(self) -> HorizonOptions:
        """Days that the live twin keeps."""
        return HorizonOptions(self.sync.past_days, self.sync.ahead_days)

    def duration_options(self) -> DurationOptions:
        """Constants of the closed form."""
        return DurationOptions(booked_interval=self.site.booked_interval)

    def simulation_options(self) -> SimulationOptions:
        """How many futures, and how the suite works."""
        told = self.simulation
        return SimulationOptions(
            replications=told.replications,
            seed=told.seed,
            early_start_min=told.early_start_min,
            timeout_s=told.timeout_s,
        )

    def material_options(self) -> MaterialOptions:
        """When a prediction is written again."""
        return MaterialOptions(p50_min=self.write_back.p50_min)

    def make_clock(self) -> Clock:
        """The site's clock, started now."""
        return Clock(anchor=self.clock.anchor, speed=self.clock.speed)

    def shown(self) -> dict[str, Any]:
        """Plain values for `jumeau config show`; a password in the database URL is hidden."""
        values = self.model_dump(mode="json")
        parts = urlsplit(self.database_url)
        if parts.password:
            values["database_url"] = self.database_url.replace(f":{parts.password}@", ":***@")
        return values


def load(file: Path | None = None, **overrides: object) -> Settings:
    """Settings from the environment and one file. SettingsError names the key that is wrong and what to do."""
    values = _from_file(file)
    _refuse_unknown_variables()
    try:
        return Settings(**{**values, **overrides})
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        hint = "unknown setting" if first["type"] == "extra_forbidden" else first["msg"].removeprefix("Value error, ")
        raise SettingsError(f"{key}: {hint}") from None
    except ValueError as error:  # a variable that should hold JSON
        raise SettingsError(str(error)) from None


def _from_file(file: Path | None) -> dict[str, Any]:
    told = file or (Path(os.environ[CONFIG_VARIABLE]) if CONFIG_VARIABLE in os.environ else None)
    path = told or (DEFAULT_FILE if DEFAULT_FILE.is_file() else None)
    if path is None:
        return {}
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: can't be read ({error.strerror})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: is not TOML ({error})") from None


def _refuse_unknown_variables() -> None:
    """pydantic-settings passes over variables that match no field at all; a typing error must not go unnoticed."""
    fields = {name.upper() for name in Settings.model_fields}
    for name in sorted(os.environ):
        if not name.startswith(PREFIX) or name == CONFIG_VARIABLE or name.startswith("JUMEAU_TEST_"):
            continue
        if name.removeprefix(PREFIX).split("__")[0] not in fields:
            raise SettingsError(f"{name}: unknown setting; see `jumeau config show` for the names")


def _weekdays(told: str) -> set[int]:
    out: set[int] = set()
    for part in told.lower().replace(" ", "").split(","):
        first, _, last = part.partition("-")
        try:
            start, end = WEEKDAYS.index(first[:3]), WEEKDAYS.index((last or first)[:3])
        except ValueError:
            raise SettingsError(f"days: {told!r} is not like mon-fri or mon,wed,sat") from None
        out.update(range(start, end + 1) if start <= end else [*range(start, 7), *range(end + 1)])
    return out
