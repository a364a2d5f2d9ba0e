"""From the journal to the score-card that the API and the command show."""

from api.compose import worker_of
from api.past import Memory
from api.schemas import ScoreCardShown
from api.scoring import judge, tables
from api.settings import load
from tests.unit.api_world import ShownProgram, api_of, snapshot
from tests.unit.test_recalibrating import READING, lived
from tests.unit.test_score import DONE, issued
from tests.world import SERVER, SITE, World, at, booking
from twin.journal import Journal, Run
from twin.timebase import Clock


async def judged(days: int = 30, *, now: str = "12:00") -> ScoreCardShown:
    """One finished case, predicted twice."""
    world, clock = World(booking("a"), DONE), Clock(wall=lambda: at(now))
    case = world.case("12:00")
    settings = load(database_url=":memory:", fhir={"base_url": SERVER})
    async with worker_of(settings, clock) as worker:
        parts = worker.parts
        parts.journal.append_batch(SERVER, world.facts, [], {}, reading=parts.reading, observed_at=at("11:00"))
        for number, told in enumerate((issued("08:30", "09:00", "10:00"), issued("09:20", "09:35", "09:45"))):
            run = Run(f"urn:uuid:{number}", told.generated_at, 0, 50, "0", wall_at=told.generated_at)
            parts.journal.append_run(SERVER, run, {case.case_id: told}, {})
        memory = Memory(parts.journal, parts.settings, parts.site, parts.reading)
        return await judge(memory, clock, days=days)


async def test_card_from_the_journal() -> None:
    card = await judged()
    assert (card.days, card.n, card.cases) == (30, 2, 1)
    assert card.lines["lead_min"]["60"].bias == 10.0


async def test_days_left_out() -> None:
    assert (await judged(days=1, now="28T12:00")).n == 0


async def test_figures_are_rounded() -> None:
    line = (await judged()).model_dump(mode="json")["lines"]["all"]["all"]
    assert line["crps"] == round(line["crps"], 1)
    assert line["coverage"]["50"]["low"] == round(line["coverage"]["50"]["low"], 2)


async def test_drift_is_shown_to_be_looked_at() -> None:
    """Twelve days as booked, then twice as long: a review of these days, and not once they are over."""
    later = [fact for fact in lived(22, minutes=200).facts if fact.key.last_updated > at("13T00:00")]
    facts = [*lived(12, minutes=92).facts, *later]
    settings = load(database_url=":memory:", fhir={"base_url": SERVER})
    journal = Journal.open(":memory:", key_fingerprint="key")
    journal.append_batch(SERVER, facts, [], {}, reading=READING, observed_at=at("11:00"))
    memory = Memory(journal, settings, SITE, READING)
    card = await judge(memory, Clock(wall=lambda: at("12:00")), days=30)
    late = await judge(memory, Clock(wall=lambda: at("12:00")), days=2)
    journal.close()
    assert [(review.direction, review.at[:4]) for review in card.reviews] == [("longer", "2026")]
    assert card.multipliers[card.reviews[0].service] > 1
    assert (late.reviews, late.multipliers) == ([], card.multipliers)
    assert [table.columns[0].header for table in tables(card)][-2:] == ["service", "to be looked at"]


async def test_api_shows_the_card() -> None:
    async with api_of(ShownProgram(snapshot(), card=await judged())) as api:
        answer = await api.get("/score-card", params={"days": 7})
        refused = await api.get("/score-card", params={"days": 0})
    assert (answer.json()["days"], answer.json()["n"]) == (7, 2)
    assert refused.status_code == 422
