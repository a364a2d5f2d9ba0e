"""Golden scenarios lived: read, folded and predicted by the real line, in this process, with a fixed seed.

`python -m tests.golden [NAME ...]` writes what the twin says now into their folders. Read the difference line by line
before you keep it: what is expected is what is right, not what came out.
"""

import json
import sys
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from api.settings import Settings
from fhir_adapters import content
from fhir_adapters.normalise import TYPES, Normaliser
from fixtures.clinic.loading import encode
from fixtures.scenarios import Gone, Start, names, start_of
from tests.world import PSEUDONYMS, SERVER, SOURCE
from twin.facts import Deleted, Fact, Horizon, VersionKey
from twin.prediction.habits import habits_of
from twin.prediction.models import models_of
from twin.prediction.predict import Issue, days_to_predict, room_ends_of, scenario_of, timelines_of
from twin.projections.ledger import Ledger, brought_back, fold, order
from twin.projections.patient_twin import PatientTwin
from twin.projections.suite_twin import SuiteTwin, suite_twin
from twin.simulation.replications import simulate
from twin.simulation.result import Futures
from twin.site import DurationOptions, MaterialOptions, SimulationOptions, SiteOptions
from twin.timebase import Clock, minutes_between, with_offset
from twin.timeline import PredictedRoomEnd, PredictedTimeline
from twin.vocabulary import Milestone, Provenance

Json = dict[str, Any]
OPTIONS = SimulationOptions(replications=200, seed=0)
RUN = "urn:uuid:3f1c2b6e-0000-4000-8000-000000000005"


