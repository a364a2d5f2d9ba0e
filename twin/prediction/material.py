"""What is to be written: the difference between what a prediction says and what the server's newest version carries.

There is no list of what is pending. It is a fold: the same twins and versions give the same orders, so a killed
program goes on where it stopped, several changes become one write, and what a hospital's own write dropped comes back.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from twin.facts import Carried
from twin.projections.ledger import Ledger
from twin.projections.suite_twin import SuiteTwin
from twin.site import MaterialOptions
from twin.timebase import minutes_between
from twin.timeline import Annotation, PredictedRoomEnd, PredictedStage, PredictedTimeline, WriteOrder
from twin.vocabulary import CaseStatus

_OPEN = frozenset({CaseStatus.PLANNED, CaseStatus.IN_PROGRESS})
_Banded = PredictedStage | PredictedRoomEnd
_RENEW_AT = 3
"""Renewed when less than this share (1/3) of the validity is left."""


@dataclass(frozen=True, slots=True)
class Orders:
    """What to write, and how many annotations already stand as they should."""

    orders: tuple[WriteOrder, ...]
    unchanged: int
    foreign: int = 0
    """Resources that another installation annotates, and that are left to it."""


def wanted_annotations(
    suite: SuiteTwin,
    timelines: Mapping[str, PredictedTimeline],
    room_ends: Mapping[str, tuple[PredictedRoomEnd, ...]],
    targets: Iterable[str],
) -> dict[str, Annotation]:
    """By `Type/id`: what each resource should carry. A case carries nothing once its patient has left the room."""
    wanted: dict[str, Annotation] = {}
    if "case" in targets:
        for case_id, timeline in timelines.items():
            twin = suite.cases[case_id]
            if twin.carrier and twin.status in _OPEN:
                wanted[twin.carrier] = Annotation(timeline=timeline)
    if "room" in targets:
        wanted.update({ref: Annotation(room_ends=ends) for ref, ends in room_ends.items()})
    return wanted


def orders_of(
    wanted: Mapping[str, Annotation],
    ledger: Ledger,
    *,
    now: datetime,
    options: MaterialOptions,
    take_over: bool = False,
) -> Orders:
    """Compare what is wanted with what is carried, resource by resource.

    Where another installation has annotated a resource, ours stays away from it (and goes, where it is still there);
    with `take_over` ours replaces it.
    """
    orders: list[WriteOrder] = []
    unchanged = foreign = 0
    for ref in sorted(wanted.keys() | {ref for ref, known in ledger.resources.items() if known.newest.carried.present}):
        resource = ledger.resources.get(ref)
        if resource is None or resource.deleted:
            continue
        theirs = bool(resource.newest.carried.foreign)
        ours = None if theirs and not take_over else wanted.get(ref)
        foreign += theirs and ours is None and ref in wanted
        reason = "take over" if theirs and ours else _reason(ours, resource.newest.carried, now=now, options=options)
        if reason:
            orders.append(WriteOrder(ref, ours, reason))
        elif ours is not None:
            unchanged += 1
    return Orders(tuple(orders), unchanged, foreign)


def orders_beside(
    wanted: Mapping[str, Annotation], carried: Mapping[str, Carried], *, now: datetime, options: MaterialOptions
) -> Orders:
    """The same for predictions in resources of our own, beside those of the hospital that they are about.

    `carried` is what each of ours says, by the hospital's resource. One that nothing is wanted of any more goes.
    """
    orders: list[WriteOrder] = []
    unchanged = 0
    for ref in sorted(wanted.keys() | {ref for ref, known in carried.items() if known.present}):
        ours = wanted.get(ref)
        reason = _reason(ours, carried.get(ref, Carried()), now=now, options=options)
        if reason:
            orders.append(WriteOrder(ref, ours, reason, beside=True))
        elif ours is not None:
            unchanged += 1
    return Orders(tuple(orders), unchanged)


def _reason(wanted: Annotation | None, carried: Carried, *, now: datetime, options: MaterialOptions) -> str | None:
    if wanted is None:
        return "over" if carried.present else None
    if carried.annotation is None:
        return "unreadable" if carried.present else "new"
    if differs(wanted, carried.annotation, options):
        return "material"
    return "renewal" if expires(carried.annotation, now) else None


def differs(wanted: Annotation, carried: Annotation, options: MaterialOptions) -> bool:
    """True where what is wanted says something else than what is carried, by more than the options let pass."""
    if (wanted.timeline is None) != (carried.timeline is None):
        return True
    if wanted.timeline and carried.timeline and timeline_differs(wanted.timeline, carried.timeline, options):
        return True
    ours, theirs = (
        {(end.day, end.session_start, end.session_end): end for end in annotation.room_ends}
        for annotation in (wanted, carried)
    )
    return ours.keys() != theirs.keys() or any(room_end_differs(ours[key], theirs[key], options) for key in ours)


def timeline_differs(wanted: PredictedTimeline, carried: PredictedTimeline, options: MaterialOptions) -> bool:
    """True where a milestone was reached or came, or a quantile or a probability moved enough.

    A milestone that both say is due by now, and that nobody stamps, only follows the clock: that is nothing new.
    """
    ours = {stage.milestone: stage for stage in wanted.stages}
    theirs = {stage.milestone: stage for stage in carried.stages}
    return (
        wanted.model != carried.model
        or ours.keys() != theirs.keys()
        or any(
            _stage_differs(ours[milestone], theirs[milestone], options)
            for milestone in ours
            if not (is_overdue(ours[milestone], wanted) and is_overdue(theirs[milestone], carried))
        )
    )


def is_overdue(stage: PredictedStage, timeline: PredictedTimeline) -> bool:
    """True where a milestone was due when its prediction was made: its whole band is that minute."""
    return stage.p90 is not None and stage.p90 < timeline.generated_at + timedelta(minutes=1)


def _stage_differs(ours: PredictedStage, theirs: PredictedStage, options: MaterialOptions) -> bool:
    return _quantiles_differ(ours, theirs, options) or _shifted(
        ours.probability, theirs.probability, options.probability
    )


def room_end_differs(ours: PredictedRoomEnd, theirs: PredictedRoomEnd, options: MaterialOptions) -> bool:
    """True where a quantile or the probability of a room's end moved enough."""
    return _quantiles_differ(ours, theirs, options) or _shifted(
        ours.overrun_probability, theirs.overrun_probability, options.probability
    )


