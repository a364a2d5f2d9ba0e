"""From twins and predictions to what the API answers. Nothing here names a person."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from api import schemas
from api.snapshot import Snapshot, Source
from twin.projections.patient_twin import PatientTwin
from twin.projections.stamps import Times
from twin.projections.suite_twin import RoomState, RoomTwin
from twin.timebase import minutes_between
from twin.timeline import PredictedRoomEnd, PredictedStage
from twin.vocabulary import ROOM_MILESTONES, CaseStatus, Milestone

LATE_ROOM = 0.5
"""A room that passes its block's end at least as likely as not counts as late."""
_IN, _OUT = Milestone.PATIENT_IN_ROOM, Milestone.PATIENT_OUT_OF_ROOM


@dataclass(frozen=True, slots=True)
class View:
    """One snapshot in the site's time zone."""

    snapshot: Snapshot
    zone: ZoneInfo

    def at(self, instant: datetime) -> str:
        """ISO text with the site's offset, to the second."""
        return instant.astimezone(self.zone).isoformat(timespec="seconds")

    def maybe(self, instant: datetime | None) -> str | None:
        """The text of an instant that may be missing."""
        return None if instant is None else self.at(instant)

    # --- the suite ----------------------------------------------------------------------------------------------------

    def suite(self, source: Source) -> schemas.Suite:
        """The whole suite, with the feed as it is now."""
        twin, run = self.snapshot.suite, self.snapshot.run
        return schemas.Suite(
            **dict(moment(source)),
            site=source.site.name,
            day=twin.day.isoformat(),
            as_of=self.at(twin.now),
            figures=self._figures(),
            rooms=self.rooms(),
            queue=[case.case_id for case in twin.queue],
            run=run
            and schemas.RunShown(
                id=run.id,
                at=self.at(run.at),
                seed=run.seed,
                replications=run.replications,
                seconds=None if run.seconds is None else round(run.seconds, 3),
            ),
        )

    def rooms(self) -> list[schemas.Room]:
        """Every room in the order of the board."""
        return [self._room(room) for room in self.snapshot.suite.rooms]

    def _figures(self) -> schemas.Figures:
        twin = self.snapshot.suite
        today = twin.of_day(twin.day)
        ends = (self.snapshot.room_ends.get(room.ref, ()) for room in twin.rooms)
        return schemas.Figures(
            operated=sum(case.status is CaseStatus.DONE for case in today),
            planned=len(today),
            occupied_rooms=sum(room.state is RoomState.OCCUPIED for room in twin.rooms),
            rooms=len(twin.rooms),
            pacu_present=len(twin.pacu.present),
            pacu_places=twin.pacu.places,
            pacu_places_assumed=twin.pacu.places is None,
            late_rooms=sum(any(end.overrun_probability >= LATE_ROOM for end in mine) for mine in ends),
        )

    def _room(self, room: RoomTwin) -> schemas.Room:
        return schemas.Room(
            id=room.id,
            name=room.name,
            reason=room.reason,
            state=room.state,
            blocks=[
                schemas.BlockShown(start=self.at(block.start), end=self.at(block.end), assumed=block.assumed)
                for block in room.blocks
            ],
            current_case=room.current,
            cases=list(room.cases),
            last_out=self.maybe(room.last_out),
            ends=[self._room_end(end) for end in self.snapshot.room_ends.get(room.ref, ())],
        )

    def _room_end(self, end: PredictedRoomEnd) -> schemas.RoomEnd:
        return schemas.RoomEnd(
            session_start=self.at(end.session_start),
            session_end=self.at(end.session_end),
            p10=self.maybe(end.p10),
            p50=self.at(end.p50),
            p90=self.maybe(end.p90),
            overrun_probability=round(end.overrun_probability, 2),
        )

    # --- cases --------------------------------------------------------------------------------------------------------

    def summaries(self, twins: Iterable[PatientTwin]) -> list[schemas.CaseSummary]:
        """Cases in short, in the order given."""
        return [self.summary(twin) for twin in twins]

    def summary(self, twin: PatientTwin) -> schemas.CaseSummary:
        """One case in short."""
        entered = _first(twin.times, _IN, _OUT)
        left = _first(twin.times, _OUT, None)
        return schemas.CaseSummary(
            case_id=twin.case_id,
            status=twin.status,
            day=twin.day.isoformat(),
            room=_id(twin.room),
            setting=twin.setting,
            procedure=twin.procedure.label,
            specialty=twin.specialty.label,
            planned_in=self.maybe(twin.planned_in),
            planned_out=self.maybe(twin.planned_out),
            booked_min=twin.booked_min,
            reached=_furthest(twin.times),
            actual_in=self.maybe(entered),
            actual_out=self.maybe(left),
            in_room_since=self.maybe(entered) if twin.in_room else None,
            predicted_sent_for=self._quantiles(self._predicted(twin, Milestone.PATIENT_SENT_FOR)),
            predicted_in=self._quantiles(self._predicted(twin, _IN)),
            predicted_out=self._quantiles(self._predicted(twin, _OUT)),
            delay_min=self._delay_min(twin, entered),
        )

    def case(self, twin: PatientTwin) -> schemas.Case:
        """A whole case."""
        timeline = self.snapshot.timelines.get(twin.case_id)
        return schemas.Case(
            **dict(self.summary(twin)),
            aliases=list(twin.aliases),
            room_name=self.snapshot.places.name(twin.room),
            planned_room=_id(twin.planned_room),
            team=[schemas.Member(ref=person.ref, role=person.role) for person in twin.team],
            resources=self._resources(twin),
            carrier=twin.carrier,
            stages=self._stages(twin),
            set_aside=[
                schemas.SetAside(
                    milestone=stamp.milestone,
                    at=self.at(stamp.at),
                    provenance=stamp.provenance,
                    source=stamp.source,
                    recorded_at=self.at(stamp.recorded_at),
                )
                for stamp in twin.times.set_aside
            ],
            generated_at=self.maybe(timeline.generated_at if timeline else None),
            why=self._why(twin) if timeline else None,
            left_already=timeline.left_already if timeline and twin.in_room else None,
            check_stamp=bool(timeline and timeline.check_stamp and twin.in_room),
        )

    def _why(self, twin: PatientTwin) -> str | None:
        models = self.snapshot.models.get(max(twin.day, self.snapshot.suite.day))
        return models.why(twin) if models else None

    def timeline(self, twin: PatientTwin) -> schemas.Timeline:
        """The milestones of a case, and what signs their prediction."""
        timeline = self.snapshot.timelines.get(twin.case_id)
        return schemas.Timeline(
            case_id=twin.case_id,
            generated_at=self.maybe(timeline.generated_at if timeline else None),
            valid_until=self.maybe(timeline.valid_until if timeline else None),
            model=timeline.model if timeline else None,
            run=timeline.run if timeline else None,
            based_on=list(timeline.based_on) if timeline else [],
            stages=self._stages(twin),
        )

    def _predicted(self, twin: PatientTwin, milestone: Milestone) -> PredictedStage | None:
        timeline = self.snapshot.timelines.get(twin.case_id)
        # A run may be older than the twin: what was reached meanwhile is no longer predicted.
        return None if timeline is None or twin.is_reached(milestone) else timeline.stage(milestone)

    def _quantiles(self, stage: PredictedStage | None) -> schemas.Quantiles | None:
        if stage is None:
            return None
        return schemas.Quantiles(p10=self.maybe(stage.p10), p50=self.maybe(stage.p50), p90=self.maybe(stage.p90))

    def _delay_min(self, twin: PatientTwin, entered: datetime | None) -> int | None:
        predicted = self._predicted(twin, _IN)
        entry = entered or (predicted.p50 if predicted else None)
        return None if entry is None or twin.planned_in is None else round(minutes_between(twin.planned_in, entry))

    def _stages(self, twin: PatientTwin) -> list[schemas.CaseStage]:
        """Milestones of which anything is known, in the pathway's order."""
        planned = {_IN: twin.planned_in, _OUT: twin.planned_out}
        reached = {stamp.milestone: stamp for stamp in twin.times.reached}
        stages = []
        for milestone in Milestone:
            stamp, predicted = reached.get(milestone), self._predicted(twin, milestone)
            stage = schemas.CaseStage(
                milestone=milestone,
                planned=self.maybe(planned.get(milestone)),
                actual=stamp and schemas.Actual(at=self.at(stamp.at), provenance=stamp.provenance, source=stamp.source),
                predicted=predicted
                and schemas.Predicted(
                    p10=self.maybe(predicted.p10),
                    p50=self.maybe(predicted.p50),
                    p90=self.maybe(predicted.p90),
                    probability=predicted.probability,
                ),
            )
            if stage.planned or stage.actual or stage.predicted:
                stages.append(stage)
        return stages

    def _resources(self, twin: PatientTwin) -> schemas.Resources:
        links = twin.links
        return schemas.Resources(
            appointment=links.appointment,
            procedures=list(links.procedures),
            encounters=list(links.encounters),
            visits=[
                schemas.VisitShown(
                    encounter=visit.encounter,
                    room=visit.room.removeprefix("Location/"),
                    start=self.maybe(visit.start),
                    end=self.maybe(visit.end),
                )
                for visit in links.visits
            ],
            estimated=links.estimated,
        )


def moment(source: Source) -> schemas.Moment:
    """Site time and the age of the data, as they are now."""
    feed = source.feed
    return schemas.Moment(
        now=source.now().astimezone(source.site.timezone).isoformat(timespec="seconds"),
        data_age_s=None if feed.age_s is None else round(feed.age_s, 1),
        feed=schemas.FeedShown(
            server=feed.server,
            failing=feed.failing,
            quarantined=feed.quarantined,
            writing=feed.writing,
            push=feed.push,
        ),
    )


def _id(ref: str | None) -> str | None:
    return ref.removeprefix("Location/") if ref else None


def _furthest(times: Times) -> Milestone | None:
    mine = [stamp.milestone for stamp in times.reached if stamp.milestone not in ROOM_MILESTONES]
    return mine[-1] if mine else None


def _first(times: Times, since: Milestone, until: Milestone | None) -> datetime | None:
    """The first time known from one milestone of the patient on, and before another."""
    return next(
        (
            stamp.at
            for stamp in times.reached
            if stamp.milestone not in ROOM_MILESTONES
            and stamp.milestone.rank >= since.rank
            and (until is None or stamp.milestone.rank < until.rank)
        ),
        None,
    )
