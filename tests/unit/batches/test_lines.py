"""The pure parts of batches: lines cut, checked, written and read back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediagate.batches.check_line import BadLine, LineChecker
from mediagate.batches.custom_ids import CustomIds
from mediagate.batches.cut_lines import TOO_LONG, LineCutter
from mediagate.batches.line_index import LineIndex
from mediagate.batches.shapes import Shapes
from mediagate.batches.translate import Translator, key_of, ordinal_of, writer_for
from mediagate.batches.write_results import ResultWriter
from mediagate.core.chat import FileUse, Finish, Finished, MediaKind, TextDelta, Usage, Used, Way
from mediagate.providers.account import Account
from mediagate.providers.batches import Answered, LineResult, NotAnswered
from mediagate.providers.registry import build_batches

CHAT = "/v1/chat/completions"
EMBEDDINGS = "/v1/embeddings"


def line(custom_id: str = "a", content: Any = "Hi", **more: Any) -> dict[str, Any]:
    body = {"model": "m", "messages": [{"role": "user", "content": content}], **more}
    return {"custom_id": custom_id, "method": "POST", "url": CHAT, "body": body}


class TestCut:
    @given(st.binary(max_size=400).filter(lambda data: data[:1] != b"\xef"), st.lists(st.integers(1, 50), max_size=40))
    def test_chunks_of_any_size_are_the_same_lines(self, data: bytes, sizes: Sequence[int]) -> None:
        cutter, found, at = LineCutter(1000), [], 0
        for size in [*sizes, len(data)]:
            found += cutter.feed(data[at : at + size])
            at += size
        found += cutter.end()
        assert found == (data.removesuffix(b"\n").split(b"\n") if data else [])

    def test_a_mark_of_the_encoding_is_no_part_of_the_first_line(self) -> None:
        assert LineCutter(100).feed(b"\xef\xbb\xbfa\nb\n") == [b"a", b"b"]

    def test_a_line_that_is_too_long_is_told_and_not_held(self) -> None:
        cutter = LineCutter(10)
        assert cutter.feed(b"short\n" + b"x" * 8) == [b"short"]
        for _ in range(1000):
            assert cutter.feed(b"x" * 1000) == ()
        assert cutter.feed(b"xx\nnext\n" + b"y" * 11 + b"\nlast") == [TOO_LONG, b"next", TOO_LONG]
        assert cutter.end() == [b"last"]
        assert LineCutter(10).end() == ()


class TestCustomIds:
    def test_twice_is_found_among_many(self) -> None:
        known = CustomIds()
        assert all(known.add(f"id {number}") for number in range(100_000))
        assert not any(known.add(f"id {number}") for number in range(0, 100_000, 7))
        assert len(known) == 100_000

    @given(st.lists(st.text(max_size=5)))
    def test_it_is_a_set(self, texts: list[str]) -> None:
        known, seen = CustomIds(), set()
        for text in texts:
            assert known.add(text) is (text not in seen)
            seen.add(text)


class TestCheck:
    @given(st.binary(max_size=200))
    def test_garbage_is_a_bad_line(self, data: bytes) -> None:
        with pytest.raises(BadLine):
            LineChecker(CHAT).read(data)

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["custom_id", "method", "url", "body", "model", "messages", "input"]),
                    inner,
                    max_size=6,
                )
            ),
            max_leaves=20,
        )
    )
    def test_any_json_is_a_line_or_a_bad_one(self, tree: Any) -> None:
        try:
            custom_id, body = LineChecker(CHAT).read(json.dumps(tree).encode())
        except BadLine:
            return
        assert custom_id
        assert body["model"]

    def test_deep_nesting_is_a_bad_line(self) -> None:
        with pytest.raises(BadLine):
            LineChecker(CHAT).read(b'{"custom_id":' + b"[" * 100_000)


def translator(provider: str = "openai", *, window: int | None = None, **more: Any) -> Translator:
    made = build_batches(Account("a", provider, api_key="none", **more))
    return Translator(LineChecker(CHAT), writer_for(made, CHAT, "upstream"), CHAT, lines_max=None, window=window)


def written(one: Translator, *lines: Any) -> list[dict[str, Any]]:
    group = one.read([json.dumps(entry).encode() for entry in lines])
    return [json.loads(text) for text in one.write(group.lines).splitlines()]


class TestTranslate:
    def test_keys_are_fit_for_every_provider(self) -> None:
        assert key_of(0) == "r0000000000"
        assert [ordinal_of(key_of(number)) for number in (0, 7, 999_999)] == [0, 7, 999_999]
        for text in ("", "x0000000000", "r000000000", "r-000000001", "r00000000٠1", "r00000000001"):
            with pytest.raises(ValueError, match="key"):
                ordinal_of(text)

    def test_golden_lines_of_openai(self) -> None:
        [one] = written(translator(), line("mine", temperature=0, unknown=[1.5, None]))
        assert one == {
            "custom_id": "r0000000000",
            "method": "POST",
            "url": CHAT,
            "body": {
                "model": "upstream",
                "messages": [{"role": "user", "content": "Hi"}],
                "temperature": 0,
                "unknown": [1.5, None],
            },
        }

    def test_golden_lines_of_mistral(self) -> None:
        asked = line("mine", max_completion_tokens=5, seed=7, tool_choice="required", user="me")
        asked["body"]["messages"].insert(0, {"role": "developer", "content": "Be short."})
        [one] = written(translator("mistral"), asked)
        assert one == {
            "custom_id": "r0000000000",
            "body": {
                "messages": [{"role": "system", "content": "Be short."}, {"role": "user", "content": "Hi"}],
                "max_tokens": 5,
                "random_seed": 7,
                "tool_choice": "any",
            },
        }

    def test_from_the_first_fault_on_nothing_is_written(self) -> None:
        one = translator()
        assert len(written(one, line("1"), line("2"))) == 2
        assert written(one, line("3"), {"custom_id": "4"}, line("5")) == []
        assert written(one, line("6")) == []
        assert [(error.code, error.line) for error in one.errors] == [("invalid_method", 4)]

    def test_lines_are_counted_over_groups(self) -> None:
        one = translator()
        assert [entry["custom_id"] for entry in written(one, line("1"), line("2"))] == [key_of(0), key_of(1)]
        assert [entry["custom_id"] for entry in written(one, line("3"))] == [key_of(2)]

    @pytest.mark.parametrize(
        ("asked", "answer_tokens", "unbounded"),
        [
            ({}, 0, 1),
            ({"n": 5}, 0, 5),
            ({"max_tokens": 10, "n": 5}, 50, 0),
            ({"max_completion_tokens": 7, "max_tokens": 10}, 7, 0),
            # The endpoint has no such member, and whoever does not mind it answers as long as it likes.
            ({"max_output_tokens": 1}, 0, 1),
        ],
    )
    def test_what_a_line_can_come_to(self, asked: dict[str, Any], answer_tokens: int, unbounded: int) -> None:
        one = translator()
        written(one, line("1", **asked))
        assert (one.bounds.answer_tokens, one.bounds.unbounded) == (answer_tokens, unbounded)

    @pytest.mark.parametrize(
        ("kind", "size_bytes", "window", "tokens"),
        [
            (MediaKind.IMAGE, 10_000_000, None, 6_000),
            (MediaKind.DOCUMENT, 50_000, None, 50_000),
            (MediaKind.DOCUMENT, 50_000, 1000, 1000),
            (MediaKind.VIDEO, 160_000_000, None, 10_000_000),
            (MediaKind.DOCUMENT, None, None, 200_000),
            (MediaKind.DOCUMENT, None, 128_000, 128_000),
        ],
    )
    def test_a_file_counts_by_its_kind_and_size(
        self, kind: MediaKind, size_bytes: int | None, window: int | None, tokens: int
    ) -> None:
        one = translator(window=window)
        asked = line("1", [{"type": "file", "file": {"file_id": "file-1"}}])
        [read] = one.read([json.dumps(asked).encode()]).lines
        [mention] = read.mentions
        one.tell(read, mention, (kind, FileUse(Way.FILE_ID, "theirs", "x/y", size_bytes=size_bytes)))
        assert one.write([read])
        own = len(json.dumps(asked))
        assert one.bounds.input_tokens == (tokens + own if window is None else tokens)

    def test_a_setting_that_a_provider_has_no_word_for(self) -> None:
        one = translator("gemini")
        written(one, line("1"), line("2", logit_bias={"5": 1}))
        [error] = one.errors
        assert (error.code, error.line, error.param) == ("unsupported_parameter", 2, "body.logit_bias")


class TestShapes:
    @given(
        st.lists(
            st.tuples(
                st.lists(st.tuples(st.sampled_from(["system", "user", "assistant"]), st.text(max_size=20)), max_size=4),
                st.sampled_from([{}, {"max_tokens": 5}, {"temperature": 0.5, "stop": ["x"]}]),
            ),
            max_size=12,
        )
    )
    @pytest.mark.parametrize("provider", ["gemini"])
    def test_a_line_is_what_its_provider_writes(
        self, provider: str, asked: list[tuple[list[tuple[str, str]], dict[str, Any]]]
    ) -> None:
        made: Any = build_batches(Account("a", provider, api_key="none"))
        from mediagate.batches.translate import _Chats

        proper = _Chats(made.chat_line, CHAT, "m", False).write
        quick = Shapes(proper).write
        for number, (turns, settings) in enumerate(asked * 3):
            messages = [{"role": role, "content": text} for role, text in turns]
            body = {"model": "m", "messages": messages or [{"role": "user", "content": "Hi"}], **settings}
            try:
                expected = proper(key_of(number), json.loads(json.dumps(body)), {})
            except Exception as error:
                with pytest.raises(type(error)):
                    quick(key_of(number), body, {})
            else:
                assert json.loads(quick(key_of(number), body, {})) == json.loads(expected)

    def test_a_writer_that_uses_words_twice_is_asked_each_time(self) -> None:
        def twice(key: str, body: dict[str, Any], _: Any) -> bytes:
            text = body["messages"][0]["content"]
            return json.dumps({"key": key, "a": text, "b": text}).encode() + b"\n"

        quick = Shapes(twice)
        for number in range(5):
            body = line(content=f"word {number}")["body"]
            assert quick.write("k", body, {}) == twice("k", body, {})

    def test_a_writer_that_changes_words_is_found_out(self) -> None:
        def loud(key: str, body: dict[str, Any], _: Any) -> bytes:
            text = body["messages"][0]["content"]
            return json.dumps({"key": key, "a": text.replace("a", "A")}).encode() + b"\n"

        quick = Shapes(loud)
        for text in ("Hello there", "banana", "a", "b", "ananas"):
            body = line(content=text)["body"]
            assert quick.write("k", body, {}) == loud("k", body, {})


async def index_of(tmp_path: Path, *custom_ids: str) -> LineIndex:
    index = LineIndex(tmp_path)

    async def chunks() -> Any:
        data = b"".join(json.dumps(one).encode() + b"\n" for one in custom_ids)
        for start in range(0, len(data), 7):
            yield data[start : start + 7]

    await index.fill(chunks())
    return index


class TestResults:
    async def test_every_line_comes_once_and_under_its_own_id(self, tmp_path: Path) -> None:
        index = await index_of(tmp_path, "a", 'quo"te', "ü", "d")
        said: dict[bytes, LineResult] = {
            b"1": Answered(key_of(1), b'{"model": "up", "usage": {"prompt_tokens": 3, "completion_tokens": 1}}'),
            b"0": Answered(
                key_of(0), (TextDelta("Yes."), Finished(Finish.STOP), Used(Usage(input_tokens=5, output_tokens=2)))
            ),
            b"2": NotAnswered(key_of(2), "bad", "No.", 429, "req"),
            b"9": Answered(key_of(9), b"{}"),
            b"broken": Answered(key_of(3), b"not json"),
        }
        writer = ResultWriter("batch_x", CHAT, "public", 7, index, lambda raw: said[raw])
        output, errors = writer.take([b"1", b"", b"0", b"1", b"2", b"9", b"nonsense", TOO_LONG])
        good = [json.loads(one) for one in output.splitlines()]
        bad = [json.loads(one) for one in errors.splitlines()]
        assert [one["custom_id"] for one in good] == ['quo"te', "a"]
        assert good[0]["response"]["body"]["model"] == "public"
        chat = good[1]["response"]["body"]
        assert (chat["model"], chat["created"], chat["choices"][0]["message"]["content"]) == ("public", 7, "Yes.")
        assert chat["usage"]["total_tokens"] == 7
        assert [(one["custom_id"], one["response"]["status_code"]) for one in bad] == [("ü", 429)]
        assert bad[0]["response"]["request_id"] == "req"
        assert (writer.completed, writer.failed, writer.unreadable) == (2, 1, 3)
        assert writer.tokens.plain()["input_tokens"] == 8
        missing = [json.loads(one) for one in writer.missing(0, 4, "gone", "Gone.").splitlines()]
        assert [(one["custom_id"], one["error"]["code"]) for one in missing] == [("d", "gone")]
        index.close()

    @pytest.mark.parametrize(
        ("status", "kind"),
        [(400, "invalid_request_error"), (429, "rate_limit_error"), (502, "server_error"), (503, "server_error")],
    )
    async def test_an_error_has_the_type_of_its_status(self, tmp_path: Path, status: int, kind: str) -> None:
        index = await index_of(tmp_path, "a")
        writer = ResultWriter("batch_x", CHAT, "m", 7, index, lambda _: NotAnswered(key_of(0), "bad", "No.", status))
        _, errors = writer.take([b"x"])
        index.close()
        response = json.loads(errors)["response"]
        assert (response["status_code"], response["body"]["error"]["type"]) == (status, kind)

    async def test_an_answer_that_cannot_be_read_is_an_error(self, tmp_path: Path) -> None:
        index = await index_of(tmp_path, "a")
        writer = ResultWriter("batch_x", CHAT, "m", 7, index, lambda _: Answered(key_of(0), b"[1]"))
        output, errors = writer.take([b"x"])
        assert output == b""
        assert json.loads(errors)["error"]["code"] == "bad_answer"
        index.close()

    @pytest.mark.parametrize("endpoint", [CHAT, "/v1/responses"])
    async def test_what_utf8_has_no_bytes_for_takes_no_other_line_along(self, tmp_path: Path, endpoint: str) -> None:
        half = "half \ud83d"
        said: dict[bytes, LineResult] = {
            b"0": Answered(key_of(0), (TextDelta(half), Finished(Finish.LENGTH), Used(Usage(output_tokens=10**30)))),
            b"1": NotAnswered(key_of(1), "bad", half, 400, half),
            b"2": NotAnswered(key_of(2), "bad", half),
            b"3": Answered(key_of(3), (TextDelta("whole"), Finished(Finish.STOP))),
        }
        index = await index_of(tmp_path, *"abcd")
        writer = ResultWriter("batch_x", endpoint, "m", 7, index, lambda raw: said[raw])
        output, errors = writer.take(list(said))
        index.close()
        good = {line["custom_id"]: line for line in map(json.loads, output.splitlines())}
        bad = {line["custom_id"]: line for line in map(json.loads, errors.splitlines())}
        assert (good.keys(), bad.keys()) == ({"a", "d"}, {"b", "c"})
        assert half in json.dumps(good["a"], ensure_ascii=False)
        assert bad["b"]["response"]["body"]["error"]["message"] == half
        assert bad["c"]["error"]["message"] == half

    async def test_an_answer_without_end_takes_no_other_line_along(self, tmp_path: Path) -> None:
        index = await index_of(tmp_path, "a", "b")
        read = build_batches(Account("a", "anthropic", api_key="none")).read
        writer = ResultWriter("batch_x", CHAT, "m", 7, index, read)
        deep = b'{"custom_id":"m-%b","result":{"type":"succeeded","message":%b}}'
        expired = b'{"custom_id":"m-%b","result":{"type":"expired"}}'
        nested = b"[" * 100_000 + b"]" * 100_000
        output, errors = writer.take([deep % (key_of(0).encode(), nested), expired % key_of(1).encode()])
        index.close()
        assert output == b""
        assert [json.loads(one)["custom_id"] for one in errors.splitlines()] == ["b"]
        assert writer.unreadable == 1

    @given(st.binary(max_size=100))
    def test_garbage_from_a_provider_is_passed_over(self, data: bytes) -> None:
        for provider in ("openai", "mistral"):
            read = build_batches(Account("a", provider, api_key="none")).read
            try:
                read(data)
            except (ValueError, LookupError, TypeError, AttributeError):
                continue
