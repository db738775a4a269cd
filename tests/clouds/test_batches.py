"""Batches by OpenAI's own client, at each provider that takes them."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from mediagate._gen.mediagate.v1 import batches_pb2, batches_pb2_grpc
from tests.clouds.batch_kit import CHAT, Desk, begin, chat_line, eventually, jsonl, lines_of, put, until
from tests.doubles.batch_work import Habits
from tests.doubles.openai_files import KEY


@pytest.fixture
def stand(batch_desk: Desk) -> Desk:
    return batch_desk


@pytest.fixture
def client(stand: Desk) -> Iterator[openai.OpenAI]:
    with stand.gateway.openai() as official:
        yield official


@pytest.mark.parametrize(
    "model",
    ["gpt", "azure-v1", "mistral", *(pytest.param(one, marks=pytest.mark.soak) for one in ("azure-gpt", "compatible"))],
)
def test_every_line_is_answered_under_its_own_id(client: openai.OpenAI, model: str) -> None:
    lines = [chat_line(f"line {number}", f"Wort {number} é", model=model) for number in range(20)]
    lines[7]["body"]["messages"][0]["content"] = "REFUSE this"
    made = begin(client, jsonl(lines), metadata={"who": "me"})
    assert (made.status, made.object, made.endpoint, made.completion_window) == (
        "validating",
        "batch",
        "/v1/chat/completions",
        "24h",
    )
    done = until(client, made.id)
    assert done.status == "completed", done
    assert done.model == model
    assert done.metadata == {"who": "me"}
    assert done.request_counts is not None
    assert (done.request_counts.total, done.request_counts.completed, done.request_counts.failed) == (20, 19, 1)
    assert done.usage is not None
    assert (done.usage.input_tokens, done.usage.output_tokens, done.usage.total_tokens) == (190, 95, 285)
    assert done.usage.input_tokens_details.cached_tokens == 38
    assert done.created_at <= done.in_progress_at <= done.finalizing_at <= done.completed_at
    good, bad = lines_of(client, done.output_file_id), lines_of(client, done.error_file_id)
    assert good.keys() | bad.keys() == {line["custom_id"] for line in lines}
    assert bad.keys() == {"line 7"}
    assert bad["line 7"]["response"]["status_code"] == 400
    assert bad["line 7"]["response"]["body"]["error"]["message"] == "Refused."
    one = good["line 3"]
    assert one["id"].startswith("batch_req_")
    assert one["error"] is None
    assert one["response"]["status_code"] == 200
    body = one["response"]["body"]
    assert body["model"] == model
    assert body["choices"][0]["message"]["content"] == "You said: Wort 3 é"


def test_embeddings_and_responses(client: openai.OpenAI, stand: Desk) -> None:
    body = {"model": "gpt", "input": "a word"}
    line = {"custom_id": "one", "method": "POST", "url": "/v1/embeddings", "body": body}
    done = until(client, begin(client, jsonl([line]), "/v1/embeddings").id)
    assert done.status == "completed", done
    answer = lines_of(client, done.output_file_id)["one"]["response"]["body"]
    assert answer["data"][0]["embedding"] == [0.25, -0.5]
    assert answer["model"] == "gpt"
    assert done.usage is not None
    assert done.usage.total_tokens == 4

    made = begin(client, jsonl([{**line, "url": "/v1/responses"}]), "/v1/responses")
    assert until(client, made.id).status == "completed"
    with pytest.raises(openai.InternalServerError) as refused:
        begin(client, jsonl([{**line, "url": "/v1/responses", "body": {**body, "model": "mistral"}}]), "/v1/responses")
    assert refused.value.status_code == 501


def test_what_the_provider_gets(client: openai.OpenAI, stand: Desk) -> None:
    lines = [chat_line("ä\n\"'", "Hi", temperature=0.5, unknown={"member": [1, None, "é"]}), chat_line("2")]
    done = until(client, begin(client, jsonl(lines), metadata={"secret": "of the caller"}).id)
    ours = stand.openai.calls("POST", "/batches")[-1].json
    assert ours["metadata"] == {"mediagate_batch": done.id}
    assert ours["completion_window"] == "24h"
    sent = next(seen for seen in reversed(stand.openai.calls("POST", "/files")))
    assert dict(sent.form)["purpose"] == "batch"
    assert lines_of(client, done.output_file_id).keys() == {"ä\n\"'", "2"}


def test_nothing_is_left_at_the_provider(client: openai.OpenAI, stand: Desk) -> None:
    done = until(client, begin(client, jsonl([chat_line("one"), chat_line("two", "REFUSE")])).id)
    assert done.status == "completed"
    eventually(lambda: stand.openai.files == {})
    files = client.files.list().data
    assert {done.output_file_id, done.error_file_id} <= {file.id for file in files}
    output = client.files.retrieve(done.output_file_id or "")
    assert (output.purpose, output.filename) == ("batch_output", f"{done.id}_output.jsonl")


BROKEN = [
    (b"not json", "invalid_json_line", None),
    (b"[1]", "invalid_json_line", None),
    (b'{"custom_id": "x", "custom', "invalid_json_line", None),
    (b'{"custom_id": "\xff"}', "invalid_json_line", None),
    (jsonl([{**chat_line("x"), "custom_id": ""}]), "missing_required_parameter", "custom_id"),
    (jsonl([{**chat_line("x"), "custom_id": 7}]), "missing_required_parameter", "custom_id"),
    (jsonl([chat_line("x" * 513)]), "invalid_custom_id", "custom_id"),
    (jsonl([{**chat_line("x"), "method": "GET"}]), "invalid_method", "method"),
    (jsonl([{**chat_line("x"), "url": "/v1/embeddings"}]), "invalid_url", "url"),
    (jsonl([{**chat_line("x"), "body": None}]), "missing_required_parameter", "body"),
    (jsonl([{**chat_line("x"), "body": {"model": "gpt"}}]), "missing_required_parameter", "body.messages"),
    (jsonl([chat_line("x", model="other")]), "mismatched_model", "body.model"),
    (jsonl([chat_line("x", stream=True)]), "invalid_request", "body.stream"),
    (jsonl([chat_line("first")]), "duplicate_custom_id", "custom_id"),
    (b"\n", "invalid_json_line", None),
]


@pytest.mark.parametrize(
    ("line", "code", "param"), BROKEN, ids=[f"{code}-{n}" for n, (_, code, _) in enumerate(BROKEN)]
)
def test_a_broken_line_is_named(client: openai.OpenAI, stand: Desk, line: bytes, code: str, param: str | None) -> None:
    submits = stand.openai.submits
    data = jsonl([chat_line("first")]) + line.removesuffix(b"\n") + b"\n" + jsonl([chat_line("last")])
    failed = until(client, begin(client, data).id)
    assert failed.status == "failed", failed
    assert failed.errors is not None
    assert failed.errors.data is not None
    [error] = failed.errors.data
    assert (error.code, error.line, error.param) == (code, 2, param)
    assert error.message
    assert failed.failed_at
    assert failed.output_file_id is failed.error_file_id is None
    assert stand.openai.submits == submits
    eventually(lambda: stand.openai.files == {})


def test_a_file_without_requests(client: openai.OpenAI) -> None:
    for data in (b"\n\n", b"   "):
        failed = until(client, begin(client, data).id)
        assert failed.errors is not None
        assert failed.errors.data is not None
        assert [error.code for error in failed.errors.data] == ["empty_file"]


def test_a_broken_first_line_fails_the_batch_and_not_the_request(client: openai.OpenAI) -> None:
    failed = until(client, begin(client, b"{broken\n" + jsonl([chat_line("x")])).id)
    assert failed.status == "failed"
    assert failed.errors is not None
    assert failed.errors.data is not None
    assert [(error.code, error.line) for error in failed.errors.data] == [("invalid_json_line", 1)]


def test_at_most_a_hundred_faults_are_told(client: openai.OpenAI) -> None:
    failed = until(client, begin(client, jsonl([chat_line("x")]) + b"broken\n" * 5000).id)
    assert failed.errors is not None
    assert failed.errors.data is not None
    assert [error.line for error in failed.errors.data] == list(range(2, 102))


def test_requests_that_are_refused_at_once(client: openai.OpenAI, stand: Desk) -> None:
    file_id = put(client, jsonl([chat_line("x")]))

    def refused(**fields: Any) -> tuple[int, str | None]:
        asked = {"input_file_id": file_id, "endpoint": CHAT, "completion_window": "24h", **fields}
        with pytest.raises(openai.APIStatusError) as error:
            client.batches.create(**asked)
        return error.value.status_code, error.value.param

    assert refused(endpoint="/v1/videos") == (400, "endpoint")
    assert refused(completion_window="48h") == (400, "completion_window")
    assert refused(input_file_id="file-nothing") == (404, "id")
    assert refused(metadata={str(number): "x" for number in range(17)})[0] == 400
    assert refused(metadata={"a" * 65: "x"}) == (400, "metadata")
    assert refused(metadata={"a": "x" * 513}) == (400, "metadata")
    assert refused(output_expires_after={"anchor": "created_at", "seconds": 10})[0] == 400
    assert refused(extra_body={"model": "azure-gpt"}) == (400, "model")
    assert refused(extra_body={"custom_llm_provider": "mistral"}) == (400, "custom_llm_provider")
    assert refused(input_file_id=put(client, jsonl([chat_line("x", model="nobody")]))) == (400, "model")
    assert refused(input_file_id=put(client, jsonl([chat_line("x", model="local-video")]))) == (501, "model")


def test_more_lines_than_the_provider_takes(client: openai.OpenAI, stand: Desk) -> None:
    body = {"model": "gpt", "input": "a"}
    line = {"custom_id": "ID", "method": "POST", "url": "/v1/embeddings", "body": body}
    text = json.dumps(line)
    data = "".join(text.replace("ID", str(number)) + "\n" for number in range(50_001)).encode()
    failed = until(client, begin(client, data, "/v1/embeddings").id)
    assert failed.errors is not None
    assert failed.errors.data is not None
    assert [(error.code, error.line) for error in failed.errors.data] == [("too_many_lines", None)]


def test_every_prefix(client: openai.OpenAI, stand: Desk) -> None:
    made = begin(client, jsonl([chat_line("x")]))
    with stand.gateway.http() as http:
        for prefix in ("", "/v1", "/openai", "/openai/v1"):
            assert http.get(f"{prefix}/batches/{made.id}").json()["id"] == made.id
            assert made.id in [one["id"] for one in http.get(f"{prefix}/batches").json()["data"]]
        # As the peer has it.
        body = {"input_file_id": made.input_file_id, "endpoint": CHAT, "completion_window": "24h"}
        assert http.post("/openai_compatible/v1/batches", json=body).status_code == 400
        assert http.post("/v1/batches", json={**body, "unknown": 1}).status_code == 200


def test_lists_page(client: openai.OpenAI, stand: Desk) -> None:
    made = [begin(client, jsonl([chat_line("x")])).id for _ in range(5)]
    page = client.batches.list(limit=2)
    assert [one.id for one in page.data] == made[:-3:-1]
    assert page.has_more
    found = []
    for one in client.batches.list(limit=2):
        found.append(one.id)
        if len(found) == 5:
            break
    assert found == made[::-1]
    with pytest.raises(openai.NotFoundError):
        client.batches.list(after="batch_nothing")


def test_the_input_may_be_deleted_once_its_lines_are_read(client: openai.OpenAI, stand: Desk) -> None:
    stand.openai.habits.hold = True
    try:
        made = begin(client, jsonl([chat_line(f"line {number}") for number in range(5)]))
        until(client, made.id, "in_progress")
        client.files.delete(made.input_file_id)
    finally:
        stand.openai.habits.hold = False
    done = until(client, made.id)
    assert done.status == "completed"
    assert len(lines_of(client, done.output_file_id)) == 5


@pytest.fixture
def habits(stand: Desk) -> Iterator[Habits]:
    """The knobs of OpenAI's double, for one test."""
    made = stand.openai.habits = Habits()
    yield made
    stand.openai.habits = Habits()


