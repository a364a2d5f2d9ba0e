"""What-if questions to the live state: simulated off the event loop, a few at a time, within some seconds."""

import asyncio

from api.deps import BusyError, Snapshot
from api.scenarios.answer import Answer
from api.scenarios.live import Live, live_of
from api.scenarios.model import WhatIf
from api.scenarios.question import Question, asked
from api.settings import Settings
from twin.prediction.models import History
from twin.simulation.replications import SimulationWorker
from twin.simulation.summary import tally
from twin.site import SimulationOptions, SiteOptions

TIME_LIMIT_S = 10.0
"""Of one simulated day."""
MAX_WAITING = 4
"""Each takes some tenths of a second, one after the other: more than these are sent away."""


class WhatIfs:
    """Answers questions one after the other: two at once would only slow the prediction down."""

    def __init__(self, settings: Settings, site: SiteOptions, simulation: SimulationWorker | None = None) -> None:
        self._settings, self._site = settings, site
        self._simulation = simulation or SimulationWorker()
        self._one = asyncio.Lock()
        self._waiting = 0

    async def ask(self, question: WhatIf, snapshot: Snapshot, history: History | None) -> Answer:
        """From the state that a snapshot shows. Raises BusyError, FieldError, SettingsError or SimulationError."""
        if self._waiting >= MAX_WAITING:
            raise BusyError
        self._waiting += 1
        try:
            async with self._one:
                ready = await asyncio.to_thread(self._question, question, snapshot, history)
                tallies = [await self._simulation.do(tally, scenario) for scenario in ready.scenarios]
                return await asyncio.to_thread(ready.answer, tallies)
        finally:
            self._waiting -= 1

    async def close(self) -> None:
        """Ends what is being simulated."""
        await self._simulation.close()

    def _question(self, question: WhatIf, snapshot: Snapshot, history: History | None) -> Question:
        return asked(self._live(question, snapshot, history), question.hazards)

    def _live(self, question: WhatIf, snapshot: Snapshot, history: History | None) -> Live:
        options = SimulationOptions(
            replications=question.options.replications,
            seed=question.options.seed,
            early_start_min=self._settings.simulation.early_start_min,
            timeout_s=TIME_LIMIT_S,
        )
        return live_of(
            snapshot.suite,
            site=self._site,
            durations=self._settings.duration_options(),
            options=options,
            models=snapshot.models.get(snapshot.suite.day),
            history=history,
        )
