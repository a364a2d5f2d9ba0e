"""From the live twins to a scenario, and from its futures to predicted timelines."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import combinations
from zoneinfo import ZoneInfo

import numpy as np

from twin.prediction import MODEL
from twin.prediction.capacities import Capacities
from twin.prediction.habits import Habits
from twin.prediction.models import Models, surgical_features
from twin.prediction.score import SCORED
from twin.projections.patient_twin import PatientTwin
from twin.projections.stamps import reached_map
from twin.projections.suite_twin import RoomTwin, SuiteTwin, awaited_overnight, in_pacu
from twin.simulation.draws import Seconds
from twin.simulation.result import Futures
from twin.simulation.scenario import CaseInput, RoomInput, Scenario
from twin.site import Block, MaterialOptions, SimulationOptions, SiteOptions
from twin.timebase import day_start, whole_minute
from twin.timeline import QUANTILE_LEVELS, PredictedRoomEnd, PredictedStage, PredictedTimeline
from twin.vocabulary import CaseStatus, Milestone, ResourceKind

NOT_COMING_AFTER = timedelta(minutes=30)
"""A patient this late who hasn't arrived goes behind those of the same room who have (guess)."""
_OPEN = frozenset({CaseStatus.PLANNED, CaseStatus.IN_PROGRESS})
_A_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Issue:
    """What every prediction of a run is signed with."""

    run: str
    """`urn:uuid:` of the run."""
    source: str
    at: datetime
    """Site time."""
    options: MaterialOptions


def days_to_predict(suite: SuiteTwin) -> tuple[date, ...]:
    """Today, and every later day of the horizon that has a case."""
    later = {twin.day for twin in suite.cases.values() if twin.live and twin.day > suite.day}
    return (suite.day, *sorted(later))


def scenario_of(
    suite: SuiteTwin,
    day: date,
    models: Models,
    habits: Habits,
    *,
    site: SiteOptions,
    options: SimulationOptions,
) -> Scenario:
    """The state that a day is simulated from: today's as it stands, a later day's from its midnight on."""
    today = day == suite.day
    now = suite.now if today else day_start(day, site.timezone)
    twins = [twin for twin in suite.cases.values() if twin.live and _takes_part(twin, day, now, today=today)]
    ranks = _list_ranks(twins, now)
    shared = _shared_people(twins)
    capacities = Capacities(site, suite)
    return Scenario(
        now=now,
        cases=tuple(
            _case(twin, models, ranks[twin.case_id], shared=shared, needs=capacities.needs(twin))
            for twin in sorted(twins, key=lambda t: t.case_id)
        ),
        rooms=tuple(RoomInput(room.ref, room.last_out if today else None) for room in suite.rooms),
        pacu_places=None if capacities.has(ResourceKind.PACU) else suite.pacu.places,
        options=options,
        laws=habits.laws,
        unrecorded=habits.unrecorded,
        resources=capacities.inputs(now),
        lags_min=tuple(models.lags_min.items()) if today else (),
    )


def _takes_part(twin: PatientTwin, day: date, now: datetime, *, today: bool) -> bool:
    """True where something of a case is still to come: not of one that is told to be done without having been seen."""
    if twin.day == day and twin.status in _OPEN:
        return True
    if not today or twin.day > day:
        return False
    gone = twin.is_reached(Milestone.FACILITY_DISCHARGE) or not twin.is_reached(Milestone.PATIENT_OUT_OF_ROOM)
    return (twin.day == day and not gone) or twin.in_room or in_pacu(twin, now) or awaited_overnight(twin, now)


def _list_ranks(twins: Iterable[PatientTwin], now: datetime) -> Mapping[str, int]:
    """Positions in each room's list: by booking, but for patients who should long have come and haven't."""
    lists: dict[str | None, list[PatientTwin]] = defaultdict(list)
    for twin in twins:
        lists[twin.room].append(twin)
    ranks = {}
    for mine in lists.values():
        present = any(_waiting(twin) for twin in mine)
        ordered = sorted(mine, key=lambda twin: (present and _missing(twin, now), *_booked_order(twin)))
        ranks.update({twin.case_id: rank for rank, twin in enumerate(ordered)})
    return ranks


def _booked_order(twin: PatientTwin) -> tuple[datetime, str]:
    # An unbooked patient (an emergency) goes before those booked for later than the patient became known.
    return twin.planned_in or (twin.times.reached[0].at if twin.times.reached else _LONG_AGO), twin.case_id


def _waiting(twin: PatientTwin) -> bool:
    return twin.status is CaseStatus.PLANNED and twin.is_reached(Milestone.PATIENT_IN_FACILITY)


def _missing(twin: PatientTwin, now: datetime) -> bool:
    late = twin.planned_in is not None and now - twin.planned_in > NOT_COMING_AFTER
    return twin.status is CaseStatus.PLANNED and late and not _waiting(twin)


def _shared_people(twins: Iterable[PatientTwin]) -> frozenset[str]:
    """People of no told role who are booked in two rooms at once: an anesthetist, say, not who operates."""
    bookings: dict[str, list[tuple[datetime, datetime, str | None]]] = defaultdict(list)
    for twin in twins:
        if twin.planned_in and twin.planned_out:
            for person in twin.team:
                if not person.role:
                    bookings[person.ref].append((twin.planned_in, twin.planned_out, twin.room))
    return frozenset(
        ref
        for ref, mine in bookings.items()
        for (start, end, room), (again, _, elsewhere) in combinations(sorted(mine, key=lambda booked: booked[0]), 2)
        if room != elsewhere and start <= again < end
    )


