"""What guardrails say of a request for a video, before anything is written down or paid for."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from mediagate.core.errors import InvalidField, Unavailable
from mediagate.core.guardrails import IMAGE_BYTES_MAX, IMAGE_TYPES, Picture, Stage, Subject
from mediagate.core.limits import echo
from mediagate.core.objects import File, Principal
from mediagate.files.open_content import OpenContent
from mediagate.files.spool import Spool
from mediagate.guardrails.ask import refusal
from mediagate.guardrails.check_picture import CheckPicture
from mediagate.guardrails.check_text import CheckText
from mediagate.guardrails.rules import Guardrails
from mediagate.media.containers import BadVideo
from mediagate.media.tools import NotLookedInto, VideoTools
from mediagate.videos.plan_video import VideoDraft

# What is held of pictures is bounded by this.
AT_ONCE: Final = 4
READ_S_MAX: Final = 30.0
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
    open_file: OpenContent
    tools: VideoTools
    spool_dir: Path
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

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
            async with self._slots:
                picture = await self._picture(who, draft.image_file_id)
                about = Subject(Stage.IMAGE, *_of(subject))
                outcome = await CheckPicture(self.guardrails.outcomes).run(pictures, about, picture)
            if outcome is not None:
                raise refusal(outcome, "input_reference")
        return names or None

    async def _picture(self, who: Principal, file_id: str) -> Picture | None:
        """The picture as guardrails take it; None for one that no program can show. Raises `Unavailable` where it
        cannot be read now."""
        try:
            async with asyncio.timeout(READ_S_MAX):
                file = await self.open_file.get_file.run(who, file_id)
                return await self._read(file)
        except BadVideo:
            return None
        except (OSError, NotLookedInto) as error:
            raise Unavailable(
                "The content of 'input_reference' cannot be read at the moment. Try again later.",
                param="input_reference",
            ) from error

    async def _read(self, file: File) -> Picture:
        content = await self.open_file.of(file)
        if file.content_type in IMAGE_TYPES and file.size_bytes <= IMAGE_BYTES_MAX:
            data = b"".join([chunk async for chunk in content.read(0, content.size_bytes)])
            if len(data) != file.size_bytes:
                raise OSError(f"{len(data)} of {file.size_bytes} bytes came")
            return Picture(data, file.content_type)
        spool = Spool(self.spool_dir)
        try:
            async for chunk in content.read(0, content.size_bytes):
                await spool.write(chunk)
            return Picture(await self.tools.shrink(spool.fileno()), "image/jpeg")
        finally:
            spool.close()


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
