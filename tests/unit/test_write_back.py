import json
from datetime import date, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from fhir_adapters.canonical import PREDICTED_TIMELINE
from fhir_adapters.write_back import ServerTraits, WriteResult, write
from tests.unit.fhir_fake import (
    HIS,
    NOW,
    OTHER,
    PARIS,
    REF,
    SOURCE,
    Server,
    annotation,
    carried,
    client_of,
    extensions_of,
    order,
)
from twin.timeline import Annotation, PredictedRoomEnd, WriteOrder


@pytest.fixture
def server() -> Server:
    made = Server()
    made.put()
    return made


async def no_sleep(seconds: float) -> None:
    assert seconds >= 0


async def do(server: Server, wanted: WriteOrder, traits: ServerTraits | None = None, **options: Any) -> WriteResult:
    async with client_of(server) as client:
        return await write(client, wanted, zone=PARIS, source=SOURCE, traits=traits, sleep=no_sleep, **options)


async def test_written_with_guards(server: Server) -> None:
    result = await do(server, order(annotation()))
    assert (result.outcome.status, result.outcome.version_id) == ("written", "2")
    assert result.body == server.newest()
    read, patch = server.requests
    assert read.headers["cache-control"] == "no-cache"
    assert patch.headers["if-match"] == 'W/"1"'
    assert patch.headers["prefer"] == "return=representation"
    assert json.loads(patch.content)[0] == {"op": "test", "path": "/meta/versionId", "value": "1"}
    assert carried(server) == annotation()


async def test_again_is_unchanged(server: Server) -> None:
    await do(server, order(annotation()))
    again = await do(server, order(annotation(made=NOW + timedelta(minutes=10))))
    assert (again.outcome.status, again.outcome.version_id) == ("unchanged", "2")
    assert server.methods() == ["GET", "PATCH", "GET"]


@pytest.mark.parametrize(("after_min", "reason"), [(41, "material"), (10, "renewal")])
async def test_renewed(server: Server, after_min: int, reason: str) -> None:
    await do(server, order(annotation()))
    again = await do(server, order(annotation(made=NOW + timedelta(minutes=after_min)), reason))
    assert again.outcome.status == "written"


async def test_removed_and_nothing_left(server: Server) -> None:
    original = server.newest()
    await do(server, order(annotation()))
    result = await do(server, order(None, "over"))
    assert result.outcome.status == "written"
    assert {**server.newest(), "meta": None} == {**original, "meta": None}
    assert (await do(server, order(None, "over"))).outcome.status == "unchanged"


async def test_room_ends_of_past_days_go(server: Server) -> None:
    def end(day: int) -> PredictedRoomEnd:
        start = NOW + timedelta(days=day)
        return PredictedRoomEnd(
            date(2026, 11, 24 + day), start, start + timedelta(hours=9), start, None, None, 0.42, start, start, SOURCE
        )

    server.put("Location/r", extension=extensions_of(Annotation(room_ends=(end(0), end(1)))))
    wanted = Annotation(room_ends=(end(1),))
    assert (await do(server, order(wanted, ref="Location/r"))).outcome.status == "written"
    assert carried(server, "Location/r") == wanted


async def test_dry_run_writes_nothing(server: Server) -> None:
    result = await do(server, order(annotation()), dry_run=True)
    assert result.outcome.status == "planned"
    assert result.patch is not None
    assert result.patch[1]["path"] == "/extension"
    assert server.methods() == ["GET"]


async def test_other_installation_kept(server: Server) -> None:
    server.edit(extension=extensions_of(annotation(source=OTHER)))
    result = await do(server, order(annotation()))
    assert result.outcome.status == "foreign"
    assert server.methods() == ["GET"]
    assert (await do(server, order(annotation()), take_over=True)).outcome.status == "written"
    assert carried(server) == annotation()


@pytest.mark.parametrize(("refuse", "test"), [(409, 400), (412, 422)])
@pytest.mark.parametrize("heeds", [True, False])
async def test_his_write_in_between_kept(server: Server, refuse: int, test: int, heeds: bool) -> None:
    server.refuse_status, server.test_status, server.heeds_if_match = refuse, test, heeds
    server.before_write.append(lambda: server.edit(status="arrived", extension=[HIS]))
    result = await do(server, order(annotation()))
    assert (result.outcome.status, result.outcome.version_id) == ("written", "3")
    assert server.newest()["status"] == "arrived"
    assert server.newest()["extension"] == [HIS, *extensions_of(annotation())]


async def test_three_tries_then_conflict(server: Server) -> None:
    server.before_write += [lambda: server.edit(comment="again")] * 5
    result = await do(server, order(annotation()))
    assert result.outcome.status == "conflict"
    assert server.methods() == ["GET", "PATCH"] * 3


