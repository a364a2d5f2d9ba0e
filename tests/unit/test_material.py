"""What is to be written: new, moved, reached, worn out, over; and what is left alone."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from fhir_adapters import extensions
from tests.world import DAY, PARIS, SOURCE, Json, World, act, at, booking, stay
from twin.prediction.material import Orders, differs, expires, orders_of, wanted_annotations
from twin.projections.suite_twin import SuiteTwin
from twin.site import MaterialOptions
from twin.timebase import minutes
from twin.timeline import Annotation, PredictedRoomEnd, PredictedStage, PredictedTimeline
from twin.vocabulary import Milestone

OPTIONS = MaterialOptions()
OTHERS = "urn:uuid:11111111-2222-4333-8444-555555555555"
IN, OUT = Milestone.PATIENT_IN_ROOM, Milestone.PATIENT_OUT_OF_ROOM


def stage(
    milestone: Milestone, p50: datetime, band_min: float = 20, probability: float | None = None
) -> PredictedStage:
    low, high = p50 - minutes(band_min), p50 + minutes(band_min)
    return PredictedStage(milestone, p50, low, high, probability)


def timeline(*stages: PredictedStage, made: str = "07:00", source: str = SOURCE) -> Annotation:
    return Annotation(
        PredictedTimeline(
            generated_at=at(made),
            valid_until=at(made) + timedelta(minutes=60),
            model="jumeau 1",
            source=source,
            run="urn:uuid:3f1c2b6e-0000-4000-8000-000000000001",
            based_on=("Appointment/a/_history/1",),
            stages=stages or (stage(IN, at("08:00")), stage(OUT, at("09:30"))),
        )
    )


def room_end(p50: str = "17:30", probability: float = 0.3) -> PredictedRoomEnd:
    return PredictedRoomEnd(
        day=DAY,
        session_start=at("08:00"),
        session_end=at("18:00"),
        p50=at(p50),
        p10=at("17:00"),
        p90=at("18:40"),
        overrun_probability=probability,
        generated_at=at("07:00"),
        valid_until=at("08:00"),
        source=SOURCE,
    )


def annotated(resource: Json, *annotations: Annotation) -> Json:
    """The resource as a server holds it once these were written to it."""
    built = [one for each in annotations for one in extensions.build(each, PARIS)]
    return {**resource, "extension": [*resource.get("extension", []), *built]}


def orders(world: World, wanted: dict[str, Annotation], now: str = "07:10") -> Orders:
    return orders_of(wanted, world.ledger, now=at(now), options=OPTIONS)


def told(world: World, wanted: dict[str, Annotation], now: str = "07:10") -> dict[str, str]:
    return {order.ref: order.reason for order in orders(world, wanted, now).orders}


def wanted_of(suite: SuiteTwin, targets: tuple[str, ...] = ("case", "room")) -> dict[str, Annotation]:
    made = timeline().timeline
    assert made is not None
    timelines = {case: made for case, twin in suite.cases.items() if twin.live}
    return wanted_annotations(suite, timelines, {"Location/salle-1": (room_end(),)}, targets)


def test_new() -> None:
    assert told(World(booking("a")), {"Appointment/a": timeline()}) == {"Appointment/a": "new"}


def test_written_as_wanted() -> None:
    world = World(annotated(booking("a"), timeline()))
    found = orders(world, {"Appointment/a": timeline(made="07:09")})
    assert (found.orders, found.unchanged) == ((), 1)


MOVED = [
    (timeline(stage(IN, at("08:04")), stage(OUT, at("09:34"))), False),
    (timeline(stage(IN, at("08:05")), stage(OUT, at("09:30"))), True),
    (timeline(stage(IN, at("07:55")), stage(OUT, at("09:30"))), True),
    (timeline(stage(OUT, at("09:30"))), True),
    (timeline(stage(IN, at("08:00")), stage(OUT, at("09:30")), stage(Milestone.PACU_ARRIVAL, at("09:40"))), True),
    (timeline(stage(IN, at("08:00"), 29), stage(OUT, at("09:30"))), False),
    (timeline(stage(IN, at("08:00"), 30), stage(OUT, at("09:30"))), True),
    (timeline(stage(IN, at("08:00"), 20, 0.5), stage(OUT, at("09:30"))), True),
    (timeline(PredictedStage(IN, at("08:00")), stage(OUT, at("09:30"))), True),
]


def test_overdue_milestone_that_follows_the_clock_is_nothing_new() -> None:
    def due(when: str) -> Annotation:
        return timeline(PredictedStage(IN, at(when), at(when), at(when)), stage(OUT, at("09:30")), made=when)

    world = World(annotated(booking("a"), due("07:00")))
    assert told(world, {"Appointment/a": due("07:10")}, now="07:10") == {}
    later = timeline(stage(IN, at("07:30"), 5), stage(OUT, at("09:30")), made="07:10")
    assert told(world, {"Appointment/a": later}, now="07:10") == {"Appointment/a": "material"}


def test_wide_band_must_move_by_a_quarter() -> None:
    world = World(annotated(booking("a"), timeline(stage(IN, at("12:00"), 120))))
    assert told(world, {"Appointment/a": timeline(stage(IN, at("12:00"), 150))}) == {}
    assert told(world, {"Appointment/a": timeline(stage(IN, at("12:00"), 180))}) == {"Appointment/a": "material"}


@pytest.mark.parametrize(("wanted", "moved"), MOVED)
def test_material_change(wanted: Annotation, moved: bool) -> None:
    world = World(annotated(booking("a"), timeline()))
    assert told(world, {"Appointment/a": wanted}) == ({"Appointment/a": "material"} if moved else {})


def test_probability_moves_by_a_tenth() -> None:
    def with_probability(value: float) -> Annotation:
        return timeline(PredictedStage(IN, probability=value))

    assert not differs(with_probability(0.59), with_probability(0.5), OPTIONS)
    assert differs(with_probability(0.6), with_probability(0.5), OPTIONS)
    assert differs(with_probability(0.4), with_probability(0.5), OPTIONS)


def test_another_model_is_material() -> None:
    mine, theirs = timeline(), timeline()
    assert mine.timeline is not None
    assert differs(Annotation(replace(mine.timeline, model="jumeau 2")), theirs, OPTIONS)


@pytest.mark.parametrize(
    ("p50", "probability", "moved"), [("17:34", 0.39, False), ("17:35", 0.3, True), ("17:30", 0.4, True)]
)
def test_room_ends(p50: str, probability: float, moved: bool) -> None:
    carried = Annotation(room_ends=(room_end(),))
    assert differs(Annotation(room_ends=(room_end(p50, probability),)), carried, OPTIONS) is moved


def test_another_block_is_material() -> None:
    both = (room_end(), replace(room_end(), session_start=at("18:30"), session_end=at("20:00")))
    assert differs(Annotation(room_ends=both), Annotation(room_ends=both[:1]), OPTIONS)
    assert differs(Annotation(room_ends=both[1:]), Annotation(room_ends=both), OPTIONS)


def test_renewed_in_the_last_third() -> None:
    world = World(annotated(booking("a"), timeline()))
    wanted = {"Appointment/a": timeline(made="07:39")}
    assert told(world, wanted, "07:40") == {}
    assert told(world, wanted, "07:41") == {"Appointment/a": "renewal"}
    assert told(world, wanted, "12:00") == {"Appointment/a": "renewal"}
    assert expires(Annotation(room_ends=(room_end(),)), at("07:45"))


def test_renewal_of_what_was_never_valid() -> None:
    made = timeline().timeline
    assert made is not None
    never = Annotation(replace(made, valid_until=made.generated_at - timedelta(minutes=5)))
    assert expires(never, at("07:00"))


def test_renewal_over_the_change_of_clocks() -> None:
    made = timeline().timeline
    assert made is not None
    night = Annotation(
        replace(made, generated_at=at("2026-10-25T02:30:00+02:00"), valid_until=at("2026-10-25T02:30:00+01:00"))
    )
    assert not expires(night, at("2026-10-25T02:05:00+01:00"))
    assert expires(night, at("2026-10-25T02:15:00+01:00"))


def test_dropped_by_the_hospital() -> None:
    world = World(annotated(booking("a"), timeline())).put("07:05", booking("a", status="arrived"))
    assert told(world, {"Appointment/a": timeline()}) == {"Appointment/a": "new"}


def test_unreadable_is_written_again() -> None:
    broken = annotated(booking("a"), timeline())
    broken["extension"][0]["extension"] = [one for one in broken["extension"][0]["extension"] if one["url"] != "stage"]
    assert told(World(broken), {"Appointment/a": timeline()}) == {"Appointment/a": "unreadable"}


@pytest.mark.parametrize("status", ["cancelled", "noshow", "entered-in-error"])
def test_withdrawn_is_over(status: str) -> None:
    world = World(annotated(booking("a", status=status), timeline()))
    wanted = wanted_of(world.suite(), ("case",))
    (order,) = orders(world, wanted).orders
    assert (order.ref, order.annotation, order.reason) == ("Appointment/a", None, "over")


def test_over_once_the_patient_has_left() -> None:
    world = World(annotated(booking("a"), timeline()), stay("e", ("salle-1", "08:05", "09:00"), booked="a"))
    assert told(world, wanted_of(world.suite("08:59"), ("case",)), "07:10") == {}
    assert told(world, wanted_of(world.suite("09:00"), ("case",)), "07:10") == {"Appointment/a": "over"}


def test_carrier_changes() -> None:
    urgent = annotated(act("p", "08:20", encounter="e"), timeline())
    world = World(urgent, stay("e", ("salle-1", "08:05", "")))
    assert list(wanted_of(world.suite("08:30"), ("case",))) == ["Procedure/p"]
    world.put("08:35", booking("a"), stay("e", ("salle-1", "08:05", ""), booked="a"))
    assert told(world, wanted_of(world.suite("08:40"), ("case",))) == {"Appointment/a": "new", "Procedure/p": "over"}


def test_others_are_left_alone() -> None:
    theirs = timeline(source=OTHERS)
    world = World(annotated(booking("a"), theirs), annotated(booking("b", patient="p2"), timeline(), theirs))
    wanted = {"Appointment/a": timeline(), "Appointment/b": timeline()}
    assert told(world, wanted) == {"Appointment/b": "over"}
    assert told(world, {}) == {"Appointment/b": "over"}
    assert orders(world, wanted).unchanged == 0


def test_deleted_gets_nothing() -> None:
    world = World(annotated(booking("a"), timeline())).delete("07:05", "Appointment/a")
    assert told(world, {"Appointment/a": timeline(), "Appointment/unknown": timeline()}) == {}
    assert told(world, {}) == {}


def test_consultations_are_wanted_nowhere() -> None:
    suite = World(booking("a"), booking("c", room="consult", service="Consultation")).suite()
    assert set(wanted_of(suite)) == {"Appointment/a", "Location/salle-1"}
    assert set(wanted_of(suite, ("room",))) == {"Location/salle-1"}


def test_same_state_same_orders() -> None:
    world = World(booking("a"), annotated(booking("b", patient="p2"), timeline(made="05:00")))
    wanted = {"Appointment/b": timeline(), "Appointment/a": timeline()}
    assert orders(world, wanted) == orders(world, dict(reversed(wanted.items())))
    assert list(told(world, wanted)) == ["Appointment/a", "Appointment/b"]


def test_of_another_installation() -> None:
    world = World(annotated(booking("a"), timeline(source="urn:uuid:0f9f4c1e-52c8-4f35-8f0d-6a1de2b0c7a2")))
    wanted = {"Appointment/a": timeline()}
    left = orders(world, wanted)
    assert (left.orders, left.unchanged, left.foreign) == ((), 0, 1)
    taken = orders_of(wanted, world.ledger, now=at("07:10"), options=OPTIONS, take_over=True)
    assert [(order.ref, order.reason) for order in taken.orders] == [("Appointment/a", "take over")]
    assert taken.foreign == 0