def test_a_line_without_an_answer_is_in_the_error_file(client: openai.OpenAI, habits: Habits) -> None:
    habits.loses = {1, 3}
    done = until(client, begin(client, jsonl([chat_line(f"{number}") for number in range(5)])).id)
    assert done.request_counts is not None
    assert (done.request_counts.completed, done.request_counts.failed) == (3, 2)
    bad = lines_of(client, done.error_file_id)
    assert {name: line["error"]["code"] for name, line in bad.items()} == {"1": "no_answer", "3": "no_answer"}
    assert bad["1"]["response"] is None


def test_an_expired_batch_has_what_was_answered(client: openai.OpenAI, habits: Habits) -> None:
    habits.end, habits.undone = "expired", {0}
    done = until(client, begin(client, jsonl([chat_line("0"), chat_line("1")])).id)
    assert done.status == "expired"
    assert done.expired_at
    assert lines_of(client, done.output_file_id).keys() == {"1"}
    assert lines_of(client, done.error_file_id)["0"]["error"]["code"] == "batch_expired"


def test_a_batch_that_the_provider_fails(client: openai.OpenAI, habits: Habits) -> None:
    habits.end = "failed"
    failed = until(client, begin(client, jsonl([chat_line("0"), chat_line("1")])).id)
    assert failed.status == "failed"
    assert failed.errors is not None
    assert failed.errors.data is not None
    [error] = failed.errors.data
    assert (error.code, error.line, error.message) == ("model_not_found", 2, "No such model.")


