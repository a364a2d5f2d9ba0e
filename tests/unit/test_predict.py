"""From the live twins to predicted timelines: what is predicted, of which cases, in which order, learned from whom."""

from dataclasses import replace
from datetime import date, datetime, time, timedelta

import pytest

from fixtures.clinic.day import generate_day
from tests.world import DAY, PARIS, SITE, SOURCE, Json, World, act, at, booking, said, stay
from twin.durations.stages import STAGE_LAWS
from twin.prediction.habits import habits_of, stage_laws_of, unrecorded_by
from twin.prediction.models import Models, models_of
from twin.prediction.predict import (
    Issue,
    days_to_predict,
    room_ends_of,
    scenario_of,
    timelines_of,
)
from twin.projections.patient_twin import PatientTwin
from twin.projections.stamps import Actual, Times
from twin.projections.suite_twin import SuiteTwin
from twin.simulation.replications import simulate
from twin.simulation.scenario import Scenario
from twin.site import BlockTime, DurationOptions, MaterialOptions, SimulationOptions, SiteOptions
from twin.timeline import PredictedRoomEnd, PredictedTimeline
from twin.vocabulary import ROOM_MILESTONES, CareSetting, CaseStatus, Milestone, Provenance, Stage

OPTIONS = SimulationOptions(replications=40)
NEXT = booking("b", "10:00", "11:00", patient="p2")
ARRIVED = booking("b", "10:00", "11:00", patient="p2", status="arrived")
RUNNING = stay("e", ("salle-1", "08:05", ""), booked="a")


def scenario(suite: SuiteTwin, site: SiteOptions = SITE, day: date | None = None) -> Scenario:
    return scenario_of(
        suite, day or suite.day, learned(suite), habits_of(suite.cases.values()), site=site, options=OPTIONS
    )


def learned(suite: SuiteTwin) -> Models:
    return models_of(suite.cases.values(), DurationOptions())


def issue(suite: SuiteTwin) -> Issue:
    return Issue("urn:uuid:3f1c2b6e-0000-4000-8000-000000000001", SOURCE, suite.now, MaterialOptions())


def predicted(suite: SuiteTwin, day: date | None = None) -> dict[str, PredictedTimeline]:
    """By carrier."""
    when = day or suite.day
    timelines = timelines_of(suite, when, simulate(scenario(suite, day=when)), issue(suite), PARIS)
    return {str(suite.cases[case].carrier): timeline for case, timeline in timelines.items()}


def room_ends(suite: SuiteTwin, site: SiteOptions = SITE) -> tuple[PredictedRoomEnd, ...]:
    ends = room_ends_of(suite, simulate(scenario(suite, site)), issue(suite), PARIS)
    return ends.get("Location/salle-1", ())


def p50(timeline: PredictedTimeline, milestone: Milestone) -> datetime:
    stage = timeline.stage(milestone)
    assert stage is not None
    assert stage.p50 is not None
    return stage.p50


def in_list(suite: SuiteTwin) -> list[str]:
    cases = sorted(scenario(suite).cases, key=lambda case: case.list_rank)
    return [suite.cases[case.key].links.anchors[0].partition("/")[2] for case in cases]


@pytest.mark.parametrize("hour", [7, 9, 12, 16])
def test_every_milestone_to_come(hour: int) -> None:
    """Of every live case of a whole morning of the clinic."""
    clinic = generate_day(DAY, PARIS, seed=1, rooms=3)
    suite = World(places=(), site=clinic.site()).play(clinic, at(f"{hour:02}:00")).suite(f"{hour:02}:00")
    timelines = predicted(suite)
    live = [twin for twin in suite.of_day(DAY) if twin.status in (CaseStatus.PLANNED, CaseStatus.IN_PROGRESS)]
    assert live
    for twin in live:
        stages = timelines[str(twin.carrier)].stages
        assert {stage.milestone for stage in stages} == {one for one in Milestone if not twin.is_reached(one)}
        for stage in stages:
            assert stage.p10 is not None
            assert stage.p50 is not None
            assert stage.p90 is not None
            assert suite.now - timedelta(minutes=1) <= stage.p10 <= stage.p50 <= stage.p90
        order = [p50(timelines[str(twin.carrier)], s.milestone) for s in stages if s.milestone not in ROOM_MILESTONES]
        assert order == sorted(order)


