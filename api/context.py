"""What a run is made under besides the facts: its settings and its clock, kept with it so that it can be made again."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, ValidationError

from api.duration_sections import DurationSettings
from api.sections import SimulationSettings, SiteSettings, SyncSettings, WriteBackSettings
from api.settings import Settings
from twin.errors import JournalError
from twin.timebase import Clock


class Basis(BaseModel):
    """What the finished cases of before were learned from."""

    model_config = ConfigDict(frozen=True)

    position: int
    """Of the journal."""
    at: datetime
    """Site time; the days learned are those before it."""


class Context(BaseModel):
    """Everything but the facts that a prediction depends on."""

    model_config = ConfigDict(frozen=True)

    site: SiteSettings
    sync: SyncSettings
    simulation: SimulationSettings
    write_back: WriteBackSettings
    anchor: datetime | None
    speed: float
    started: datetime
    """Wall time at which it was `anchor` on the site's clock; without an anchor it means nothing."""
    reading: str
    source: str
    learned: Basis | None = None
    """None: nothing but the days of the live twin."""
    durations: DurationSettings = DurationSettings(known=[])
    """Of versions that kept none: no result was read."""
    model_digest: str | None = None
    """Of the content of `durations.model_file`."""

    def settings(self, now: Settings) -> Settings:
        """The settings of today with those of the run in their place."""
        kept = {"site": self.site, "sync": self.sync, "simulation": self.simulation, "write_back": self.write_back}
        kept["durations"] = self.durations
        return now.model_copy(update=kept)

    def clock(self) -> Clock:
        """The site's clock as it ran then."""
        return Clock(anchor=self.anchor, speed=self.speed, started=self.started)


_NEVER = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def context_text(
    settings: Settings,
    clock: Clock,
    *,
    reading: str,
    source: str,
    learned: Basis | None = None,
    model_digest: str | None = None,
) -> str:
    """The context as the journal keeps it: the same text for all runs of a program on a day."""
    return Context(
        site=settings.site,
        sync=settings.sync,
        simulation=settings.simulation,
        write_back=settings.write_back,
        anchor=clock.anchor,
        speed=clock.speed,
        started=clock.started if clock.anchor else _NEVER,
        reading=reading,
        source=source,
        learned=learned,
        durations=settings.durations,
        model_digest=model_digest,
    ).model_dump_json()


def context_of(text: str) -> Context:
    """Raises JournalError where another version of the program kept it and this one can't read it."""
    try:
        return Context.model_validate_json(text)
    except ValidationError:
        raise JournalError(
            "the settings of this run are those of another version of the program: make it again with that version"
        ) from None