def test_a_cancelled_batch_has_what_was_answered(client: openai.OpenAI, habits: Habits) -> None:
    habits.hold, habits.undone = True, {0}
    made = begin(client, jsonl([chat_line("0"), chat_line("1")]))
    until(client, made.id, "in_progress")
    assert client.batches.cancel(made.id).status == "cancelling"
    # Again is no mistake.
    client.batches.cancel(made.id)
    done = until(client, made.id)
    assert (done.status, done.cancelled_at is not None) == ("cancelled", True)
    assert lines_of(client, done.output_file_id).keys() == {"1"}
    assert lines_of(client, done.error_file_id)["0"]["error"]["code"] == "batch_cancelled"
    with pytest.raises(openai.BadRequestError):
        client.batches.cancel(made.id)


def test_a_cancel_before_anything_was_read(client: openai.OpenAI, stand: Desk, habits: Habits) -> None:
    habits.busy = 1000
    made = begin(client, jsonl([chat_line("0"), chat_line("1")]))
    client.batches.cancel(made.id)
    done = until(client, made.id)
    assert done.status == "cancelled"
    assert done.output_file_id is None
    eventually(lambda: not stand.openai.files)


def test_a_provider_that_is_busy_is_asked_again(client: openai.OpenAI, stand: Desk, habits: Habits) -> None:
    habits.busy = 2
    before = stand.openai.submits
    assert until(client, begin(client, jsonl([chat_line("0")])).id).status == "completed"
    assert stand.openai.submits == before + 1


