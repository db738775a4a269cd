"""`mediagate chat`: ask a model, about files too."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Annotated, Any, Final

import typer

from mediagate_client._errors import LocalFileError, MediagateError, api_error, reason_of
from mediagate_client.cli import complete, show
from mediagate_client.cli.options import single
from mediagate_client.cli.shell import Shell, as_json
from mediagate_client.cli.transfers import STDIN

# What is uploaded for one question goes by itself where nobody is left to remove it.
KEPT_S: Final = 86400
PATH: Final = "/v1/chat/completions"


def chat(
    shell: Shell,
    prompt: Annotated[
        str | None, typer.Argument(metavar="PROMPT", help="The question; `-`, or none with a pipe, is stdin.")
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="Which model is asked.", autocompletion=complete.models)
    ] = None,
    file: Annotated[
        list[str] | None,
        typer.Option(
            "--file",
            "-f",
            metavar="FILE",
            help="A path, or the id of a file; repeat it.",
            autocompletion=complete.files,
        ),
    ] = None,
    system: Annotated[str | None, typer.Option("--system", help="What the model is told before.")] = None,
    max_tokens: Annotated[int | None, typer.Option("--max-tokens", min=1, help="The longest answer.")] = None,
    temperature: Annotated[float | None, typer.Option("--temperature", help="0 is sober.")] = None,
    stream: Annotated[bool, typer.Option("--stream/--no-stream", help="Show the answer while it comes.")] = True,
    keep: Annotated[bool, typer.Option("--keep", help="Keep what is uploaded, for other questions.")] = False,
) -> None:
    """Ask a model. The answer goes to stdout as it comes.

    A path given with -f is uploaded for this question and deleted behind it; --keep keeps it, and says its id.
    """
    if not model:
        raise typer.BadParameter("Name the model; `mediagate models ls` lists them.", param_hint="--model")
    text = _text(prompt)
    with _files(shell, file or [], keep=keep) as ids:
        content: Any = text
        if ids:
            content = [{"type": "text", "text": text}, *({"type": "file", "file": {"file_id": one}} for one in ids)]
        messages = [{"role": "system", "content": system}] if system else []
        body = {
            "model": model,
            "messages": [*messages, {"role": "user", "content": content}],
            "max_tokens": max_tokens,
            "temperature": temperature,
        }
        body = {name: value for name, value in body.items() if value is not None}
        if stream:
            _stream(shell, {**body, "stream": True, "stream_options": {"include_usage": True}})
        else:
            answer = shell.rest.post(PATH, body)
            shell.answer(answer, lambda: [_shown(answer["choices"][0]["message"].get("content") or "")])
            _used(shell, answer.get("usage"))


def _text(prompt: str | None) -> str:
    if prompt is None and sys.stdin.isatty():
        raise typer.BadParameter("Ask something: mediagate chat -m MODEL PROMPT.", param_hint="PROMPT")
    text = sys.stdin.read() if prompt in (None, STDIN) else prompt
    if not text or not text.strip():
        raise typer.BadParameter("The question is empty.", param_hint="PROMPT")
    return text


@contextmanager
def _files(shell: Shell, given: list[str], *, keep: bool) -> Iterator[list[str]]:
    """The ids of the files; those that are only here are uploaded, and deleted behind the question."""
    ids: list[str] = []
    made: list[str] = []
    try:
        with shell.bars() as bars:
            for one in given:
                path = os.path.expanduser(one)
                if one.startswith("file-") and not os.path.exists(path):
                    ids.append(one)
                    continue
                if os.path.isdir(path):
                    raise LocalFileError(f"{one!r} is a folder; name the files in it.", reason="IS_A_FOLDER")
                told = bars.of(os.path.basename(path))
                stored = shell.client.files.upload(
                    path, purpose="user_data", expires_after_s=None if keep else KEPT_S, on_progress=told
                )
                ids.append(stored.id)
                made.append(stored.id)
                if keep:
                    shell.note(f"{one} is kept as {stored.id}.")
        yield ids
    finally:
        for id_ in () if keep else made:
            with suppress(MediagateError):
                shell.client.files.delete(id_)


def _stream(shell: Shell, body: dict[str, Any]) -> None:
    usage, written = None, ""
    try:
        for data in shell.rest.events(PATH, body):
            if data == "[DONE]":
                break
            chunk = json.loads(data)
            if chunk.get("error"):
                raise _failure(chunk["error"])
            usage = chunk.get("usage") or usage
            if shell.json:
                print(as_json(chunk), flush=True)
                continue
            for choice in chunk.get("choices") or ():
                piece = choice.get("delta", {}).get("content")
                if piece:
                    written = piece
                    sys.stdout.write(_shown(piece))
                    sys.stdout.flush()
    finally:
        if written and not written.endswith("\n"):
            print()
    _used(shell, usage)


def _shown(text: str) -> str:
    return show.harmless(text) if sys.stdout.isatty() else text


def _failure(error: dict[str, Any]) -> MediagateError:
    """What breaks a stream off is in it, with the code that an answer would have had."""
    code = error.get("code")
    status = code if isinstance(code, int) else 502
    named = code if isinstance(code, str) else None
    return api_error(
        f"The answer broke off: {error.get('message', 'nobody said why')}",
        reason=reason_of(status, named, error.get("param")),
        http_status=status,
        code=named,
    )


def _used(shell: Shell, usage: dict[str, Any] | None) -> None:
    if not usage or not sys.stderr.isatty():
        return
    cost = usage.get("cost")
    tokens = f"{usage.get('prompt_tokens', 0)} tokens in, {usage.get('completion_tokens', 0)} out"
    shell.note(tokens + (f", {show.dollars(cost)}" if isinstance(cost, (int, float)) else ""))


app = single("chat", chat)
