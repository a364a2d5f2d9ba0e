"""The hazards of a scenario file, by the names that people know, made into the values that the simulation knows."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from api.scenarios.names import Names, is_moment
from twin.durations.booked import booked_surgical_min
from twin.durations.case import CaseFeatures
from twin.simulation import hazards as made
from twin.simulation.hazards import Hazard
from twin.simulation.resources import ResourceKind

STAFF = (ResourceKind.ANESTHETIST, ResourceKind.NURSES, ResourceKind.PORTER, ResourceKind.CREW, ResourceKind.PACU_NURSE)


def _moment(told: str) -> str:
    if not is_moment(told):
        raise ValueError("give a time of the day such as 10:30, or an instant such as 2026-11-24T10:30:00+01:00")
    return told


Moment = Annotated[
    str,
    AfterValidator(_moment),
    Field(
        max_length=40,
        description="A time of the scenario's day at the site, or an instant with its offset.",
        examples=["10:30", "2026-11-24T10:30:00+01:00"],
    ),
]
CaseName = Annotated[
    str, Field(min_length=1, max_length=200, description="A resource of the case, such as Appointment/123, or its id.")
]
RoomName = Annotated[
    str, Field(min_length=1, max_length=200, description="Name or id of the room, or Location/ and its id.")
]
PersonName = Annotated[str, Field(min_length=1, max_length=200, description="Practitioner/ and the id, or the id.")]
Places = Annotated[int, Field(ge=1, le=10_000)]
Minutes = Annotated[float, Field(gt=0, le=1440)]


class _Hazard(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, use_attribute_docstrings=True, allow_inf_nan=False
    )


class LateStart(_Hazard):
    """A room opens some minutes after its first case is booked."""

    kind: Literal["late_start"]
    room: RoomName
    minutes: Minutes

    def made(self, names: Names) -> Hazard:
        return made.LateStart(names.waiting_room(self.room), self.minutes)


class SurgeonLate(_Hazard):
    """A surgeon is not there before an instant."""

    kind: Literal["surgeon_late"]
    surgeon: PersonName
    until: Moment

    def made(self, names: Names) -> Hazard:
        return made.SurgeonLate(names.person(self.surgeon), names.moment(self.until, "until"))


class SurgeonAbsent(_Hazard):
    """A surgeon does not come any more: their cases that have not begun are called off."""

    kind: Literal["surgeon_absent"]
    surgeon: PersonName

    def made(self, names: Names) -> Hazard:
        return made.SurgeonAbsent(names.leaving(self.surgeon))


class LongerCase(_Hazard):
    """A case takes `factor` times as long, or some minutes more, or both."""

    kind: Literal["longer_case"]
    case: CaseName
    factor: Annotated[float, Field(ge=0.1, le=10)] = 1.0
    minutes: Annotated[float, Field(ge=0, le=1440)] = 0.0

    def made(self, names: Names) -> Hazard:
        return made.LongerCase(names.case(self.case, in_room=True), self.factor, self.minutes)


class NoShow(_Hazard):
    """A patient does not come, surely or with a probability; the team learns it at the booked time."""

    kind: Literal["no_show"]
    case: CaseName
    probability: Annotated[float, Field(ge=0, le=1)] = 1.0

    def made(self, names: Names) -> Hazard:
        return made.NoShow(names.case(self.case, waiting=True), self.probability)


class NotFasted(_Hazard):
    """A patient may not enter the room before an instant; the list waits."""

    kind: Literal["not_fasted"]
    case: CaseName
    until: Moment

    def made(self, names: Names) -> Hazard:
        return made.NotFasted(names.case(self.case, waiting=True), names.moment(self.until, "until"))


class Cancellation(_Hazard):
    """A case does not take place, and everybody knows."""

    kind: Literal["cancellation"]
    case: CaseName

    def made(self, names: Names) -> Hazard:
        return made.Cancellation(names.case(self.case, waiting=True))


class Emergency(_Hazard):
    """A new patient, for the first of some rooms to be free between two cases."""

    kind: Literal["emergency"]
    at: Moment
    urgency: Annotated[int, Field(ge=1, le=9)]
    """Class, 1 the most urgent."""
    minutes: Minutes = 75.0
    """Expected room time; the law around it is that of the site."""
    rooms: Annotated[tuple[RoomName, ...], Field(max_length=200)] = ()
    """Those that would do, the best first; none told: all that are open on the day."""
    surgeon: PersonName | None = None

    def made(self, names: Names) -> Hazard:
        models = names.live.models
        act = booked_surgical_min(self.minutes)
        return made.Emergency(
            key=names.new_case("emergency"),
            at=names.moment(self.at, "at"),
            urgency=self.urgency,
            room_time=models.room.predict(CaseFeatures(booked_min=self.minutes)).distribution,
            surgical_time=models.surgical.predict(CaseFeatures(booked_min=act)).distribution,
            rooms=tuple(dict.fromkeys(names.room(room, "rooms") for room in self.rooms)) or names.open_rooms,
            team=(names.any_person(self.surgeon),) if self.surgeon else (),
        )


class _Spell(_Hazard):
    """A stretch of time; without an end the rest of the day."""

    start: Moment | None = Field(None, alias="from", description="Where it is not told: at once.")
    until: Moment | None = Field(None, description="Where it is not told: for the rest of the day.")


class RoomDown(_Spell):
    """A room takes nobody; who is in it stays."""

    kind: Literal["room_down"]
    room: RoomName

    def made(self, names: Names) -> Hazard:
        return made.RoomDown(names.used_room(self.room), *names.spell(self.start, self.until))


class PacuClosed(_Spell):
    """Places of the recovery room are closed; of several recovery rooms in the order of the settings, or of one."""

    kind: Literal["pacu_closed"]
    places: Places
    pacu: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """Which, by its name in the site's resources."""

    def made(self, names: Names) -> Hazard:
        first, *others = (names.resource(self.pacu, "pacu", ResourceKind.PACU),) if self.pacu else names.pacus()
        return made.PlacesClosed(first, self.places, *names.spell(self.start, self.until), tuple(others))


