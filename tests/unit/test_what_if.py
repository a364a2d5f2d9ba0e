"""`POST /what-if`: hazards from the live state; what is wrong with them is a problem that names the field."""

import asyncio
from typing import Any

import httpx
import pytest

from api.scenarios.model import WhatIf
from api.settings import Settings
from api.snapshot import BusyError
from api.what_if import MAX_WAITING, WhatIfs
from tests.unit.api_world import SITE, ShownProgram, api_of, snapshot

LONGER = {"kind": "longer_case", "case": "Appointment/a2", "minutes": 60}


async def asked(body: Any, program: ShownProgram | None = None) -> httpx.Response:
    async with api_of(program) as client:
        return await client.post("/what-if", json=body)


async def test_longer_case_moves_the_next() -> None:
    response = await asked({"hazards": [LONGER], "options": {"replications": 50}})
    assert response.status_code == 200, response.text
    answer = response.json()
    assert "pseudonym" not in response.text
    assert answer["replications"] == 50
    assert [case["case"] for case in answer["baseline"]["cases"]] == [
        "Appointment/a1",
        "Appointment/a2",
        "Appointment/a3",
    ]
    moved = {case["case"]: case["milestones"] for case in answer["difference"]["cases"]}
    assert moved["Appointment/a2"]["patient_out_of_room"]["p50"] > 30
    assert moved["Appointment/a3"]["patient_in_room"]["p50"] > 0


async def test_same_question_same_bytes() -> None:
    body = {"hazards": [LONGER, {"kind": "emergency", "at": "12:00", "urgency": 2}], "options": {"replications": 20}}
    assert (await asked(body)).content == (await asked(body)).content


@pytest.mark.parametrize(
    ("hazard", "field"),
    [
        ({"kind": "room_down", "room": "Salle 9"}, "hazards.0.room"),
        ({"kind": "longer_case", "case": "Appointment/a9", "minutes": 5}, "hazards.0.case"),
        ({"kind": "longer_case", "case": "Appointment/a2", "factor": 99}, "hazards.0.factor"),
        ({"kind": "zebra99"}, "hazards.0"),
        ({"kind": "slow_turnover", "factor": 2, "zebra": 1}, "hazards.0.zebra"),
        ({"kind": "no_show", "case": "Appointment/a2"}, "hazards.0.case"),
        ({"kind": "staff_missing", "staff": "nurses"}, "hazards.0.staff"),
        ({"kind": "emergency", "at": "25:00", "urgency": 1}, "hazards.0.at"),
        ({"kind": "emergency", "at": "12:00", "urgency": 1, "surgeon": "zebra99"}, "hazards.0.surgeon"),
    ],
)
async def test_bad_hazard_names_its_field(hazard: dict[str, Any], field: str) -> None:
    response = await asked({"hazards": [hazard]})
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert list(response.json()["errors"]) == [field]
    assert "zebra99" not in response.text


@pytest.mark.parametrize(
    "body",
    ["", "[]", "null", '{"hazards": NaN}', '{"hazards": [], "options": {"seed": 1e400}}', "{" * 5000, '"\\ud800"'],
)
async def test_nonsense_is_refused(body: str) -> None:
    async with api_of() as client:
        response = await client.post("/what-if", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 422, response.text


@pytest.mark.parametrize("absent_first", [True, False])
async def test_emergency_of_an_absent_surgeon(*, absent_first: bool) -> None:
    absent = {"kind": "surgeon_absent", "surgeon": "s1"}
    urgent = {"kind": "emergency", "at": "12:00", "urgency": 1, "surgeon": "Practitioner/s1"}
    response = await asked({"hazards": [absent, urgent] if absent_first else [urgent, absent]})
    assert response.status_code == 422
    (told,) = response.json()["errors"].items()
    assert told[0].endswith("hazards.1.surgeon")
    assert "somebody else, or nobody" in told[1]


async def test_long_question_is_refused() -> None:
    response = await asked({"hazards": [LONGER] * 2000})
    assert response.status_code == 413


async def test_budgets() -> None:
    for many in (2001, 10**9):
        assert (await asked({"hazards": [], "options": {"replications": many}})).status_code == 422
    assert (await asked({"hazards": [LONGER] * 300})).status_code == 422


async def test_before_the_first_snapshot_and_when_busy() -> None:
    for program in (ShownProgram(), ShownProgram(snapshot(), busy=True)):
        response = await asked({"hazards": []}, program)
        assert response.status_code == 503
        assert int(response.headers["Retry-After"]) > 0


async def test_too_many_at_once_are_sent_away() -> None:
    what_ifs, shown = WhatIfs(Settings(), SITE), snapshot()
    question = WhatIf.model_validate({"hazards": [], "options": {"replications": 20}})
    asking = [what_ifs.ask(question, shown, None) for _ in range(MAX_WAITING + 3)]
    answers = await asyncio.gather(*asking, return_exceptions=True)
    await what_ifs.close()
    assert sum(isinstance(answer, BusyError) for answer in answers) == 3
    assert not any(isinstance(answer, Exception) and not isinstance(answer, BusyError) for answer in answers)