def _case(twin: PatientTwin, models: Models, rank: int, *, shared: frozenset[str], needs: tuple[str, ...]) -> CaseInput:
    surgeon = twin.surgeon()
    return CaseInput(
        key=twin.case_id,
        room=twin.room,
        planned_in=twin.planned_in,
        planned_out=twin.planned_out,
        setting=twin.setting,
        room_time=models.room.predict(models.features(twin)).distribution,
        surgical_time=models.surgical.predict(surgical_features(models, twin)).distribution,
        team=(surgeon,) if surgeon and surgeon not in shared else (),
        reached=tuple(sorted(reached_map(twin.times).items(), key=lambda item: item[0].rank)),
        list_rank=rank,
        shifts=models.stays.shifts(twin.factors),
        needs=needs,
    )


def timelines_of(
    suite: SuiteTwin, day: date, futures: Futures, issue: Issue, zone: ZoneInfo
) -> dict[str, PredictedTimeline]:
    """By case id: the milestones still to come of every case of the run."""
    validity = issue.options.validity if day == suite.day else issue.options.later_validity
    out = {}
    for case_id, times in futures.times.items():
        twin = suite.cases[case_id]
        stages = tuple(
            _stage(milestone, futures, times[milestone], issue, zone)
            for milestone in Milestone
            if milestone in times and not twin.is_reached(milestone)
        )
        doubt = futures.doubts.get(case_id)
        if stages:
            out[case_id] = PredictedTimeline(
                generated_at=issue.at,
                valid_until=issue.at + validity,
                model=MODEL,
                source=issue.source,
                run=issue.run,
                based_on=twin.his_versions,
                stages=stages,
                left_already=_share(doubt.probability) if doubt else None,
                check_stamp=doubt is not None and doubt.check,
            )
    return out


def _share(probability: float) -> float | None:
    """A probability as it is told: with two decimals, none where that is nothing."""
    return round(probability, 2) or None


def _stage(milestone: Milestone, futures: Futures, seconds: Seconds, issue: Issue, zone: ZoneInfo) -> PredictedStage:
    p50, p10, p90 = _quantiles(futures, seconds, zone)
    if milestone not in SCORED:
        return PredictedStage(milestone, p50, p10, p90)
    since = round((issue.at - futures.now).total_seconds())
    levels = np.rint(np.quantile(seconds, QUANTILE_LEVELS, method="hazen")).astype(int)
    return PredictedStage(milestone, p50, p10, p90, quantiles_s=tuple((levels - since).tolist()))


def _quantiles(futures: Futures, seconds: Seconds, zone: ZoneInfo) -> tuple[datetime, datetime, datetime]:
    """P50, P10, P90 as whole minutes of the site: the order of PredictedStage's fields."""
    low, middle, high = futures.quantiles(seconds)
    at = [whole_minute(futures.now + timedelta(seconds=value), zone) for value in (middle, low, high)]
    return at[0], at[1], at[2]


def room_ends_of(
    suite: SuiteTwin, futures: Futures, issue: Issue, zone: ZoneInfo
) -> dict[str, tuple[PredictedRoomEnd, ...]]:
    """By room ref: one end for each block of today that has a case still to come or under way."""
    ends = {room.ref: tuple(_room_ends(suite, room, futures, issue, zone)) for room in suite.rooms}
    return {ref: found for ref, found in ends.items() if found}


def _room_ends(
    suite: SuiteTwin, room: RoomTwin, futures: Futures, issue: Issue, zone: ZoneInfo
) -> Iterable[PredictedRoomEnd]:
    for block, start, end in _shares(room.blocks):
        entries = futures.room_cases.get(room.ref, {})
        mine = [case for case, entry in entries.items() if start <= entry < end]
        if not any(suite.cases[case].status in _OPEN for case in mine):
            continue
        seconds = futures.last_out(mine)
        p50, p10, p90 = _quantiles(futures, np.maximum(seconds, 0), zone)
        yield PredictedRoomEnd(
            day=suite.day,
            session_start=block.start,
            session_end=block.end,
            p50=p50,
            p10=p10,
            p90=p90,
            overrun_probability=round(futures.probability_after(seconds, block.end), 2),
            generated_at=issue.at,
            valid_until=issue.at + issue.options.validity,
            source=issue.source,
        )


def _shares(blocks: tuple[Block, ...]) -> Iterable[tuple[Block, datetime, datetime]]:
    """Each block with the stretch of entries that count to it: up to the next block, the first and last ones open."""
    for index, block in enumerate(blocks):
        start = block.start if index else block.start - _A_DAY
        end = blocks[index + 1].start if index + 1 < len(blocks) else block.end + _A_DAY
        yield block, start, end


_LONG_AGO = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def result_hash(
    timelines: Mapping[str, PredictedTimeline], room_ends: Mapping[str, tuple[PredictedRoomEnd, ...]]
) -> str:
    """Names what a run predicted: equal for the same twins, seed and code, whatever the run is called."""
    told = [(case_id, timelines[case_id].stages) for case_id in sorted(timelines)]
    ends = [
        (ref, [(e.session_start, e.p10, e.p50, e.p90, e.overrun_probability) for e in room_ends[ref]])
        for ref in sorted(room_ends)
    ]
    return hashlib.blake2b(repr((told, ends)).encode(), digest_size=16).hexdigest()
