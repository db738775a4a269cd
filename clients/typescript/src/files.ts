/** Files: stored once, read through one id wherever their bytes lie. */

import { Download, type DownloadOptions } from "./download.js";
import { type Deleted, type File, fileOf, type Page, pageOf, type Progress, type Replica } from "./types.js";
import { Uploader, type UploadState, uploadState, WHOLE_BYTES_MAX } from "./upload.js";
import type { Call, FileMeta, Wire } from "./wire.js";

/** One name, or several. */
export type Names = string | readonly string[];

/** Where a file goes and what it is, for uploads and copies. */
export interface Placing {
  /** Providers or accounts. */
  to?: Names;
  /** Models whose accounts shall have it. */
  models?: Names;
  purpose?: string;
  filename?: string;
  /** Seconds from 3600 to 2592000. */
  expiresAfterS?: number;
  onPartial?: "undo" | "keep";
  user?: string;
  /** What the places must be like, by label. */
  placement?: Readonly<Record<string, string>>;
}

/** How to upload. */
export interface UploadOptions extends Placing {
  onProgress?: Progress;
  /** What UploadInterrupted had as `resume`, or the same as JSON. */
  resume?: UploadState | string;
  /** Whether it goes in parts; by itself what is larger than 32 MiB does, unless `headers` has an idempotency key. */
  parts?: boolean;
  headers?: Readonly<Record<string, string>>;
  signal?: AbortSignal;
}

/** How to copy. */
export interface CopyOptions extends Placing, Call {
  /** With false the answer comes at once, and `get` tells when `status` is `processed`. */
  wait?: boolean;
}

/** Which files to list. */
export interface ListFilesOptions extends Call {
  after?: string;
  /** 1 to 10000. */
  limit?: number;
  order?: "asc" | "desc";
  purpose?: string;
  user?: string;
}

// A copy may take as long as its bytes do.
const COPY_S = 900;

function names(given: Names | undefined): string[] {
  return given === undefined ? [] : typeof given === "string" ? [given] : [...given];
}

/** Members that are there, so that those which are not stay unsaid. */
export function given<T extends object>(members: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as never;
}

function placed(options: Placing): Omit<FileMeta, "filename" | "purpose"> {
  const { onPartial, user, placement, expiresAfterS: seconds } = options;
  return {
    customLlmProvider: names(options.to),
    targetModelNames: names(options.models),
    ...given({
      onPartial,
      user,
      placement: placement && { ...placement },
      expiresAfter: seconds === undefined ? undefined : { anchor: "created_at", seconds },
    }),
  };
}

/** `client.files`. `Readable` is what can be uploaded there. */
export class Files<Readable = Blob | ArrayBuffer | Uint8Array> {
  constructor(protected readonly wire: Wire) {}

  /**
   * Store a file. What is larger than 32 MiB goes in parts: a cut throws UploadInterrupted, and the same call with
   * `resume: error.resume` sends what is missing. A call that is stopped by its signal cancels the upload. The file that
   * comes back is proven to be, byte for byte, what was sent. Throws FileChanged for one that somebody writes to.
   */
  async upload(file: Readable, options: UploadOptions = {}): Promise<File> {
    const { onProgress, signal, parts, purpose = "user_data" } = options;
    signal?.throwIfAborted();
    const state = options.resume === undefined ? undefined : uploadState(options.resume);
    const source = await this.wire.platform.open(file, options.filename);
    try {
      const meta = { filename: source.filename, purpose, ...placed(options) };
      const uploader = new Uploader(this.wire, source, meta, options.headers ?? {}, onProgress, signal);
      // A caller's idempotency key stands for one call alone.
      const large = (source.size ?? 0) > WHOLE_BYTES_MAX && !uploader.hasKey;
      const inParts = state ?? (source.size !== 0 && (parts ?? large));
      return await (inParts ? uploader.inParts(state) : uploader.whole());
    } finally {
      await source.close();
    }
  }

  /** What is known of a file. */
  async get(fileId: string, options: Call = {}): Promise<File> {
    return fileOf(await this.wire.call(options, (call) => this.wire.files.getFile({ fileId }, call)));
  }

  /** One page, newest first unless `order` is `asc`. */
  async list(options: ListFilesOptions = {}): Promise<Page<File>> {
    const { after, limit, order, purpose, user } = options;
    const request = given({ after, limit, order, purpose, user });
    return pageOf(await this.wire.call(options, (call) => this.wire.files.listFiles(request, call)), fileOf);
  }

  /** Delete it everywhere. */
  async delete(fileId: string, options: Call = {}): Promise<Deleted> {
    const headers = { "idempotency-key": crypto.randomUUID(), ...options.headers };
    return this.wire.call({ ...options, headers }, (call) => this.wire.files.deleteFile({ fileId }, call));
  }

  /** Store what lies somewhere already: `s3://…`, `gs://…`, `https://…`, or the id of a file or a finished video. */
  async copy(source: string, options: CopyOptions = {}): Promise<File> {
    const { purpose, filename, wait = true } = options;
    const headers = { "idempotency-key": crypto.randomUUID(), ...options.headers };
    const respondAsync = wait ? undefined : true;
    const request = { source, ...placed(options), ...given({ purpose, filename, respondAsync }) };
    const call = { timeoutS: COPY_S, ...options, headers };
    return fileOf(await this.wire.call(call, (ready) => this.wire.files.copyFile(request, ready)));
  }

  /** Where its bytes lie, one for each account. */
  async replicas(fileId: string, options: Call = {}): Promise<readonly Replica[]> {
    return (await this.get(fileId, options)).replicas;
  }

  /** Its bytes: `for await (const chunk of files.download(id))`, or `.bytes()`, `.blob()`, `.stream()`. */
  download(fileId: string, options: DownloadOptions = {}): Download {
    return new Download(this.wire, (range, call) => this.wire.files.downloadFile({ fileId, ...range }, call), options);
  }

  /** All of its bytes, in memory. */
  async content(fileId: string, options: DownloadOptions = {}): Promise<Uint8Array<ArrayBuffer>> {
    return this.download(fileId, options).bytes();
  }
}
