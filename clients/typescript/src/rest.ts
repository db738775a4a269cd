/** How bytes leave a browser, where gRPC-Web has no streams: as a form, which the browser reads from the disk by itself. */

import { fromJson } from "@bufbuild/protobuf";
import { lost, notAGateway, refusal } from "./failure.js";
import { type File as FileMessage, FileSchema } from "./gen/mediagate/v1/files_pb.js";
import { UploadPartSchema } from "./gen/mediagate/v1/uploads_pb.js";
import { headersOf } from "./options.js";
import type { Source } from "./source.js";
import type { FileMeta, PartSending, Sender, Sending, Wire } from "./wire.js";

const HASH_BYTES = 4 << 20;
// The browser tells late of what it has sent: so much may have arrived already.
const ARRIVED_BYTES = 4 << 20;

interface Answer {
  status: number;
  body: string;
  header(name: string): string | null;
}

/** Sender for browsers. */
export class FormSender implements Sender {
  constructor(private readonly wire: Wire) {}

  async file(meta: FileMeta, source: Source, sending: Sending): Promise<FileMessage> {
    const blob = source.blob;
    if (blob === undefined) throw new TypeError("Only a Blob, a File or bytes can be sent as a form.");
    const fields: [string, string][] = [["purpose", meta.purpose]];
    for (const name of meta.customLlmProvider) fields.push(["custom_llm_provider", name]);
    for (const name of meta.targetModelNames) fields.push(["target_model_names", name]);
    if (meta.onPartial) fields.push(["on_partial", meta.onPartial]);
    if (meta.user) fields.push(["user", meta.user]);
    if (meta.placement) fields.push(["placement", JSON.stringify(meta.placement)]);
    if (meta.expiresAfter) {
      fields.push(["expires_after[anchor]", meta.expiresAfter.anchor]);
      fields.push(["expires_after[seconds]", String(meta.expiresAfter.seconds)]);
    }
    // What cannot be read is known before the browser finds out, and by its name.
    await source.check();
    const stop = new AbortController();
    const signal = sending.signal ? AbortSignal.any([sending.signal, stop.signal]) : stop.signal;
    const hashing = hash(source, blob.size, sending, signal);
    hashing.catch((error: unknown) => stop.abort(error));
    const answer = await this.form("/v1/files", fields, "file", meta.filename, blob, { ...sending, signal });
    await hashing;
    return fromJson(FileSchema, answer, { ignoreUnknownFields: true });
  }

  async part(uploadId: string, data: Uint8Array<ArrayBuffer>, sending: PartSending): Promise<string> {
    const path = `/v1/uploads/${encodeURIComponent(uploadId)}/parts`;
    const answer = await this.form(path, [], "data", "part", new Blob([data]), sending);
    return fromJson(UploadPartSchema, answer, { ignoreUnknownFields: true }).id;
  }

  private async form(
    path: string,
    fields: readonly [string, string][],
    name: string,
    filename: string,
    content: Blob,
    sending: PartSending & Partial<Pick<Sending, "ended">>,
  ) {
    const boundary = crypto.randomUUID();
    const part = (disposition: string) => `--${boundary}\r\nContent-Disposition: form-data; ${disposition}\r\n`;
    const head = fields.map(([field, value]) => `${part(`name="${field}"`)}\r\n${value}\r\n`).join("");
    const file = `${part(`name="${name}"; filename=${quoted(filename)}`)}Content-Type: application/octet-stream\r\n\r\n`;
    const before = new TextEncoder().encode(head + file);
    const body = new Blob([before, content, `\r\n--${boundary}--\r\n`]);
    const headers = headersOf(this.wire.options, {
      ...sending.headers,
      "content-type": `multipart/form-data; boundary=${boundary}`,
    });
    let told = 0;
    const progress = (loaded: number) => {
      const sent = Math.min(Math.max(loaded - before.length, 0), content.size);
      if (sent > told) sending.sent(sent - told);
      told = Math.max(told, sent);
    };
    sending.signal?.throwIfAborted();
    const send = "XMLHttpRequest" in globalThis ? byXhr : byFetch;
    const answer = await send(this.wire.options.url + path, headers, body, { progress, ended: sending.ended }, sending.signal);
    if (answer.status < 200 || answer.status >= 300) throw refusal(answer.status, answer.body, answer.header);
    progress(body.size);
    try {
      return JSON.parse(answer.body);
    } catch {
      throw notAGateway();
    }
  }
}

interface Telling {
  progress(loaded: number): void;
  ended: (() => void) | undefined;
}

/** Only XMLHttpRequest tells how much has been sent. */
function byXhr(
  url: string,
  headers: Readonly<Record<string, string>>,
  body: Blob,
  tell: Telling,
  signal: AbortSignal | undefined,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const stop = () => request.abort();
    signal?.addEventListener("abort", stop, { once: true });
    request.open("POST", url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    const sent = (event: ProgressEvent) => {
      tell.progress(event.loaded);
      if (event.total - event.loaded <= ARRIVED_BYTES) tell.ended?.();
    };
    request.upload.onloadstart = sent;
    request.upload.onprogress = sent;
    request.onerror = () => reject(lost(new TypeError("Failed to send.")));
    request.onabort = () => reject((signal?.reason as Error) ?? lost(new TypeError("Stopped.")));
    request.onload = () =>
      resolve({
        status: request.status,
        body: request.responseText,
        header: (name) => request.getResponseHeader(name),
      });
    request.onloadend = () => signal?.removeEventListener("abort", stop);
    request.send(body);
  });
}

async function byFetch(
  url: string,
  headers: Readonly<Record<string, string>>,
  body: Blob,
  _tell: Telling,
  signal: AbortSignal | undefined,
): Promise<Answer> {
  try {
    const answer = await fetch(url, { method: "POST", headers, body, ...(signal ? { signal } : {}) });
    return { status: answer.status, body: await answer.text(), header: (name) => answer.headers.get(name) };
  } catch (error) {
    throw signal?.aborted ? signal.reason : lost(error);
  }
}

/** Hash what the browser sends by itself. */
async function hash(source: Source, size: number, sending: Sending, signal: AbortSignal): Promise<void> {
  for (let offset = 0; offset < size && !signal.aborted; offset += HASH_BYTES) {
    sending.digest.update(await source.readAt(offset, Math.min(HASH_BYTES, size - offset)));
  }
}

/** A name as browsers write it; one that could be misread is written a second, unmistakable way. */
function quoted(filename: string): string {
  const name = filename.replace(/"/g, "%22").replace(/\r/g, "%0D").replace(/\n/g, "%0A");
  return `"${name}"${name.includes("%") ? `; filename*=UTF-8''${encodeURIComponent(filename).replace(/'/g, "%27")}` : ""}`;
}
