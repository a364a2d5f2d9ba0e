"""`jumeau simulate`: a scenario file read, simulated and told."""

from pathlib import Path

from api.scenarios.answer import Answer
from api.scenarios.errors import FieldError
from api.scenarios.model import scenario_of
from api.scenarios.simulate import answer_of
from api.scenarios.start import start_of
from api.scenarios.text import read
from api.settings import Settings
from twin.errors import SettingsError
from twin.simulation.replications import best_engine


async def simulate(settings: Settings, file: Path) -> Answer:
    """What comes of a scenario file. SettingsError names the file, the line and the field that is wrong."""
    text = read(file)
    try:
        told = scenario_of(text)
        live = start_of(told, file.parent, settings)
        return answer_of(live, told.hazards, best_engine(), name=told.name)
    except FieldError as error:
        line = text.line(error.path)
        where = f"{file}, line {line}" if line else str(file)
        raise SettingsError(f"{where}: {error}") from None
    except SettingsError as error:
        raise SettingsError(f"{file}: {error}") from None
