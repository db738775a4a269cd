/** Videos: asked for once, watched instead of polled. */

import type { JsonObject } from "@bufbuild/protobuf";
import { Download, type DownloadOptions } from "./download.js";
import { InvalidRequest, MediagateError, TimedOut, VideoFailed } from "./errors.js";
import { asError } from "./failure.js";
import { given } from "./files.js";
import { pause, sleep, TIMER_MS_MAX } from "./retry.js";
import {
  type Deleted,
  estimateOf,
  eventOf,
  type Page,
  pageOf,
  type Video,
  type VideoEstimate,
  type VideoEvent,
  videoOf,
} from "./types.js";
import type { Call, Wire } from "./wire.js";

/** What to make. */
export interface VideoWishes {
  model?: string;
  seconds?: number | string;
  size?: string;
}

/** How to make it. */
export interface CreateVideoOptions<Readable> extends VideoWishes, Call {
  /** An image: bytes, an `https:` or `data:` URL, the id of a file; in Node also a path. */
  inputReference?: Readable;
  aspectRatio?: string;
  resolution?: string;
  generateAudio?: boolean;
  /** US dollars. */
  maxCost?: number;
  /** A duration such as `10m`. */
  startTimeout?: string;
  /** A duration such as `1h`. */
  cancelAfter?: string;
  characters?: readonly string[];
  user?: string;
  placement?: Readonly<Record<string, string>>;
  /** Members for the provider's own body. */
  extraBody?: JsonObject;
}

/** How to remix. */
export interface RemixOptions extends Call {
  maxCost?: number;
  extraBody?: JsonObject;
}

/** Which videos to list. */
export interface ListVideosOptions extends Call {
  after?: string;
  /** 0 to 100. */
  limit?: number;
  order?: "asc" | "desc";
  user?: string;
}

/** How to watch. */
export interface WatchOptions {
  /** Number of the last event that was seen. */
  afterSeq?: number;
  signal?: AbortSignal;
}

/** How to wait. */
export interface WaitOptions {
  timeoutS?: number;
  onEvent?: (event: VideoEvent) => void;
  signal?: AbortSignal;
}

/** Which of a video's contents, and how. */
export interface VideoContentOptions extends DownloadOptions {
  variant?: "video" | "thumbnail" | "spritesheet";
}

const IMAGE_BYTES_MAX = 20 << 20;
// How often in a row a watch may be cut without an event, on the way to nowhere.
const CUTS_MAX = 8;

/** `client.videos`. `Readable` is what can be read there. */
export class Videos<Readable = Blob | ArrayBuffer | Uint8Array> {
  constructor(protected readonly wire: Wire) {}

  /** Ask for a video; answers at once with `queued`. Repeats by themselves pay for nothing twice. */
  async create(prompt: string, options: CreateVideoOptions<Readable | string> = {}): Promise<Video> {
    const { model, size, aspectRatio, resolution, generateAudio, maxCost, startTimeout, cancelAfter, user } = options;
    const { seconds, placement, inputReference, extraBody, characters = [] } = options;
    const wishes = given({
      ...{ model, size, aspectRatio, resolution, generateAudio, maxCost, startTimeout, cancelAfter, user, extraBody },
      seconds: seconds === undefined ? undefined : String(seconds),
      placement: placement && { ...placement },
      inputReference: inputReference === undefined ? undefined : await this.reference(inputReference),
    });
    const request = { prompt, ...wishes, characters: [...characters] };
    return videoOf(await this.wire.call(once(options), (call) => this.wire.videos.createVideo(request, call)));
  }

  /** What a video would cost (`costUsd`), and how long it would take. Nothing is made. */
  async estimate(prompt: string, options: VideoWishes & Call = {}): Promise<VideoEstimate> {
    const { model, size, seconds } = options;
    const length = seconds === undefined ? undefined : String(seconds);
    const request = { prompt, ...given({ model, size, seconds: length }) };
    return estimateOf(await this.wire.call(options, (call) => this.wire.videos.estimateVideo(request, call)));
  }

  /** What is known of a video. */
  async get(videoId: string, options: Call = {}): Promise<Video> {
    return videoOf(await this.wire.call(options, (call) => this.wire.videos.getVideo({ videoId }, call)));
  }

  /** One page, newest first unless `order` is `asc`. */
  async list(options: ListVideosOptions = {}): Promise<Page<Video>> {
    const { after, limit, order, user } = options;
    const request = given({ after, limit, order, user });
    return pageOf(await this.wire.call(options, (call) => this.wire.videos.listVideos(request, call)), videoOf);
  }

  /**
   * Every event of a video as it happens: a snapshot first, `end` last. A cut is mended by itself; no event is lost or
   * told twice. Leaving the loop ends the watch.
   */
  async *watch(videoId: string, options: WatchOptions = {}): AsyncGenerator<VideoEvent, void, undefined> {
    const { signal } = options;
    let [seen, cuts, begun] = [options.afterSeq, 0, false];
    for (;;) {
      try {
        for await (const event of this.events(videoId, seen, signal)) {
          cuts = 0;
          // The first of a mended watch; what it has is told by the events behind it.
          if (event.type === "snapshot" && begun) continue;
          [begun, seen] = [true, Math.max(seen ?? 0, event.seq)];
          yield event;
          if (event.type === "end" || event.type === "deleted") return;
        }
      } catch (error) {
        cuts += 1;
        const again = error instanceof MediagateError && error.retryable;
        if (!again || cuts > Math.min(CUTS_MAX, this.wire.options.maxRetries * 2)) throw error;
        await pause(error, cuts, signal);
        continue;
      }
      // A server that is being replaced ends its streams kindly.
      cuts += 1;
      if (cuts > CUTS_MAX) throw new TimedOut("The watch ended again and again without the video's end.");
      await sleep(0.2, signal);
    }
  }

