"""`jumeau simulate`: a scenario file read, simulated and told."""

from pathlib import Path

from api.scenario_start import start_of
from api.scenarios.answer import Answer
from api.scenarios.errors import FieldError
from api.scenarios.model import scenario_of
from api.scenarios.question import asked
from api.scenarios.text import read
from api.settings import Settings
from twin.errors import SettingsError
from twin.simulation.replications import best_engine
from twin.simulation.summary import tally


async def simulate(settings: Settings, file: Path) -> Answer:
    """What comes of a scenario file. SettingsError names the file, the line and the field that is wrong."""
    text = read(file)
    try:
        told = scenario_of(text)
        live = start_of(told, file.parent, settings)
        question = asked(live, told.hazards, name=told.name)
        engine = best_engine()
        return question.answer([tally(scenario, engine) for scenario in question.scenarios])
    except FieldError as error:
        line = text.line(error.path)
        where = f"{file}, line {line}" if line else str(file)
        raise SettingsError(f"{where}: {error}") from None
    except SettingsError as error:
        raise SettingsError(f"{file}: {error}") from None
