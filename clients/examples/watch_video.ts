/**
 * A file and a video through mediagate, from Node, with only the stubs generated from `proto/`.
 *
 *     pip install buf-bin
 *     npm install @bufbuild/protobuf@2.17.0 @connectrpc/connect@2.2.0 @connectrpc/connect-node@2.2.0
 *     buf generate --template clients/buf.gen.typescript.yaml
 *     cp clients/examples/watch_video.ts .
 *     node watch_video.ts http://127.0.0.1:4000 "$(cat .mediagate/master_key)" README.md
 *
 * Node 22.18 and later run TypeScript as it is; for older ones compile it. The client in clients/typescript does the same in a
 * few lines, and mends what breaks.
 */

import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { open, readFile } from "node:fs/promises";
import { basename } from "node:path";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { type DownloadFileResponse, FileService } from "./stubs/mediagate/v1/files_pb.js";
import { VideoService } from "./stubs/mediagate/v1/videos_pb.js";

const CHUNK_BYTES = 1 << 20;

/** The metadata, the bytes, and the checksum that proves that they are all there. */
async function* upload(path: string) {
  yield { payload: { case: "metadata" as const, value: { filename: basename(path), purpose: "user_data" } } };
  const digest = createHash("sha256");
  for await (const chunk of createReadStream(path, { highWaterMark: CHUNK_BYTES })) {
    digest.update(chunk);
    yield { payload: { case: "chunk" as const, value: chunk as Uint8Array<ArrayBuffer> } };
  }
  yield { payload: { case: "checksum" as const, value: { sha256: digest.digest("hex") } } };
}

/** Write a download; throws where it ends without its proof. Resolves to the number of bytes. */
async function save(messages: AsyncIterable<DownloadFileResponse>, path: string): Promise<number> {
  const digest = createHash("sha256");
  const file = await open(path, "w");
  try {
    for await (const { payload } of messages) {
      if (payload.case === "chunk") {
        digest.update(payload.value);
        await file.writeFile(payload.value);
      } else if (payload.case === "end") {
        if (payload.value.sha256 === digest.digest("hex")) return Number(payload.value.sentBytes);
        throw new Error("The bytes that arrived are not the bytes that were sent.");
      }
    }
  } finally {
    await file.close();
  }
  throw new Error("The download stopped half-way.");
}

const [url, key, path] = process.argv.slice(2) as [string, string, string];
const transport = createGrpcTransport({ baseUrl: url });
const call = { headers: { authorization: `Bearer ${key}` } };

const files = createClient(FileService, transport);
const file = await files.uploadFile(upload(path), call);
console.log(`stored ${file.id}, ${file.bytes} bytes, SHA-256 ${file.mediagate?.sha256}`);
console.log(`read back ${await save(files.downloadFile({ fileId: file.id }, call), `${path}.copy`)} bytes`);
if (!(await readFile(path)).equals(await readFile(`${path}.copy`))) throw new Error("The copy is another file.");
await files.deleteFile({ fileId: file.id }, call);

const videos = createClient(VideoService, transport);
const wishes = { model: "local-video", prompt: "A paper boat on a river", seconds: "2", size: "320x180" };
let video = await videos.createVideo(wishes, call);
for await (const event of videos.watchVideo({ videoId: video.id }, call)) {
  console.log(event.seq, event.type, event.phase?.to ?? event.video?.status ?? event.progress?.percent ?? "");
  video = event.video ?? video;
}
if (video.status !== "completed") throw new Error(`The video ${video.status}: ${video.mediagate?.failure?.message}`);
console.log(`downloaded ${await save(videos.downloadVideo({ videoId: video.id }, call), "video.mp4")} bytes to video.mp4`);
await videos.deleteVideo({ videoId: video.id }, call);