def test_running_case_has_only_what_is_left() -> None:
    suite = World(booking("a"), RUNNING, act("p", "08:20", encounter="e")).suite("08:40")
    timeline = predicted(suite)["Appointment/a"]
    assert timeline.stages[0].milestone is Milestone.CLOSURE_START
    assert p50(timeline, Milestone.PATIENT_OUT_OF_ROOM) > at("08:40")
    assert timeline.based_on == ("Appointment/a/_history/1", "Procedure/p/_history/1", "Encounter/e/_history/1")


def test_never_zero_minutes_left() -> None:
    timeline = predicted(World(booking("a"), RUNNING).suite("16:00"))["Appointment/a"]
    assert p50(timeline, Milestone.PATIENT_OUT_OF_ROOM) > at("16:00")


def test_whole_minutes_of_the_site() -> None:
    timeline = predicted(World(booking("a")).suite("07:00"))["Appointment/a"]
    times = [stage.p50 for stage in timeline.stages if stage.p50]
    assert {(t.second, t.utcoffset()) for t in times} == {(0, timedelta(hours=1))}
    assert (timeline.generated_at, timeline.valid_until) == (at("07:00"), at("08:00"))


def test_past_day_that_never_began() -> None:
    suite = World(booking("old", "23T08:00", "23T09:00"), booking("a")).suite("07:00")
    assert len(suite.cases) == 2
    assert list(predicted(suite)) == ["Appointment/a"]
    assert days_to_predict(suite) == (DAY,)


def test_over_midnight() -> None:
    """A patient in the room or the recovery room since yesterday still takes part, one on a ward does not."""
    bookings = [booking(name, "23T21:00", "23T23:00", room=f"salle-{n}", patient=name)
                for n, name in enumerate("xyz", start=1)]  # fmt: skip
    visits = (
        stay("ex", ("salle-1", "23T23:00", ""), booked="x", patient="x"),
        stay("ey", ("salle-2", "23T21:00", "23T23:50"), ("sspi", "23T23:55", ""), booked="y", patient="y"),
        stay("ez", ("salle-3", "23T20:00", "23T21:00"), ("ward", "23T22:00", ""), booked="z", patient="z"),
    )
    suite = World(*bookings, *visits).suite("00:30")
    assert set(predicted(suite)) == {"Appointment/x", "Appointment/y"}


def test_told_done_without_being_seen() -> None:
    suite = World(booking("a", "07:00", "07:45", status="fulfilled"), NEXT).suite("09:00")
    assert list(predicted(suite)) == ["Appointment/b"]


def test_after_the_room() -> None:
    suite = World(booking("a"), stay("e", ("salle-1", "08:05", "09:00"), ("sspi", "09:05", ""), booked="a")).suite(
        "09:10"
    )
    timeline = predicted(suite)["Appointment/a"]
    assert [stage.milestone.value for stage in timeline.stages] == [
        "room_cleanup_finish",
        "pacu_ready",
        "pacu_discharge",
        "unit_arrival",
        "facility_discharge",
    ]


def test_tomorrow_is_valid_for_longer() -> None:
    suite = World(booking("a"), booking("t", "25T08:00", "25T09:00", patient="p9")).suite("07:00")
    tomorrow = DAY + timedelta(days=1)
    assert days_to_predict(suite) == (DAY, tomorrow)
    timeline = predicted(suite, tomorrow)["Appointment/t"]
    assert timeline.valid_until == suite.now + timedelta(hours=24)
    assert at("25T07:45") <= p50(timeline, Milestone.PATIENT_IN_ROOM) <= at("25T08:45")
    assert len(timeline.stages) == len(Milestone)


def test_withdrawn_cases_are_not_predicted() -> None:
    gone = [booking(name, status=name, patient=name) for name in ("cancelled", "noshow", "entered-in-error")]
    suite = World(booking("a"), *gone, booking("d", patient="d")).delete("06:00", "Appointment/d").suite("07:00")
    assert list(predicted(suite)) == ["Appointment/a"]


def test_emergency_goes_before_later_bookings() -> None:
    world = World(booking("a"), RUNNING, NEXT, act("u", patient="p9"))
    world.put("08:30", stay("f", ("accueil", "08:30", ""), patient="p9"), act("u", patient="p9", encounter="f"))
    suite = world.suite("08:40")
    assert in_list(suite) == ["a", "u", "b"]
    timelines = predicted(suite)
    entry = p50(timelines["Procedure/u"], Milestone.PATIENT_IN_ROOM)
    assert p50(timelines["Appointment/a"], Milestone.PATIENT_OUT_OF_ROOM) <= entry
    assert entry < p50(timelines["Appointment/b"], Milestone.PATIENT_IN_ROOM)


