/**
 * Every failure that a caller of this package can meet, as one tree.
 *
 * MediagateError
 * ├── ConnectionFailed       the gateway cannot be reached, or the connection broke
 * │   ├── TlsFailed          the certificate is not trusted, or one side speaks no TLS
 * │   └── TimedOut           no answer in time
 * ├── UploadInterrupted      an upload in parts broke off; `resume` goes on with it
 * ├── TransferDamaged        the bytes that arrived are not the bytes that were sent
 * ├── LocalFileError         a file or folder on this machine cannot be read or written
 * │   ├── FileChanged        the file changed while it was sent, or while it was fetched
 * │   └── DiskFull           no room for a download
 * ├── VideoFailed            a video that was waited for did not become one; `video` has it
 * └── ApiError               the gateway answered that it will not do this
 *     ├── InvalidRequest     HTTP 400, 413, 415, 416, 422
 *     ├── AuthenticationFailed   401
 *     ├── PermissionDenied   403
 *     ├── NotFound           404
 *     ├── Conflict           409
 *     ├── RateLimited        429
 *     ├── Unsupported        501
 *     └── ServerError        5xx
 *
 * What a caller stops by an AbortSignal rejects with the signal's own reason, as `fetch` does.
 */

import type { Video } from "./types.js";
import type { UploadState } from "./upload.js";

/** What an error knows beside its text. */
export interface ErrorFacts {
  reason?: string | undefined;
  code?: string | undefined;
  param?: string | undefined;
  requestId?: string | undefined;
  retryAfterS?: number | undefined;
  retryable?: boolean | undefined;
  whatToDo?: string | undefined;
  cause?: unknown;
}

/**
 * Base of the tree. `message` says what happened, what to do, and the request id.
 */
export class MediagateError extends Error {
  protected static readonly kind: string = "MediagateError";
  protected static readonly reason: string = "FAILED";
  protected static readonly retryable: boolean = false;
  protected static readonly advice: string = "";

  /** What happened, without what to do. */
  readonly summary: string;
  /** A stable word for programs. */
  readonly reason: string;
  /** The finer word that REST callers see. */
  readonly code: string;
  /** The field at fault. */
  readonly param: string | undefined;
  /** What the gateway's operator finds the call by. */
  readonly requestId: string | undefined;
  /** Seconds to wait before the same call. */
  readonly retryAfterS: number | undefined;
  /** Whether the same call again can help at all. */
  readonly retryable: boolean;
  readonly whatToDo: string;

  constructor(summary: string, facts: ErrorFacts = {}) {
    const own = new.target as unknown as { kind: string; reason: string; retryable: boolean; advice: string };
    const reason = facts.reason ?? own.reason;
    const whatToDo = facts.whatToDo ?? ADVICE[reason] ?? own.advice;
    const field = facts.param && !summary.includes(facts.param) ? ` (field \`${facts.param}\`)` : "";
    const request = facts.requestId ? ` [request ${facts.requestId}]` : "";
    const cause = facts.cause === undefined ? undefined : { cause: facts.cause };
    super([summary + field, whatToDo].filter(Boolean).join(" ") + request, cause);
    // Not the class's own name, which bundlers shorten.
    this.name = own.kind;
    this.summary = summary;
    this.reason = reason;
    this.code = facts.code ?? reason.toLowerCase();
    this.param = facts.param;
    this.requestId = facts.requestId;
    this.retryAfterS = facts.retryAfterS;
    this.retryable = facts.retryable ?? own.retryable;
    this.whatToDo = whatToDo;
  }
}

/** The gateway cannot be reached, or the connection broke. */
export class ConnectionFailed extends MediagateError {
  protected static override readonly kind: string = "ConnectionFailed";
  protected static override readonly reason: string = "UNREACHABLE";
  protected static override readonly retryable: boolean = true;
  protected static override readonly advice: string = "Check the URL and that the gateway runs, then try again.";
}

/** The certificate is not trusted, or one side speaks no TLS. */
export class TlsFailed extends ConnectionFailed {
  protected static override readonly kind: string = "TlsFailed";
  protected static override readonly reason: string = "TLS_FAILED";
  protected static override readonly retryable: boolean = false;
  protected static override readonly advice: string =
    "Check whether the gateway is http:// or https://, and give `ca` for a CA of your own.";
}

/** No answer in time. */
export class TimedOut extends ConnectionFailed {
  protected static override readonly kind: string = "TimedOut";
  protected static override readonly reason: string = "TIMED_OUT";
  protected static override readonly advice: string = "Try again, with a larger `timeoutS` where the work takes long.";
}

