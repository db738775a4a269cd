"""What tests of budgets share: the local model with a price and without one, and the audit of the ledger."""

from __future__ import annotations

from typing import Any

import httpx

from tests.api.videos_kit import SMALL, Json
from tests.api.wire import sql
from tests.conftest import TEST_CONFIG, Gateway
from tests.unit.spend.books import UNBALANCED

PRICE = 0.5
"""US dollars of a second of `dear`. Its videos of a second cost as much."""
CONFIG: Json = {
    **TEST_CONFIG,
    "model_list": [
        *TEST_CONFIG["model_list"],
        *(
            {
                "model_name": name,
                "litellm_params": {"model": "local/local-video"},
                "model_info": {"mode": "video_generation", "output_cost_per_second": price},
            }
            for name, price in (("dear", PRICE), ("free", 0))
        ),
        {
            # Nobody is there; nothing may be sent.
            "model_name": "unpriced",
            "litellm_params": {
                "model": "openai_compatible/unpriced",
                "api_base": "http://127.0.0.1:9/v1",
                "api_key": "none",
                "account": "nobody",
            },
            "model_info": {"mode": "video_generation"},
        },
    ],
}
DEAR: Json = {**SMALL, "model": "dear", "prompt": "a boat"}


def ask(http: httpx.Client, headers: dict[str, str] | None = None, **fields: Any) -> httpx.Response:
    """Ask for a video of `dear`."""
    return http.post("/v1/videos", json={**DEAR, **fields}, headers=headers)


def budgets(http: httpx.Client, headers: dict[str, str]) -> dict[str, Json]:
    """The budgets of a key, by their kind."""
    return {budget["kind"]: budget for budget in http.get("/v1/spend/budgets", headers=headers).json()["data"]}


def assert_balanced(gateway: Gateway) -> None:
    """The sum of the lines is the spend: of every request, payer and window."""
    assert sql(gateway, UNBALANCED.replace("%", "%%")) == []
