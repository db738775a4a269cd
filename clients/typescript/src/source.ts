/** What is uploaded, read by position where that is possible. */

import { FileChanged, LocalFileError } from "./errors.js";

/** Bytes to send. */
export interface Source {
  readonly filename: string;
  /** Undefined for what can be read only once, such as a pipe. */
  readonly size: number | undefined;
  /** Size and time of the last change, where there are such. */
  readonly stamp: string | undefined;
  /** All of it, where a browser can send it by itself. */
  readonly blob?: Blob;
  /** Exactly these bytes. Throws FileChanged where there are fewer. */
  readAt(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>>;
  /** The bytes of what can be read only once. */
  once?(): AsyncIterable<Uint8Array>;
  /** Throws FileChanged where somebody has written to it since it was opened. */
  check(): Promise<void>;
  close(): Promise<void>;
}

/** A Blob, a browser's File, or bytes. */
export class BlobSource implements Source {
  readonly filename: string;
  readonly size: number;
  readonly stamp: string | undefined;

  constructor(
    readonly blob: Blob,
    filename: string | undefined,
  ) {
    const file = blob as Partial<globalThis.File>;
    this.filename = filename || cleanName(file.name ?? "") || "upload";
    this.size = blob.size;
    this.stamp = typeof file.lastModified === "number" ? `${blob.size}:${file.lastModified}` : undefined;
  }

  async readAt(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    let data: Uint8Array<ArrayBuffer>;
    try {
      data = new Uint8Array(await this.blob.slice(offset, offset + length).arrayBuffer());
    } catch (error) {
      throw unreadable(this.filename, error);
    }
    if (data.length !== length) throw new FileChanged(`'${this.filename}' became shorter while it was sent.`);
    return data;
  }

  async check(): Promise<void> {
    if (this.size > 0) await this.readAt(this.size - 1, 1);
  }

  async close(): Promise<void> {}
}

/** The name without a path. */
export function cleanName(name: string): string {
  return name.split(/[\\/]/).at(-1) ?? "";
}

/** The source of what is no path and no stream, or undefined. */
export function sourceOf(given: unknown, filename: string | undefined): Source | undefined {
  if (given instanceof Blob) return new BlobSource(given, filename);
  if (given instanceof ArrayBuffer) return new BlobSource(new Blob([given]), filename);
  if (ArrayBuffer.isView(given)) return new BlobSource(new Blob([given as Uint8Array<ArrayBuffer>]), filename);
  return undefined;
}

/** A file that was there when it was chosen, and is not, or is another, when it is read. */
function unreadable(filename: string, error: unknown): LocalFileError {
  const name = error instanceof DOMException ? error.name : "";
  if (name === "NotReadableError" || name === "NotFoundError") {
    return new FileChanged(`'${filename}' is gone, or changed while it was sent.`, { cause: error });
  }
  return new LocalFileError(`'${filename}' cannot be read: ${String(error)}.`, { cause: error });
}
