"""Proposals from the journal's finished cases, decided by a person, through the command's and the API's doors."""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import timedelta
from typing import Any

import pytest

from api.past import Memory
from api.recalibrating import decide, decided, offers
from api.schemas import RecalibrationShown
from api.settings import load
from tests.unit.api_world import ShownProgram, api_of, snapshot
from tests.world import SERVER, SITE, World, act, at, booking, stay
from twin.errors import JournalError, SettingsError
from twin.journal import Journal
from twin.timebase import Clock

READING = "r"


def lived(days: int, *, minutes: int = 125, surgeon: str = "dr") -> World:
    """One case a day, booked 90 minutes."""
    world = World()
    for day in range(1, days + 1):
        name, start, end = f"c{day}", f"{day:02}T08:00", at(f"{day:02}T08:00") + timedelta(minutes=minutes)
        staff = [{"actor": {"reference": f"Practitioner/{surgeon}"}, "status": "accepted"}]
        booked = booking(name, start, f"{day:02}T09:30", patient=name)
        coded = {"coding": [{"system": "urn:acts", "code": "NFFC004", "display": "Arthroscopie du genou"}]}
        world.put(
            f"{day:02}T12:00",
            {**booked, "participant": booked["participant"] + staff},
            stay(f"e{name}", ("salle-1", start, end.isoformat()), booked=name, patient=name, status="finished"),
            act(f"p{name}", encounter=f"e{name}", patient=name, status="completed", start="", code="")
            | {"code": coded},
        )
    return world


@pytest.fixture
def memory() -> Iterator[Memory]:
    journal = Journal.open(":memory:", key_fingerprint="key")
    yield Memory(journal, load(fhir={"base_url": SERVER}), SITE, READING)
    journal.close()


def known(memory: Memory, world: World) -> Clock:
    """The journal holds it; it is the 24th, noon."""
    memory.journal.append_batch(SERVER, world.facts, [], {}, reading=READING, observed_at=at("11:00"))
    return Clock(wall=lambda: at("12:00"))


async def test_proposed_as_the_hospital_names_it(memory: Memory) -> None:
    found = await offers(memory, known(memory, lived(20)))
    assert {offer.proposal.cell.surgeon for offer in found} == {"", "Practitioner/dr"}
    told = found[0].values()
    assert (told["procedure"], told["direction"], told["booked_min"], told["cases"]) == (
        "Arthroscopie du genou",
        "longer",
        90,
        20,
    )
    assert told["typical_95_min"][0] < told["typical_min"] < told["typical_95_min"][1]
    assert "takes" in found[0].text()


async def test_nothing_where_bookings_fit(memory: Memory) -> None:
    assert await offers(memory, known(memory, lived(20, minutes=92))) == []


async def test_decision_is_kept_and_proposal_gone(memory: Memory) -> None:
    clock = known(memory, lived(20))
    (offer, other) = await offers(memory, clock)
    kept = await decide(memory, clock, offer.id, choice="accepted", person=" Mme Roy ", reason="as seen")
    assert [each.id for each in await offers(memory, clock)] == [other.id]
    (told,) = decided(memory)
    assert (told["choice"], told["person"], told["chosen_min"]) == (
        "accepted",
        "Mme Roy",
        offer.values()["typical_min"],
    )
    assert asdict(kept)["subject"] == offer.id


BAD: list[dict[str, Any]] = [
    {"choice": "accepted", "person": "", "reason": "because"},
    {"choice": "refused", "person": "x", "reason": " "},
    {"choice": "changed", "person": "x", "reason": "because"},
    {"choice": "refused", "person": "x", "reason": "because", "minutes": 100.0},
]


@pytest.mark.parametrize("told", BAD)
async def test_half_a_decision_is_none(memory: Memory, told: dict[str, Any]) -> None:
    clock = known(memory, lived(20))
    (offer, _) = await offers(memory, clock)
    with pytest.raises(SettingsError):
        await decide(memory, clock, offer.id, **told)
    assert decided(memory) == []


async def test_nothing_to_decide(memory: Memory) -> None:
    with pytest.raises(JournalError, match="no such proposal"):
        await decide(memory, known(memory, lived(3)), "0" * 12, choice="refused", person="x", reason="y")


SHOWN = RecalibrationShown(
    id="0123456789ab",
    procedure="Arthroscopie",
    surgeon=None,
    direction="longer",
    cases=12,
    booked_min=90,
    typical_min=113,
    typical_95_min=(97, 132),
    next_case_80_min=(76, 168),
    probability=0.96,
    later_cases=2,
    later_mae_booked_min=30,
    later_mae_proposed_min=12,
    verdict="awaited",
)
GIVEN = {"choice": "changed", "person": "Mme Roy", "reason": "the new table", "minutes": 105}


async def test_api_lists_and_decides() -> None:
    program = ShownProgram(snapshot(), offers=[SHOWN])
    async with api_of(program) as api:
        assert (await api.get("/recalibrations")).json()[0]["typical_95_min"] == [97, 132]
        answer = await api.post(f"/recalibrations/{SHOWN.id}/decision", json=GIVEN)
    assert (answer.status_code, answer.json()["choice"]) == (201, "changed")
    assert [kept.person for kept in program.decisions] == ["Mme Roy"]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("0" * 12, GIVEN, 404),
        ("../etc", GIVEN, 404),
        ("X" * 12, GIVEN, 422),
        (SHOWN.id, GIVEN | {"minutes": -1}, 422),
        (SHOWN.id, GIVEN | {"person": ""}, 422),
        (SHOWN.id, GIVEN | {"rank": 1}, 422),
        (SHOWN.id, [], 422),
    ],
)
async def test_api_refuses(path: str, body: Any, status: int) -> None:
    program = ShownProgram(snapshot(), offers=[SHOWN])
    async with api_of(program) as api:
        answer = await api.post(f"/recalibrations/{path}/decision", json=body)
    assert answer.status_code == status
    assert program.decisions == []
    assert "new table" not in answer.text