def test_who_has_not_come_waits_behind() -> None:
    world = World(booking("a"), booking("b", "09:00", "10:00", patient="p2", status="arrived"))
    assert in_list(world.suite("08:25")) == ["a", "b"]
    assert in_list(world.suite("08:31")) == ["b", "a"]


def test_nobody_present_keeps_the_order() -> None:
    world = World(booking("a"), booking("b", "09:00", "10:00", patient="p2"))
    assert in_list(world.suite("08:31")) == ["a", "b"]


def test_case_without_a_room() -> None:
    suite = World(booking("a", room="bloc"), NEXT).suite("07:00")
    timeline = predicted(suite)["Appointment/a"]
    assert at("07:45") <= p50(timeline, Milestone.PATIENT_IN_ROOM) <= at("09:00")


def test_room_end_of_a_day() -> None:
    suite = World(booking("a"), booking("b", "16:00", "18:00", patient="p2")).suite("07:00")
    (end,) = room_ends(suite)
    assert (said(end.session_start), said(end.session_end), end.day) == ("08:00", "18:00", DAY)
    assert end.p10 is not None
    assert end.p90 is not None
    assert at("16:30") < end.p10 <= end.p50 <= end.p90
    assert 0.2 < end.overrun_probability < 0.9
    assert end.overrun_probability == round(end.overrun_probability, 2)


TWO = replace(
    SITE,
    blocks={"*": tuple(BlockTime(frozenset(range(5)), time(a), time(b)) for a, b in ((8, 13), (14, 19)))},
)


def test_two_blocks_a_day() -> None:
    bookings = (booking("a"), booking("b", "14:00", "15:00", patient="p2"))
    morning, afternoon = room_ends(World(*bookings, site=TWO).suite("07:00"), TWO)
    assert (said(morning.session_end), said(afternoon.session_end)) == ("13:00", "19:00")
    assert morning.p50 < at("12:00") < at("14:30") < afternoon.p50
    done = stay("e", ("salle-1", "08:05", "09:00"), booked="a")
    (left,) = room_ends(World(*bookings, done, site=TWO).suite("10:00"), TWO)
    assert said(left.session_start) == "14:00"


def test_no_block_no_end() -> None:
    weekend = World(booking("a", "28T08:00", "28T09:00"))
    assert room_ends(weekend.suite("28T07:00")) == ()
    assert predicted(weekend.suite("28T07:00")).keys() == {"Appointment/a"}


def test_learns_from_finished_cases() -> None:
    slow = [World(*[one for n in range(8) for one in _slow(n)]).suite("20:00"), World(booking("a")).suite("20:00")]
    features = learned(slow[0]).features(World(booking("a")).case())
    medians = [learned(suite).room.predict(features).distribution.ppf(0.5) for suite in slow]
    assert float(medians[0]) > float(medians[1]) + 20


def _slow(n: int) -> list[Json]:
    visit = stay(f"e{n}", (f"salle-{n % 3 + 1}", "08:00", "11:30"), booked=f"a{n}", patient=f"p{n}")
    return [booking(f"a{n}", patient=f"p{n}", room=f"salle-{n % 3 + 1}"), visit]


def test_learns_only_from_well_known_times() -> None:
    estimated = World(booking("a", request="s"), act("p", "08:00", "15:00", request="s")).suite("16:00")
    implied = World(
        booking("a"), booking("b", "15:00", "16:00", patient="p2"), RUNNING,
        stay("f", ("salle-1", "15:00", ""), booked="b", patient="p2"),
    ).suite("15:30")  # fmt: skip
    short = World(booking("a"), stay("e", ("salle-1", "08:00", "08:03"), booked="a")).suite("16:00")
    for suite in (estimated, implied, short):
        assert any(twin.status is CaseStatus.DONE for twin in suite.cases.values())
        features = learned(suite).features(World(booking("a")).case())
        bare = learned(World(booking("a")).suite()).room.predict(features).distribution
        assert learned(suite).room.predict(features).distribution.ppf(0.5) == pytest.approx(bare.ppf(0.5), rel=0.12)
    assert Provenance.ESTIMATED in {a.provenance for t in implied.cases.values() for a in t.times.reached}


def test_same_state_same_numbers() -> None:
    suites = [World(booking("a"), RUNNING, NEXT).suite("08:40") for _ in range(2)]
    assert predicted(suites[0]) == predicted(suites[1])
    assert scenario(suites[0]).content_key == scenario(suites[1]).content_key


