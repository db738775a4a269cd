/** What calls answer: the messages of the protos, with `null` where these have a value that may be absent. */

import type { Message } from "@bufbuild/protobuf";
import { toJson } from "@bufbuild/protobuf";
import { type Value, ValueSchema } from "@bufbuild/protobuf/wkt";
import type * as files from "./gen/mediagate/v1/files_pb.js";
import type * as videos from "./gen/mediagate/v1/videos_pb.js";

type Bare<T> = Omit<T, "$typeName" | "$unknown">;

/** A file. `bytes` is its size, times are Unix seconds, `mediagate.sha256` is the checksum of its bytes. */
export type File = Bare<Omit<files.File, "mediagate">> & { readonly mediagate: files.FileDetails };
/** One copy of a file. */
export type Replica = files.Replica;
/** A video. Times are Unix seconds. */
export type Video = Bare<Omit<videos.Video, VideoValues | "mediagate">> & {
  readonly completedAt: number | null;
  readonly expiresAt: number | null;
  readonly prompt: string | null;
  readonly remixedFromVideoId: string | null;
  readonly error: { readonly code: string; readonly message: string } | null;
  readonly mediagate: videos.VideoDetails;
};
type VideoValues = "completedAt" | "expiresAt" | "prompt" | "remixedFromVideoId" | "error";
/** One event in the life of a video; `type` says which member is there. More types may come. */
export type VideoEvent = Bare<Omit<videos.VideoEvent, "video">> & { readonly video?: Video };
/** What a video would cost, and how long it would take. */
export type VideoEstimate = Bare<Omit<videos.VideoEstimate, "costUsd">> & { readonly costUsd: number | null };
/** That something was deleted. */
export interface Deleted {
  readonly id: string;
  readonly object: string;
  readonly deleted: boolean;
}

/** One page of a list, which can be iterated. `lastId` as `after` asks for the next, where `hasMore`. */
export class Page<T> implements Iterable<T> {
  constructor(
    readonly data: readonly T[],
    readonly hasMore: boolean,
    readonly firstId: string | null,
    readonly lastId: string | null,
  ) {}

  [Symbol.iterator](): Iterator<T> {
    return this.data[Symbol.iterator]();
  }
}

/** How far a transfer is: bytes so far, and of how many where that is known. */
export type Progress = (bytes: number, size: number | undefined) => void;

/** A message as a plain object. */
function bare<T extends Message>(message: T): Bare<T> {
  const { $typeName: _name, $unknown: _unknown, ...members } = message;
  return members;
}

/** A value that may be null, as JavaScript has it. */
function plain<T>(value: Value | undefined): T | null {
  return value === undefined ? null : (toJson(ValueSchema, value) as T);
}

/** A file as callers see it. */
export function fileOf(message: files.File): File {
  return bare(message) as File;
}

/** A video as callers see it. */
export function videoOf(message: videos.Video): Video {
  return {
    ...bare(message),
    completedAt: plain(message.completedAt),
    expiresAt: plain(message.expiresAt),
    prompt: plain(message.prompt),
    remixedFromVideoId: plain(message.remixedFromVideoId),
    error: plain(message.error),
  } as Video;
}

/** An event as callers see it. */
export function eventOf(message: videos.VideoEvent): VideoEvent {
  const { video, ...members } = bare(message);
  return video === undefined ? members : { ...members, video: videoOf(video) };
}

/** An estimate as callers see it. */
export function estimateOf(message: videos.VideoEstimate): VideoEstimate {
  return { ...bare(message), costUsd: plain(message.costUsd) };
}

/** What lists have in common. */
interface Listed<T> {
  data: T[];
  hasMore: boolean;
  firstId?: Value | undefined;
  lastId?: Value | undefined;
}

/** A page as callers see it. */
export function pageOf<M, T>(answer: Listed<M>, convert: (message: M) => T): Page<T> {
  return new Page(answer.data.map(convert), answer.hasMore, plain(answer.firstId), plain(answer.lastId));
}
