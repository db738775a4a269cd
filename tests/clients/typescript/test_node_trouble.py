"""What can be wrong between Node and the gateway: each has its error, and leaves nothing half-done."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.clients.lines import cutting, over_tls
from tests.clients.typescript.package import Package
from tests.clients.typescript.test_node_files import BEGIN
from tests.conftest import Gateway, free_port

MIB = 1 << 20
# What a failure says of itself.
CAUGHT = """
const caught = (promise) => promise.then(() => "nothing was thrown", (error) => ({
  name: error.name, reason: error.reason, code: error.code, retryable: error.retryable, message: error.message,
  request: error.requestId, status: error.httpStatus, advice: error.whatToDo, param: error.param }));
"""


def only(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_refusals_carry_what_the_gateway_knows(gateway: Gateway, package: Package, tmp_path: Path) -> None:
    (tmp_path / "large.bin").write_bytes(bytes(20 * MIB))
    told = package.told(
        gateway,
        BEGIN
        + CAUGHT
        + """
        const stranger = new Client({ key: "sk-nobody" });
        const after = new Client({ headers: { "x-mediagate-user": "Zoë ☃" } });
        const file = await after.files.upload(new Uint8Array(3), { filename: "zoe" });
        say({
          gone: await caught(client.files.get("file-nobody-has")),
          gone_content: await caught(client.files.content("file-nobody-has")),
          gone_watch: await caught(client.videos.watch("video_nobody").next()),
          stranger: await caught(stranger.files.list()),
          stranger_upload: await caught(stranger.files.upload("large.bin")),
          purpose: await caught(client.files.upload(new Uint8Array(3), { purpose: "wishes" })),
          provider: await caught(client.files.upload("large.bin", { to: "nowhere" })),
          range: await caught(client.files.content(file.id, { offset: 99 })),
          user: file.mediagate.user,
        });
        """,
        tmp_path,
    )

    def of(name: str) -> dict[str, object]:
        said = told[name]
        assert isinstance(said, dict), (name, said)
        return said

    for name in ("gone", "gone_content", "gone_watch"):
        assert (of(name)["name"], of(name)["reason"], of(name)["status"]) == ("NotFound", "NOT_FOUND", 404)
        assert of(name)["request"]
        assert str(of(name)["request"]) in str(of(name)["message"])
    assert "Check the id" in str(of("gone")["message"])
    for name in ("stranger", "stranger_upload"):
        assert (of(name)["name"], of(name)["retryable"]) == ("AuthenticationFailed", False)
        assert "MEDIAGATE_API_KEY" in str(of(name)["message"])
    assert (of("purpose")["name"], of("purpose")["param"]) == ("InvalidRequest", "metadata.purpose")
    assert of("provider")["name"] == "InvalidRequest"
    assert (of("range")["reason"], of("range")["status"]) == ("RANGE_NOT_SATISFIABLE", 416)
    assert told["user"] == "Zoë ☃"


def test_a_gateway_that_is_away_or_is_none(gateway: Gateway, package: Package, tmp_path: Path) -> None:
    with over_tls(gateway, tmp_path) as (port, authority):
        told = package.told(
            gateway,
            BEGIN
            + CAUGHT
            + """
            import { readFileSync } from "node:fs";
            import { createServer } from "node:http";
            const other = createServer((_, answer) => answer.end("<h1>It works!</h1>")).listen(0, "127.0.0.1");
            await new Promise((ready) => other.on("listening", ready));
            const once = { maxRetries: 0 };
            const { AWAY, DOOR, CA } = process.env;
            const away = new Client({ url: AWAY, ...once });
            const plain = new Client({ url: process.env.MEDIAGATE_URL.replace("http:", "https:"), ...once });
            const unknown = new Client({ url: DOOR, ...once });
            const page = new Client({ url: `http://127.0.0.1:${other.address().port}`, timeoutS: 5, ...once });
            const trusted = new Client({ url: DOOR, ca: readFileSync(CA) });
            const file = await trusted.files.upload(new Uint8Array(7), { filename: "secret" });
            say({
              away: await caught(away.files.list()),
              away_upload: await caught(away.files.upload(new Uint8Array(3))),
              away_watch: await caught(away.videos.watch("video_x").next()),
              nowhere: await caught(new Client({ url: "http://no.such.host.invalid", ...once }).files.list()),
              plain: await caught(plain.files.list()),
              unknown: await caught(unknown.files.upload(new Uint8Array(3))),
              page: await caught(page.files.list()),
              bytes: (await trusted.files.content(file.id)).length,
            });
            other.close();
            """,
            tmp_path,
            AWAY=f"http://127.0.0.1:{free_port()}",
            DOOR=f"https://127.0.0.1:{port}",
            CA=str(authority),
        )
    names = {name: (said["name"], said["reason"]) for name, said in told.items() if isinstance(said, dict)}
    unreached = ("ConnectionFailed", "UNREACHABLE")
    assert [names[name] for name in ("away", "away_upload", "away_watch", "nowhere")] == [unreached] * 4
    assert (names["plain"], names["unknown"]) == (("TlsFailed", "TLS_FAILED"), ("TlsFailed", "TLS_FAILED"))
    assert names["page"][0] == "ConnectionFailed"
    assert told["bytes"] == 7


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("{ url: 'localhost:4000' }", "http://HOST"),
        ("{ url: 'http://host/?a=b' }", "neither query"),
        ("{ key: 'sk-pasted\\n' }", "line break"),
        ("{ key: '' }", "MEDIAGATE_API_KEY"),
        ("{ timeoutS: 0 }", "more than 0"),
        ("{ maxRetries: -1 }", "negative"),
    ],
)
def test_a_client_that_cannot_work_is_refused_at_once(
    gateway: Gateway, package: Package, tmp_path: Path, options: str, words: str
) -> None:
    script = f"{BEGIN} try {{ new Client({options}); }} catch (error) {{ say({{ message: error.message }}); }}"
    assert words in str(package.told(gateway, script, tmp_path)["message"])


def test_a_cut_in_an_upload_is_mended_or_goes_on(gateway: Gateway, package: Package, tmp_path: Path) -> None:
    small, large = os.urandom(5 * MIB), os.urandom(35 * MIB + 3)
    (tmp_path / "small.bin").write_bytes(small)
    (tmp_path / "large.bin").write_bytes(large)
    with cutting(gateway) as cutter:
        line = f"http://127.0.0.1:{cutter.port}"
        cutter.limits["up"] = 2 * MIB
        script = BEGIN + 'say(await client.files.upload("small.bin"));'
        file = package.told(gateway, script, tmp_path, MEDIAGATE_URL=line)
        assert (file["bytes"], cutter.cuts) == (len(small), 1)
        cutter.limits["up"] = 35 * MIB
        interrupted = package.told(
            gateway,
            BEGIN
            + CAUGHT
            + """
            const impatient = new Client({ maxRetries: 0 });
            const error = await impatient.files.upload("large.bin").catch((error) => error);
            say({ name: error.name, message: error.message, resume: error.resume });
            """,
            tmp_path,
            MEDIAGATE_URL=line,
        )
        assert interrupted["name"] == "UploadInterrupted"
        assert "of 3 parts" in str(interrupted["message"])
        resume = interrupted["resume"]
        assert isinstance(resume, dict)
        assert 0 < len(resume["parts"]) < 3
        resumed = package.told(
            gateway,
            BEGIN
            + CAUGHT
            + """
            import { writeFileSync } from "node:fs";
            const resume = process.env.RESUME;
            const file = await client.files.upload("large.bin", { resume });
            await client.files.download(file.id, "back.bin");
            writeFileSync("large.bin", "another");
            say({ changed: await caught(client.files.upload("large.bin", { resume })),
                  nonsense: await caught(client.files.upload("large.bin", { resume: "{}" })) });
            """,
            tmp_path,
            MEDIAGATE_URL=line,
            RESUME=json.dumps(resume),
        )
    assert (tmp_path / "back.bin").read_bytes() == large
    changed, nonsense = resumed["changed"], resumed["nonsense"]
    assert isinstance(changed, dict)
    assert isinstance(nonsense, dict)
    assert (changed["name"], nonsense["name"]) == ("FileChanged", "TypeError")


def test_a_download_that_is_cut_goes_on_or_leaves_nothing(gateway: Gateway, package: Package, tmp_path: Path) -> None:
    data = os.urandom(24 * MIB + 1)
    with gateway.http() as http, cutting(gateway) as cutter:
        stored = http.post("/v1/files", data={"purpose": "user_data"}, files={"file": ("down", data)}).json()["id"]
        line = f"http://127.0.0.1:{cutter.port}"
        cutter.limits["down"] = 12 * MIB
        script = BEGIN + f'await client.files.download("{stored}", "down"); say({{}});'
        package.told(gateway, script, tmp_path, MEDIAGATE_URL=line)
        assert cutter.cuts == 1
        assert only(tmp_path) == ["down"]
        assert (tmp_path / "down").read_bytes() == data
        cutter.limits["down"] = 12 * MIB
        script = (
            BEGIN
            + CAUGHT
            + f"""
            const impatient = new Client({{ maxRetries: 0 }});
            const stop = new AbortController();
            const onProgress = (bytes) => bytes > 5e6 && stop.abort(new Error("enough"));
            say({{
              cut: await caught(impatient.files.download("{stored}", "other")),
              there: await caught(client.files.download("{stored}", "down", {{ overwrite: false }})),
              folder: await caught(client.files.download("{stored}", "none/other")),
              full: await caught(client.files.download("{stored}", "/dev/full/x")),
              stopped: await caught(client.files.download("{stored}", "other", {{ onProgress, signal: stop.signal }})),
            }});
            """
        )
        told = package.told(gateway, script, tmp_path, MEDIAGATE_URL=line)
    names = {name: said["name"] for name, said in told.items() if isinstance(said, dict)}
    assert names == {
        "cut": "ConnectionFailed",
        "there": "LocalFileError",
        "folder": "LocalFileError",
        "full": "LocalFileError",
        "stopped": "Error",
    }
    assert only(tmp_path) == ["down"]


def test_a_full_disk_leaves_nothing(gateway: Gateway, package: Package, tmp_path: Path) -> None:
    with gateway.http() as http:
        form = {"data": {"purpose": "user_data"}, "files": {"file": ("full.bin", bytes(20 * MIB))}}
        stored = http.post("/v1/files", **form).json()["id"]  # type: ignore[arg-type]
    module = package.app / "full.mjs"
    module.write_text(
        BEGIN
        + f'const error = await client.files.download("{stored}", ".").catch((error) => error); say(error.message);'
    )
    limited = f"trap '' XFSZ; ulimit -f {5 * MIB // 1024}; exec {package.node} {module}"
    options = package.node_options(gateway)
    done = subprocess.run(
        ["bash", "-c", limited], cwd=tmp_path, env=options, capture_output=True, text=True, timeout=120
    )
    assert "There is no room for" in done.stdout, done.stderr
    assert only(tmp_path) == []


def test_a_file_that_changes_in_mid_upload_is_not_kept(
    gateway: Gateway, package: Package, tmp_path: Path, http: httpx.Client
) -> None:
    for name in ("short.bin", "touched.bin", "vanished.bin", "parts.bin"):
        (tmp_path / name).write_bytes(bytes(12 * MIB))
    told = package.told(
        gateway,
        BEGIN
        + CAUGHT
        + """
        import { truncateSync, utimesSync, unlinkSync, readdirSync } from "node:fs";
        const once = (act) => { let done = false; return () => { if (!done) { done = true; act(); } }; };
        const send = (name, act, more) =>
          client.files.upload(name, { onProgress: once(act), filename: `mid-${name}`, ...more });
        say({
          short: await caught(send("short.bin", () => truncateSync("short.bin", 5 << 20))),
          touched: await caught(send("touched.bin", () => utimesSync("touched.bin", 1, 1))),
          parts: await caught(send("parts.bin", () => utimesSync("parts.bin", 1, 1), { parts: true })),
          vanished: (await send("vanished.bin", () => unlinkSync("vanished.bin"))).bytes,
          absent: await caught(client.files.upload("vanished.bin")),
          folder: await caught(client.files.upload(".")),
        });
        """,
        tmp_path,
    )
    names = {name: said["name"] for name, said in told.items() if isinstance(said, dict)}
    changed, unreadable = "FileChanged", "LocalFileError"
    assert names == {
        "short": changed,
        "touched": changed,
        "parts": changed,
        "absent": unreadable,
        "folder": unreadable,
    }
    # Who holds a file open still has all of it when its name is gone.
    assert told["vanished"] == 12 * MIB
    kept = [file["filename"] for file in http.get("/v1/files", params={"limit": 20}).json()["data"]]
    assert [name for name in kept if name.startswith("mid-")] == ["mid-vanished.bin"]


def test_an_upload_that_is_stopped_is_cancelled(
    gateway: Gateway, package: Package, tmp_path: Path, http: httpx.Client
) -> None:
    (tmp_path / "node-stopped.bin").write_bytes(bytes(60 * MIB))
    process = package.start(
        gateway,
        BEGIN
        + """
        const stop = new AbortController();
        process.once("SIGINT", () => stop.abort(new Error("interrupted")));
        let parts = 0;
        const onProgress = () => { parts += 1; if (parts === 1) console.log("sending"); };
        const told = [];
        for (const parts of [true, false]) {
          const upload = client.files.upload("node-stopped.bin", { parts, signal: stop.signal, onProgress });
          told.push(await upload.catch((error) => error.message));
        }
        say(told);
        """,
        tmp_path,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "sending\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (out.strip(), err) == ('["interrupted","interrupted"]', "")
    assert "node-stopped.bin" not in [file["filename"] for file in http.get("/v1/files").json()["data"]]


def test_an_upload_that_is_stopped_at_its_very_end_leaves_no_file(
    gateway: Gateway, package: Package, tmp_path: Path, http: httpx.Client
) -> None:
    (tmp_path / "node-late.bin").write_bytes(bytes(60 * MIB))
    answer = package.run(
        gateway,
        BEGIN
        + """
        const told = [];
        for (const parts of [true, false]) for (const wait of [0, 3, 10, 30, 100, 300]) {
          const stop = new AbortController();
          const onProgress = (sent, size) => {
            if (sent === size) setTimeout(() => stop.abort(new Error("interrupted")), wait);
          };
          const upload = client.files.upload("node-late.bin", { parts, signal: stop.signal, onProgress });
          told.push(await upload.then((file) => file.id, (error) => error.message));
        }
        say(told);
        """,
        tmp_path,
    )
    told = json.loads(answer)
    assert "interrupted" in told
    left = [file["id"] for file in http.get("/v1/files").json()["data"] if file["filename"] == "node-late.bin"]
    assert sorted(left) == sorted(id for id in told if id != "interrupted")


def test_what_is_left_unread_keeps_no_process(gateway: Gateway, package: Package, tmp_path: Path) -> None:
    answer = package.run(
        gateway,
        BEGIN
        + """
        const file = await client.files.upload(new Uint8Array(10));
        const began = performance.now();
        for await (const chunk of client.files.download(file.id)) {
          // By then the gateway has said all that it will say.
          await new Promise((resolve) => setTimeout(resolve, 300));
          break;
        }
        process.once("exit", () => say(performance.now() - began));
        """,
        tmp_path,
    )
    assert float(answer) < 60_000


def test_a_time_limit_may_be_endless(gateway: Gateway, package: Package, tmp_path: Path) -> None:
    told = package.told(
        gateway,
        BEGIN
        + """
        const patient = new Client({ timeoutS: Infinity });
        const { id } = await patient.videos.create("A boat", { seconds: 1, size: "320x180" });
        say({ status: (await patient.videos.wait(id, { timeoutS: Infinity })).status });
        """,
        tmp_path,
    )
    assert told == {"status": "completed"}


def test_a_value_that_no_message_has_is_told_at_once(gateway: Gateway, package: Package, tmp_path: Path) -> None:
    told = package.told(
        gateway,
        BEGIN
        + CAUGHT
        + """
        const list = await caught(client.files.list({ limit: 1.5 }));
        const offset = await caught(client.files.content("file-x", { offset: -1 }));
        const expires = await caught(client.files.upload(new Uint8Array(1), { expiresAfterS: 4000.5 }));
        say({ list, offset, expires });
        """,
        tmp_path,
    )
    for name, param in (("list", "limit"), ("offset", "offset"), ("expires", "seconds")):
        one = told[name]
        assert isinstance(one, dict)
        found = one["name"], one["reason"], one["retryable"], one["param"]
        assert found == ("InvalidRequest", "INVALID_FIELD", False, param)
        assert f"'{param}' cannot be sent: invalid uint" in one["message"]


def test_a_stopped_upload_leaves_what_the_callers_own_key_stored_before(
    gateway: Gateway, package: Package, tmp_path: Path
) -> None:
    (tmp_path / "kept.bin").write_bytes(bytes(30 * MIB))
    answer = package.run(
        gateway,
        BEGIN
        + """
        const told = [];
        for (const wait of [0, 3, 10, 30]) {
          const headers = { "Idempotency-Key": crypto.randomUUID() };
          const file = await client.files.upload("kept.bin", { headers });
          const stop = new AbortController();
          const onProgress = (sent, size) => {
            if (sent === size) setTimeout(() => stop.abort(new Error("stopped")), wait);
          };
          const again = client.files.upload("kept.bin", { headers, signal: stop.signal, onProgress });
          told.push(await again.then((same) => same.id === file.id, (error) => error.message));
          await client.files.delete(file.id);
        }
        say(told);
        """,
        tmp_path,
    )
    assert "stopped" in json.loads(answer)
