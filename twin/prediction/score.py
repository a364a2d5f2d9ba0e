"""The score-card: every prediction issued is judged when its truth arrives (design: Scored always).

A prediction is judged at fixed lead times before its truth: the one judged is the newest that had been issued by then,
the one a reader would have acted on. So a case counts once at each lead, however often its prediction moved.
CRPS = 2·mean over levels u of (1{y < q_u} - u)(q_u - y), in minutes, over `QUANTILE_LEVELS`; the pinball loss is the
mean of that of P10, P50 and P90; the PIT is read off the quantiles, straight between two of them.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from twin.projections.factors import AGE_BAND
from twin.projections.patient_twin import PatientTwin
from twin.projections.suite_twin import SuiteTwin
from twin.timebase import minutes_between
from twin.timeline import QUANTILE_LEVELS, PredictedRoomEnd, PredictedTimeline
from twin.vocabulary import CaseStatus, Milestone, Provenance

LEADS_MIN = (15, 60, 120, 240, 1440)
"""Minutes before the truth at which the prediction in force is judged."""
SCORED = (Milestone.PATIENT_IN_ROOM, Milestone.PATIENT_OUT_OF_ROOM, Milestone.PACU_DISCHARGE)
"""Milestones that are judged; a stage of one of these is issued with its quantiles."""
BANDS = {50: (0.25, 0.75), 80: (0.10, 0.90), 90: (0.05, 0.95)}
"""Central bands by their nominal coverage in percent."""
PIT_BINS = 10
Floats = NDArray[np.float64]
_LEVELS = np.asarray(QUANTILE_LEVELS)
_Z95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Score:
    """One prediction of one milestone against its truth. Minutes; an error is truth less P50."""

    case_id: str
    milestone: Milestone
    lead_min: int
    service: str
    room: str
    setting: str
    age_band: str
    model: str
    crps: float
    pinball: float
    error: float
    pit: float
    inside: Mapping[int, bool]
    """By nominal coverage: the truth lay in the band."""


@dataclass(frozen=True, slots=True)
class RoomScore:
    """One statement `this room ends late` against what happened."""

    room: str
    lead_min: int
    probability: float
    late: bool


@dataclass(frozen=True, slots=True)
class Coverage:
    """Share of truths inside a band, with its 95 % Wilson interval."""

    share: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Line:
    """The scores of one group: sums first, divided last. Minutes."""

    n: int
    crps: float
    pinball: float
    bias: float
    mae: float
    coverage: Mapping[int, Coverage]
    pit: tuple[int, ...]
    """Counts in `PIT_BINS` equal bins; level bins mean honest bands."""


@dataclass(frozen=True, slots=True)
class RoomLine:
    """`Room past its end` of one lead: Brier score, that of always saying the base rate, and the counts behind."""

    n: int
    late: int
    brier: float
    brier_base: float


@dataclass(frozen=True, slots=True)
class ScoreCard:
    """Lines by group name, then by the group's value; lead times as text of minutes."""

    n: int
    cases: int
    lines: Mapping[str, Mapping[str, Line]]
    rooms: Mapping[str, RoomLine]


def scores_of(
    twins: Iterable[PatientTwin], issued: Mapping[str, Sequence[PredictedTimeline]], *, upto: datetime
) -> list[Score]:
    """Judge what was issued of cases whose truth was known by `upto`; `issued` by case id, aliases included."""
    out: list[Score] = []
    for twin in twins:
        mine = sorted(
            (timeline for case_id in (twin.case_id, *twin.aliases) for timeline in issued.get(case_id, ())),
            key=lambda timeline: timeline.generated_at,
        )
        for milestone, truth in _truths(twin, upto) if mine else ():
            out.extend(_scores(twin, milestone, truth, mine))
    return out


def _truths(twin: PatientTwin, upto: datetime) -> list[tuple[Milestone, datetime]]:
    """Times that a resource tells; one that is only estimated judges nobody."""
    return [
        (actual.milestone, actual.at)
        for actual in twin.times.reached
        if twin.live
        and actual.milestone in SCORED
        and actual.provenance is not Provenance.ESTIMATED
        and actual.at <= upto
    ]


def _scores(
    twin: PatientTwin, milestone: Milestone, truth: datetime, issued: Sequence[PredictedTimeline]
) -> Iterable[Score]:
    for lead in LEADS_MIN:
        asked = truth - timedelta(minutes=lead)
        timeline = next((told for told in reversed(issued) if told.generated_at <= asked), None)
        stage = timeline.stage(milestone) if timeline else None
        if timeline is None or stage is None or not stage.quantiles_s or stage.p50 is None:
            continue
        quantiles = np.asarray(stage.quantiles_s, dtype=np.float64) / 60
        actual = minutes_between(timeline.generated_at, truth)
        yield Score(
            case_id=twin.case_id,
            milestone=milestone,
            lead_min=lead,
            service=twin.specialty.key or "unknown",
            room=twin.room or "unknown",
            setting=twin.setting.value,
            age_band=str(dict(twin.factors).get(AGE_BAND, "unknown")),
            model=timeline.model,
            crps=crps(quantiles, actual),
            pinball=_pinball(quantiles, actual),
            error=minutes_between(stage.p50, truth),
            pit=pit(quantiles, actual),
            inside={nominal: _inside(quantiles, band, actual) for nominal, band in BANDS.items()},
        )


def _at(quantiles: Floats, level: float) -> float:
    return float(np.interp(level, _LEVELS, quantiles))


def _losses(quantiles: Floats, levels: Floats, actual: float) -> Floats:
    return np.asarray(((actual < quantiles) - levels) * (quantiles - actual))