def test_polls_that_fail_are_no_verdict(client: openai.OpenAI, habits: Habits) -> None:
    habits.poll_errors = 3
    assert until(client, begin(client, jsonl([chat_line("0")])).id).status == "completed"


def test_a_submit_whose_answer_is_lost_is_found_and_not_repeated(
    client: openai.OpenAI, stand: Desk, habits: Habits
) -> None:
    habits.drop_submits, habits.lag = 1, 2
    before = stand.openai.submits
    done = until(client, begin(client, jsonl([chat_line("0")])).id)
    assert done.status == "completed"
    assert stand.openai.submits == before + 1


def test_a_cancel_of_a_batch_that_may_have_been_taken(client: openai.OpenAI, stand: Desk, habits: Habits) -> None:
    habits.drop_submits, habits.lag, habits.hold = 1, 3, True
    made = begin(client, jsonl([chat_line("0")]))
    eventually(lambda: habits.drop_submits == 0)
    client.batches.cancel(made.id)
    assert until(client, made.id).status == "cancelled"
    assert [one["status"] for one in stand.openai.batches.values()][-1] == "cancelled"


def test_one_poll_an_interval(client: openai.OpenAI, stand: Desk, habits: Habits) -> None:
    habits.hold = True
    made = begin(client, jsonl([chat_line("0")]))
    until(client, made.id, "in_progress")
    before, began = stand.openai.polls, time.monotonic()
    time.sleep(2)
    polls, passed_s = stand.openai.polls - before, time.monotonic() - began
    assert 1 <= polls <= passed_s / 0.2 + 1
    habits.hold = False
    assert until(client, made.id).status == "completed"


