"""What the page about webhooks tells a reader to paste works as it is printed: only ports and the URL are put in."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.api.videos_kit import SMALL
from tests.api.webhooks_kit import delivery
from tests.api.wire import eventually
from tests.conftest import MEDIA_PORT, Gateway

PAGE = Path(__file__).parent.parent.parent / "docs" / "webhooks.md"


@pytest.fixture(scope="module")
def snippets(gateway: Gateway) -> list[str]:
    """The Python on the page, for this gateway and a port where it may post."""
    found = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(found) == 2
    return [
        text.replace("127.0.0.1:4000", f"127.0.0.1:{gateway.port}")
        .replace("https://app.example/hooks", f"http://127.0.0.1:{MEDIA_PORT}/hooks")
        .replace("8000", str(MEDIA_PORT))
        for text in found
    ]


@pytest.fixture
def endpoint(gateway: Gateway, snippets: list[str], http: httpx.Client) -> Iterator[tuple[str, str]]:
    """Id and secret of the endpoint that the first snippet makes."""
    done = subprocess.run(
        [sys.executable, "-c", snippets[0]],
        env={"MEDIAGATE_KEY": gateway.key},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    endpoint_id, secret = done.stdout.split()
    yield endpoint_id, secret
    http.delete(f"/v1/webhook_endpoints/{endpoint_id}")


def listens() -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", MEDIA_PORT)) == 0


def test_the_receiver_on_the_page_verifies_and_fetches(
    gateway: Gateway, snippets: list[str], endpoint: tuple[str, str], http: httpx.Client, tmp_path: Path
) -> None:
    endpoint_id, secret = endpoint
    receiver = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", snippets[1]],
        env={"MEDIAGATE_KEY": gateway.key, "OPENAI_WEBHOOK_SECRET": secret},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    watchdog = threading.Timer(60, receiver.kill)
    watchdog.start()
    try:
        # Whom nobody hears at the first attempt hears of it minutes later.
        eventually(listens, "the receiver listens")
        with gateway.openai() as sdk:
            video = sdk.videos.create(**SMALL, prompt="A boat")
        assert receiver.stdout is not None
        assert receiver.stdout.readline() == f"video.completed {video.id}\n"
        assert delivery(http, endpoint_id, "delivered")["data_id"] == video.id
        assert (tmp_path / "boat.mp4").read_bytes()[4:8] == b"ftyp"
        forged = {"webhook-id": "evt_1", "webhook-timestamp": "1", "webhook-signature": "v1,AAAA"}
        for headers in (forged, {}):
            answer = httpx.post(f"http://127.0.0.1:{MEDIA_PORT}/hooks", content=b"{}", headers=headers)
            assert answer.status_code == 400
    finally:
        watchdog.cancel()
        receiver.kill()
        receiver.communicate()
