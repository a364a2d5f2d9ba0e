"""Settings: the only reader of the environment. `JUMEAU_SECTION__KEY=value`, or the same keys in one TOML file.

The file is `--config FILE`, else `JUMEAU_CONFIG`, else `jumeau.toml` in the working directory where there is one. The
environment wins over the file. An unknown key is an error, in both; `JUMEAU_TEST_*` belongs to the tests.
"""

import os
import re
import tomllib
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

from pydantic import ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from api.duration_sections import DurationSettings
from api.sections import (
    LIVE_PAST_DAYS,
    ApiSettings,
    ClockSettings,
    FhirSettings,
    PrivacySettings,
    PushSettings,
    SimulationSettings,
    SiteSettings,
    SyncSettings,
    WriteBackSettings,
)
from twin.errors import SettingsError
from twin.facts import Horizon
from twin.site import DurationOptions, HorizonOptions, MaterialOptions, SimulationOptions, SiteOptions
from twin.timebase import Clock, site_date

PREFIX = "JUMEAU_"
CONFIG_VARIABLE = "JUMEAU_CONFIG"
DEFAULT_FILE = Path("jumeau.toml")
_PASSWORD = re.compile(r"(//[^:/?@]*:).*(?=@)|(password=)[^&]*")
"""In the address of a database; rather too much is hidden than too little."""


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
    push: PushSettings = PushSettings()
    simulation: SimulationSettings = SimulationSettings()
    durations: DurationSettings = DurationSettings()
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
            regressors=self.durations.options(),
            resources=tuple(told.value(name) for name, told in site.resources.items()),
            urgency_targets_min=dict(site.urgency_targets_min),
        )

    def horizon_options(self) -> HorizonOptions:
        """Days that the live twin keeps."""
        return HorizonOptions(self.sync.past_days, self.sync.ahead_days)

    def horizon(self, now: datetime) -> Horizon:
        """Days that a twin of this site instant keeps, around its day."""
        today = site_date(now, ZoneInfo(self.site.timezone))
        return Horizon(
            today - timedelta(days=min(self.sync.past_days, LIVE_PAST_DAYS)),
            today + timedelta(days=self.sync.ahead_days),
        )

    def duration_options(self) -> DurationOptions:
        """Constants of the closed form."""
        return DurationOptions(booked_interval=self.site.booked_interval, scales=self.durations.scales())

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
        values["database_url"] = _PASSWORD.sub(lambda found: f"{found[1] or found[2]}***", self.database_url)
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
