"""What guardrails say of a request for a video, before anything is written down or paid for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from mediagate.core.errors import InvalidField
from mediagate.core.guardrails import Picture, Stage, Subject
from mediagate.core.limits import echo
from mediagate.core.objects import Principal
from mediagate.files.get_file import GetFile
from mediagate.files.read_picture import ReadPicture
from mediagate.guardrails.ask import refusal
from mediagate.guardrails.check_picture import CheckPicture
from mediagate.guardrails.check_text import CheckText
from mediagate.guardrails.rules import Guardrails
from mediagate.videos.plan_video import VideoDraft

_ADDRESS: Final = re.compile(r"\s*(?:[a-z][a-z0-9+.-]*://|data:)", re.IGNORECASE)
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_=\s-]{512,}\Z")


class GuardsRequests(Protocol):
    """What `StartVideo` wants of `GuardRequest`."""

    async def run(self, who: Principal, draft: VideoDraft, model: str, video_id: str) -> Sequence[str] | None:
        """See `GuardRequest.run`."""
        ...


class NoGuard:
    """Lets everything pass."""

    async def run(self, who: Principal, draft: VideoDraft, model: str, video_id: str) -> Sequence[str] | None:
        """None."""
        return None


@dataclass(frozen=True, slots=True)
class GuardRequest:
    """Checks the texts of a request, and the picture that it starts from."""

    guardrails: Guardrails
    get_file: GetFile
    read_picture: ReadPicture

    async def run(self, who: Principal, draft: VideoDraft, model: str, video_id: str) -> Sequence[str] | None:
        """The names that policies and the request have added, for whoever looks at the finished video; None for none.

        Raises `ContentPolicyViolation` for what may not pass, `Unavailable` where that cannot be found out and may not
        be left open, `ProviderRefused` for a name in a policy that is none, `InvalidField` for one in the request.
        """
        names = tuple(dict.fromkeys((*self.guardrails.of_policies(who), *self.guardrails.asked_for(draft.guardrails))))
        models = tuple(dict.fromkeys((model, draft.model or model)))
        subject = Subject(
            Stage.PROMPT,
            model=model,
            key_id=who.key_id or "",
            user_id=who.user_id or "",
            team_id=who.team_id or "",
            end_user=who.end_user or draft.end_user or "",
            object_id=video_id,
        )
        texts = self.guardrails.chain(Stage.PROMPT, models=models, names=names)
        pictures = self.guardrails.chain(Stage.IMAGE, models=models, names=names)
        if pictures:
            _require_no_media(draft.extra)
        if texts:
            # A provider reads more than the prompt: what shall not be seen, a style, a script.
            said = "\n".join([draft.prompt, *(text for _, text in _texts(draft.extra))])
            await CheckText(self.guardrails.outcomes).run(texts, subject, said, param="prompt")
        if pictures and draft.image_file_id is not None:
            async with self.read_picture.slots:
                picture = await self._picture(who, draft.image_file_id)
                about = Subject(Stage.IMAGE, *_of(subject))
                outcome = await CheckPicture(self.guardrails.outcomes).run(pictures, about, picture)
            if outcome is not None:
                raise refusal(outcome, "input_reference")
        return names or None

    async def _picture(self, who: Principal, file_id: str) -> Picture | None:
        file = await self.get_file.run(who, file_id)
        return await self.read_picture.of_file(file, "input_reference")


def _of(subject: Subject) -> tuple[str, ...]:
    return (
        subject.model,
        subject.key_id,
        subject.user_id,
        subject.team_id,
        subject.end_user,
        subject.object_id,
    )


def _require_no_media(extra: Mapping[str, Any]) -> None:
    """Where pictures are looked at, none may come past those who look. Raises `InvalidField`."""
    for name, text in _texts(extra):
        if _ADDRESS.match(text) or _BASE64.match(text):
            shown = echo(name)
            raise InvalidField(
                f"'{shown}' holds or names media, which guardrails have to see. Give a picture as 'input_reference'.",
                param=shown,
            )


def _texts(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Every text at any depth, with the name of the member that it is in."""
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, Mapping):
        for key, member in value.items():
            yield from _texts(member, key)
    elif isinstance(value, list):
        for member in value:
            yield from _texts(member, name)
