"""Openings of the rooms as the hospital publishes them: Schedules whose actors include a room, and their Slots."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from twin.facts import ScheduleFact, SlotFact
from twin.projections.ledger import Ledger
from twin.site import Block
from twin.timebase import site_date, with_offset

OPEN = frozenset({"free", "busy", "busy-tentative"})
"""Slots in which a room works; `busy-unavailable` closes it."""
JOINED = timedelta(minutes=1)
"""Slots this close to each other are one block: some servers end them a second early."""
MAX_SLOT = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class HospitalBlocks:
    """By room and day. Between a room's first and last known Slot a day without any is a day without a block."""

    openings: Mapping[tuple[str, date], tuple[Block, ...]] = field(default_factory=dict)
    known: Mapping[str, tuple[date, date]] = field(default_factory=dict)

    def of(self, room: str, day: date) -> tuple[Block, ...] | None:
        """Openings of `Location/id` on a day, in order; None where the hospital says nothing about that day."""
        first, last = self.known.get(room, (date.max, date.min))
        return self.openings.get((room, day), ()) if first <= day <= last else None


def hospital_blocks(ledger: Ledger, zone: ZoneInfo) -> HospitalBlocks:
    """Fold the Slots. A Slot counts to the day on which it starts; one over a day long is none."""
    rooms = {r.ref: fact.locations for r, fact in ledger.of(ScheduleFact) if fact.active}
    days: dict[str, set[date]] = defaultdict(set)
    found: dict[tuple[str, date], list[Block]] = defaultdict(list)
    for _, slot in ledger.of(SlotFact):
        if slot.start is None or slot.end is None or slot.status == "entered-in-error":
            continue
        if not timedelta() < slot.end - slot.start <= MAX_SLOT:
            continue
        day = site_date(slot.start, zone)
        for room in rooms.get(slot.schedule or "", ()):
            days[room].add(day)
            if slot.status in OPEN:
                found[room, day].append(Block(with_offset(slot.start, zone), with_offset(slot.end, zone)))
    return HospitalBlocks(
        openings={key: tuple(_merged(blocks)) for key, blocks in found.items()},
        known={room: (min(mine), max(mine)) for room, mine in days.items()},
    )


def _merged(blocks: Iterable[Block]) -> list[Block]:
    out: list[Block] = []
    for block in sorted(blocks, key=lambda one: (one.start, one.end)):
        if out and block.start - out[-1].end <= JOINED:
            out[-1] = replace(out[-1], end=max(out[-1].end, block.end))
        else:
            out.append(block)
    return out
