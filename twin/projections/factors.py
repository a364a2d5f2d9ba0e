"""What was known of a patient before a case: care setting, age band, and the results that the site names.

Only what was known before the patient entered the room, or by now where he has not: a stay that was made longer, or a
score that was worked out, because of what happened in the room must teach nothing. Of several results the newest of
the year before counts. What is not told, or not plausible, is left out.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from twin.facts import EncounterFact, PatientFact, ResultFact, Value
from twin.projections.cases import Links
from twin.projections.ledger import Ledger, Resource
from twin.site import BMI_CODES, HEIGHT_CODES, WEIGHT_CODES, RegressorOption, SiteOptions
from twin.timebase import Clock
from twin.vocabulary import CareSetting

Covariates = tuple[tuple[str, float | str], ...]

SETTING, AGE_BAND, BMI = "setting", "age_band", "bmi"
RESERVED = (SETTING, AGE_BAND)
"""Names that no result may take."""
_BMI_RANGE = (10.0, 100.0)
_METERS = {"m": 1.0, "cm": 0.01, "mm": 0.001, "[in_i]": 0.0254}
_KILOS = {"kg": 1.0, "g": 0.001, "[lb_av]": 0.45359237}
_MOST = {"m": 2.6, "kg": 400.0}
_VOID = frozenset({"entered-in-error", "cancelled", "registered", "unknown"})
_OLDEST = timedelta(days=365)
"""What became known longer before says nothing of the patient now (guess)."""
_Told = tuple[datetime, Value]


@dataclass(frozen=True, slots=True)
class Factors:
    """What is known of every patient; asked case by case."""

    ledger: Ledger
    clock: Clock
    regressors: tuple[RegressorOption, ...] = ()
    age_bands: Mapping[str, str] = field(default_factory=dict)
    """By the key of the surviving patient."""
    results: Mapping[tuple[str, str], Sequence[_Told]] = field(default_factory=dict)
    """By patient and `Type system|code`, in the order in which they became known."""

    def of(self, case: Links, *, booked: bool, before: datetime) -> Covariates:
        """Name and value of what was known of a case at the instant `before`; `booked` where it has an Appointment."""
        patient = case.patient or ""
        told: list[tuple[str, float | str]] = []
        setting = self._setting(case, before)
        if setting is CareSetting.UNKNOWN and case.procedures and not booked:
            setting = CareSetting.EMERGENCY
        if setting is not CareSetting.UNKNOWN:
            told.append((SETTING, setting.value))
        if band := self.age_bands.get(patient):
            told.append((AGE_BAND, band))
        for option in self.regressors if self.results else ():
            value = self._result(patient, option, before)
            if value is not None:
                told.append((option.name, value))
        return tuple(told)

    def _setting(self, case: Links, before: datetime) -> CareSetting:
        """Emergency where any stay says so, else the first that says anything, each as it was told then."""
        resources = (self.ledger.resources.get(ref) for ref in case.encounters)
        told = [self._setting_of(resource, before) for resource in resources if resource and not resource.deleted]
        known = [setting for setting in told if setting is not CareSetting.UNKNOWN]
        return CareSetting.EMERGENCY if CareSetting.EMERGENCY in known else known[0] if known else CareSetting.UNKNOWN

    def _setting_of(self, resource: Resource, before: datetime) -> CareSetting:
        """Of the newest content of before; of the first one known where all came after."""
        newest = resource.content.assertion
        firsts = resource.first_of_content
        if len(firsts) > 1:
            versions = sorted(firsts.values(), key=lambda fact: fact.key.last_updated)
            then = [fact for fact in versions if self.clock.at(fact.key.last_updated) <= before]
            newest = (then[-1] if then else versions[0]).assertion
        return newest.setting if isinstance(newest, EncounterFact) else CareSetting.UNKNOWN

    def _result(self, patient: str, option: RegressorOption, before: datetime) -> float | str | None:
        read = _category if option.value == "code" else _number
        if option.name != BMI or option.codes[: len(BMI_CODES)] != BMI_CODES:
            return self._newest(patient, option.resource, option.codes, before, lambda value: read(value, option))
        bmi = self._newest(patient, option.resource, BMI_CODES, before, lambda value: _within(value.number))
        return bmi if bmi is not None else self._from_height_and_weight(patient, before)

    def _from_height_and_weight(self, patient: str, before: datetime) -> float | None:
        kind = "Observation"
        height = self._newest(patient, kind, HEIGHT_CODES, before, lambda value: _in(value, _METERS, "m"))
        weight = self._newest(patient, kind, WEIGHT_CODES, before, lambda value: _in(value, _KILOS, "kg"))
        if not isinstance(height, float) or not isinstance(weight, float):
            return None
        return _within(weight / height**2)

    def _newest(
        self,
        patient: str,
        kind: str,
        codes: Iterable[str],
        before: datetime,
        read: Callable[[Value], float | str | None],
    ) -> float | str | None:
        mine = [one for code in codes for one in self.results.get((patient, f"{kind} {code}"), ())]
        told = [one for one in mine if before - _OLDEST <= one[0] <= before]
        values = (read(value) for _, value in sorted(told, key=lambda one: one[0], reverse=True))
        return next((value for value in values if value is not None), None)


def factors_of(
    ledger: Ledger, site: SiteOptions, clock: Clock, survivor: Callable[[str | None], str | None]
) -> Factors:
    """Gather it; `survivor` maps a patient's key to the one that survives merges."""
    bands = {
        survivor(resource.newest.key.id) or "": fact.age_band
        for resource, fact in ledger.of(PatientFact)
        if fact.age_band
    }
    results: dict[tuple[str, str], list[_Told]] = defaultdict(list)
    for resource, fact in ledger.of(ResultFact) if site.regressors else ():
        at = fact.at or clock.at(resource.content.key.last_updated)
        if fact.status not in _VOID and (patient := survivor(fact.patient)):
            for code, value in _values(fact):
                results[patient, f"{resource.newest.key.type} {code}"].append((at, value))
    return Factors(ledger, clock, site.regressors, bands, results)


def _values(fact: ResultFact) -> Iterator[tuple[str, Value]]:
    return ((code, value) for value in fact.values for code in value.of)


def _number(value: Value, option: RegressorOption) -> float | None:
    return value.number


def _category(value: Value, option: RegressorOption) -> str | None:
    """The first code that names a level; without named levels the first code; a whole number that is a level's name."""
    names = dict(option.levels)
    if not names:
        return value.levels[0] if value.levels else None
    told = next((names[code] for code in value.levels if code in names), None)
    plain = f"{value.number:.0f}" if value.number is not None and value.number.is_integer() else ""
    return told or (plain if plain in names.values() else None)


def _within(bmi: float | None) -> float | None:
    return bmi if bmi is not None and _BMI_RANGE[0] <= bmi <= _BMI_RANGE[1] else None


def _in(value: Value, units: Mapping[str, float], unit: str) -> float | None:
    """In meters or kilograms; None without a known unit, or for what no person has."""
    if value.number is None or value.unit not in units:
        return None
    told = value.number * units[value.unit]
    return told if _MOST[unit] / 100 < told <= _MOST[unit] else None