  /** One watch, until it ends or breaks. */
  private async *events(
    videoId: string,
    afterSeq: number | undefined,
    given_: AbortSignal | undefined,
  ): AsyncGenerator<VideoEvent, void, undefined> {
    const leaving = new AbortController();
    const signal = given_ ? AbortSignal.any([given_, leaving.signal]) : leaving.signal;
    try {
      const request = { videoId, ...given({ afterSeq }) };
      for await (const event of this.wire.videos.watchVideo(request, this.wire.streaming({ signal }))) {
        yield eventOf(event);
      }
    } catch (error) {
      throw asError(error, given_);
    } finally {
      leaving.abort();
    }
  }

  /** Every event of all videos of the caller, without an end; `event.cursor` as `after` goes on behind it. */
  async *watchAll(
    options: { after?: string; user?: string; signal?: AbortSignal } = {},
  ): AsyncGenerator<VideoEvent, void, undefined> {
    const { after, user, signal: given_ } = options;
    const leaving = new AbortController();
    const signal = given_ ? AbortSignal.any([given_, leaving.signal]) : leaving.signal;
    try {
      for await (const event of this.wire.videos.watchVideos(given({ after, user }), this.wire.streaming({ signal }))) {
        yield eventOf(event);
      }
    } catch (error) {
      throw asError(error, given_);
    } finally {
      leaving.abort();
    }
  }

  /** The video once it is completed. Throws VideoFailed where it becomes none, TimedOut after `timeoutS`, behind which the
   * video goes on. */
  async wait(videoId: string, options: WaitOptions = {}): Promise<Video> {
    const { timeoutS, onEvent, signal: stop } = options;
    const late = new TimedOut(`The video ${videoId} is not finished after ${timeoutS} s; it goes on.`);
    const timer = new AbortController();
    const timeoutMs = Math.min((timeoutS ?? Infinity) * 1000, TIMER_MS_MAX);
    const timing = timeoutMs === TIMER_MS_MAX ? undefined : setTimeout(() => timer.abort(late), timeoutMs);
    const signal = stop ? AbortSignal.any([stop, timer.signal]) : timer.signal;
    try {
      for await (const event of this.watch(videoId, { signal })) {
        onEvent?.(event);
        if (event.type === "end" && event.video) return completed(event.video);
      }
      return completed(await this.get(videoId, { signal }));
    } finally {
      clearTimeout(timing);
    }
  }

  /** The bytes of the video, or of its `thumbnail` or `spritesheet`, as `files.download` has them. */
  download(videoId: string, options: VideoContentOptions = {}): Download {
    const request = { videoId, ...given({ variant: options.variant }) };
    return new Download(this.wire, (range, call) => this.wire.videos.downloadVideo({ ...request, ...range }, call), options);
  }

  /** All of its bytes, in memory. */
  async content(videoId: string, options: VideoContentOptions = {}): Promise<Uint8Array<ArrayBuffer>> {
    return this.download(videoId, options).bytes();
  }

  /** A new video from a finished one. */
  async remix(videoId: string, prompt: string, options: RemixOptions = {}): Promise<Video> {
    const { maxCost, extraBody } = options;
    const request = { videoId, prompt, ...given({ maxCost, extraBody }) };
    return videoOf(await this.wire.call(once(options), (call) => this.wire.videos.remixVideo(request, call)));
  }

  /** Stop a video; `mediagate.cancellation` says who stopped. */
  async cancel(videoId: string, options: Call = {}): Promise<Video> {
    return videoOf(await this.wire.call(once(options), (call) => this.wire.videos.cancelVideo({ videoId }, call)));
  }

  /** Delete a video, and stop it where it still runs. */
  async delete(videoId: string, options: Call = {}): Promise<Deleted> {
    return this.wire.call(once(options), (call) => this.wire.videos.deleteVideo({ videoId }, call));
  }

  private async reference(given: Readable | string) {
    if (typeof given === "string" && /^(https?|data):/.test(given)) {
      return { source: { case: "imageUrl" as const, value: given } };
    }
    if (typeof given === "string" && /^file-[^.]*$/.test(given)) {
      return { source: { case: "fileId" as const, value: given } };
    }
    const source = await this.wire.platform.open(given, undefined);
    try {
      const size = source.size ?? Number.POSITIVE_INFINITY;
      if (size > IMAGE_BYTES_MAX) {
        const facts = { reason: "PAYLOAD_TOO_LARGE", httpStatus: 413, param: "input_reference" };
        throw new InvalidRequest("An image may have 20 MiB, and its size must be known.", {
          ...facts,
          whatToDo: "Give a smaller one, or store it as a file and give its id.",
        });
      }
      return { source: { case: "image" as const, value: await source.readAt(0, size) } };
    } finally {
      await source.close();
    }
  }
}

/** A call that changes something once, however often it is repeated. */
function once(options: Call): Call {
  const { signal, timeoutS } = options;
  return { signal, timeoutS, headers: { "idempotency-key": crypto.randomUUID(), ...options.headers } };
}

function completed(video: Video): Video {
  if (video.status !== "failed") return video;
  const failure = video.mediagate.failure;
  throw new VideoFailed(`The video ${video.id} failed: ${failure?.message ?? "nobody said why."}`, video, {
    code: failure?.code,
    retryable: failure?.retryable,
  });
}
