/** Uploads: small files in one call, large ones in parts that survive a cut. */

import { create, fromJson } from "@bufbuild/protobuf";
import { ValueSchema } from "@bufbuild/protobuf/wkt";
import {
  ApiError,
  ConnectionFailed,
  FileChanged,
  InvalidRequest,
  NotFound,
  ServerError,
  TransferDamaged,
  UploadInterrupted,
} from "./errors.js";
import { CreateUploadRequestSchema, type Upload } from "./gen/mediagate/v1/uploads_pb.js";
import type { File as FileMessage } from "./gen/mediagate/v1/files_pb.js";
import { withRetries } from "./retry.js";
import type { Source } from "./source.js";
import { type File, fileOf, type Progress } from "./types.js";
import type { Call, Digest, FileMeta, Sending, Wire } from "./wire.js";

const MIB = 1 << 20;
/** Up to here one call is quicker, and a cut costs little. */
export const WHOLE_BYTES_MAX = 32 * MIB;
const PART_BYTES = 16 * MIB;
const PARTS_MAX = 9000;
const PARALLEL = 4;
// What a farewell to the gateway may take when the caller wants to leave.
const FAREWELL_S = 5;
// A file is put together while the call waits.
const COMPLETE_S = 900;

/** What an upload that broke off needs to go on. `parts` are the ids of those that the gateway has, by number. */
export interface UploadState {
  readonly uploadId: string;
  readonly size: number;
  readonly partBytes: number;
  readonly stamp: string | null;
  readonly parts: Record<number, string>;
}

/** One upload. */
export class Uploader {
  private readonly headers: Readonly<Record<string, string>>;
  private readonly key: string | undefined;
  private sentBytes = 0;
  private completing = false;
  private digest: Digest;
  // What one part's failure stops the others by.
  private readonly others = new AbortController();

