"""The section of the settings that says what durations are told by."""

import re
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from api.sections import Listed, Section
from twin.projections.factors import RESERVED
from twin.site import KNOWN_RESULTS, RegressorOption


class RegressorSettings(Section):
    """A result of another system that durations are told by: `{resource = "RiskAssessment", code = "system|code"}`."""

    resource: Literal["Observation", "RiskAssessment"]
    code: str
    """`system|code` of what it is a result of."""
    value: Literal["probability", "quantity", "code"]
    """A number (of a RiskAssessment, of an Observation), or a code that stands for a category."""
    center: float | None = None
    scale: float | None = Field(None, gt=0)
    """With `center`, what a number is counted by instead of the mean and sd of the site's own cases."""
    levels: dict[str, str] = Field({})
    """Names of the categories that count and their `system|code`; empty: every code is a category."""

    @field_validator("code")
    @classmethod
    def _with_system(cls, value: str) -> str:
        return _coded(value)

    @field_validator("levels")
    @classmethod
    def _with_systems(cls, value: dict[str, str]) -> dict[str, str]:
        return {name: _coded(code) for name, code in value.items()}

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.resource != {"probability": "RiskAssessment", "quantity": "Observation"}.get(self.value, self.resource):
            raise ValueError("value: a RiskAssessment has a probability or a code, an Observation a quantity or a code")
        if (self.center is None) != (self.scale is None):
            raise ValueError("center and scale: give both or neither")
        if self.value == "code" and self.scale is not None:
            raise ValueError("scale: a code has none, only a number has")
        if self.value != "code" and self.levels:
            raise ValueError("levels: a number has none, only a code has")
        return self

    def option(self, name: str) -> RegressorOption:
        """The same as the domain knows it."""
        levels = tuple((code, level) for level, code in self.levels.items())
        return RegressorOption(name, self.resource, (self.code,), self.value, levels)


class DurationSettings(Section):
    """What durations are told by, besides procedure, surgeon, specialty, booking, care setting and age band."""

    known: Listed = Field(["asa", "bmi"])
    """Observations that are read of the cases' patients: asa, bmi, or none of them."""
    regressors: dict[str, RegressorSettings] = Field({})
    """By name, other results that are read too."""
    model_file: Path | None = None
    """What `jumeau durations learn` wrote: where room times start before the first finished case."""

    @field_validator("known")
    @classmethod
    def _known(cls, value: list[str]) -> list[str]:
        if unknown := set(value) - set(KNOWN_RESULTS):
            raise ValueError(
                f"unknown result {min(unknown)!r}: give {', '.join(KNOWN_RESULTS)}, or name it in regressors"
            )
        return value

    @field_validator("regressors")
    @classmethod
    def _names(cls, value: dict[str, RegressorSettings]) -> dict[str, RegressorSettings]:
        for name in value:
            if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", name) or name in RESERVED:
                raise ValueError("give names of small letters, digits and _, other than " + " and ".join(RESERVED))
        return value

    def options(self) -> tuple[RegressorOption, ...]:
        """The results to read; one that `regressors` names replaces the known one of that name."""
        named = {name: each.option(name) for name, each in self.regressors.items()}
        return tuple(({name: KNOWN_RESULTS[name] for name in self.known} | named).values())

    def scales(self) -> tuple[tuple[str, float, float], ...]:
        """Name, center and scale of the numbers for which they are given."""
        return tuple(
            (name, each.center, each.scale)
            for name, each in self.regressors.items()
            if each.center is not None and each.scale is not None
        )


def _coded(value: str) -> str:
    system, separator, code = value.rpartition("|")
    if not (separator and system.strip() and code.strip()) or len(value) > 256:
        raise ValueError("give system|code, such as http://loinc.org|39156-5")
    return value