def test_an_idempotency_key_makes_one_batch(client: openai.OpenAI, stand: Desk) -> None:
    asked: dict[str, Any] = {
        "input_file_id": put(client, jsonl([chat_line("x")])),
        "endpoint": CHAT,
        "completion_window": "24h",
        "extra_headers": {"Idempotency-Key": "batch-once"},
    }
    assert client.batches.create(**asked).id == client.batches.create(**asked).id


def test_a_batch_of_an_end_user_stays_with_that_one(client: openai.OpenAI, stand: Desk) -> None:
    headers = {"x-mediagate-user": "alice"}
    with stand.gateway.openai(default_headers=headers) as alice:
        made = begin(alice, jsonl([chat_line("x")]))
        done = until(alice, made.id)
        assert lines_of(alice, done.output_file_id).keys() == {"x"}
    with stand.gateway.openai(default_headers={"x-mediagate-user": "bob"}) as bob:
        for call in (bob.batches.retrieve, bob.batches.cancel):
            with pytest.raises(openai.NotFoundError):
                call(made.id)
        with pytest.raises(openai.NotFoundError):
            bob.files.retrieve(done.output_file_id or "")
        assert made.id not in [one.id for one in bob.batches.list()]
    assert client.files.retrieve(done.output_file_id or "").to_dict()["mediagate"]["user"] == "alice"  # type: ignore[index]


def test_an_owner_gives_a_file_of_its_own_for_an_end_user(client: openai.OpenAI) -> None:
    done = until(client, begin(client, jsonl([chat_line("x")]), extra_body={"user": "erin"}).id)
    assert done.status == "completed", done
    assert client.files.retrieve(done.output_file_id or "").to_dict()["mediagate"]["user"] == "erin"  # type: ignore[index]


PDF = b"%PDF-1.7\n" + b"%" * 4000 + b"\n%%EOF\n"
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def with_part(custom_id: str, part: dict[str, Any], model: str) -> dict[str, Any]:
    line = chat_line(custom_id, model=model)
    line["body"]["messages"][0]["content"] = [{"type": "text", "text": "Read it."}, part]
    return line


def told(line: dict[str, Any]) -> dict[str, Any]:
    """The part that the double was told."""
    said = line["response"]["body"]["choices"][0]["message"]["content"].removeprefix("You said: ")
    return dict(json.loads(said)[1])


