"""The errors' reference: every reason from `core/errors.py`, and every finer code with what is said of it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from markdown_words import table

from mediagate.core import errors

INTRODUCTION = """# Errors

REST callers get OpenAI's envelope, `{"error": {"message", "type", "param", "code"}}`, with the header
`x-should-retry`, and `retry-after` where it is known when a retry helps. gRPC callers get the status with a
`google.rpc.ErrorInfo` (`domain` `mediagate`, `reason` as below, `metadata` with the values of the message), a
`BadRequest` that names the field, and a `RetryInfo`. Every answer has
`x-request-id`: quote it where the log has to be read.
"""
ADVICE = {
    "INVALID_REQUEST": "Change the request as the message says; `param` names the place.",
    "INVALID_FIELD": "Change the field that `param` names.",
    "UPLOAD_TRUNCATED": "Send the file again, whole: with its length, checksum or closing boundary.",
    "CHECKSUM_MISMATCH": "Read the file again, compute its SHA-256 anew, send it again.",
    "STATE_CONFLICT": "Look at the object's state first; the message says which one is needed.",
    "CONTENT_POLICY_VIOLATION": "Change the prompt or the picture. It costs nothing unless `failure.charged` says so.",
    "INVALID_API_KEY": "Send `Authorization: Bearer KEY` with a key that is neither deleted nor over.",
    "PERMISSION_DENIED": "Ask an admin for a key that may do this, or for the right on this one.",
    "STORAGE_QUOTA_EXCEEDED": "Delete files, or ask an admin for more room.",
    "NOT_FOUND": "Check the id, and that the key is the owner's.",
    "IDEMPOTENCY_IN_PROGRESS": "Send the same request again; it gets the first one's answer.",
    "TOKEN_IN_USE": "Wait as long as `retry-after` says; if the other request fails, the token is free.",
    "CHANGED_MEANWHILE": "Read the object again, decide, and send the change anew.",
    "PAYLOAD_TOO_LARGE": "Send less; large files go in parts (`/v1/uploads`). An operator may raise `limits`.",
    "UNSUPPORTED_MEDIA_TYPE": "Send `multipart/form-data` or `application/json`, as the call's section says.",
    "RANGE_NOT_SATISFIABLE": "Ask for a range inside of the content; `content-range` has its size.",
    "IDEMPOTENCY_KEY_REUSED": "Use a new key for a new request.",
    "RATE_LIMITED": "Wait as long as `retry-after` says; OpenAI's SDKs do.",
    "INSUFFICIENT_QUOTA": "Wait until the budget begins anew, which the message says, or ask an admin for more.",
    "UNSUPPORTED": "Use another provider or model for this; the message says what this one has not.",
    "INTERNAL": "Report it with the request id. Repeat what changes something only with an `Idempotency-Key`.",
    "REQUEST_TIMEOUT": "Repeat it where `x-should-retry` is true; else look first whether it took effect.",
    "UNAVAILABLE": "Try again in a moment; SDKs do so by themselves.",
    "OVERLOADED": "Try again in a second. Nothing was done.",
    "PROVIDER_REFUSED": "For the operator: check the account's credentials, and what the configuration names there.",
    "PROVIDER_FAILED": "Try again; if it goes on, look at the provider's status page.",
    "PROVIDER_TIMEOUT": "Try again later; an operator may raise the account's `timeout`.",
}


def page(root: Path) -> str:
    """The whole page. Raises `KeyError` for a reason that nobody has advice on."""
    tree = {name: kind for name, kind in vars(errors).items() if is_failure(kind)}
    rows = {}
    for kind in tree.values():
        retry = "yes" if kind.retryable else "no"
        rows.setdefault(
            (kind.http_status, kind.reason),
            (
                f"`{kind.reason}`",
                str(kind.http_status),
                f"`{kind.grpc_code}`",
                f"`{kind.openai_type}`",
                retry,
                (kind.__doc__ or "").split("\n\n")[0],
                ADVICE[kind.reason],
            ),
        )
    lines = [INTRODUCTION, "## Reasons", ""]
    head = ("reason", "HTTP", "gRPC", "type", "retry", "meaning", "what to do")
    lines += [*table(head, [rows[key] for key in sorted(rows)]), ""]
    lines += ["## Codes", "", CODES, ""]
    told = sorted({entry for path in (root / "server/mediagate").rglob("*.py") for entry in codes(path, tree)})
    merged: dict[tuple[str, str], list[str]] = {}
    for code, status, message in told:
        merged.setdefault((code, status), []).append(message)
    lines += table(
        ("code", "HTTP", "what is said"),
        [(f"`{code}`", status, said(messages)) for (code, status), messages in merged.items()],
    )
    return "\n".join(lines).rstrip("\n") + "\n"


CODES = """`code` is the reason in lower case, or a finer word. These are all finer words that the sources name, each
with one of its messages; `…` stands for what the message fills in. Words of a provider's own, for videos and batches
come beside them."""


def is_failure(kind: object) -> bool:
    """Whether this is a class of the tree with a reason."""
    return isinstance(kind, type) and issubclass(kind, errors.MediagateError) and hasattr(kind, "reason")


def codes(path: Path, tree: dict[str, type[errors.MediagateError]]) -> Iterator[tuple[str, str, str]]:
    """Code, status and message of each failure that a source file makes with a code of its own."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.func.id not in tree:
            continue
        for keyword in node.keywords:
            if keyword.arg == "code" and isinstance(keyword.value, ast.Constant) and node.args:
                yield str(keyword.value.value), str(tree[node.func.id].http_status), text_of(node.args[0])


def text_of(node: ast.expr) -> str:
    """A message as its source has it, with `…` for what is filled in."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(part) if isinstance(part, ast.Constant) else "…" for part in node.values)
    if isinstance(node, ast.BinOp):
        return text_of(node.left) + text_of(node.right)
    return "…"


def said(messages: list[str]) -> str:
    """The message that tells most by itself."""
    return max(messages, key=lambda message: (len(message.replace("…", "")), message))