def _quantiles_differ(ours: _Banded, theirs: _Banded, options: MaterialOptions) -> bool:
    widths = [minutes_between(each.p10, each.p90) for each in (ours, theirs) if each.p10 and each.p90]
    band_min = max(options.band_min, options.band_share * min(widths, default=0.0))
    return (
        _moved(ours.p50, theirs.p50, options.p50_min)
        or _moved(ours.p10, theirs.p10, band_min)
        or _moved(ours.p90, theirs.p90, band_min)
    )


def _moved(ours: datetime | None, theirs: datetime | None, by_min: float) -> bool:
    if ours is None or theirs is None:
        return ours is not theirs
    return abs(minutes_between(ours, theirs)) >= by_min


def _shifted(ours: float | None, theirs: float | None, by: float) -> bool:
    if ours is None or theirs is None:
        return ours is not theirs
    return abs(ours - theirs) >= by - 1e-9


def expires(carried: Annotation, now: datetime) -> bool:
    """True where less than a third of an annotation's validity is left."""
    ends = [(carried.timeline.generated_at, carried.timeline.valid_until)] if carried.timeline else []
    ends += [(end.generated_at, end.valid_until) for end in carried.room_ends]
    return any(until - now < max((until - made) / _RENEW_AT, timedelta()) for made, until in ends)
