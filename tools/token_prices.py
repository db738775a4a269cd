"""Write server/mediagate/pricing/tokens.tsv: the prices of chat models in the price list that a litellm wheel carries.

pip download --no-deps litellm && python tools/token_prices.py litellm-*.whl
"""

from __future__ import annotations

import argparse
import datetime
import json
import re
import sys
import zipfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from mediagate.pricing.token_rates import GRADES, KINDS, OUTPUT, REASONING, Rates, token_rates_in

TARGET = Path(__file__).parent.parent / "server/mediagate/pricing/tokens.tsv"
LIST = "litellm/model_prices_and_context_window_backup.json"
LICENCE = "MIT, Copyright (c) 2023 Berri AI"
MODES = ("chat", "responses", "completion")
# The list's names of providers, each with ours. Vertex AI has one for every maker of models.
PROVIDERS = {
    **{name: name for name in ("openai", "azure", "gemini", "anthropic", "mistral", "xai", "openrouter", "bedrock")},
    "bedrock_converse": "bedrock",
    "azure_text": "azure",
}
WINDOW, ANSWER = "max_input_tokens", "max_output_tokens"


def name_of(name: str, listed: str) -> str | None:
    """`provider/model` as mediagate has it; None for a model of a provider that it does not have."""
    provider = "vertex_ai" if listed.partition("-")[0] == "vertex_ai" else PROVIDERS.get(listed)
    if provider is None or "commitment/" in name:
        # What is paid by the month has no price of a token.
        return None
    return f"{provider}/{name.removeprefix(f'{provider}/')}"


def models(prices: dict[str, dict[str, Any]]) -> dict[str, str]:
    """The lines of every chat model of a provider that mediagate has, by `provider/model`."""
    found = {}
    for name, entry in prices.items():
        key = name_of(name, str(entry.get("litellm_provider"))) if entry.get("mode") in MODES else None
        rates = None if key is None else token_rates_in(entry)
        if key is not None and rates is not None:
            sizes = [size(entry.get(ANSWER if kind == ANSWER else WINDOW)) for kind in (WINDOW, ANSWER)]
            lines = ["\t".join([key, *sizes]).rstrip(), *rows(rates.levels)]
            found[key] = "\n".join(lines)
    return dict(sorted(found.items()))


def size(value: object) -> str:
    """A number of tokens; empty for what is none."""
    text = str(value) if isinstance(value, (int, Decimal, str)) and not isinstance(value, bool) else ""
    return text if text.isdigit() and int(text) else ""


def rows(levels: Rates) -> Iterator[str]:
    """One line for each grade of service and size of request. What costs the same as the plain kind is left out."""
    for level in sorted(levels, key=lambda one: (GRADES.index(one[0]), one[1])):
        grade, above = level
        kept = dict(levels[level])
        if kept.get(REASONING) == kept.get(OUTPUT):
            kept.pop(REASONING, None)
        numbers = [plain(kept[kind]) if kind in kept else "" for kind in KINDS]
        yield "\t".join(["", grade, str(above or ""), *numbers]).rstrip()


def plain(rate: Decimal) -> str:
    """A rate in as few characters as are exact."""
    return f"{rate.normalize():f}"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--date", default=datetime.datetime.now(datetime.UTC).date().isoformat(), help="default: today")
    chosen = parser.parse_args(arguments)
    version = re.match(r"litellm-([0-9][^-]*)-", chosen.wheel.name)
    if version is None:
        parser.error("the file should be a litellm wheel, such as litellm-1.109.1-py3-none-any.whl")
    with zipfile.ZipFile(chosen.wheel) as wheel:
        prices = json.loads(wheel.read(LIST), parse_float=Decimal)
    head = [
        f"# source\thttps://pypi.org/project/litellm/{version[1]}/ {LIST}",
        f"# licence\t{LICENCE}",
        f"# date\t{chosen.date}",
        f"# model\t{WINDOW}\t{ANSWER}",
        "# US dollars for a million tokens\tgrade\tabove\t" + "\t".join(KINDS),
    ]
    TARGET.write_text("\n".join([*head, *models(prices).values(), ""]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