/** An upload in parts broke off. `files.upload(file, { resume: error.resume })` sends what is missing, for an hour. */
export class UploadInterrupted extends MediagateError {
  protected static override readonly kind: string = "UploadInterrupted";
  protected static override readonly reason: string = "UPLOAD_INTERRUPTED";
  protected static override readonly retryable: boolean = true;
  protected static override readonly advice: string =
    "Call `files.upload` again with `resume: error.resume` within the hour; only missing parts are sent.";
  /** Plain JSON, which lives through a restart. */
  readonly resume: UploadState;

  constructor(summary: string, resume: UploadState, facts: ErrorFacts = {}) {
    super(summary, facts);
    this.resume = resume;
  }
}

/** The bytes that arrived are not the bytes that were sent. Nothing was kept. */
export class TransferDamaged extends MediagateError {
  protected static override readonly kind: string = "TransferDamaged";
  protected static override readonly reason: string = "TRANSFER_DAMAGED";
  protected static override readonly retryable: boolean = true;
  protected static override readonly advice: string = "Nothing was kept; try again.";
}

/** A file or folder on this machine cannot be read or written. */
export class LocalFileError extends MediagateError {
  protected static override readonly kind: string = "LocalFileError";
  protected static override readonly reason: string = "LOCAL_FILE";
  protected static override readonly advice: string = "Check the path and its permissions.";
}

/** The file changed while it was sent, or the content while it was fetched. Nothing was kept. */
export class FileChanged extends LocalFileError {
  protected static override readonly kind: string = "FileChanged";
  protected static override readonly reason: string = "FILE_CHANGED";
  protected static override readonly advice: string = "Nothing was kept; try again when nobody writes to it.";
}

/** There is no room for a download. Nothing was left behind. */
export class DiskFull extends LocalFileError {
  protected static override readonly kind: string = "DiskFull";
  protected static override readonly reason: string = "DISK_FULL";
  protected static override readonly advice: string =
    "Free some room, or name another folder; nothing was left behind.";
}

/** A video that was waited for did not become one. `video.mediagate.failure` says more. */
export class VideoFailed extends MediagateError {
  protected static override readonly kind: string = "VideoFailed";
  protected static override readonly reason: string = "VIDEO_FAILED";
  readonly video: Video;

  constructor(summary: string, video: Video, facts: ErrorFacts = {}) {
    super(summary, facts);
    this.video = video;
  }
}

/** What an answer knows beside its text. */
export interface ApiErrorFacts extends ErrorFacts {
  httpStatus?: number | undefined;
}

/** The gateway answered that it will not do this. */
export class ApiError extends MediagateError {
  protected static override readonly kind: string = "ApiError";
  protected static override readonly reason: string = "INTERNAL";
  protected static readonly status: number = 500;
  /** That of REST, also over gRPC. */
  readonly httpStatus: number;

  constructor(summary: string, facts: ApiErrorFacts = {}) {
    super(summary, facts);
    this.httpStatus = facts.httpStatus ?? (new.target as unknown as { status: number }).status;
  }
}

/** The request, or one field of it, is wrong. */
export class InvalidRequest extends ApiError {
  protected static override readonly kind: string = "InvalidRequest";
  protected static override readonly reason: string = "INVALID_REQUEST";
  protected static override readonly status: number = 400;
}

/** No key, or one that is not known. */
export class AuthenticationFailed extends ApiError {
  protected static override readonly kind: string = "AuthenticationFailed";
  protected static override readonly reason: string = "INVALID_API_KEY";
  protected static override readonly status: number = 401;
}

/** The key is known and may not do this. */
export class PermissionDenied extends ApiError {
  protected static override readonly kind: string = "PermissionDenied";
  protected static override readonly reason: string = "PERMISSION_DENIED";
  protected static override readonly status: number = 403;
}

/** Unknown, deleted, expired and foreign ids all read like this. */
export class NotFound extends ApiError {
  protected static override readonly kind: string = "NotFound";
  protected static override readonly reason: string = "NOT_FOUND";
  protected static override readonly status: number = 404;
}

/** Something else with the same object or key is under way. */
export class Conflict extends ApiError {
  protected static override readonly kind: string = "Conflict";
  protected static override readonly reason: string = "CONFLICT";
  protected static override readonly status: number = 409;
}

/** Too many requests, or no money left. */
export class RateLimited extends ApiError {
  protected static override readonly kind: string = "RateLimited";
  protected static override readonly reason: string = "RATE_LIMITED";
  protected static override readonly status: number = 429;
}

/** No account behind the gateway can do this. */
export class Unsupported extends ApiError {
  protected static override readonly kind: string = "Unsupported";
  protected static override readonly reason: string = "UNSUPPORTED";
  protected static override readonly status: number = 501;
}

/** The gateway, or the provider behind it, failed. */
export class ServerError extends ApiError {
  protected static override readonly kind: string = "ServerError";
  protected static override readonly reason: string = "INTERNAL";
  protected static override readonly status: number = 500;
}