  constructor(
    private readonly wire: Wire,
    private readonly source: Source,
    private readonly meta: FileMeta,
    headers: Readonly<Record<string, string>>,
    private readonly progress: Progress | undefined,
    private readonly signal: AbortSignal | undefined,
  ) {
    // However it is written: behind an idempotency key of the caller's nothing is undone.
    const said = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value] as const);
    const { "idempotency-key": key, ...rest } = Object.fromEntries(said) as Record<string, string>;
    this.key = key;
    this.headers = rest;
    this.digest = wire.platform.digest();
  }

  private report(count: number): void {
    this.sentBytes += count;
    this.progress?.(this.sentBytes, this.source.size);
  }

  /** Whether the caller gave an idempotency key. */
  get hasKey(): boolean {
    return this.key !== undefined;
  }

  /** The headers of one call that may be repeated. */
  private once(): Record<string, string> {
    return { ...this.headers, "idempotency-key": crypto.randomUUID() };
  }

  /** Send everything in one call; repeated where it can be read again. */
  async whole(): Promise<File> {
    const given = this.once();
    if (this.key !== undefined) given["idempotency-key"] = this.key;
    const attempt = async () => {
      try {
        return await this.send(given);
      } catch (error) {
        if (this.hasKey || !(error instanceof ApiError) || error.reason !== "IDEMPOTENCY_KEY_REUSED") throw error;
        // Ours alone: the gateway knows it with other bytes, those of a try that was cut, which it has not kept.
        return this.send(this.once());
      }
    };
    const retries = this.source.size === undefined ? 0 : this.wire.options.maxRetries;
    return this.proven(await withRetries(retries, this.signal, attempt));
  }

  /** One try. A caller who leaves when the gateway has all bytes, and so keeps the file, leaves no file. */
  private async send(headers: Readonly<Record<string, string>>): Promise<FileMessage> {
    this.sentBytes = 0;
    this.digest = this.wire.platform.digest();
    const stop = new AbortController();
    let ended = false;
    let patience: ReturnType<typeof setTimeout> | undefined;
    const leave = () => {
      const now = () => stop.abort(this.signal?.reason);
      // Behind a key of the caller's the file may be that of an earlier call.
      if (ended && !this.hasKey) patience = setTimeout(now, FAREWELL_S * 1000);
      else now();
    };
    const sending: Sending = {
      digest: this.digest,
      sent: (count) => this.report(count),
      ended: () => {
        ended = true;
      },
      headers,
      signal: stop.signal,
    };
    if (this.signal?.aborted) leave();
    this.signal?.addEventListener("abort", leave, { once: true });
    try {
      const file = await this.wire.sender.file(this.meta, this.source, sending);
      if (!this.hasKey && this.signal?.aborted) {
        await this.remove(file, { timeoutS: FAREWELL_S }).catch(() => undefined);
        throw this.signal.reason;
      }
      return file;
    } finally {
      clearTimeout(patience);
      this.signal?.removeEventListener("abort", leave);
    }
  }

  /** Send parts side by side. A cut throws UploadInterrupted; whatever else goes wrong cancels the upload. */
  async inParts(resume: UploadState | undefined): Promise<File> {
    const state = resume ?? (await this.begin());
    if (state.size !== this.source.size || (resume && (state.stamp ?? undefined) !== this.source.stamp)) {
      throw new FileChanged("The file is not the one whose upload broke off.");
    }
    let file: FileMessage | undefined;
    try {
      await this.sendParts(state);
      await this.source.check();
      file = await this.complete(state);
    } catch (error) {
      if (!this.signal?.aborted && (error instanceof ConnectionFailed || error instanceof ServerError)) {
        throw new UploadInterrupted(
          `The upload of '${this.source.filename}' broke off with ${Object.keys(state.parts).length} of` +
            ` ${count(state)} parts stored: ${error.summary}`,
          state,
          { requestId: error.requestId, cause: error },
        );
      }
      if (error instanceof NotFound && resume) {
        throw new InvalidRequest("The upload that broke off is over: it lasts an hour.", { reason: "STATE_CONFLICT" });
      }
      await this.cancel(state);
      throw error;
    }
    return this.proven(file);
  }

  private async begin(): Promise<UploadState> {
    const size = this.source.size;
    if (size === undefined) {
      throw new InvalidRequest("A stream of unknown length cannot go in parts.", {
        whatToDo: "Leave `parts` out, or give a path or a Blob.",
      });
    }
    const { customLlmProvider, targetModelNames, ...meta } = this.meta;
    const request = create(CreateUploadRequestSchema, {
      ...meta,
      bytes: size,
      mimeType: this.source.blob?.type || "application/octet-stream",
      ...(customLlmProvider.length ? { customLlmProvider: fromJson(ValueSchema, customLlmProvider) } : {}),
      ...(targetModelNames.length ? { targetModelNames: fromJson(ValueSchema, targetModelNames) } : {}),
    });
    const headers = this.once();
    const upload = await this.wire.call({ headers, signal: this.signal }, (options) =>
      this.wire.uploads.createUpload(request, options),
    );
    const partBytes = Math.max(PART_BYTES, Math.ceil(size / PARTS_MAX));
    return { uploadId: upload.id, size, partBytes, stamp: this.source.stamp ?? null, parts: {} };
  }

  /** Read and hash in order, send up to four at a time. */
  private async sendParts(state: UploadState): Promise<void> {
    const running = new Set<Promise<void>>();
    const failures: unknown[] = [];
    for (let number = 0; number < count(state) && failures.length === 0; number += 1) {
      const offset = number * state.partBytes;
      try {
        this.signal?.throwIfAborted();
        const data = await this.source.readAt(offset, Math.min(state.partBytes, state.size - offset));
        this.digest.update(data);
        if (number in state.parts) {
          this.report(data.length);
          continue;
        }
        const sending = this.sendPart(state, number, data)
          .catch((error: unknown) => {
            failures.push(error);
            this.others.abort(error);
          })
          .finally(() => running.delete(sending));
        running.add(sending);
      } catch (error) {
        failures.push(error);
        this.others.abort(error);
      }
      if (running.size >= PARALLEL) await Promise.race(running);
    }
    await Promise.all(running);
    if (failures.length > 0) throw failures[0];
  }

  private async sendPart(state: UploadState, number: number, data: Uint8Array<ArrayBuffer>): Promise<void> {
    const headers = this.once();
    const stops = [this.others.signal, ...(this.signal ? [this.signal] : [])];
    const signal = AbortSignal.any(stops);
    state.parts[number] = await withRetries(this.wire.options.maxRetries, signal, async () => {
      let sent = 0;
      const tell = (bytes: number) => {
        sent += bytes;
        this.report(bytes);
      };
      try {
        return await this.wire.sender.part(state.uploadId, data, { sent: tell, headers, signal });
      } catch (error) {
        // They are sent again.
        this.sentBytes -= sent;
        throw error;
      }
    });
  }

  private async complete(state: UploadState): Promise<FileMessage> {
    this.completing = true;
    const upload = await this.joined(state, { headers: this.headers, signal: this.signal, timeoutS: COMPLETE_S });
    if (upload.file === undefined) throw new ServerError("The gateway put the parts together, and names no file.");
    return upload.file;
  }

  /** Have the parts put together. Without an idempotency key: the method waits for itself, and answers the same file. */
  private joined(state: UploadState, given: Call): Promise<Upload> {
    const partIds = Array.from({ length: count(state) }, (_, number) => state.parts[number] ?? "");
    return this.wire.call(given, (options) =>
      this.wire.uploads.completeUpload({ uploadId: state.uploadId, partIds }, options),
    );
  }

  /** Tell the gateway, whatever the caller's signal says. */
  private async cancel(state: UploadState): Promise<void> {
    try {
      await this.wire.call(
        { headers: this.headers, timeoutS: FAREWELL_S },
        (options) => this.wire.uploads.cancelUpload({ uploadId: state.uploadId }, options),
        0,
      );
    } catch {
      // The gateway was already putting it together, which it ends whoever leaves: the file is what there is to undo.
      if (this.completing) await this.undo(state).catch(() => undefined);
    }
  }

  private async undo(state: UploadState): Promise<void> {
    const { file } = await this.joined(state, { headers: this.headers, timeoutS: FAREWELL_S });
    if (file) await this.remove(file, { timeoutS: FAREWELL_S });
  }

  private remove(file: FileMessage, given: Call): Promise<unknown> {
    const call = { ...given, headers: this.headers };
    return this.wire.call(call, (options) => this.wire.files.deleteFile({ fileId: file.id }, options));
  }

  /** The file, if the gateway has the bytes that were sent. */
  private async proven(message: FileMessage): Promise<File> {
    // Empty where a store put the parts together by itself: then each part was proven on its way.
    const told = message.mediagate?.sha256;
    const found = this.digest.hex();
    if (message.bytes !== this.sentBytes || (told && told !== found)) {
      await this.remove(message, {}).catch(() => undefined);
      throw new TransferDamaged("The gateway has other bytes than those that were sent; they were deleted.");
    }
    return fileOf(message);
  }
}

function count(state: UploadState): number {
  return Math.ceil(state.size / state.partBytes);
}

/** Read what `JSON.stringify(error.resume)` wrote. Throws TypeError. */
export function uploadState(given: UploadState | string): UploadState {
  const unreadable = new TypeError("This is no state of an upload.");
  let state: UploadState;
  try {
    state = (typeof given === "string" ? JSON.parse(given) : given) as UploadState;
  } catch {
    throw unreadable;
  }
  const whole = [state?.size, state?.partBytes].every(Number.isSafeInteger) && state.partBytes > 0;
  if (!whole || typeof state.uploadId !== "string" || typeof state.parts !== "object") throw unreadable;
  return { ...state, parts: { ...state.parts } };
}