def crps(quantiles: Floats, actual: float) -> float:
    """CRPS of quantiles at `QUANTILE_LEVELS`, in their unit."""
    return float(2 * np.mean(_losses(quantiles, _LEVELS, actual)))


def _pinball(quantiles: Floats, actual: float) -> float:
    levels = np.asarray([0.1, 0.5, 0.9])
    return float(np.mean(_losses(np.interp(levels, _LEVELS, quantiles), levels, actual)))


def pit(quantiles: Floats, actual: float) -> float:
    """P(not later than what happened) as the quantiles have it; 0 and 1 outside of them."""
    if actual < quantiles[0]:
        return 0.0
    if actual > quantiles[-1]:
        return 1.0
    # Where several quantiles are equal (a grid, a point mass) the middle of their levels.
    below, upto = np.searchsorted(quantiles, actual, "left"), np.searchsorted(quantiles, actual, "right")
    if upto > below:
        return float((_LEVELS[below] + _LEVELS[upto - 1]) / 2)
    return float(np.interp(actual, quantiles, _LEVELS))


def _inside(quantiles: Floats, band: tuple[float, float], actual: float) -> bool:
    return _at(quantiles, band[0]) <= actual <= _at(quantiles, band[1])


def room_scores_of(
    suite: SuiteTwin, issued: Mapping[str, Sequence[Sequence[PredictedRoomEnd]]], *, upto: datetime
) -> list[RoomScore]:
    """Judge `this room ends late` of every block that has ended and whose cases are all done; `issued` by room ref."""
    out: list[RoomScore] = []
    for room, told in issued.items():
        blocks: dict[tuple[datetime, datetime], list[PredictedRoomEnd]] = defaultdict(list)
        for each in (each for ends in told for each in ends):
            blocks[each.session_start, each.session_end].append(each)
        for (start, end), mine in blocks.items():
            late = _ended_late(suite, room, start, end) if end <= upto else None
            if late is not None:
                out.extend(_judged(room, end, late, mine))
    return out


def _judged(room: str, end: datetime, late: bool, told: list[PredictedRoomEnd]) -> Iterable[RoomScore]:  # noqa: FBT001
    ordered = sorted(told, key=lambda each: each.generated_at)
    for lead in LEADS_MIN:
        asked = end - timedelta(minutes=lead)
        known = next((each for each in reversed(ordered) if each.generated_at <= asked), None)
        if known is not None:
            yield RoomScore(room, lead, known.overrun_probability, late)


def _ended_late(suite: SuiteTwin, room: str, start: datetime, end: datetime) -> bool | None:
    """Whether a patient entered during the block and left after its end; None where an exit is not known."""
    mine = [
        twin
        for twin in suite.cases.values()
        if twin.live and twin.room == room and twin.entered is not None and start <= twin.entered < end
    ]
    exits = [twin.times.get(Milestone.PATIENT_OUT_OF_ROOM) for twin in mine if twin.status is CaseStatus.DONE]
    known = [at for at in exits if at is not None]
    if not mine or len(known) < len(mine):
        return None
    return max(known) > end


def score_card(scores: Sequence[Score], rooms: Sequence[RoomScore] = ()) -> ScoreCard:
    """Group the scores: all, by milestone, lead, service, room, care setting, age band, model."""
    groups: dict[str, Callable[[Score], str]] = {
        "all": lambda _: "all",
        "milestone": lambda score: score.milestone.value,
        "lead_min": lambda score: str(score.lead_min),
        "service": lambda score: score.service,
        "room": lambda score: score.room,
        "setting": lambda score: score.setting,
        "age_band": lambda score: score.age_band,
        "model": lambda score: score.model,
    }
    leads = {lead: [score for score in rooms if score.lead_min == lead] for lead in LEADS_MIN}
    return ScoreCard(
        n=len(scores),
        cases=len({score.case_id for score in scores}),
        lines={name: _grouped(scores, key) for name, key in groups.items()},
        rooms={str(lead): _room_line(mine) for lead, mine in leads.items() if mine},
    )


def _grouped(scores: Sequence[Score], key: Callable[[Score], str]) -> dict[str, Line]:
    groups: dict[str, list[Score]] = defaultdict(list)
    for score in scores:
        groups[key(score)].append(score)
    order = sorted(groups, key=lambda name: (not name.isdecimal(), int(name) if name.isdecimal() else 0, name))
    return {name: _line(groups[name]) for name in order}


def _line(scores: Sequence[Score]) -> Line:
    n = len(scores)
    counts = [0] * PIT_BINS
    for score in scores:
        counts[min(int(score.pit * PIT_BINS), PIT_BINS - 1)] += 1
    return Line(
        n=n,
        crps=math.fsum(score.crps for score in scores) / n,
        pinball=math.fsum(score.pinball for score in scores) / n,
        bias=math.fsum(score.error for score in scores) / n,
        mae=math.fsum(abs(score.error) for score in scores) / n,
        coverage={nominal: wilson(sum(score.inside[nominal] for score in scores), n) for nominal in BANDS},
        pit=tuple(counts),
    )


def _room_line(scores: Sequence[RoomScore]) -> RoomLine:
    n, late = len(scores), sum(score.late for score in scores)
    base = late / n
    return RoomLine(
        n=n,
        late=late,
        brier=math.fsum((score.probability - score.late) ** 2 for score in scores) / n,
        brier_base=base * (1 - base),
    )


def wilson(hits: int, n: int) -> Coverage:
    """Share of hits with its 95 % interval (Wilson 1927). n > 0."""
    share, z2 = hits / n, _Z95**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z95 / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return Coverage(share, max(middle - half, 0.0), min(middle + half, 1.0))