class Lived:
    """One scenario at its instant."""

    def __init__(self, start: Start) -> None:
        self.start = start
        self.site: SiteOptions = Settings(site=start.site).site_options()
        self._people = {PSEUDONYMS.patient(real): real for real in _patients(start)}
        self.suite = self._suite()
        self._names = {twin.case_id: twin.carrier or twin.links.anchors[0] for twin in self.suite.cases.values()}

    def _suite(self) -> SuiteTwin:
        at = self.start.at
        day = at.astimezone(self.site.timezone).date()
        horizon = Horizon(day - timedelta(days=2), day + timedelta(days=30))
        clock = Clock(wall=lambda: at)
        return suite_twin(
            ledger_of(self.start, self.site.timezone), self.site, clock=clock, horizon=horizon, server=SERVER
        )

    def case(self, name: str) -> PatientTwin:
        """The case that a resource carries or names."""
        return next(twin for twin in self.suite.cases.values() if name in (twin.carrier, *twin.links.anchors))

    def twins(self) -> Json:
        """What is: rooms, cases, who waits."""
        suite = self.suite
        cases = sorted(suite.cases.values(), key=lambda twin: self._names[twin.case_id])
        return {
            "at": self._said(suite.now),
            "rooms": {
                room.id: {
                    "state": room.state,
                    "current": self._named(room.current),
                    "list": [self._names[case] for case in room.cases],
                    "last_out": self._said(room.last_out),
                    "blocks": [self._spread(block.start, block.end) for block in room.blocks],
                }
                for room in suite.rooms
            },
            "waiting": sorted(self._names[twin.case_id] for twin in suite.queue),
            "recovery": {
                "present": sorted(self._names[case] for case in suite.pacu.present),
                "places": suite.pacu.places,
            },
            "not_surgical": suite.not_surgical,
            "cases": {self._names[twin.case_id]: self._case(twin) for twin in cases},
        }

    def predictions(self) -> Json:
        """What is to come: [P10, P50, P90] by case and milestone, and the ends of today's blocks."""
        timelines: dict[str, PredictedTimeline] = {}
        ends: Mapping[str, tuple[PredictedRoomEnd, ...]] = {}
        issue = Issue(RUN, SOURCE, self.suite.now, MaterialOptions())
        for day in days_to_predict(self.suite):
            before = None if day == self.suite.day else self.suite.day
            twins = self.suite.cases.values()
            models, habits = models_of(twins, DurationOptions(), before=before), habits_of(twins, before=before)
            scenario = scenario_of(self.suite, day, models, habits, site=self.site, options=OPTIONS)
            futures: Futures = simulate(scenario)
            timelines |= timelines_of(self.suite, day, futures, issue, self.site.timezone)
            if before is None:
                ends = room_ends_of(self.suite, futures, issue, self.site.timezone)
        by_name = sorted((self._names[case], timeline) for case, timeline in timelines.items())
        return {
            "seed": OPTIONS.seed,
            "replications": OPTIONS.replications,
            "cases": {name: self._stages(timeline) for name, timeline in by_name},
            "room_ends": {
                ref.removeprefix("Location/"): [
                    {
                        "p10_p50_p90": self._spread(end.p10, end.p50, end.p90),
                        "overrun_probability": end.overrun_probability,
                    }
                    for end in mine
                ]
                for ref, mine in sorted(ends.items())
            },
        }

    def _case(self, twin: PatientTwin) -> Json:
        return {
            "status": twin.status,
            "patient": self._people.get(twin.patient or ""),
            "setting": twin.setting,
            "procedure": twin.procedure.label,
            "room": twin.room and twin.room.removeprefix("Location/"),
            "booked_room": twin.planned_room and twin.planned_room.removeprefix("Location/"),
            "booked": self._spread(twin.planned_in, twin.planned_out) if twin.planned_in else None,
            "booked_min": twin.booked_min,
            "room_min": self._room_min(twin),
            "reached": {
                actual.milestone.value: self._told(actual.at, actual.provenance) for actual in twin.times.reached
            },
            "set_aside": [f"{actual.milestone} {self._said(actual.at)}" for actual in twin.times.set_aside],
            "made_of": " ".join(twin.his_versions),
            "linked": "estimated" if twin.links.estimated else "told",
        }

    def _room_min(self, twin: PatientTwin) -> int | None:
        """Minutes in the room, up to now where the patient is still there."""
        entered, left = twin.times.get(Milestone.PATIENT_IN_ROOM), twin.times.get(Milestone.PATIENT_OUT_OF_ROOM)
        until = left or (self.suite.now if twin.in_room else None)
        return round(minutes_between(entered, until)) if entered and until else None

    def _stages(self, timeline: PredictedTimeline) -> dict[str, str]:
        return {stage.milestone.value: self._spread(stage.p10, stage.p50, stage.p90) for stage in timeline.stages}

    def _spread(self, *instants: datetime | None) -> str:
        return " ".join(str(self._said(instant)) for instant in instants)

    def _told(self, at: datetime, provenance: Provenance) -> str:
        how = "" if provenance is Provenance.EXPLICIT else f" ({provenance})"
        return f"{self._said(at)}{how}"

    def _said(self, instant: datetime | None) -> str | None:
        return with_offset(instant, self.site.timezone).isoformat(timespec="minutes") if instant else None

    def _named(self, case_id: str | None) -> str | None:
        return self._names[case_id] if case_id else None


def ledger_of(start: Start, zone: ZoneInfo) -> Ledger:
    """Every version in the order shown; an older one than is known counts as brought back by a restored server."""
    normaliser = Normaliser(SERVER, PSEUDONYMS, zone)
    ledger = Ledger()
    for shown in start.shown:
        if isinstance(shown, Gone):
            kind, _, name = shown.ref.partition("/")
            fact = Fact(VersionKey(SERVER, kind, name, "", shown.at), "", Deleted())
        elif shown["resourceType"] in TYPES:
            read = normaliser.version(content.parse(encode(shown)), start.at)
            assert isinstance(read, Fact), read
            fact = read
        else:
            continue
        known = ledger.resources.get(fact.key.ref)
        behind = known is not None and order(fact) < order(known.newest)
        ledger = fold(ledger, [brought_back(known.newest, fact) if known and behind else fact])
    return ledger


def _patients(start: Start) -> Iterable[str]:
    return (one["id"] for one in start.shown if isinstance(one, dict) and one["resourceType"] == "Patient")


def documents(name: str) -> dict[str, Json]:
    """By file name what the twin says of a scenario."""
    lived = Lived(start_of(name))
    return {"twins.json": lived.twins(), "predictions.json": lived.predictions()}


def main(asked: list[str]) -> None:
    """Write what is expected anew."""
    for name in asked or names():
        folder = start_of(name).expected
        folder.mkdir(exist_ok=True)
        for file, document in documents(name).items():
            (folder / file).write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