async def test_same_refusal_is_rejection(server: Server) -> None:
    server.forbids = PREDICTED_TIMELINE
    traits = ServerTraits()
    result = await do(server, order(annotation()), traits)
    assert (result.outcome.status, result.outcome.reason) == ("failed", "rejected (422)")
    assert server.methods() == ["GET", "PATCH"] * 2
    assert traits.off


async def test_refusal_is_said_once(server: Server) -> None:
    server.forbids = PREDICTED_TIMELINE
    traits = ServerTraits()
    with capture_logs() as logs:
        for _ in range(2):
            await do(server, order(annotation()), traits)
    said = [one for one in logs if one["log_level"] == "error"]
    assert len(said) == 1
    assert 'write_back.mode = "companion"' in said[0]["event"]


@pytest.mark.parametrize("held", [None, []])
async def test_gone(server: Server, held: list[bytes] | None) -> None:
    server.versions = {} if held is None else {REF: held}
    assert (await do(server, order(annotation()))).outcome.status == "gone"


@pytest.mark.parametrize("code", ["SUBSETTED", "REDACTED"])
async def test_partial_body_never_written(server: Server, code: str) -> None:
    server.edit(meta={"versionId": "1", "tag": [{"code": code}]})
    assert (await do(server, order(annotation()))).outcome.status == "failed"
    assert server.methods() == ["GET"]


async def test_other_resource_in_answer(server: Server) -> None:
    server.versions[REF] = [b'{"resourceType":"Appointment","id":"b","meta":{"versionId":"1"}}']
    assert (await do(server, order(annotation()))).outcome.status == "failed"
    assert server.methods() == ["GET"]


async def test_touched_is_said(server: Server) -> None:
    server.spoils = True
    result = await do(server, order(annotation()))
    assert (result.outcome.status, result.outcome.version_id) == ("touched", "2")


async def test_read_back_without_body(server: Server) -> None:
    server.answers_with_body = False
    result = await do(server, order(annotation()))
    assert (result.outcome.status, result.outcome.version_id) == ("written", "2")
    assert server.methods() == ["GET", "PATCH", "GET"]


async def test_dropped_by_server(server: Server) -> None:
    server.strips = True
    result = await do(server, order(annotation()))
    assert result.outcome.status == "failed"
    assert result.outcome.reason.startswith("dropped by server")
    assert server.methods() == ["GET", "PATCH"]


async def test_without_etag_version_guards(server: Server) -> None:
    server.has_etag = False
    assert (await do(server, order(annotation()))).outcome.status == "written"
    assert server.requests[-1].headers["if-match"] == 'W/"1"'


async def test_without_version_in_body_etag_guards() -> None:
    server = Server(has_version_id=False)
    server.put()
    result = await do(server, order(annotation()))
    assert (result.outcome.status, result.outcome.version_id) == ("written", "2")
    assert not any(one["op"] == "test" for one in json.loads(server.requests[1].content))


async def test_without_any_version_refused() -> None:
    server = Server(has_version_id=False, has_etag=False)
    server.put()
    result = await do(server, order(annotation()))
    assert result.outcome.status == "failed"
    assert result.outcome.reason.startswith("no version to guard with")
    assert server.methods() == ["GET"]


async def test_lost_answer_found_written(server: Server) -> None:
    server.lose_answers = 1
    result = await do(server, order(annotation()))
    assert (result.outcome.status, result.outcome.version_id) == ("written", "2")
    assert len(server.versions[REF]) == 2


async def test_lost_answer_then_his_write(server: Server) -> None:
    server.lose_answers = 1
    server.after_write.append(lambda: server.edit(status="arrived"))
    result = await do(server, order(annotation()))
    assert (result.outcome.status, result.outcome.version_id) == ("written", "2")
    assert server.newest()["status"] == "arrived"


async def test_lost_request_sent_again(server: Server) -> None:
    server.lose_writes = 1
    assert (await do(server, order(annotation()))).outcome.status == "written"
    assert len(server.versions[REF]) == 2


async def test_always_lost_fails(server: Server) -> None:
    server.lose_writes = 9
    result = await do(server, order(annotation()))
    assert result.outcome.status == "failed"
    assert "can't be reached" in result.outcome.reason


async def test_annotation_of_other_source_refused(server: Server) -> None:
    assert (await do(server, order(annotation(source=OTHER)))).outcome.status == "failed"
    assert server.methods() == []


async def test_bad_reference_refused(server: Server) -> None:
    assert (await do(server, order(annotation(), ref="Appointment/../a"))).outcome.status == "failed"
    assert server.methods() == []


DELICATE = (
    '{"resourceType":"Appointment", "id":"a",\n "extension" : [{"url":"http://his/x","valueDecimal":2.3500}],\n'
    ' "priority": 12345678901234567890, "status":"booked"}'
)


