export * from "./errors.js";
export { type ContentInfo, Download, type DownloadOptions } from "./download.js";
export type { CopyOptions, ListFilesOptions, Names, Placing, UploadOptions } from "./files.js";
export type { ClientOptions } from "./options.js";
export type { Deleted, File, Progress, Replica, Video, VideoEstimate, VideoEvent } from "./types.js";
export { Page } from "./types.js";
export type { UploadState } from "./upload.js";
export type {
  CreateVideoOptions,
  ListVideosOptions,
  RemixOptions,
  VideoContentOptions,
  VideoWishes,
  WaitOptions,
  WatchOptions,
} from "./videos.js";
export type { Call } from "./wire.js";
