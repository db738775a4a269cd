/** Downloads: bytes as they come, gone on with where a connection breaks, and proven at their end. */

import type { ConnectError } from "@connectrpc/connect";
import { ConnectionFailed, FileChanged, MediagateError, TransferDamaged } from "./errors.js";
import { asError } from "./failure.js";
import type { DownloadFileResponse, DownloadMetadata } from "./gen/mediagate/v1/files_pb.js";
import { pause } from "./retry.js";
import type { Progress } from "./types.js";
import type { Call, Wire } from "./wire.js";

/** How to download. Offset and length are in bytes. */
export interface DownloadOptions {
  offset?: number;
  /** Up to the end where it is absent. */
  length?: number;
  onProgress?: Progress;
  headers?: Readonly<Record<string, string>>;
  signal?: AbortSignal;
}

/** What is known of a content before its bytes. */
export interface ContentInfo {
  readonly filename: string;
  readonly contentType: string;
  /** Of the whole content, in bytes. */
  readonly size: number;
  readonly etag: string;
}

/** Opens the stream of a file's or a video's bytes. */
export type Opening = (
  range: { offset: bigint; length?: bigint },
  options: ReturnType<Wire["streaming"]>,
) => AsyncIterable<DownloadFileResponse>;

const SHA256_TAG = /^"([0-9a-f]{64})"$/;

/**
 * Bytes of a file or video. Nothing is asked for before they are read, by `for await`, or by one of the methods; each
 * reading asks anew. A connection that breaks is mended. A reading that ends is proven; else it throws.
 */
export class Download implements AsyncIterable<Uint8Array<ArrayBuffer>> {
  constructor(
    private readonly wire: Wire,
    private readonly opening: Opening,
    readonly options: DownloadOptions,
  ) {}

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array<ArrayBuffer>, void, undefined> {
    for await (const piece of this.pieces()) if (piece instanceof Uint8Array) yield piece;
  }

  /** All of it, in memory. */
  async bytes(): Promise<Uint8Array<ArrayBuffer>> {
    return new Uint8Array(await (await this.blob()).arrayBuffer());
  }

  /** All of it, with its type, to be shown or saved by a page. */
  async blob(): Promise<Blob> {
    const chunks: Uint8Array<ArrayBuffer>[] = [];
    let type = "";
    for await (const piece of this.pieces()) {
      if (piece instanceof Uint8Array) chunks.push(piece);
      else type = piece.contentType;
    }
    return new Blob(chunks, { type });
  }

  /** The bytes as a stream of the web's kind. */
  stream(): ReadableStream<Uint8Array<ArrayBuffer>> {
    const chunks = this[Symbol.asyncIterator]();
    return new ReadableStream<Uint8Array<ArrayBuffer>>(
      {
        async pull(controller) {
          try {
            const next = await chunks.next();
            if (next.done) controller.close();
            else controller.enqueue(next.value);
          } catch (error) {
            controller.error(error);
          }
        },
        async cancel() {
          await chunks.return();
        },
      },
      { highWaterMark: 0 },
    );
  }

  /** What it is, then its bytes. */
  async *pieces(): AsyncGenerator<ContentInfo | Uint8Array<ArrayBuffer>, void, undefined> {
    const { offset = 0, length, onProgress, signal, headers } = this.options;
    const digest = this.wire.platform.digest();
    let info: ContentInfo | undefined;
    let [position, end] = [offset, Number.POSITIVE_INFINITY];
    for (let attempt = 0; ; ) {
      const before = position;
      try {
        const range = this.range(position, info ? end - position : length);
        for await (const piece of this.once(range, { headers, signal })) {
          if (piece instanceof Uint8Array) {
            digest.update(piece);
            position += piece.length;
            onProgress?.(position - offset, end - offset);
            yield piece;
          } else if (info === undefined) {
            info = infoOf(piece);
            end = offset + Number(piece.length);
            yield info;
          } else {
            checkSame(info, piece, position);
          }
        }
        break;
      } catch (error) {
        // Whatever moves on may go on; only tries in a row that bring nothing count.
        attempt = position > before ? 1 : attempt + 1;
        const again = error instanceof MediagateError && error.retryable && !(error instanceof TransferDamaged);
        if (!again || attempt > this.wire.options.maxRetries) throw error;
        if (info && position === end) break;
        await pause(error, attempt, signal);
      }
    }
    const whole = offset === 0 && info !== undefined && position === info.size;
    const told = whole ? SHA256_TAG.exec(info?.etag ?? "")?.[1] : undefined;
    if (told && told !== digest.hex()) throw new TransferDamaged("The bytes that arrived are not those that were stored.");
  }

  private range(offset: number, length: number | undefined): { offset: bigint; length?: bigint } {
    return length === undefined ? { offset: BigInt(offset) } : { offset: BigInt(offset), length: BigInt(length) };
  }

  /** One stream, which ends well only with its proof. */
  private async *once(
    range: { offset: bigint; length?: bigint },
    call: Call,
  ): AsyncGenerator<DownloadMetadata | Uint8Array<ArrayBuffer>, void, undefined> {
    const digest = this.wire.platform.digest();
    let [received, length] = [0, 0];
    // Ends the call where whoever reads leaves before the end.
    const leaving = new AbortController();
    const signal = call.signal ? AbortSignal.any([call.signal, leaving.signal]) : leaving.signal;
    try {
      for await (const { payload } of this.opening(range, this.wire.streaming({ ...call, signal }))) {
        if (payload.case === "metadata") {
          length = Number(payload.value.length);
          yield payload.value;
        } else if (payload.case === "chunk") {
          digest.update(payload.value);
          received += payload.value.length;
          yield payload.value as Uint8Array<ArrayBuffer>;
        } else if (payload.case === "end") {
          if (payload.value.sha256 === digest.hex() && received === length) return;
          throw new TransferDamaged("The bytes that arrived are not the bytes that were sent.");
        }
      }
    } catch (error) {
      throw asError(error as ConnectError, call.signal);
    } finally {
      leaving.abort();
    }
    throw new ConnectionFailed("The download stopped half-way.", { reason: "CONNECTION_LOST" });
  }
}

function infoOf(told: DownloadMetadata): ContentInfo {
  const { filename, contentType, etag } = told;
  return { filename, contentType, etag, size: Number(told.sizeBytes) };
}

function checkSame(info: ContentInfo, told: DownloadMetadata, position: number): void {
  if (told.etag !== info.etag || Number(told.sizeBytes) !== info.size || Number(told.offset) !== position) {
    throw new FileChanged("The content changed while it was fetched.");
  }
}
