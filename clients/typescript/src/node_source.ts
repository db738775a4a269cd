/** What is uploaded from Node: a path, a stream, or what browsers can upload too. */

import type { FileHandle } from "node:fs/promises";
import { open as openFile } from "node:fs/promises";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { FileChanged, LocalFileError } from "./errors.js";
import { cleanName, type Source, sourceOf } from "./source.js";

/** What can be uploaded: a path or a `file:` URL, bytes, a Blob, or a stream, which goes through as it comes. */
export type Readable = string | URL | Blob | ArrayBuffer | Uint8Array | AsyncIterable<Uint8Array>;

/** Open what a caller wants to upload. */
export async function open(given: unknown, filename: string | undefined): Promise<Source> {
  const known = sourceOf(given, filename);
  if (known !== undefined) return known;
  if (given instanceof URL && given.protocol === "file:") return PathSource.open(fileURLToPath(given), filename);
  if (typeof given === "string") return PathSource.open(given, filename);
  if (isIterable(given)) return new StreamSource(given, filename);
  throw new TypeError("Only a path, a file: URL, bytes, a Blob or a stream of bytes can be uploaded.");
}

function isIterable(given: unknown): given is AsyncIterable<unknown> {
  return typeof given === "object" && given !== null && Symbol.asyncIterator in given;
}

/** What the system said of a path. */
export function said(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return /^[A-Z0-9]+: ([^,]+)/.exec(message)?.[1] ?? code ?? message;
}

/** A file of this machine. */
class PathSource implements Source {
  private constructor(
    private readonly handle: FileHandle,
    readonly filename: string,
    readonly size: number,
    readonly stamp: string,
  ) {}

  static async open(path: string, filename: string | undefined): Promise<Source> {
    let handle: FileHandle | undefined;
    try {
      handle = await openFile(path, "r");
      const known = await handle.stat({ bigint: true });
      const name = filename || basename(path) || "upload";
      if (known.isDirectory()) throw new LocalFileError(`'${path}' is a folder.`);
      // A pipe has no size, and is read once.
      if (!known.isFile()) return new StreamSource(handle.createReadStream(), name);
      return new PathSource(handle, name, Number(known.size), stampOf(known));
    } catch (error) {
      await handle?.close();
      if (error instanceof LocalFileError) throw error;
      throw new LocalFileError(`'${path}' cannot be read: ${said(error)}.`, { cause: error });
    }
  }

  async readAt(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    const data = new Uint8Array(length);
    let filled = 0;
    while (filled < length) {
      const bytesRead = await this.read(data, filled, offset + filled);
      if (bytesRead === 0) throw new FileChanged(`'${this.filename}' became shorter while it was sent.`);
      filled += bytesRead;
    }
    return data;
  }

  private async read(data: Uint8Array<ArrayBuffer>, filled: number, position: number): Promise<number> {
    try {
      return (await this.handle.read(data, filled, data.length - filled, position)).bytesRead;
    } catch (error) {
      throw new LocalFileError(`'${this.filename}' cannot be read: ${said(error)}.`, { cause: error });
    }
  }

  async check(): Promise<void> {
    const known = await this.handle.stat({ bigint: true });
    if (stampOf(known) !== this.stamp) throw new FileChanged(`'${this.filename}' changed while it was sent.`);
  }

  async close(): Promise<void> {
    await this.handle.close();
  }
}

function stampOf(known: { size: bigint; mtimeNs: bigint }): string {
  return `${known.size}:${known.mtimeNs}`;
}

/** A stream of Node's or of the web's kind, or a generator. */
class StreamSource implements Source {
  readonly filename: string;
  readonly size = undefined;
  readonly stamp = undefined;

  constructor(
    private readonly stream: AsyncIterable<unknown>,
    filename: string | undefined,
  ) {
    const path = (stream as { path?: unknown }).path;
    this.filename = filename || (typeof path === "string" ? cleanName(path) : "") || "upload";
  }

  async *once(): AsyncGenerator<Uint8Array> {
    try {
      for await (const chunk of this.stream) {
        if (!(chunk instanceof Uint8Array)) {
          throw new TypeError("The stream has text: open it without an encoding, so that it gives bytes.");
        }
        yield chunk;
      }
    } catch (error) {
      if (error instanceof TypeError) throw error;
      throw new LocalFileError(`'${this.filename}' cannot be read: ${said(error)}.`, { cause: error });
    }
  }

  readAt(): Promise<never> {
    throw new LocalFileError(`'${this.filename}' is a stream, which can be read only once.`);
  }

  async check(): Promise<void> {}

  async close(): Promise<void> {
    (this.stream as { destroy?: () => void }).destroy?.();
  }
}
