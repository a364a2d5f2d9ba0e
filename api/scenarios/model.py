"""What a scenario file may say; `docs/scenario.schema.json` is made of it."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from api.scenarios.errors import FieldError, FieldPath
from api.scenarios.hazards import AnyHazard
from api.scenarios.text import Text
from api.sections import SiteSettings

MOST_HAZARDS = 200
MOST_REPLICATIONS = 10_000
REPLICATIONS = 200


class _Part(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, use_attribute_docstrings=True, allow_inf_nan=False
    )


class Start(_Part):
    """The live state to start from: a FHIR Bundle at an instant, or what the journal of this installation knows."""

    at: str | None = None
    """The instant with its offset, such as 2026-11-24T10:30:00+01:00. Of the journal: now where it is not told."""
    bundle: Annotated[str, Field(min_length=1, max_length=1000)] | None = None
    """A FHIR R4 Bundle (collection or history, JSON) of what the server holds: a path from the scenario's folder."""
    journal: Literal["live"] | None = None
    """`live`: what `jumeau serve` or `run --once` read so far."""

    @model_validator(mode="after")
    def _one_start(self) -> "Start":
        if (self.bundle is None) == (self.journal is None):
            raise ValueError("give a bundle, or journal: live")
        if self.bundle is not None and self.at is None:
            raise ValueError("give at: the instant at which the bundle was so, such as 2026-11-24T10:30:00+01:00")
        return self


class Options(_Part):
    """How much is simulated."""

    replications: Annotated[int, Field(ge=10, le=MOST_REPLICATIONS)] = REPLICATIONS
    """Futures drawn. Not told: `simulate` draws 200 to 2,000, until each probability is known to 4 points."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Another seed, other futures; the same one gives the same answer to the byte."""


Hazards = Annotated[tuple[AnyHazard, ...], Field(max_length=MOST_HAZARDS)]
AlternativeName = Annotated[str, Field(min_length=1, max_length=100)]


class ScenarioFile(_Part):
    """A start, the site, and what goes wrong from then on."""

    name: Annotated[str, Field(max_length=200)] = ""
    about: Annotated[str, Field(max_length=2000)] = ""
    start: Start
    site: SiteSettings | None = None
    """As the section `site` of jumeau.toml. With `journal: live`, in place of it."""
    hazards: Hazards = ()
    alternatives: Annotated[dict[AlternativeName, Hazards], Field(max_length=20)] = {}
    """Each compared with the start: its hazards come after those above."""
    options: Options = Options()


class WhatIfOptions(Options):
    """How much is simulated while somebody waits."""

    replications: Annotated[int, Field(ge=10, le=2000)] = REPLICATIONS


class WhatIf(_Part):
    """What goes wrong from now on; the start is the live state."""

    hazards: Hazards
    options: WhatIfOptions = WhatIfOptions()


def scenario_of(text: Text) -> ScenarioFile:
    """Raises FieldError for the first field that is wrong."""
    try:
        return ScenarioFile.model_validate(text.values)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        path = path_of(first["loc"], text.values)
        raise FieldError(path, reason_of(first)) from None


def reason_of(error: Any) -> str:
    """Of one error of pydantic, in words."""
    if error["type"] == "extra_forbidden":
        return "is no field of this: see `jumeau simulate --schema`"
    if error["type"] in ("model_type", "model_attributes_type", "dict_type"):
        return "give its fields, each as name: value"
    if error["type"] == "union_tag_not_found":
        return "give the kind of hazard, such as kind: room_down"
    if error["type"] == "union_tag_invalid":
        return "is no kind of hazard: see `jumeau simulate --schema`"
    return str(error["msg"]).removeprefix("Value error, ")


def path_of(loc: tuple[int | str, ...], values: Any) -> FieldPath:
    """The path as the file or body has it: pydantic puts the kind of a hazard in between."""
    path: list[int | str] = []
    for part in loc:
        inside = (isinstance(values, dict) and part in values) or (
            isinstance(values, list) and isinstance(part, int) and part < len(values)
        )
        if inside:
            path.append(part)
            values = values[part]
        elif part is loc[-1] and not (isinstance(values, dict) and values.get("kind") == part):
            path.append(part)
    return tuple(path)


def schema() -> dict[str, Any]:
    """The JSON Schema of a scenario file (2020-12)."""
    told = ScenarioFile.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Jumeau scenario", **told}