@pytest.mark.parametrize("model", ["gpt", "azure-v1", "mistral"])
def test_a_file_in_lines_is_copied_there_once(client: openai.OpenAI, stand: Desk, model: str) -> None:
    file_id = client.files.create(file=("report.pdf", PDF), purpose="user_data").id
    part = {"type": "file", "file": {"file_id": file_id}}
    done = until(client, begin(client, jsonl([with_part(str(n), part, model) for n in range(50)])).id)
    assert done.status == "completed", done
    good = lines_of(client, done.output_file_id)
    parts = [told(line) for line in good.values()]
    assert len(parts) == 50
    [replica] = [
        one
        for one in client.files.retrieve(file_id).to_dict()["replicas"]
        if one["provider"] != "local"  # type: ignore[index,attr-defined]
    ]
    assert all(one == parts[0] for one in parts)
    assert replica["reference"] in json.dumps(parts[0])
    assert file_id not in json.dumps(parts[0])
    client.files.delete(file_id)


def test_a_cancel_while_a_file_of_its_lines_is_copied(client: openai.OpenAI, stand: Desk, habits: Habits) -> None:
    file_id = client.files.create(file=("slow.pdf", PDF), purpose="user_data").id
    before = len(stand.openai.calls("POST", "/files"))
    habits.slow = {"files"}
    try:
        made = begin(client, jsonl([with_part("x", {"type": "file", "file": {"file_id": file_id}}, "gpt")]))
        eventually(lambda: len(stand.openai.calls("POST", "/files")) > before)
        client.batches.cancel(made.id)
        assert until(client, made.id, wait_s=20).status == "cancelled"
    finally:
        habits.slow = set()
    client.files.delete(file_id)


def test_batches_that_wait_for_copies_of_files_keep_nobody_waiting(
    client: openai.OpenAI, stand: Desk, habits: Habits
) -> None:
    # As many as a worker reads at once.
    waiting = [client.files.create(file=(f"slow-{n}.pdf", PDF), purpose="user_data").id for n in range(2)]
    habits.slow = {"files"}
    try:
        for file_id in waiting:
            before = len(stand.openai.calls("POST", "/files"))
            begin(client, jsonl([with_part("x", {"type": "file", "file": {"file_id": file_id}}, "gpt")]))
            eventually(lambda before=before: len(stand.openai.calls("POST", "/files")) > before)  # type: ignore[misc]
        other = begin(client, jsonl([chat_line("x", model="mistral")]))
        assert until(client, other.id, wait_s=20).status == "completed"
    finally:
        habits.slow = set()
    for file_id in waiting:
        client.files.delete(file_id)


def test_a_picture_goes_inside_the_lines(client: openai.OpenAI) -> None:
    file_id = client.files.create(file=("dot.png", PNG), purpose="vision").id
    url = "data:image/png;base64," + base64.b64encode(PNG).decode()
    parts = [
        {"type": "image_url", "image_url": {"url": file_id, "detail": "low"}},
        {"type": "image_url", "image_url": {"url": url}},
    ]
    lines = [with_part(str(number), part, "gpt") for number, part in enumerate(parts)]
    good = lines_of(client, until(client, begin(client, jsonl(lines)).id).output_file_id)
    assert told(good["0"]) == {"type": "image_url", "image_url": {"url": url, "detail": "low"}}
    assert told(good["1"]) == parts[1]


def test_a_file_that_cannot_be_used_is_named_with_its_line(client: openai.OpenAI, stand: Desk) -> None:
    with stand.gateway.openai(default_headers={"x-mediagate-user": "carol"}) as carol:
        hers = carol.files.create(file=("report.pdf", PDF), purpose="user_data").id
    gone = client.files.create(file=("report.pdf", PDF), purpose="user_data").id
    client.files.delete(gone)
    sound = {"type": "input_audio", "input_audio": {"data": "bm8=", "format": "wav"}}
    parts = [
        {"type": "file", "file": {"file_id": "file-nobody"}},
        {"type": "file", "file": {"file_id": gone}},
        {"type": "file", "file": {}},
        sound,
    ]
    lines = [with_part(str(number), part, "gpt") for number, part in enumerate(parts)]
    behind_broken = [chat_line("whole"), {"custom_id": "broken"}, with_part("gone", parts[1], "gpt")]
    failed = until(client, begin(client, jsonl([*lines, *behind_broken])).id)
    assert failed.errors is not None
    assert failed.errors.data is not None
    assert [error.line for error in failed.errors.data if error.code == "not_found"] == [1, 2, 7]
    found = {error.line: (error.code, error.param) for error in failed.errors.data}
    assert found[1] == ("not_found", "body.messages[0].content[1].file.file_id")
    assert found[2][0] == "not_found"
    assert found[3][1] is not None
    with stand.gateway.openai(default_headers={"x-mediagate-user": "dave"}) as dave:
        line = with_part("x", {"type": "file", "file": {"file_id": hers}}, "gpt")
        failed = until(dave, begin(dave, jsonl([line])).id)
        assert failed.status == "failed"
        assert failed.errors is not None
        assert failed.errors.data is not None
        assert failed.errors.data[0].code == "not_found"


