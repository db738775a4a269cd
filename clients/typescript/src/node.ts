/** The client for Node: gRPC over HTTP/2, and files of this machine. */

import { AsyncLocalStorage } from "node:async_hooks";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { type ClientHttp2Session, type ClientHttp2Stream, constants } from "node:http2";
import process from "node:process";
import type { Interceptor } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { Files } from "./files.js";
import { open, type Readable } from "./node_source.js";
import { saveTo, type SaveOptions } from "./node_download.js";
import { checked, type ClientOptions, type Options } from "./options.js";
import { StreamSender } from "./streams.js";
import type { Download, DownloadOptions } from "./download.js";
import { type VideoContentOptions, Videos } from "./videos.js";
import { type Digest, type Platform, Wire } from "./wire.js";

export * from "./exports.js";
export type { Readable } from "./node_source.js";
export type { SaveOptions } from "./node_download.js";

const DEFAULT_URL = "http://127.0.0.1:4000";
// A stream that nobody answers on is found out by pings; a unary call by its time.
const PING_INTERVAL_MS = 30_000;
const PING_TIMEOUT_MS = 20_000;
// Node's own 64 KiB would bound a connection to a gateway 50 ms away to 1.3 MB/s.
const WINDOW_BYTES = 8 << 20;

/** What a client in Node is made with. */
export interface NodeClientOptions extends ClientOptions {
  /** Certificates (PEM) to trust in place of the usual ones. */
  ca?: string | Buffer;
}

// Of the call that asks for a stream: what says that its caller has left.
const leaving = new AsyncLocalStorage<AbortSignal>();

/** Connections that take as much at once as their streams do, and let go of streams that the gateway has ended. */
class Sessions extends Http2SessionManager {
  private readonly widened = new WeakSet<ClientHttp2Session>();

  override async request(...given: Parameters<Http2SessionManager["request"]>): Promise<ClientHttp2Stream> {
    const stream = await super.request(...given);
    const session = stream.session as ClientHttp2Session | undefined;
    if (session !== undefined && !this.widened.has(session)) {
      this.widened.add(session);
      session.setLocalWindowSize(WINDOW_BYTES);
    }
    // An upload that is refused half-way: Connect stops writing and resets the stream, but Node holds on to what is not
    // written, and so to the connection and the process.
    const over = () => {
      if (!stream.writableFinished) stream.destroy();
    };
    stream.once("end", () => setImmediate(over));
    stream.once("response", (_headers, flags: number) => {
      if (flags & constants.NGHTTP2_FLAG_END_STREAM) setImmediate(over);
    });
    // So it does on to what nobody reads any more, where the gateway had sent all of it.
    const unread = () => {
      if (stream.closed) stream.destroy();
    };
    leaving.getStore()?.addEventListener("abort", () => setImmediate(unread), { once: true });
    return stream;
  }
}

function digest(): Digest {
  const hash = createHash("sha256");
  let told: string | undefined;
  return { update: (data) => void hash.update(data), hex: () => (told ??= hash.digest("hex")) };
}

function platform(ca: string | Buffer | undefined): Platform {
  return {
    transport(options: Options) {
      const pings = { pingIntervalMs: PING_INTERVAL_MS, pingTimeoutMs: PING_TIMEOUT_MS };
      const settings = { initialWindowSize: WINDOW_BYTES };
      const sessionManager = new Sessions(options.url, pings, ca === undefined ? { settings } : { settings, ca });
      const interceptors: Interceptor[] = [(next) => (call) => leaving.run(call.signal, () => next(call))];
      const transport = createGrpcTransport({ baseUrl: options.url, sessionManager, acceptCompression: [], interceptors });
      return { transport, close: () => sessionManager.abort() };
    },
    sender: (wire) => new StreamSender(wire),
    digest,
    open,
  };
}

/** `client.files` in Node: paths can be read and written. */
export class NodeFiles extends Files<Readable> {
  /** Fetch it to a path, or into a folder under its own name; resolves to the path. Nothing is there under that name
   * until every byte is proven and on disk. */
  override download(fileId: string, path: string | URL, options?: SaveOptions): Promise<string>;
  /** Its bytes: `for await (const chunk of files.download(id))`, or `.bytes()`, `.blob()`, `.stream()`. */
  override download(fileId: string, options?: DownloadOptions): Download;
  override download(
    fileId: string,
    path?: string | URL | DownloadOptions,
    options: SaveOptions = {},
  ): Download | Promise<string> {
    if (typeof path !== "string" && !(path instanceof URL)) return super.download(fileId, path);
    return saveTo(super.download(fileId, options), path, options);
  }
}

/** `client.videos` in Node: paths can be read and written. */
export class NodeVideos extends Videos<Readable> {
  /** Fetch the video, or another of its contents, as `files.download` does. */
  override download(videoId: string, path: string | URL, options?: SaveOptions & VideoContentOptions): Promise<string>;
  /** Its bytes, as `files.download` has them. */
  override download(videoId: string, options?: VideoContentOptions): Download;
  override download(
    videoId: string,
    path?: string | URL | VideoContentOptions,
    options: SaveOptions & VideoContentOptions = {},
  ): Download | Promise<string> {
    if (typeof path !== "string" && !(path instanceof URL)) return super.download(videoId, path);
    return saveTo(super.download(videoId, options), path, options);
  }
}

/** A gateway. Nothing is connected before the first call, and an idle connection keeps no process alive. */
export class Client {
  readonly files: NodeFiles;
  readonly videos: NodeVideos;
  /** Let go of all connections. */
  readonly close: () => void;

  constructor(options: NodeClientOptions = {}) {
    const url = options.url ?? (process.env["MEDIAGATE_URL"] || DEFAULT_URL);
    const key = options.key ?? process.env["MEDIAGATE_API_KEY"];
    const wire = new Wire(checked(options, url, key), platform(options.ca));
    this.files = new NodeFiles(wire);
    this.videos = new NodeVideos(wire);
    this.close = wire.close;
  }
}
