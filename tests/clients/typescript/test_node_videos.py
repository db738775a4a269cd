"""Videos from Node 20, over gRPC."""

from __future__ import annotations

from pathlib import Path

import httpx

from tests.api.videos_kit import png
from tests.clients.lines import cutting
from tests.clients.typescript.package import Package
from tests.clients.typescript.test_node_files import BEGIN
from tests.conftest import Gateway


def test_a_video_is_made_watched_and_fetched(gateway: Gateway, package: Package, tmp_path: Path) -> None:
    (tmp_path / "image.png").write_bytes(png(320, 180))
    told = package.told(
        gateway,
        BEGIN
        + """
        const wishes = { model: "local-video", seconds: 1, size: "320x180" };
        const estimate = await client.videos.estimate("A boat", wishes);
        const video = await client.videos.create("A boat", { ...wishes, inputReference: "image.png" });
        const types = [];
        for await (const event of client.videos.watch(video.id)) types.push(event.type);
        const done = await client.videos.wait(video.id);
        const path = await client.videos.download(video.id, "boat.mp4");
        const thumbnail = await client.videos.content(video.id, { variant: "thumbnail" });
        const listed = (await client.videos.list({ limit: 50 })).data.some((one) => one.id === video.id);
        const remix = await client.videos.remix(video.id, "A ship", {});
        const cancelled = await client.videos.cancel(remix.id).catch((error) => error.reason);
        await client.videos.delete(remix.id);
        say({ video, done, types, path, thumbnail: thumbnail.length, listed, parent: remix.remixedFromVideoId,
              cancelled: typeof cancelled, estimate: estimate.object,
              deleted: (await client.videos.delete(video.id)).deleted });
        """,
        tmp_path,
    )
    video, done, types = told["video"], told["done"], told["types"]
    assert isinstance(video, dict)
    assert isinstance(done, dict)
    assert isinstance(types, list)
    assert (types[0], types[-1]) == ("snapshot", "end")
    assert (video["prompt"], video["completedAt"], video["error"]) == ("A boat", None, None)
    assert (done["status"], done["prompt"]) == ("completed", "A boat")
    assert done["completedAt"] >= done["createdAt"]
    assert (tmp_path / "boat.mp4").read_bytes()[4:8] == b"ftyp"
    assert isinstance(told["thumbnail"], int)
    assert told["thumbnail"] > 100
    assert (told["listed"], told["parent"], told["deleted"]) == (True, video["id"], True)


def test_a_video_that_fails_says_why(gateway: Gateway, package: Package, tmp_path: Path) -> None:
    told = package.told(
        gateway,
        BEGIN
        + """
        const wishes = { model: "local-video", seconds: 1, size: "320x180" };
        const failing = await client.videos.create("A boat [mediagate:reject]", wishes);
        const error = await client.videos.wait(failing.id).catch((caught) => caught);
        const slow = await client.videos.create("A boat [mediagate:slow=20]", wishes);
        const late = await client.videos.wait(slow.id, { timeoutS: 0.3 }).catch((caught) => caught);
        const stop = new AbortController();
        setTimeout(() => stop.abort(new Error("enough")), 200);
        const stopped = await client.videos.wait(slow.id, { signal: stop.signal }).catch((caught) => caught);
        const { status } = await client.videos.cancel(slow.id);
        const wrong = await client.videos.create("A boat", { seconds: 0 }).catch((caught) => caught);
        const { status: end, error: why } = error.video;
        say({ error: [error.name, error.code, error.message.includes(failing.id), end, why],
              late: [late.name, late.retryable], stopped: stopped.message, status,
              wrong: [wrong.name, wrong.reason, wrong.param] });
        """,
        tmp_path,
    )
    error = told["error"]
    assert isinstance(error, list)
    assert error[:4] == ["VideoFailed", "content_policy_violation", True, "failed"]
    assert error[4]["code"] == "content_policy_violation"
    assert told["late"] == ["TimedOut", True]
    assert told["stopped"] == "enough"
    assert told["wrong"] == ["InvalidRequest", "INVALID_FIELD", "seconds"]


def test_a_watch_that_is_cut_goes_on(gateway: Gateway, package: Package, tmp_path: Path) -> None:
    with cutting(gateway) as cutter:
        process = package.start(
            gateway,
            BEGIN
            + """
            const wishes = { model: "local-video", size: "320x180", seconds: 1 };
            const video = await client.videos.create("A boat [mediagate:slow=3]", wishes);
            for await (const event of client.videos.watch(video.id)) say([event.seq, event.type]);
            """,
            tmp_path,
            MEDIAGATE_URL=f"http://127.0.0.1:{cutter.port}",
        )
        assert process.stdout is not None
        assert process.stdout.readline()
        cutter.limits["down"] = 500
        out, err = process.communicate(timeout=60)
        assert (process.returncode, err) == (0, "")
        assert cutter.cuts == 1
    seen = [line.strip("[]").split(",") for line in out.splitlines()]
    assert seen[-1][1] == '"end"'
    numbers = [int(seq) for seq, _ in seen]
    assert numbers == sorted(set(numbers))


def test_leaving_a_watch_ends_it(gateway: Gateway, package: Package, tmp_path: Path, http: httpx.Client) -> None:
    told = package.told(
        gateway,
        BEGIN
        + """
        const wishes = { model: "local-video", size: "320x180", seconds: 1 };
        const video = await client.videos.create("A boat [mediagate:slow=20]", wishes);
        for await (const event of client.videos.watch(video.id)) break;
        for await (const event of client.videos.watchAll()) { if (event.videoId === video.id) break; }
        await client.videos.cancel(video.id);
        say({ id: video.id });
        """,
        tmp_path,
    )
    assert http.get(f"/v1/videos/{told['id']}").json()["status"] == "failed"