def test_input_in_the_place_of_messages(client: openai.OpenAI) -> None:
    line = chat_line("x")
    del line["body"]["messages"]
    line["body"]["input"] = [{"role": "user", "content": [{"type": "input_text", "text": "By input"}]}]
    done = until(client, begin(client, jsonl([line])).id)
    assert done.status == "completed", done
    said = lines_of(client, done.output_file_id)["x"]["response"]["body"]["choices"][0]["message"]["content"]
    assert "By input" in said


def test_a_provider_that_takes_no_files_of_ours_fails_the_batch(client: openai.OpenAI, stand: Desk) -> None:
    stand.openai.keys = {"another"}
    try:
        failed = until(client, begin(client, jsonl([chat_line("x")])).id)
    finally:
        stand.openai.keys = {KEY}
    assert failed.status == "failed"
    assert failed.errors is not None
    assert failed.errors.data is not None
    assert [error.code for error in failed.errors.data] == ["provider_credentials_refused"]


def test_a_generated_client_asks_for_the_same(client: openai.OpenAI, stand: Desk) -> None:
    file_id = put(client, jsonl([chat_line("x")]))
    with stand.gateway.channel() as channel:
        stub = batches_pb2_grpc.BatchServiceStub(channel)
        asked = batches_pb2.CreateBatchRequest(
            input_file_id=file_id, endpoint=CHAT, completion_window="24h", metadata={"a": "b"}, model="gpt"
        )
        made = stub.CreateBatch(asked, metadata=stand.gateway.metadata)
        until(client, made.id)
        found = stub.GetBatch(batches_pb2.GetBatchRequest(batch_id=made.id), metadata=stand.gateway.metadata)
        assert (found.status, found.request_counts.completed, dict(found.metadata)) == ("completed", 1, {"a": "b"})
        assert found.mediagate.provider == "openai"
        page = stub.ListBatches(batches_pb2.ListBatchesRequest(limit=1), metadata=stand.gateway.metadata)
        assert [one.id for one in page.data] == [made.id]


def test_a_submit_that_never_came_is_repeated_once_the_provider_has_had_its_time(
    client: openai.OpenAI, stand: Desk, habits: Habits
) -> None:
    habits.lose_submits = 1
    before, lists = stand.openai.submits, stand.openai.lists
    done = until(client, begin(client, jsonl([chat_line("0")])).id)
    assert done.status == "completed"
    assert stand.openai.submits == before + 1
    assert stand.openai.lists > lists + 1


def test_a_cancel_of_a_batch_that_never_came(client: openai.OpenAI, stand: Desk, habits: Habits) -> None:
    habits.lose_submits = 1
    before = stand.openai.submits
    made = begin(client, jsonl([chat_line("0"), chat_line("1")]))
    eventually(lambda: habits.lose_submits == 0)
    client.batches.cancel(made.id)
    done = until(client, made.id)
    assert done.status == "cancelled"
    bad = lines_of(client, done.error_file_id)
    assert {name: line["error"]["code"] for name, line in bad.items()} == dict.fromkeys("01", "batch_cancelled")
    assert stand.openai.submits == before