def test_what_a_hospital_stamps() -> None:
    """Only entries and exits: nobody is late for not having been seen to arrive."""
    world = World(booking("a"), stay("e", ("salle-1", "08:05", "09:10"), booked="a"), NEXT)
    unseen = unrecorded_by(world.suite("09:30").cases.values())
    assert not {Milestone.PATIENT_IN_ROOM, Milestone.PATIENT_OUT_OF_ROOM} & set(unseen)
    assert {Milestone.PATIENT_IN_FACILITY, Milestone.INCISION, Milestone.PACU_DISCHARGE} <= set(unseen)


def test_nothing_stamped_yet() -> None:
    assert unrecorded_by(World(NEXT).suite("07:00").cases.values()) == tuple(Milestone)
    waiting = unrecorded_by(World(ARRIVED).suite("09:30").cases.values())
    assert Milestone.PATIENT_IN_FACILITY not in waiting


def test_booked_before_midnight_is_awaited_after_it() -> None:
    late = booking("a", "23:30", "25T01:00")
    world = World(late)
    assert set(predicted(world.suite("25T00:15"))) == {"Appointment/a"}
    assert world.suite("25T00:15").rooms[0].cases
    assert predicted(world.suite("25T03:00")) == {}


def test_turnover_follows_what_is_booked_and_seen() -> None:
    def median(world: World) -> float:
        laws = habits_of(world.suite("11:00").cases.values()).laws
        return next(law.law.median for law in laws if law.stage is Stage.TURNOVER)

    quick = [booking(f"q{n}", f"{8 + n:02}:00", f"{8 + n:02}:50", patient=f"q{n}") for n in range(3)]
    seen = [stay(f"e{n}", ("salle-1", f"{8 + n:02}:00", f"{8 + n:02}:52"), booked=f"q{n}") for n in range(3)]
    assert median(World(booking("a"))) == pytest.approx(20, abs=0.5)
    assert median(World(*quick)) == pytest.approx(15, abs=0.5)
    assert median(World(*quick, *seen)) < median(World(*quick))


def test_person_in_two_rooms_at_once_holds_nobody_up() -> None:
    def team(*roles: str) -> list[tuple[str, ...]]:
        rooms = [booking(f"c{n}", "09:00", "10:00", room=f"salle-{n}", patient=f"c{n}") for n in (1, 2)]
        for one, role in zip(rooms, roles, strict=True):
            kind = [{"text": role}] if role else []
            one["participant"].append({"actor": {"reference": "Practitioner/x"}, "type": kind, "status": "accepted"})
        return [case.team for case in scenario(World(*rooms).suite("08:00")).cases]

    assert team("", "") == [(), ()]
    assert team("chirurgien", "chirurgien") == [("Practitioner/x",), ("Practitioner/x",)]


def _actual(milestone: Milestone, after_min: int) -> Actual:
    moment = at("08:00") + timedelta(minutes=after_min)
    return Actual(milestone, moment, Provenance.EXPLICIT, "Encounter/e", moment)


def medians(minutes: int, cases: int = 40) -> dict[Stage, float]:
    """Typical minutes by stage where `cases` finished cases took so long from entry to incision, without a stamp
    between, and twice as long in the recovery room."""
    reached = (
        _actual(Milestone.PATIENT_IN_ROOM, 0),
        _actual(Milestone.INCISION, minutes),
        _actual(Milestone.PATIENT_OUT_OF_ROOM, 90),
        _actual(Milestone.PACU_ARRIVAL, 95),
        _actual(Milestone.PACU_DISCHARGE, 95 + 2 * minutes),
    )
    case = PatientTwin("c", "s", CaseStatus.DONE, DAY, times=Times(reached))
    return {law.stage: law.law.median for law in stage_laws_of([case] * cases)}


def test_stages_as_the_hospital_takes_them() -> None:
    """Stages without a stamp between them keep their shares; what nobody stamps stays as it is."""
    default = {law.stage: law.law.median for law in STAGE_LAWS}
    usual, long, few = medians(26), medians(52), medians(52, cases=9)
    for stage in (Stage.INDUCTION, Stage.LEAD_IN):
        assert usual[stage] == pytest.approx(default[stage], rel=0.05)
        assert 1.5 < long[stage] / default[stage] < 2.0
    assert long[Stage.PACU] / usual[Stage.PACU] == pytest.approx(2 ** (40 / 60), rel=0.01)
    assert long[Stage.EMERGENCE] == default[Stage.EMERGENCE]
    assert few == default


