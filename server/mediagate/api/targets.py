"""Where a request says that a file is or goes, outside its body: in its path, a header, or its query."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote

from mediagate.api.content import Asked
from mediagate.api.paths import ORIGINAL_PATH
from mediagate.routing.stores import FileStores
from mediagate.routing.targets import PROVIDER_FIELD, Named

HEADER = "custom-llm-provider"
_PATH = re.compile(r"/([^/?]+)/v1/(?:files|batches)(?:/.*)?")
_AZURE_PREFIX = "openai"


@dataclass(frozen=True, slots=True)
class TargetReader:
    """Reads what a request names."""

    stores: FileStores

    def read(self, call: Asked) -> Named:
        """`/openai/v1/files` names OpenAI where there is an account of it, but not from a client of Azure's, which
        tells itself by `api-key` or `api-version`: those put `/openai/v1` before every path."""
        path, _, query = (call.header(ORIGINAL_PATH) or "").partition("?")
        members = parse_qs(query) if query else {}
        match = _PATH.fullmatch(path)
        provider = unquote(match[1]) if match is not None else None
        if provider == _AZURE_PREFIX:
            azure = call.header("api-key") is not None or "api-version" in members
            if azure or self.stores.named(provider) is None:
                provider = None
        return Named(provider, call.header(HEADER), members.get(PROVIDER_FIELD, [None])[0])
