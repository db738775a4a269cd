"""Write server/mediagate/pricing/litellm.json: the prices of videos in the price list that a litellm wheel carries.

pip download --no-deps litellm && python tools/prices.py litellm-*.whl
"""

from __future__ import annotations

import argparse
import datetime
import json
import re
import sys
import zipfile
from decimal import Decimal
from pathlib import Path
from typing import Any

from mediagate.pricing.rates import rates_in
from mediagate.providers.registry import VIDEO_PROVIDERS

TARGET = Path(__file__).parent.parent / "server/mediagate/pricing/litellm.json"
LIST = "litellm/model_prices_and_context_window_backup.json"
LICENCE = "MIT, Copyright (c) 2023 Berri AI"
# Where the list has another name for a provider.
PREFIXES = {**{name: name for name in VIDEO_PROVIDERS}, "fal_ai": "fal"}


def models(prices: dict[str, dict[str, Any]]) -> dict[str, dict[str, Decimal]]:
    """The rates of every video model of a provider that mediagate has, by `provider/model`."""
    found = {}
    for name, entry in prices.items():
        prefix, _, model = name.partition("/")
        rates = rates_in(entry) if entry.get("mode") == "video_generation" else {}
        if rates and model and prefix in PREFIXES:
            found[f"{PREFIXES[prefix]}/{model}"] = rates
    return dict(sorted(found.items()))


def text(section: dict[str, Any], found: dict[str, dict[str, Decimal]]) -> str:
    """The file: one line a rate, so that a change of a price is a change of a line."""
    head = [f"    {json.dumps(key)}: {json.dumps(value)}," for key, value in section.items()]
    lines = [f"      {json.dumps(name)}: {{\n{members(rates)}\n      }}" for name, rates in found.items()]
    return "\n".join(["[", "  {", *head, '    "models": {', ",\n".join(lines), "    }", "  }", "]", ""])


def members(rates: dict[str, Decimal]) -> str:
    """The rates of one model, as exact as the wheel has them."""
    return ",\n".join(f"        {json.dumps(key)}: {rate}" for key, rate in sorted(rates.items()))


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
    source = f"https://pypi.org/project/litellm/{version[1]}/ {LIST}"
    TARGET.write_text(text({"source": source, "licence": LICENCE, "date": chosen.date}, models(prices)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