def late_day(lag_min: int, *, versions: bool = True) -> World:
    """25 patients in a room one after the other, each exit entered `lag_min` late; the last one is in since 23:20."""
    world = World(*(booking(f"c{n}", _clock(20 * n), _clock(20 * n + 15), patient=f"c{n}") for n in range(26)))
    for n in range(25):
        if versions:
            world.put(_clock(20 * n), stay(f"e{n}", ("salle-1", _clock(20 * n), ""), booked=f"c{n}", patient=f"c{n}"))
        done = stay(f"e{n}", ("salle-1", _clock(20 * n), _clock(20 * n + 10)), booked=f"c{n}", patient=f"c{n}")
        world.put(_clock(20 * n + 10 + lag_min), done)
    return world.put("23:20", stay("e25", ("salle-1", "23:20", ""), booked="c25", patient="c25"))


def _clock(minutes: int) -> str:
    return f"{8 + minutes // 60:02}:{minutes % 60:02}"


def test_lags_are_learned_from_versions() -> None:
    suite = late_day(9).suite("23:30")
    assert learned(suite).lags_min[Milestone.PATIENT_OUT_OF_ROOM] == pytest.approx(9 * 25 / 35)
    timeline = next(one for one in predicted(suite).values() if one.left_already is not None)
    assert 0 < (timeline.left_already or 0) < 1
    assert p50(timeline, Milestone.PATIENT_OUT_OF_ROOM) > suite.now


def test_a_first_load_teaches_no_lags() -> None:
    suite = late_day(9, versions=False).suite("23:30")
    assert set(learned(suite).lags_min.values()) == {0.0}
    assert all(timeline.left_already is None for timeline in predicted(suite).values())


def stays_of(minutes: int, setting: CareSetting, cases: int = 40) -> dict[tuple[Stage, CareSetting], float]:
    """Typical minutes where `cases` finished cases of a setting stayed so long in their unit, 15 min away."""
    reached = (
        _actual(Milestone.PATIENT_IN_ROOM, 20),
        _actual(Milestone.PACU_DISCHARGE, 100),
        _actual(Milestone.UNIT_ARRIVAL, 115),
        _actual(Milestone.FACILITY_DISCHARGE, 115 + minutes),
    )
    case = PatientTwin("c", "s", CaseStatus.DONE, DAY, times=Times(reached), setting=setting)
    laws = stage_laws_of([case] * cases)
    return {(law.stage, law.settings[0]): law.law.median for law in laws}


def test_stays_in_the_unit_by_care_setting() -> None:
    """Also those over 24 hours; a day unit's stays teach nothing of the ward's."""
    default = stays_of(60, CareSetting.AMBULATORY, cases=9)
    day_unit, ward = (
        next(law.settings[0] for law in STAGE_LAWS if law.stage is Stage.UNIT and setting in law.settings)
        for setting in (CareSetting.AMBULATORY, CareSetting.INPATIENT)
    )
    long, days = stays_of(300, CareSetting.AMBULATORY), stays_of(5 * 1440, CareSetting.INPATIENT)
    assert long[Stage.UNIT, day_unit] / default[Stage.UNIT, day_unit] == pytest.approx(2 ** (40 / 60), rel=0.01)
    assert long[Stage.UNIT, ward] == default[Stage.UNIT, ward]
    assert days[Stage.UNIT, ward] / default[Stage.UNIT, ward] == pytest.approx(2 ** (40 / 60), rel=0.01)
    assert days[Stage.UNIT, day_unit] == default[Stage.UNIT, day_unit]
    every = long.keys() - {(Stage.UNIT, day_unit)}
    assert {stage for stage, _ in every if long[stage, _] != default[stage, _]} == {Stage.TO_UNIT}


def starts(late_min: int, rooms: int = 30) -> float:
    """Typical first entry after its booking, where each room's first patient entered so late, and the next later."""
    laws = stage_laws_of(
        PatientTwin(
            f"c{room}-{rank}",
            "s",
            CaseStatus.DONE,
            DAY,
            room=f"Location/{room}",
            planned_in=at("08:00") + timedelta(hours=rank),
            times=Times((_actual(Milestone.PATIENT_IN_ROOM, 60 * rank + late_min * (1 + rank)),)),
        )
        for room in range(rooms)
        for rank in range(2)
    )
    law = next(law for law in laws if law.stage is Stage.START_DELAY)
    return law.law.median + law.origin_min


def test_first_entries_as_late_as_they_are() -> None:
    usual = starts(5)
    assert usual == pytest.approx(5, abs=0.5)
    assert 5 < starts(20) < 20
    assert starts(20, rooms=9) == pytest.approx(usual, abs=0.5)
    assert starts(300) == pytest.approx(usual, abs=0.5)
