/** The seam between the operations and what they run on: Node or a browser. */

import { type Client, createClient, type Transport } from "@connectrpc/connect";
import { asError } from "./failure.js";
import { FileService, type File as FileMessage } from "./gen/mediagate/v1/files_pb.js";
import { UploadService } from "./gen/mediagate/v1/uploads_pb.js";
import { VideoService } from "./gen/mediagate/v1/videos_pb.js";
import { headersOf, type Options } from "./options.js";
import { TIMER_MS_MAX, withRetries } from "./retry.js";
import type { Source } from "./source.js";

/** A hash that goes on with the bytes, which are read anyway. */
export interface Digest {
  update(data: Uint8Array): void;
  /** Lower-case hexadecimal, of all that it was given; nothing more can be given then. */
  hex(): string;
}

/** Where a file goes, and what it is. */
export interface FileMeta {
  filename: string;
  purpose: string;
  customLlmProvider: string[];
  targetModelNames: string[];
  onPartial?: string;
  user?: string;
  placement?: Record<string, string>;
  expiresAfter?: { anchor: string; seconds: number };
}

/** What a sender tells while it sends. */
export interface Sending {
  /** Kept up to date with the bytes; complete when the answer is there. */
  readonly digest: Digest;
  /** So many bytes more are sent. */
  sent(count: number): void;
  /** All may be there: from here on the gateway may keep the file, however the call ends. Not told where nobody can know. */
  ended(): void;
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal | undefined;
}

/** The same for a part, which is nothing by itself. */
export type PartSending = Omit<Sending, "digest" | "ended">;

/** How bytes get to the gateway: as a stream of messages where that is possible, else as a form. */
export interface Sender {
  /** A whole file. */
  file(meta: FileMeta, source: Source, sending: Sending): Promise<FileMessage>;
  /** One part of an upload; the part's id. */
  part(uploadId: string, data: Uint8Array<ArrayBuffer>, sending: PartSending): Promise<string>;
}

/** What Node and browsers do each in their way. */
export interface Platform {
  transport(options: Options): { transport: Transport; close(): void };
  sender(wire: Wire): Sender;
  digest(): Digest;
  /** Open what a caller wants to upload. */
  open(given: unknown, filename: string | undefined): Promise<Source>;
}

/** How one call is made. */
export interface Call {
  headers?: Readonly<Record<string, string>> | undefined;
  signal?: AbortSignal | undefined;
  timeoutS?: number | undefined;
}

/** One gateway: its services, and how calls to them are made. */
export class Wire {
  readonly files: Client<typeof FileService>;
  readonly uploads: Client<typeof UploadService>;
  readonly videos: Client<typeof VideoService>;
  readonly sender: Sender;
  readonly close: () => void;

  constructor(
    readonly options: Options,
    readonly platform: Platform,
  ) {
    const { transport, close } = platform.transport(options);
    this.files = createClient(FileService, transport);
    this.uploads = createClient(UploadService, transport);
    this.videos = createClient(VideoService, transport);
    this.close = close;
    this.sender = platform.sender(this);
  }

  /** What Connect is told about a call that streams. */
  streaming(call: Call): { headers: Record<string, string>; signal?: AbortSignal } {
    call.signal?.throwIfAborted();
    const headers = headersOf(this.options, call.headers);
    return call.signal ? { headers, signal: call.signal } : { headers };
  }

  /** Make one call, repeated where that helps. Throws the tree's errors. */
  async call<T>(
    call: Call,
    invoke: (options: ReturnType<Wire["streaming"]> & { timeoutMs: number }) => Promise<T>,
    retries = this.options.maxRetries,
  ): Promise<T> {
    const timeoutMs = Math.min((call.timeoutS ?? this.options.timeoutS) * 1000, TIMER_MS_MAX);
    return withRetries(retries, call.signal, async () => {
      const options = { ...this.streaming(call), timeoutMs };
      try {
        return await invoke(options);
      } catch (error) {
        throw asError(error, call.signal);
      }
    });
  }
}
