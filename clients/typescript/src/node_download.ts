/** Downloads to a path: a temporary file beside it, which gets its name when every byte is there and proven. */

import { randomBytes } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { link, open, rename, rm, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { Download, DownloadOptions } from "./download.js";
import { DiskFull, LocalFileError } from "./errors.js";
import { said } from "./node_source.js";
import { cleanName } from "./source.js";

/** How to save. */
export interface SaveOptions extends Omit<DownloadOptions, "offset" | "length"> {
  /** Whether a file that is there already is replaced; true. */
  overwrite?: boolean;
}

const FULL = new Set(["ENOSPC", "EDQUOT", "EFBIG"]);

/** Fetch to a path, or into a folder under the content's own name; resolves to the path. */
export async function saveTo(download: Download, path: string | URL, options: SaveOptions): Promise<string> {
  const pieces = download.pieces();
  const given = typeof path === "string" ? path : fileURLToPath(path);
  let part: Part | undefined;
  try {
    for await (const piece of pieces) {
      if (!(piece instanceof Uint8Array)) {
        part = await Part.open(await target(given, piece.filename, options.overwrite ?? true));
      } else {
        await part?.write(piece);
      }
    }
    if (part === undefined) throw new LocalFileError(`There is nothing to write to '${given}'.`);
    return await part.finish(options.overwrite ?? true);
  } catch (error) {
    await part?.abandon();
    throw error;
  }
}

class Part {
  private constructor(
    private readonly target: string,
    private readonly path: string,
    private readonly handle: FileHandle,
  ) {}

  static async open(target: string): Promise<Part> {
    // A name may be as long as the file system allows; ours must not be longer.
    const stem = Buffer.from(cleanName(target)).subarray(0, 120).toString().replace(/\ufffd+$/, "");
    const path = join(dirname(target), `.${stem}.${randomBytes(6).toString("hex")}.part`);
    return new Part(target, path, await told(target, () => open(path, "wx")));
  }

  async write(data: Uint8Array): Promise<void> {
    let written = 0;
    while (written < data.length) {
      written += (await told(this.target, () => this.handle.write(data, written))).bytesWritten;
    }
  }

  /** Make it durable, then give it its name. */
  async finish(overwrite: boolean): Promise<string> {
    await told(this.target, async () => {
      await this.handle.sync();
      await this.handle.close();
      if (overwrite) {
        await rename(this.path, this.target);
      } else {
        await link(this.path, this.target);
        await rm(this.path, { force: true });
      }
    });
    // Not every system can make a folder durable.
    const folder = await open(dirname(this.target)).catch(() => undefined);
    await folder?.sync().catch(() => undefined);
    await folder?.close();
    return this.target;
  }

  async abandon(): Promise<void> {
    await this.handle.close().catch(() => undefined);
    await rm(this.path, { force: true }).catch(() => undefined);
  }
}

async function told<T>(target: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "";
    if (FULL.has(code)) throw new DiskFull(`There is no room for '${target}'.`, { cause: error });
    if (code === "EEXIST") throw isThere(target);
    throw new LocalFileError(`'${target}' cannot be written: ${said(error)}.`, { cause: error });
  }
}

function isThere(target: string): LocalFileError {
  return new LocalFileError(`'${target}' is there already.`, { whatToDo: "Name another path, or leave `overwrite` out." });
}

/** The path to write. The name is a stranger's: no part of it leads out of the folder. */
async function target(given: string, filename: string, overwrite: boolean): Promise<string> {
  const isFolder = async (path: string) => (await stat(path).catch(() => undefined))?.isDirectory() ?? false;
  let path = resolve(given);
  if (await isFolder(path)) {
    const name = cleanName(filename).replaceAll("\0", "");
    path = join(path, ["", ".", ".."].includes(name) ? "download" : name);
  } else if (!(await isFolder(dirname(path)))) {
    throw new LocalFileError(`The folder '${dirname(path)}' does not exist.`);
  }
  if (await isFolder(path)) throw new LocalFileError(`'${path}' is a folder.`);
  if (!overwrite && (await stat(path).catch(() => undefined))) throw isThere(path);
  return path;
}
