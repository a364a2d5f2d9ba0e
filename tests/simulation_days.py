"""Days to simulate: small ones written by hand, and a reference day of 63 cases in 14 rooms."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np

from twin.durations.distribution import LogT
from twin.durations.stages import STAGE_LAWS, StageLaw
from twin.simulation.resources import ResourceInput, ResourceKind
from twin.simulation.scenario import CaseInput, RoomInput, Scenario
from twin.site import SimulationOptions
from twin.vocabulary import CareSetting, Milestone, Stage

MIDNIGHT = datetime(2026, 3, 10, tzinfo=UTC)
"""A Tuesday."""


def at(hours: float) -> datetime:
    """An instant of the day, by hours since midnight."""
    return MIDNIGHT + timedelta(hours=hours)


def exactly(**minutes: float) -> tuple[StageLaw, ...]:
    """Stage laws without variance, in minutes by stage name; 0 where not told."""
    laws = {stage: LogT.constant(minutes.get(stage.value, 0)) for stage in Stage}
    laws[Stage.TURNOVER] = replace(laws[Stage.TURNOVER], upper_min=60)
    return tuple(StageLaw(stage, law, "test") for stage, law in laws.items())


def case(
    key: str,
    room: str | None = "A",
    planned: float | None = 8,
    *,
    room_min: LogT | float = 60,
    surgical_min: LogT | float = 30,
    setting: CareSetting = CareSetting.AMBULATORY,
    team: tuple[str, ...] = (),
    rank: int = 0,
    reached: Mapping[str, float] | None = None,
    **stamps: float,
) -> CaseInput:
    """A case; `planned` and the times of milestones, in `reached` or by keyword, in hours since midnight."""
    return CaseInput(
        key=key,
        room=room,
        planned_in=None if planned is None else at(planned),
        planned_out=None if planned is None else at(planned + 1),
        setting=setting,
        room_time=room_min if isinstance(room_min, LogT) else LogT.constant(room_min),
        surgical_time=surgical_min if isinstance(surgical_min, LogT) else LogT.constant(surgical_min),
        team=team,
        reached=tuple((Milestone(name), at(hours)) for name, hours in {**(reached or {}), **stamps}.items()),
        list_rank=rank,
    )


def day(
    *cases: CaseInput,
    now: float = 6,
    rooms: tuple[RoomInput, ...] = (),
    pacu: int | None = None,
    laws: tuple[StageLaw, ...] = STAGE_LAWS,
    options: SimulationOptions | None = None,
) -> Scenario:
    """A scenario; `now` in hours since midnight."""
    return Scenario(at(now), cases, rooms, pacu, options or SimulationOptions(), laws)


def reference_day(*, now: float = 6, replications: int = 50, pacu: int | None = 12) -> Scenario:
    """63 cases in 14 rooms from 8:00 on, a surgeon to a room but one, who has two: the same at every call."""
    rng = np.random.default_rng(7)
    cases = []
    for room in range(14):
        start = 8.0
        for rank in range(5 if room % 2 else 4):
            booked = float(rng.choice([30, 45, 60, 75, 90, 120]))
            surgeon = f"surgeon-{min(room, 12)}"
            setting = CareSetting.AMBULATORY if rng.random() < 0.65 else CareSetting.INPATIENT
            cases.append(
                case(
                    f"case-{room}-{rank}",
                    f"room-{room:02}",
                    start,
                    room_min=LogT.of_median(booked * 1.05, 0.35, df=8),
                    surgical_min=LogT.of_median(booked * 0.6, 0.4, df=8),
                    setting=setting,
                    team=(surgeon, f"nurse-{room}"),
                    rank=rank,
                )
            )
            start += (booked + 20) / 60
    return day(*cases, now=now, pacu=pacu, options=SimulationOptions(replications=replications))


def suite_day(*, replications: int = 50, size: int = 1, pacu: int = 9) -> Scenario:
    """The reference day with what a suite shares: 40 resources, 14 of them rooms; `size` such days side by side."""
    whole = reference_day(replications=replications, pacu=None)
    cases = [
        replace(case, key=f"{copy}:{case.key}", room=f"{copy}:{case.room}", team=(f"{copy}:{case.team[0]}",))
        for copy in range(size)
        for case in whole.cases
    ]
    basic = [
        ("anesthetists", "nurses", "ward" if case.setting is CareSetting.INPATIENT else "day unit") for case in cases
    ]
    equipment = ("c-arm", "microscope", "laser", "column")
    needs: list[tuple[str, ...]] = [(*need, equipment[i % 4]) if i % 3 == 0 else need for i, need in enumerate(basic)]
    kinds = ResourceKind
    pools = (
        ("anesthetists", kinds.ANESTHETIST, 12),
        ("nurses", kinds.NURSES, 14),
        ("porters", kinds.PORTER, 4),
        ("holding", kinds.HOLDING, 10),
        ("crews", kinds.CREW, 5),
        ("pacu", kinds.PACU, pacu),
        ("ward", kinds.BED, 30),
        ("day unit", kinds.BED, 24),
        *((name, kinds.EQUIPMENT, 4) for name in equipment),
        ("pacu nurses", kinds.PACU_NURSE, pacu + 1),
    )
    return replace(
        whole,
        cases=tuple(replace(case, needs=need) for case, need in zip(cases, needs, strict=True)),
        resources=tuple(ResourceInput(name, kind, places * size) for name, kind, places in pools),
    )
