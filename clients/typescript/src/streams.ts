/** How bytes leave Node: as streams of messages, which carry their own proof. */

import { ConnectError } from "@connectrpc/connect";
import { asError } from "./failure.js";
import type { File as FileMessage } from "./gen/mediagate/v1/files_pb.js";
import type { Source } from "./source.js";
import type { FileMeta, PartSending, Sender, Sending, Wire } from "./wire.js";

const CHUNK_BYTES = 1 << 20;

/** Sender over client streams. */
export class StreamSender implements Sender {
  constructor(private readonly wire: Wire) {}

  async file(meta: FileMeta, source: Source, sending: Sending): Promise<FileMessage> {
    const { placement, expiresAfter, ...rest } = meta;
    const about = {
      ...rest,
      ...(placement ? { placement } : {}),
      ...(expiresAfter ? { expiresAfter } : {}),
      ...(source.size === undefined ? {} : { sizeBytes: BigInt(source.size) }),
    };
    const messages = async function* () {
      yield { payload: { case: "metadata" as const, value: about } };
      for await (const value of chunksOf(source)) {
        sending.digest.update(value);
        yield { payload: { case: "chunk" as const, value } };
        sending.sent(value.length);
      }
      sending.ended();
      yield { payload: { case: "checksum" as const, value: { sha256: sending.digest.hex() } } };
    };
    return send(messages(), sending, (own) => this.wire.files.uploadFile(own, this.wire.streaming(sending)));
  }

  async part(uploadId: string, data: Uint8Array<ArrayBuffer>, sending: PartSending): Promise<string> {
    const messages = async function* () {
      const about = { uploadId, sizeBytes: BigInt(data.length) };
      yield { payload: { case: "metadata" as const, value: about } };
      for (let offset = 0; offset < data.length; offset += CHUNK_BYTES) {
        const value = data.subarray(offset, offset + CHUNK_BYTES);
        yield { payload: { case: "chunk" as const, value } };
        sending.sent(value.length);
      }
    };
    const part = await send(messages(), sending, (own) =>
      this.wire.uploads.addUploadPart(own, this.wire.streaming(sending)),
    );
    return part.id;
  }
}

/** Make the call. What goes wrong with our own bytes is thrown as it is: Connect would hide it in an error of its own. */
async function send<M, A>(
  messages: AsyncIterable<M>,
  sending: Pick<Sending, "signal">,
  invoke: (messages: AsyncIterable<M>) => Promise<A>,
): Promise<A> {
  const own: unknown[] = [];
  const watched = async function* () {
    try {
      yield* messages;
    } catch (error) {
      // Connect throws its own error into the messages, to end them.
      if (!(error instanceof ConnectError)) own.push(error);
      throw error;
    }
  };
  try {
    return await invoke(watched());
  } catch (error) {
    throw own[0] ?? asError(error, sending.signal);
  }
}

/** The bytes, in pieces that the gateway takes. */
async function* chunksOf(source: Source): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  if (source.size !== undefined) {
    for (let offset = 0; offset < source.size; offset += CHUNK_BYTES) {
      const data = await source.readAt(offset, Math.min(CHUNK_BYTES, source.size - offset));
      // Before the gateway has all bytes: with them it may keep the file, however the call ends.
      if (offset + data.length === source.size) await source.check();
      yield data;
    }
    return;
  }
  for await (const chunk of source.once?.() ?? []) {
    for (let offset = 0; offset < chunk.length; offset += CHUNK_BYTES) {
      yield chunk.subarray(offset, offset + CHUNK_BYTES) as Uint8Array<ArrayBuffer>;
    }
  }
}
