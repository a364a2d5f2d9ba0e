"""What the live twin knows of durations from before its own days: all finished cases of the journal, once a day."""

import asyncio
import hashlib
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from importlib.metadata import version

from api.context import Basis, context_text
from api.garbage import uncollected
from api.past import Memory
from api.recalibrating import YEARS_DAYS
from api.settings import Settings
from twin.facts import Horizon
from twin.journal import Learned as Kept
from twin.prediction.kept import history_of_text, text_of
from twin.prediction.models import History, history_of
from twin.projections.leaving import without_strangers
from twin.projections.ledger import Ledger, fold
from twin.projections.suite_twin import suite_twin
from twin.timebase import Clock, site_date

_A_DAY = timedelta(days=1)
_GROWN = 1.25
_GROWN_FACTS = 2_000
"""A journal that grew by a quarter and this: a first load came in, which is not left until the next night."""


@dataclass(frozen=True, slots=True)
class Learned:
    """What was learned, and from what: the same basis gives the same history."""

    basis: Basis
    history: History


class Learner:
    """Learns the history once a day, off the event loop; until it is there, what was known before stands.

    What was learned is kept in the journal, so that a program which starts again on the same day need not.
    """

    def __init__(self, memory: Memory, clock: Clock) -> None:
        self.known: Learned | None = None
        self._memory = memory
        self._clock = clock

    async def learn(self, position: int) -> bool:
        """Learn up to a journal position, where that is due; True where it was. Raises JournalError."""
        now = self._clock.now()
        if self.known is None:
            self.known = await asyncio.to_thread(self._kept, now, position)
            if self.known is not None and not self._is_due(Basis(position=position, at=now)):
                return True
        basis = Basis(position=position, at=now)
        if not self._is_due(basis):
            return False
        self.known = await asyncio.to_thread(self._learned, basis)
        return True

    def _kept(self, now: datetime, position: int) -> Learned | None:
        kept = self._memory.journal.learned(self._name(now))
        history = history_of_text(kept.content) if kept else None
        if kept is None or history is None or kept.position > position:
            return None
        return Learned(Basis(position=kept.position, at=kept.at), history)

    def _learned(self, basis: Basis) -> Learned:
        history = history_at(self._memory, self._clock, basis)
        kept = Kept(basis.position, basis.at, text_of(history))
        self._memory.journal.keep_learned(self._memory.settings.fhir.base_url, self._name(basis.at), kept)
        return Learned(basis, history)

    def _name(self, now: datetime) -> str:
        """Of all that the history of a day depends on besides the facts, this program's version included."""
        settings = self._memory.settings
        told = context_text(settings, self._clock, reading=self._memory.reading, source="")
        start = self._memory.start.digest if self._memory.start else ""
        words = (told, settings.fhir.base_url, first_day(settings, now).isoformat(), version("jumeau"), start)
        return hashlib.blake2b("\n".join(words).encode(), digest_size=16).hexdigest()

    def _is_due(self, basis: Basis) -> bool:
        if self.known is None or self.known.history.before != first_day(self._memory.settings, basis.at):
            return True
        return basis.position >= _GROWN * self.known.basis.position + _GROWN_FACTS


def first_day(settings: Settings, at: datetime) -> date:
    """The first day that is not in the history: the day before, whose stamps may still come, where it is live."""
    horizon = settings.horizon(at)
    today = site_date(at, settings.site_options().timezone)
    return max(horizon.first, today - _A_DAY)


def history_at(memory: Memory, clock: Clock, basis: Basis) -> History:
    """Fold the journal up to a position and learn from its finished cases. Takes seconds for a year.

    Raises JournalError.
    """
    server, settings = memory.settings.fhir.base_url, memory.settings
    before = first_day(settings, basis.at)
    horizon = Horizon(before - timedelta(days=YEARS_DAYS), before - _A_DAY)
    with uncollected():
        facts = memory.journal.facts(server, reading=memory.reading, upto=basis.position)
        ledger = without_strangers(fold(Ledger(), facts))
        suite = suite_twin(ledger, memory.site, clock=clock, horizon=horizon, server=server, now=basis.at)
        return history_of(suite.cases.values(), settings.duration_options(), before=before, start=memory.start)
