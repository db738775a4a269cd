"""What an interaction can say, for the benches of the providers that have the Omni models."""

from __future__ import annotations

from collections.abc import Mapping

from mediagate.providers.base import JobState
from tests.contract.video_bench import Details, Said
from tests.doubles.interactions import Interaction

WORDS: Mapping[str, JobState] = {
    "queued": JobState.QUEUED,
    "in_progress": JobState.RENDERING,
    "completed": JobState.SUCCEEDED,
    "failed": JobState.FAILED,
    "cancelled": JobState.CANCELLED,
    "incomplete": JobState.FAILED,
    "budget_exceeded": JobState.FAILED,
    "requires_action": JobState.FAILED,
    "requires_continuation": JobState.FAILED,
}
TEXT = {"type": "text", "text": "I cannot make this video."}


def say(found: Interaction, said: Said, details: Details) -> None:
    """Have an interaction say it from now on."""
    found.content, found.more = [], {}
    after = details.get("poll_after_s")
    found.headers = {} if after is None else {"retry-after": str(int(after))}
    error = {"code": 13, "message": details.get("reason", "")}
    match said:
        case Said.QUEUED:
            found.status = "queued"
        case Said.RENDERING:
            found.status = "in_progress"
        case Said.FAILED:
            found.status, found.more = "failed", {"errors": [{"code": "INTERNAL", "message": details.get("reason")}]}
        case Said.CANCELLED:
            found.status = "cancelled"
        case Said.MODERATED:
            found.status, found.content = "completed", [TEXT]
        case Said.WITH_ERROR:
            found.status = "completed"
            found.more = {"steps": [{"type": "model_output", "content": [], "error": error}]}
        case Said.WORD:
            found.status = details["word"]
        case _:
            found.status = "completed"
