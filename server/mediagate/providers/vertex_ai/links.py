"""URLs of objects that carry their own signature, as Google Cloud Storage reads them (V4, RSA).

https://cloud.google.com/storage/docs/authentication/canonical-requests
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final
from urllib.parse import quote, urlencode, urlsplit

from mediagate.providers.vertex_ai.objects import Place

_ALGORITHM: Final = "GOOG4-RSA-SHA256"
LIFE_S_MAX: Final = 7 * 86_400

Sign = Callable[[bytes], Awaitable[bytes]]


async def signed_url(base_url: str, place: Place, email: str, sign: Sign, *, now: datetime, life_s: int) -> str:
    """A URL for GET, from `now`, which is in UTC. `email` is the service account whose key signs."""
    moment = now.strftime("%Y%m%dT%H%M%SZ")
    scope = f"{moment[:8]}/auto/storage/goog4_request"
    query = urlencode(
        {
            "X-Goog-Algorithm": _ALGORITHM,
            "X-Goog-Credential": f"{email}/{scope}",
            "X-Goog-Date": moment,
            "X-Goog-Expires": str(max(1, min(life_s, LIFE_S_MAX))),
            "X-Goog-SignedHeaders": "host",
        },
        quote_via=quote,
        safe="",
    )
    path = f"/{place.bucket}/{quote(place.name, safe='/~')}"
    request = f"GET\n{path}\n{query}\nhost:{urlsplit(base_url).netloc}\n\nhost\nUNSIGNED-PAYLOAD"
    digest = hashlib.sha256(request.encode()).hexdigest()
    signature = await sign(f"{_ALGORITHM}\n{moment}\n{scope}\n{digest}".encode())
    return f"{base_url}{path}?{query}&X-Goog-Signature={signature.hex()}"
