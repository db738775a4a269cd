/** The client for browsers, and whatever has `fetch`: gRPC-Web, and uploads over REST. */

import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";
import { Files } from "./files.js";
import { checked, type ClientOptions, type Options } from "./options.js";
import { FormSender } from "./rest.js";
import { BlobSource, type Source, sourceOf } from "./source.js";
import { Videos } from "./videos.js";
import { type Digest, type Platform, Wire } from "./wire.js";

export * from "./exports.js";

/** What can be uploaded from a page: also a stream, which is read before it is sent. */
export type Readable = Blob | ArrayBuffer | Uint8Array | ReadableStream<Uint8Array>;

function digest(): Digest {
  const hash = sha256.create();
  let told: string | undefined;
  return { update: (data) => void hash.update(data), hex: () => (told ??= bytesToHex(hash.digest())) };
}

async function open(given: unknown, filename: string | undefined): Promise<Source> {
  const source = sourceOf(given, filename);
  if (source !== undefined) return source;
  if (given instanceof ReadableStream) return new BlobSource(await new Response(given).blob(), filename);
  throw new TypeError("Only a Blob, a File, bytes or a stream of bytes can be uploaded from a page.");
}

const BROWSER: Platform = {
  transport: (options: Options) => ({
    transport: createGrpcWebTransport({ baseUrl: options.url, useBinaryFormat: true }),
    close: () => undefined,
  }),
  sender: (wire) => new FormSender(wire),
  digest,
  open,
};

/** A gateway. On a page that the gateway serves itself, only the key is needed. */
export class Client {
  readonly files: Files<Readable>;
  readonly videos: Videos<Readable>;

  constructor(options: ClientOptions = {}) {
    const origin = "location" in globalThis ? globalThis.location.origin : undefined;
    const wire = new Wire(checked(options, options.url ?? origin, options.key), BROWSER);
    this.files = new Files(wire);
    this.videos = new Videos(wire);
  }

  /** There is nothing to let go of; for code that runs in Node too. */
  close(): void {}
}
