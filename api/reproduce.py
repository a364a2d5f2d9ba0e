"""`jumeau reproduce RUN`: a past prediction made again from the journal, and why it said what it said."""

import asyncio
from dataclasses import asdict, dataclass
from typing import Any
from zoneinfo import ZoneInfo

from api.compose import memory_of, start_of_settings
from api.context import Context, context_of
from api.learning import history_at
from api.past import Memory
from api.settings import Settings
from twin.durations.start import Start
from twin.errors import JournalError
from twin.journal import Run
from twin.prediction.predict import Issue
from twin.prediction.reproduce import Remade, remade
from twin.projections.leaving import past_before, without_past, without_strangers
from twin.projections.ledger import Ledger, fold
from twin.projections.suite_twin import SuiteTwin, suite_twin
from twin.timeline import PredictedRoomEnd, PredictedStage


@dataclass(frozen=True, slots=True)
class Reproduced:
    """A run, and the same run made again."""

    run: Run
    made: Remade
    suite: SuiteTwin
    zone: ZoneInfo
    case_id: str | None

    @property
    def identical(self) -> bool:
        """True where every quantile and probability is what was said then."""
        return self.made.result_hash == self.run.result_hash

    def values(self) -> dict[str, Any]:
        """The keys of `--json`; the same for every time that it is made again."""
        run = self.run
        return {
            "run": run.id,
            "at": run.at.astimezone(self.zone).isoformat(),
            "position": run.position,
            "seed": run.seed,
            "replications": run.replications,
            "model": run.model,
            "code_version": run.code_version,
            "result_hash": run.result_hash,
            "identical": self.identical,
            "cases": {case_id: self._case(case_id) for case_id in sorted(self.made.timelines) if self._shown(case_id)},
            "rooms": {}
            if self.case_id
            else {ref: [_end(e) for e in self.made.room_ends[ref]] for ref in sorted(self.made.room_ends)},
        }

    def _rooms(self) -> dict[str, Any]:
        return {ref: [_end(end) for end in ends] for ref, ends in sorted(self.made.room_ends.items())}

    def _shown(self, case_id: str) -> bool:
        return self.case_id is None or case_id == self.case_id

    def _case(self, case_id: str) -> dict[str, Any]:
        twin, timeline = self.suite.cases[case_id], self.made.timelines[case_id]
        models = self.made.models[self.suite.day if twin.day < self.suite.day else twin.day]
        told = models.room.predict(models.features(twin))
        return {
            "based_on": list(timeline.based_on),
            "why": models.why(twin),
            "room_time": {
                "earlier_cases_of_the_procedure": told.procedure_cases,
                "of_them_by_this_surgeon": told.pair_cases,
                "booked_min": twin.booked_min,
                "typical_min": round(told.distribution.median),
                "p10_min": round(float(told.distribution.ppf(0.1))),
                "p90_min": round(float(told.distribution.ppf(0.9))),
            },
            "stages": [_stage(stage) for stage in timeline.stages],
        }

    def text(self) -> str:
        """For a person."""
        run = self.run
        lines = [
            f"{run.id} predicted at {run.at.astimezone(self.zone).isoformat(timespec='minutes')}, "
            f"{run.replications} futures, seed {run.seed}",
            "made again: identical"
            if self.identical
            else f"made again: NOT identical (it was version {run.code_version})",
        ]
        for case_id, told in self.values()["cases"].items():
            room = told["room_time"]
            lines.append(
                f"{case_id}: {told['why']}; said {room['typical_min']} min ({room['p10_min']} to {room['p90_min']})"
            )
            lines += [f"  {stage['milestone']:<22} {stage['p50']}" for stage in told["stages"] if self.case_id]
        return "\n".join(lines)


def _stage(stage: PredictedStage) -> dict[str, Any]:
    return {
        name: value.isoformat() if hasattr(value, "isoformat") else value
        for name, value in asdict(stage).items()
        if name != "quantiles_s" and value is not None
    }


def _end(end: PredictedRoomEnd) -> dict[str, Any]:
    return {name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in asdict(end).items()}


async def reproduce(settings: Settings, run_id: str, case_id: str | None) -> Reproduced:
    """Make a run again: `urn:uuid:` and its id, or `last`. Raises JournalError, SimulationError."""
    return await asyncio.to_thread(_reproduce, settings, run_id, case_id)


def _reproduce(settings: Settings, run_id: str, case_id: str | None) -> Reproduced:
    with memory_of(settings) as memory:
        run = _found(memory, run_id)
        context = context_of(run.context)
        then = context.settings(settings)
        site, clock = then.site_options(), context.clock()
        server = then.fhir.base_url
        horizon = then.horizon(run.at)
        since = past_before(horizon.first, site.timezone)
        told = memory.journal.facts(server, reading=context.reading, upto=run.position, since=since)
        ledger = fold(Ledger(), told)
        ledger = without_strangers(without_past(ledger, horizon.first, site.timezone))
        suite = suite_twin(ledger, site, clock=clock, horizon=horizon, server=server, now=run.at)
        start = start_then(context, then)
        memory_then = Memory(memory.journal, then, site, context.reading, start)
        history = history_at(memory_then, clock, context.learned) if context.learned else None
    if case_id is not None:
        twin = suite.case(case_id)
        if twin is None:
            raise JournalError("the run knew no case of this id: `jumeau reproduce RUN --json` lists them")
        case_id = twin.case_id
    issue = Issue(run.id, context.source, run.at, then.material_options())
    made = remade(
        suite,
        issue,
        site=site,
        durations=then.duration_options(),
        simulation=then.simulation_options(),
        history=history,
        start=start,
    )
    return Reproduced(run, made, suite, site.timezone, case_id)


def start_then(context: Context, then: Settings) -> Start | None:
    """What the model file of a run said; JournalError where that file is another one now."""
    if context.model_digest is None:
        return None
    start = start_of_settings(then)
    if start is None or start.digest != context.model_digest:
        raise JournalError(
            f"durations.model_file is not the file that this run was made with (digest {context.model_digest}): "
            "put that one back where the run had it"
        )
    return start


def _found(memory: Memory, run_id: str) -> Run:
    if run_id == "last":
        newest = memory.journal.runs(memory.settings.fhir.base_url, limit=1)
        run_id = newest[0].id if newest else ""
    found = memory.journal.run(run_id if run_id.startswith("urn:uuid:") else f"urn:uuid:{run_id}")
    if found is None:
        raise JournalError("the journal has no run of this id: a written timeline names its run, `last` is the newest")
    if not found.context:
        raise JournalError("this run was made by version 0.1.0, which kept no settings with it: it can't be made again")
    return found
