"""The twin of a past instant is that of a program which stopped there."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from api.past import Memory
from api.settings import Settings
from tests.unit.api_world import SERVER, SITE, booking, clock, fact, location, visit
from twin.facts import Deleted, Fact, Horizon
from twin.journal import Journal
from twin.projections.leaving import without_past
from twin.projections.ledger import Ledger, fold
from twin.projections.suite_twin import SuiteTwin, suite_twin
from twin.timebase import Clock

DAWN = clock("06:00").astimezone(UTC)
SETTINGS = Settings.model_validate({"fhir": {"base_url": SERVER}})
ROOMS = ("s1", "s2")
minutes = st.integers(0, 600)


@st.composite
def versions(draw: st.DrawFn) -> list[Fact]:
    """Versions of a few resources, each known at its own minute after dawn, in the order that they were read in."""
    told = [_known(location(room, f"Salle {room}"), draw(minutes), 1) for room in ROOMS]
    for number, name in enumerate(draw(st.lists(st.sampled_from("abc"), min_size=1, max_size=8)), start=2):
        room, start = draw(st.sampled_from(ROOMS)), DAWN + timedelta(minutes=draw(minutes))
        left = draw(st.none() | st.just(start + timedelta(minutes=50)))
        made = draw(
            st.sampled_from(
                [
                    booking(name, room, start, minutes=60, status="booked"),
                    booking(name, room, start, minutes=45, status="cancelled"),
                    visit(f"m{name}", room, start, left, booked=name),
                    fact(f"Appointment/{name}", Deleted()),
                ]
            )
        )
        told.append(_known(made, draw(minutes), number))
    return draw(st.permutations(told))


def _known(made: Fact, minute: int, number: int) -> Fact:
    key = replace(made.key, version_id=str(number), last_updated=DAWN + timedelta(minutes=minute))
    return replace(made, key=key, content_hash=f"{made.content_hash}-{number}")


def _stopped(facts: list[Fact], at: datetime, site_clock: Clock) -> SuiteTwin:
    """What a program showed that had read all there was at an instant, one version at a time, and never went on."""
    ledger = Ledger()
    for one in facts:
        if site_clock.at(one.key.last_updated) <= at:
            ledger = fold(ledger, [one])
    day = at.astimezone(SITE.timezone).date()
    horizon = Horizon(day - timedelta(days=2), day + timedelta(days=30))
    then = Clock(site_clock.anchor, site_clock.speed, site_clock.started, wall=lambda: site_clock.wall_at(at))
    ledger = without_past(ledger, horizon.first, SITE.timezone)
    return suite_twin(ledger, SITE, clock=then, horizon=horizon, server=SERVER)


@given(versions(), minutes, st.sampled_from([Clock(), Clock(anchor=DAWN, speed=60, started=DAWN)]))
def test_past_is_where_a_replay_stopped(facts: list[Fact], minute: int, site_clock: Clock) -> None:
    at = site_clock.at(DAWN + timedelta(minutes=minute))
    journal = Journal.open(":memory:", key_fingerprint="key")
    for one in facts:
        journal.append_batch(SERVER, [one], (), {}, reading="r1", observed_at=DAWN)
    past = Memory(journal, SETTINGS, SITE, "r1").at(at, site_clock)
    journal.close()
    assert past.suite == _stopped(facts, at, site_clock)


@given(minutes, st.floats(0.5, 600), st.integers(-10_000, 10_000))
def test_clock_standing_at_an_instant(minute: int, speed: float, other: int) -> None:
    site_clock = Clock(anchor=DAWN, speed=speed, started=DAWN + timedelta(days=3))
    at = DAWN + timedelta(minutes=minute)
    then = site_clock.standing_at(at)
    assert abs(then.now() - at) <= timedelta(milliseconds=1)
    wall = DAWN + timedelta(seconds=other)
    assert then.at(wall) == site_clock.at(wall), "what the server did keeps its own instant"
