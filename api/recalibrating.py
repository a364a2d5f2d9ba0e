"""`Booked 1h30, takes 2 h`: what the finished cases of the journal propose, and what people decided on it."""

import asyncio
import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from api.past import Memory
from twin.durations.booked import booked_room_min
from twin.durations.recalibrate import BookedCase, CellKey, Proposal, Recalibration
from twin.errors import JournalError, SettingsError
from twin.facts import Horizon
from twin.journal import Decision
from twin.prediction.models import ended, finished_of, room_min
from twin.projections.patient_twin import PatientTwin
from twin.timebase import Clock, site_date, wall_now

KIND = "recalibration"
YEARS_DAYS = 3 * 366
"""Days back from which finished cases count; older bookings say little of today's."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A proposal as people see it."""

    id: str
    procedure: str
    """As the hospital names it."""
    proposal: Proposal

    def values(self) -> dict[str, Any]:
        """Whole minutes; probabilities with two decimals."""
        told, proof = self.proposal, self.proposal.proof
        return {
            "id": self.id,
            "procedure": self.procedure,
            "surgeon": told.cell.surgeon or None,
            "direction": told.direction,
            "cases": told.n,
            "booked_min": round(told.booked_min),
            "typical_min": round(told.typical_min),
            "typical_95_min": [round(told.typical.low), round(told.typical.high)],
            "next_case_80_min": [round(told.next_case.low), round(told.next_case.high)],
            "probability": round(told.probability, 2),
            "later_cases": proof.n,
            "later_mae_booked_min": round(proof.booked_mae, 1),
            "later_mae_proposed_min": round(proof.proposed_mae, 1),
            "verdict": proof.verdict,
        }

    def text(self) -> str:
        """One line for a person."""
        told = self.values()
        by = f" by {told['surgeon']}" if told["surgeon"] else ""
        (low, high), (least, most) = told["typical_95_min"], told["next_case_80_min"]
        return (
            f"{told['id']}  {told['procedure']}{by}: booked {told['booked_min']}, takes {told['typical_min']} min "
            f"(95 % interval of the typical case {low} to {high}, 80 % of the next case {least} to {most}), "
            f"{told['cases']} cases; on {told['later_cases']} later ones: {told['verdict']}"
        )


def cell_id(cell: CellKey) -> str:
    """How commands and addresses name a cell."""
    return hashlib.blake2b(json.dumps([cell.procedure, cell.surgeon]).encode(), digest_size=6).hexdigest()


async def offers(memory: Memory, clock: Clock) -> list[Offer]:
    """What is proposed now, by procedure. Raises JournalError."""
    return await asyncio.to_thread(_offers, memory, clock)


def _offers(memory: Memory, clock: Clock) -> list[Offer]:
    server, now = memory.settings.fhir.base_url, clock.now()
    today = site_date(now, memory.site.timezone)
    suite = memory.suite(clock, Horizon(today - timedelta(days=YEARS_DAYS), today))
    twins = finished_of(suite.cases.values())
    names = {twin.procedure.key: twin.procedure.label for twin in twins if twin.procedure.key}
    told = _folded(memory, twins, memory.journal.decisions(server, KIND))
    return [
        Offer(cell_id(proposal.cell), names.get(proposal.cell.procedure) or proposal.cell.procedure, proposal)
        for proposal in told.proposals()
    ]


def _folded(memory: Memory, twins: Iterable[PatientTwin], decisions: Iterable[Decision]) -> Recalibration:
    """Cases and decisions in the order in which they came."""
    options = memory.settings.duration_options()
    recalibration = Recalibration(options)
    events: list[tuple[datetime, int, BookedCase | CellKey]] = [
        (decision.at, 1, CellKey(**json.loads(decision.content)["cell"])) for decision in decisions
    ]
    for twin in twins:
        booked, actual = booked_room_min(twin.booked_min, options.booked_interval), room_min(twin)
        if twin.procedure.key and booked and actual:
            events.append((ended(twin), 0, BookedCase(twin.procedure.key, twin.surgeon(), booked, actual)))
    for _, _, event in sorted(events, key=lambda told: told[:2]):
        if isinstance(event, CellKey):
            recalibration.decide(event)
        else:
            recalibration.learn([event])
    return recalibration


async def decide(
    memory: Memory, clock: Clock, offer_id: str, *, choice: str, person: str, reason: str, minutes: float | None = None
) -> Decision:
    """Keep what a person decided on a proposal: accepted, changed (to `minutes`) or refused, always with a reason.

    The proposal is then gone until cases after the decision raise it again. Raises SettingsError for a decision that
    lacks something, JournalError where there is no such proposal.
    """
    if not person.strip() or not reason.strip():
        raise SettingsError("a decision needs a person and a reason: give both")
    if (choice == "changed") != (minutes is not None):
        raise SettingsError("minutes go with a change, and a change needs them")
    offer = next((each for each in await offers(memory, clock) if each.id == offer_id), None)
    if offer is None:
        raise JournalError("there is no such proposal now: it may have been decided, or more cases spoke against it")
    content = {
        "cell": asdict(offer.proposal.cell),
        "proposed": offer.values(),
        "chosen_min": _chosen(offer, choice, minutes),
    }
    decision = Decision(
        kind=KIND,
        subject=offer.id,
        choice=choice,
        person=person.strip(),
        reason=reason.strip(),
        content=json.dumps(content, ensure_ascii=False),
        at=clock.now(),
        wall_at=wall_now(),
    )
    await asyncio.to_thread(memory.journal.append_decision, memory.settings.fhir.base_url, decision)
    return decision


def _chosen(offer: Offer, choice: str, minutes: float | None) -> float | None:
    return round(offer.proposal.typical_min) if choice == "accepted" else minutes


def decided(memory: Memory) -> list[dict[str, Any]]:
    """All decisions, the newest last."""
    told = memory.journal.decisions(memory.settings.fhir.base_url, KIND)
    return [
        {
            "id": each.subject,
            "choice": each.choice,
            "person": each.person,
            "reason": each.reason,
            "at": each.at.astimezone(memory.site.timezone).isoformat(timespec="seconds"),
            **{name: value for name, value in json.loads(each.content).items() if name != "cell"},
        }
        for each in told
    ]
