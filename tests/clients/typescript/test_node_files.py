"""Files from Node 20, over gRPC."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from tests.clients.typescript.package import Package
from tests.conftest import Gateway

MIB = 1 << 20
BEGIN = """
import { Client } from "@mediagate/client";
const client = new Client();
const say = (value) => console.log(JSON.stringify(value));
"""
NAME = "né ☃ 𝒳 \"q\" ;=%41 'x'.bin"


def test_a_file_goes_up_and_comes_back(gateway: Gateway, package: Package, tmp_path: Path) -> None:
    data = os.urandom(3 * MIB + 17)
    (tmp_path / NAME).write_bytes(data)
    told = package.told(
        gateway,
        BEGIN
        + """
        const told = [];
        const path = process.env.NAME;
        const onProgress = (sent, size) => told.push([sent, size]);
        const file = await client.files.upload(path, { to: ["local"], onProgress });
        const copy = await client.files.copy(file.id, { filename: "copy.bin", expiresAfterS: 3600 });
        const into = await client.files.download(copy.id, ".");
        await client.files.download(file.id, "named.bin");
        let read = 0;
        for await (const chunk of client.files.download(file.id, { offset: 5, length: 2097152 })) read += chunk.length;
        const page = await client.files.list({ limit: 2 });
        const replicas = await client.files.replicas(file.id);
        const deleted = await client.files.delete(copy.id);
        const gone = await client.files.get(copy.id).catch((error) => error.name);
        say({ file, into, told: told.at(-1), read, page: [...page].map((one) => one.id), more: page.hasMore,
              last: page.lastId, states: replicas.map((one) => one.state), deleted, gone, expires: copy.expiresAt });
        """,
        tmp_path,
        NAME=NAME,
    )
    file = told["file"]
    assert isinstance(file, dict)
    assert (file["filename"], file["bytes"]) == (NAME, len(data))
    assert file["mediagate"]["sha256"] == hashlib.sha256(data).hexdigest()
    assert told["told"] == [len(data), len(data)]
    assert told["read"] == 2 * MIB
    assert (tmp_path / "copy.bin").read_bytes() == data
    assert (tmp_path / "named.bin").read_bytes() == data
    assert told["into"] == str(tmp_path / "copy.bin")
    page = told["page"]
    assert isinstance(page, list)
    assert page[1] == told["last"] == file["id"]
    assert (told["states"], told["gone"]) == (["ready"], "NotFound")
    assert told["expires"]
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".part")]


def test_whatever_has_bytes_can_be_sent(gateway: Gateway, package: Package, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"a" * (2 * MIB))
    (tmp_path / "empty").write_bytes(b"")
    told = package.told(
        gateway,
        BEGIN
        + """
        import { createReadStream, openAsBlob } from "node:fs";
        import { pathToFileURL } from "node:url";
        const given = {
          bytes: new Uint8Array([1, 2, 3]), buffer: Buffer.from("abc"), blob: new Blob(["abc"]),
          file: new File(["abc"], "named.txt"), url: pathToFileURL("a.bin"), stream: createReadStream("a.bin"),
          opened: await openAsBlob("a.bin"), web: new Blob(["abcd"]).stream(), empty: "empty", none: new Uint8Array(),
          generator: (async function* () { yield new Uint8Array(5 << 20); })(),
        };
        const stored = {};
        for (const [name, readable] of Object.entries(given)) {
          const file = await client.files.upload(readable);
          stored[name] = [file.filename, file.bytes, (await client.files.content(file.id)).length];
        }
        const refused = [];
        for (const wrong of [7, createReadStream("a.bin", "utf8"), new URL("http://x/"), undefined]) {
          await client.files.upload(wrong).catch((error) => refused.push(`${error.name}: ${error.message}`));
        }
        say({ stored, refused });
        """,
        tmp_path,
    )
    assert told["stored"] == {
        "bytes": ["upload", 3, 3],
        "buffer": ["upload", 3, 3],
        "blob": ["upload", 3, 3],
        "file": ["named.txt", 3, 3],
        "url": ["a.bin", 2 * MIB, 2 * MIB],
        "stream": ["a.bin", 2 * MIB, 2 * MIB],
        "opened": ["upload", 2 * MIB, 2 * MIB],
        "web": ["upload", 4, 4],
        "empty": ["empty", 0, 0],
        "none": ["upload", 0, 0],
        "generator": ["upload", 5 * MIB, 5 * MIB],
    }
    refused = told["refused"]
    assert isinstance(refused, list)
    assert [text.partition(":")[0] for text in refused] == ["TypeError"] * 4
    assert "without an encoding" in refused[1]


def test_a_large_file_goes_in_parts(gateway: Gateway, package: Package, tmp_path: Path) -> None:
    data = os.urandom(33 * MIB + 3)
    (tmp_path / "large.bin").write_bytes(data)
    told = package.told(
        gateway,
        BEGIN
        + """
        const told = [];
        const file = await client.files.upload("large.bin", { onProgress: (sent) => told.push(sent) });
        await client.files.download(file.id, "back.bin");
        say({ sha256: file.mediagate.sha256, last: told.at(-1) });
        """,
        tmp_path,
    )
    assert told == {"sha256": hashlib.sha256(data).hexdigest(), "last": len(data)}
    assert (tmp_path / "back.bin").read_bytes() == data


def test_headers_of_an_upload_count_however_it_goes(gateway: Gateway, package: Package, tmp_path: Path) -> None:
    (tmp_path / "large.bin").write_bytes(bytes(33 * MIB))
    told = package.told(
        gateway,
        BEGIN
        + """
        const users = [];
        for (const parts of [true, false]) {
          const file = await client.files.upload("large.bin", { parts, headers: { "X-Mediagate-User": "zoe" } });
          users.push(file.mediagate.user);
        }
        const headers = { "Idempotency-Key": crypto.randomUUID() };
        const first = await client.files.upload("large.bin", { headers });
        const again = await client.files.upload("large.bin", { headers });
        say({ users, same: first.id === again.id });
        """,
        tmp_path,
    )
    assert told == {"users": ["zoe", "zoe"], "same": True}