async def test_delicate_numbers_kept_by_put() -> None:
    server = Server()
    server.put(text=DELICATE)
    result = await do(server, order(annotation()))
    assert (result.outcome.status, result.outcome.version_id) == ("written", "2")
    assert server.methods() == ["GET", "PUT", "GET"]
    assert server.requests[1].headers["if-match"] == 'W/"1"'
    assert b'{"url":"http://his/x","valueDecimal":2.3500}' in server.versions[REF][-1]
    assert b'"priority": 12345678901234567890, "status":"booked"}' in server.versions[REF][-1]
    await do(server, order(None, "over"))
    assert server.versions[REF][2] == server.versions[REF][0].replace(b'"versionId":"1"', b'"versionId":"3"')


@pytest.mark.parametrize(
    ("status", "text"),
    [(405, ""), (415, ""), (501, ""), (400, "PATCH is not supported"), (400, "Unsupported Content-Type")],
)
async def test_put_without_json_patch(server: Server, status: int, text: str) -> None:
    server.no_patch_status, server.no_patch_text = status, text
    traits = ServerTraits()
    assert (await do(server, order(annotation()), traits)).outcome.status == "written"
    assert server.methods()[:4] == ["GET", "PATCH", "GET", "PUT"]
    await do(server, order(None, "over"), traits)
    assert server.methods().count("PATCH") == 1


async def test_created_is_an_incident(server: Server) -> None:
    server.no_patch_status = 405
    server.before_write += [lambda: None, lambda: server.versions[REF].clear()]
    result = await do(server, order(annotation()))
    assert result.outcome.status == "failed"
    assert result.outcome.reason.startswith("created")


async def test_conflict_on_put_proves_if_match(server: Server) -> None:
    server.no_patch_status = 405
    server.before_write += [lambda: None, lambda: server.edit(status="arrived")]
    traits = ServerTraits()
    assert (await do(server, order(annotation()), traits)).outcome.status == "written"
    assert traits.if_match is True
    assert server.newest()["status"] == "arrived"
    assert server.methods()[-1] == "PUT"


async def test_three_puts_after_refused_patch(server: Server) -> None:
    server.no_patch_status = 405
    server.before_write += [lambda: None, *[lambda: server.edit(comment="again")] * 2]
    assert (await do(server, order(annotation()))).outcome.status == "written"
    assert server.methods() == ["GET", "PATCH", *["GET", "PUT"] * 3]


async def test_put_over_unseen_update_is_repaired(server: Server) -> None:
    server.no_patch_status, server.heeds_if_match = 405, False
    server.before_write += [lambda: None, lambda: server.edit(status="arrived", extension=[HIS])]
    traits = ServerTraits()
    result = await do(server, order(annotation()), traits)
    assert (result.outcome.status, result.outcome.version_id) == ("written", "4")
    assert server.newest()["status"] == "arrived"
    assert server.newest()["extension"] == [HIS, *extensions_of(annotation())]
    assert traits.if_match is False
    later = await do(server, order(annotation(NOW + timedelta(minutes=30))), traits)
    assert later.outcome.reason.startswith("the server ignores If-Match")


async def test_replaced_update_that_cannot_be_repaired(server: Server) -> None:
    server.no_patch_status, server.heeds_if_match, server.answers_with_body = 405, False, True
    server.before_write += [lambda: None, lambda: server.edit(status="arrived")]
    server.after_write += [lambda: None, lambda: server.edit(comment="later")]
    result = await do(server, order(annotation()))
    assert (result.outcome.status, result.outcome.version_id) == ("touched", "3")
    assert server.newest()["comment"] == "later"


async def test_put_without_history(server: Server) -> None:
    server.no_patch_status, server.has_history = 405, False
    assert (await do(server, order(annotation()))).outcome.status == "written"


async def test_rejected_put_fails_at_once() -> None:
    server = Server(forbids=PREDICTED_TIMELINE)
    server.put(text=DELICATE)
    assert (await do(server, order(annotation()))).outcome.reason == "rejected (422)"
    assert server.methods() == ["GET", "PUT"]


@pytest.mark.parametrize(("status", "text"), [(404, ""), (406, ""), (500, "oops"), (400, "bad verb"), (422, "")])
async def test_no_patch_said_in_other_ways(server: Server, status: int, text: str) -> None:
    server.no_patch_status, server.no_patch_text = status, text
    traits = ServerTraits()
    assert (await do(server, order(annotation()), traits)).outcome.status == "written"
    assert carried(server) == annotation()
    assert not traits.json_patch
    before = len(server.requests)
    assert (await do(server, order(None, "over"), traits)).outcome.status == "written"
    assert server.methods()[before : before + 2] == ["GET", "PUT"]


async def test_patches_are_known_to_work(server: Server) -> None:
    traits = ServerTraits()
    await do(server, order(annotation()), traits)
    server.no_patch_status = 422
    assert (await do(server, order(None, "over"), traits)).outcome.status == "failed"
    assert "PUT" not in server.methods()
