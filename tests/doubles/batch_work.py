"""How a double works through a batch: step by step as it is asked, or as a test says."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Reply = Callable[[dict[str, Any]], tuple[int, dict[str, Any]]]
"""What one body is answered with: a status and a body."""


def echo_chat(body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """A chat completion, or embeddings, that tell what was asked; a body whose text has `REFUSE` is refused."""
    if "messages" not in body and "input" in body:
        return 200, {
            "object": "list",
            "model": body.get("model"),
            "data": [{"object": "embedding", "index": 0, "embedding": [0.25, -0.5]}],
            "usage": {"prompt_tokens": 4, "total_tokens": 4},
        }
    said = json.dumps(body["messages"][-1]["content"], ensure_ascii=False).strip('"')
    if "REFUSE" in said:
        return 400, {"error": {"message": "Refused.", "type": "invalid_request_error", "param": None, "code": "no"}}
    return 200, {
        "id": "chatcmpl-upstream",
        "object": "chat.completion",
        "created": 1795264000,
        "model": body.get("model", "upstream-model"),
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": f"You said: {said}", "refusal": None},
                "finish_reason": "stop",
                "logprobs": None,
            }
        ],
        "usage": {
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "total_tokens": 15,
            "prompt_tokens_details": {"cached_tokens": 2},
            "completion_tokens_details": {"reasoning_tokens": 1},
        },
    }


@dataclass
class Habits:
    """The knobs. A job is done after `polls` polls, or when `hold` is off. `end` is what becomes of it: `completed`,
    `failed`, `expired`, `cancelled`. `loses` names lines, by their place from 0, that are never answered; `undone`
    those that have no answer where it is stopped or too late. `drop_submits` breaks the connection after that many
    jobs were made, `lose_submits` before, `busy` refuses that many with 429, `lag` is for how many lists a new job
    does not show. What is named in `slow` (`files`, `submit`, `content`) is done at once and answered when it is named
    no more."""

    polls: int = 2
    hold: bool = False
    end: str = "completed"
    loses: set[int] = field(default_factory=set)
    undone: set[int] = field(default_factory=set)
    drop_submits: int = 0
    lose_submits: int = 0
    busy: int = 0
    lag: int = 0
    poll_errors: int = 0
    slow: set[str] = field(default_factory=set)
    reply: Reply = echo_chat