class StaffMissing(_Spell):
    """Some of a team are missing: of the anesthetists, nurses, porters, cleaners that the site's resources name."""

    kind: Literal["staff_missing"]
    staff: Annotated[str, Field(min_length=1, max_length=200)]
    places: Places = 1

    def made(self, names: Names) -> Hazard:
        return made.PlacesClosed(
            names.resource(self.staff, "staff", *STAFF), self.places, *names.spell(self.start, self.until)
        )


class BedBlocked(_Spell):
    """Beds of a ward, the day unit or the ICU that the site's resources name can't be had."""

    kind: Literal["bed_blocked"]
    unit: Annotated[str, Field(min_length=1, max_length=200)]
    places: Places = 1

    def made(self, names: Names) -> Hazard:
        unit = names.resource(self.unit, "unit", ResourceKind.BED, ResourceKind.ICU)
        return made.PlacesClosed(unit, self.places, *names.spell(self.start, self.until))


class EquipmentMissing(_Spell):
    """Equipment or instrument sets that the site's resources name can't be had."""

    kind: Literal["equipment_missing"]
    equipment: Annotated[str, Field(min_length=1, max_length=200)]
    places: Places = 1

    def made(self, names: Names) -> Hazard:
        name = names.resource(self.equipment, "equipment", ResourceKind.EQUIPMENT, ResourceKind.INSTRUMENTS)
        return made.PlacesClosed(name, self.places, *names.spell(self.start, self.until))


class SterilizationDelay(_Hazard):
    """Sterilization is behind: the instruments of a case come at an instant, or all sets some minutes later."""

    kind: Literal["sterilization_delay"]
    case: CaseName | None = None
    until: Moment | None = None
    minutes: Minutes | None = None
    """For all sets that the site's resources name."""

    @model_validator(mode="after")
    def _one_way(self) -> "SterilizationDelay":
        if (self.case is None) != (self.until is None) or (self.case is None) == (self.minutes is None):
            raise ValueError("give case and until, or minutes")
        return self

    def made(self, names: Names) -> Hazard:
        if self.case is not None and self.until is not None:
            return made.NotFasted(names.case(self.case, waiting=True), names.moment(self.until, "until"))
        names.need_of(ResourceKind.INSTRUMENTS, "minutes")
        return made.SlowSterilization(self.minutes or 0.0)


class SlowTurnover(_Hazard):
    """Every turnover takes `factor` times as long: few hands."""

    kind: Literal["slow_turnover"]
    factor: Annotated[float, Field(gt=0, le=10)]

    def made(self, _names: Names) -> Hazard:
        return made.SlowTurnover(self.factor)


AnyHazard = Annotated[
    LateStart
    | SurgeonLate
    | SurgeonAbsent
    | LongerCase
    | NoShow
    | NotFasted
    | Cancellation
    | Emergency
    | RoomDown
    | PacuClosed
    | StaffMissing
    | BedBlocked
    | EquipmentMissing
    | SterilizationDelay
    | SlowTurnover,
    Field(discriminator="kind"),
]
