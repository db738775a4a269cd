"""The section `guardrails`, in the shape of the peer's. Its keys are strict all the same: a guardrail with a mistyped
key would be one that does not run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, SecretStr, field_validator, model_validator

from mediagate.config_sections import MIB, ModelEntry, Strict
from mediagate.core.access import allows

PATTERNS: Final = "patterns"
OPENAI_MODERATION: Final = "openai_moderation"
GRPC: Final = "grpc"
KINDS: Final = (PATTERNS, OPENAI_MODERATION, GRPC)
PROMPT, IMAGE, THUMBNAIL, TEXT_FILE, ANSWER = "prompt", "image", "thumbnail", "text_file", "answer"
_TEXTS: Final = (PROMPT, TEXT_FILE, ANSWER)
# The peer's words for when a guardrail runs. Beside the call is as good as before it: nothing is made until it passed.
_MODES: Final = {"pre_call": (PROMPT, IMAGE), "during_call": (PROMPT, IMAGE), "post_call": (THUMBNAIL, ANSWER)}
_KEYS_OF: Final = {
    PATTERNS: ("words", "patterns"),
    OPENAI_MODERATION: ("api_key", "api_base", "model", "categories", "thresholds"),
    GRPC: ("address", "tls", "ca_file", "api_key"),
}


def _pattern(source: str) -> str:
    # Only here: the shell and the supervisor read a configuration too, and most have no patterns.
    from mediagate.guardrails.patterns import compile_pattern

    compile_pattern(source)
    return source


def _word(word: str) -> str:
    from mediagate.guardrails.patterns import check_word

    return check_word(word)


class GuardrailParams(Strict):
    """What a guardrail is, when it runs, and what follows."""

    guardrail: str = Field(description="Kind: `patterns`, `openai_moderation`, or `grpc` for one of your own.")
    mode: str | list[str] | None = Field(
        default=None,
        description="The peer's way to say `on`: `pre_call` (prompt, image), `post_call` (thumbnail, "
        "answer). Default: "
        "pre_call.",
    )
    on: list[Literal["prompt", "image", "thumbnail", "text_file", "answer"]] | None = Field(
        default=None, min_length=1, description="What it looks at. Default: what `mode` says."
    )
    default_on: bool | None = Field(
        default=None,
        description="Run it for every key. Default: false, for keys, models and requests that name it; true where "
        "`models` is given.",
    )
    models: list[Annotated[str, Field(min_length=1)]] | None = Field(
        default=None, min_length=1, description="Public models it looks at; a name may end in `*`. Default: all."
    )
    on_error: Literal["block", "allow"] = Field(
        default="block", description="What happens to content that could not be judged: fail closed, or open."
    )
    timeout_s: float = Field(default=10, gt=0, le=30, description="A guardrail that has not answered by then fails, s.")
    file_bytes_max: int = Field(
        default=16 * MIB,
        gt=0,
        description="Of a text file so much is read, bytes; larger ones are as `on_oversize` says.",
    )
    on_oversize: Literal["block", "allow"] = Field(
        default="block", description="What happens to text files with more than `file_bytes_max`, once that is checked."
    )
    on_stream: Literal["window", "buffer", "pass"] = Field(
        default="window",
        description="`answer`: a stream goes out piece by piece as it is judged, or once all of it is, or unjudged.",
    )
    words: list[Annotated[str, AfterValidator(_word)]] = Field(
        default=[], description="`patterns`: words and phrases that are blocked where they stand by themselves."
    )
    patterns: list[Annotated[str, AfterValidator(_pattern)]] = Field(
        default=[],
        description="`patterns`: regular expressions of RE2, without case, that are blocked wherever they match.",
    )
    api_key: SecretStr | None = Field(
        default=None,
        description="`openai_moderation`: the key, default OPENAI_API_KEY where `api_base` is not given. `grpc`: sent "
        "as `authorization: Bearer`.",
    )
    api_base: str | None = Field(
        default=None,
        pattern=r"^https?://[^/?#\s]+(/[^?#\s]*)?$",
        description="`openai_moderation`: the endpoint without `/moderations`. Default: OpenAI's.",
    )
    model: str = Field(
        default="omni-moderation-latest", min_length=1, description="`openai_moderation`: the moderation model."
    )
    categories: list[str] | None = Field(
        default=None, min_length=1, description="`openai_moderation`: categories that count. Default: all."
    )
    thresholds: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(
        default={},
        description="`openai_moderation`: score from which on a category counts, in place of the endpoint's flag.",
    )
    address: str | None = Field(
        default=None,
        pattern=r"^(unix:.+|(dns:///)?[^/\s:]+:\d{1,5}|\[[0-9a-fA-F:]+\]:\d{1,5})$",
        description="`grpc`: where your GuardrailService listens: `host:port`, or `unix:/path`.",
    )
    tls: bool = Field(default=False, description="`grpc`: speak TLS.")
    ca_file: Path | None = Field(
        default=None, description="`grpc`: PEM file with the authorities to trust. Default: the machine's."
    )

    @field_validator("guardrail")
    @classmethod
    def _known(cls, kind: str) -> str:
        if kind not in KINDS:
            raise ValueError(
                f"'{kind}' is none of {', '.join(KINDS)}, and would check nothing; what another product checks can be "
                "called from a 'grpc' guardrail of your own"
            )
        return kind

    @field_validator("mode")
    @classmethod
    def _peers_mode(cls, mode: str | list[str] | None) -> str | list[str] | None:
        for name in [mode] if isinstance(mode, str) else mode or []:
            if name not in _MODES:
                raise ValueError(f"'{name}' is none of {', '.join(_MODES)}")
        if mode == []:
            raise ValueError("is empty")
        return mode

    @field_validator("ca_file")
    @classmethod
    def _readable(cls, path: Path | None) -> Path | None:
        if path is not None and not path.is_file():
            raise ValueError(f"{path} is no file")
        return path

    @model_validator(mode="after")
    def _consistent(self) -> GuardrailParams:
        for complaint in self._complaints():
            raise ValueError(complaint)
        return self

    def _complaints(self) -> Iterator[str]:
        own = _KEYS_OF[self.guardrail]
        others = {key for keys in _KEYS_OF.values() for key in keys} - set(own)
        for key in sorted(others & self.model_fields_set):
            yield f"'{key}' is no key of a guardrail of kind '{self.guardrail}', which has {', '.join(own)}"
        if self.guardrail == PATTERNS and not (self.words or self.patterns):
            yield "needs 'words' or 'patterns'"
        if self.guardrail == GRPC and self.address is None:
            yield "needs 'address'"
        if self.ca_file is not None and not self.tls:
            yield "'ca_file' is for 'tls: true'"
        if self.guardrail == PATTERNS:
            unread = [stage for stage in (self.on or ()) if stage not in _TEXTS]
            if unread or not self.stages:
                shown = ", ".join(unread) or THUMBNAIL
                yield f"patterns read text alone: 'on' may have {', '.join(_TEXTS)}, not {shown}"
        if self.models is not None and TEXT_FILE in self.stages:
            yield "'models' leaves out every text_file, since a file is for no model; use two guardrails"

    @property
    def stages(self) -> tuple[str, ...]:
        """What it looks at."""
        if self.on is not None:
            return tuple(dict.fromkeys(self.on))
        modes = [self.mode] if isinstance(self.mode, str) else self.mode or ["pre_call"]
        found = dict.fromkeys(stage for mode in modes for stage in _MODES[mode])
        return tuple(stage for stage in found if self.guardrail != PATTERNS or stage in _TEXTS)

    @property
    def runs_by_default(self) -> bool:
        """Whether it runs where nobody names it."""
        return self.models is not None if self.default_on is None else self.default_on


class GuardrailEntry(Strict):
    """One guardrail. Content passes if it passes all that look at it."""

    guardrail_name: str = Field(
        min_length=1,
        max_length=64,
        pattern=r"^[A-Za-z0-9._-]+$",
        description="Its name, by which policies name it and by which callers are told.",
    )
    litellm_params: GuardrailParams
    guardrail_info: dict[str, Any] = Field(default_factory=dict, description="Free notes.")


def guardrail_complaints(entries: Sequence[GuardrailEntry], models: Sequence[ModelEntry]) -> Iterator[str]:
    """What is wrong between the guardrails and the models, each with its key path."""
    first: dict[str, int] = {}
    for index, entry in enumerate(entries):
        name = entry.guardrail_name
        if name in first:
            yield f"guardrails[{index}].guardrail_name: '{name}' is the name of guardrails[{first[name]}] already"
        first.setdefault(name, index)
    for index, model in enumerate(models):
        for number, name in enumerate(model.litellm_params.guardrails):
            if name not in first:
                yield f"model_list[{index}].litellm_params.guardrails[{number}]: there is no guardrail '{name}'"


def guardrail_warnings(entries: Sequence[GuardrailEntry], models: Sequence[ModelEntry]) -> Iterator[str]:
    """Models that a guardrail names and nobody serves."""
    names = [model.model_name for model in models]
    for index, entry in enumerate(entries):
        for number, pattern in enumerate(entry.litellm_params.models or ()):
            if not any(allows((pattern,), name) for name in names):
                yield f"guardrails[{index}].litellm_params.models[{number}]: no model has the name '{pattern}'"