/** What the gateway says over gRPC, and the HTTP status that goes with it. */
export const REASONS: Readonly<Record<string, number>> = {
  INVALID_REQUEST: 400,
  INVALID_FIELD: 400,
  UPLOAD_TRUNCATED: 400,
  CHECKSUM_MISMATCH: 400,
  STATE_CONFLICT: 400,
  CONTENT_POLICY_VIOLATION: 400,
  INVALID_API_KEY: 401,
  PERMISSION_DENIED: 403,
  STORAGE_QUOTA_EXCEEDED: 403,
  NOT_FOUND: 404,
  IDEMPOTENCY_IN_PROGRESS: 409,
  TOKEN_IN_USE: 409,
  CHANGED_MEANWHILE: 409,
  PAYLOAD_TOO_LARGE: 413,
  UNSUPPORTED_MEDIA_TYPE: 415,
  RANGE_NOT_SATISFIABLE: 416,
  IDEMPOTENCY_KEY_REUSED: 422,
  RATE_LIMITED: 429,
  INSUFFICIENT_QUOTA: 429,
  INTERNAL: 500,
  UNSUPPORTED: 501,
  PROVIDER_REFUSED: 502,
  PROVIDER_FAILED: 502,
  UNAVAILABLE: 503,
  OVERLOADED: 503,
  PROVIDER_TIMEOUT: 504,
  REQUEST_TIMEOUT: 504,
};
// The one that a status stands for where the answer's code is none of them, as over REST.
const BY_STATUS: Readonly<Record<number, string>> = {
  403: "PERMISSION_DENIED",
  409: "IDEMPOTENCY_IN_PROGRESS",
  429: "RATE_LIMITED",
  502: "PROVIDER_FAILED",
  503: "UNAVAILABLE",
  504: "PROVIDER_TIMEOUT",
};
const CLASSES: Readonly<Record<number, typeof ApiError>> = {
  401: AuthenticationFailed,
  403: PermissionDenied,
  404: NotFound,
  409: Conflict,
  429: RateLimited,
  501: Unsupported,
};
// Where repeating helps, for answers that do not say it themselves.
const RETRYABLE = new Set([
  "IDEMPOTENCY_IN_PROGRESS",
  "TOKEN_IN_USE",
  "RATE_LIMITED",
  "PROVIDER_FAILED",
  "UNAVAILABLE",
  "OVERLOADED",
  "PROVIDER_TIMEOUT",
]);
const ADVICE: Readonly<Record<string, string>> = {
  INVALID_API_KEY: "Give the gateway's key as `key`, or set MEDIAGATE_API_KEY.",
  PERMISSION_DENIED: "Ask whoever gave you the key what it may do.",
  STORAGE_QUOTA_EXCEEDED: "Delete files that are not needed, or ask for a larger quota.",
  NOT_FOUND: "Check the id; what was deleted, has expired or belongs to another key reads the same.",
  PAYLOAD_TOO_LARGE: "Send it in parts: `files.upload(file, { parts: true })`.",
  RATE_LIMITED: "Wait `retryAfterS`, then try again.",
  INSUFFICIENT_QUOTA: "The budget is used up; ask for a larger one.",
  UNSUPPORTED: "Name another provider or model; the README's table says which can.",
  PROVIDER_REFUSED: "The gateway's own account at the provider needs attention; tell its operator the request id.",
  PROVIDER_FAILED: "Try again in a moment.",
  UNAVAILABLE: "Try again in a moment.",
  OVERLOADED: "Try again in a moment.",
  PROVIDER_TIMEOUT: "Try again in a moment.",
  INTERNAL: "Tell the gateway's operator the request id.",
};

/** The reason of a REST answer, whose envelope has only the finer code. */
export function reasonOf(httpStatus: number, code: string | undefined, param: string | undefined): string {
  const named = (code ?? "").toUpperCase();
  if (REASONS[named] === httpStatus) return named;
  if (httpStatus === 400) return param ? "INVALID_FIELD" : "INVALID_REQUEST";
  const known = Object.entries(REASONS).find(([, status]) => status === httpStatus);
  return BY_STATUS[httpStatus] ?? known?.[0] ?? "INTERNAL";
}

/** The error of the tree for an answer of the gateway. */
export function apiError(summary: string, facts: ApiErrorFacts & { reason: string }): ApiError {
  const httpStatus = facts.httpStatus ?? REASONS[facts.reason] ?? 500;
  const Kind = CLASSES[httpStatus] ?? (httpStatus >= 500 ? ServerError : InvalidRequest);
  return new Kind(summary || "The gateway refused the call without saying why.", {
    ...facts,
    httpStatus,
    retryable: facts.retryable ?? RETRYABLE.has(facts.reason),
  });
}
