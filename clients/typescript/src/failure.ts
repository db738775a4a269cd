/** What connections and answers that are none turn into: errors of the tree. */

import { Code, ConnectError } from "@connectrpc/connect";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "./gen/google/rpc/error_details_pb.js";
import { apiError, ConnectionFailed, InvalidRequest, MediagateError, reasonOf, TimedOut, TlsFailed } from "./errors.js";

// For statuses that come without a reason, as those of proxies do.
const REASON_OF_CODE: Partial<Record<Code, string>> = {
  [Code.InvalidArgument]: "INVALID_REQUEST",
  [Code.FailedPrecondition]: "STATE_CONFLICT",
  [Code.OutOfRange]: "RANGE_NOT_SATISFIABLE",
  [Code.Unauthenticated]: "INVALID_API_KEY",
  [Code.PermissionDenied]: "PERMISSION_DENIED",
  [Code.NotFound]: "NOT_FOUND",
  [Code.ResourceExhausted]: "RATE_LIMITED",
  [Code.Unimplemented]: "UNSUPPORTED",
};
// Codes of Node's TLS, which OpenSSL named.
const TLS_CODES = /^(ERR_TLS|ERR_SSL|ERR_OSSL|CERT_|UNABLE_TO_|DEPTH_ZERO|SELF_SIGNED|HOSTNAME_MISMATCH|EPROTO)/;
const AWAY_CODES = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "ENETUNREACH", "ETIMEDOUT"]);

/** The codes of an error and of all that caused it. */
function codesOf(error: unknown): string[] {
  const codes: string[] = [];
  const seen = new Set<unknown>();
  for (let next = error; next instanceof Error && !seen.has(next); next = next.cause) {
    seen.add(next);
    const code = (next as { code?: unknown }).code;
    if (typeof code === "string") codes.push(code);
    if (next instanceof AggregateError) codes.push(...next.errors.flatMap(codesOf));
  }
  return codes;
}

/** The error of the tree for a connection that failed. */
export function lost(error: unknown, requestId?: string): MediagateError {
  const codes = codesOf(error);
  const facts = { requestId, cause: error };
  if (codes.some((code) => TLS_CODES.test(code))) {
    return new TlsFailed("The gateway's TLS cannot be trusted, or it speaks none.", facts);
  }
  if (codes.some((code) => AWAY_CODES.has(code))) return new ConnectionFailed("The gateway cannot be reached.", facts);
  if ("document" in globalThis || "WorkerGlobalScope" in globalThis) {
    // Browsers do not tell pages why.
    return new ConnectionFailed("The gateway cannot be reached from this page, or the connection broke.", {
      ...facts,
      whatToDo:
        "Check the URL, that the gateway runs with a certificate that the browser trusts, and that the origin of this" +
        " page is in its `general_settings.cors_allowed_origins`.",
    });
  }
  return new ConnectionFailed("The connection to the gateway broke.", { ...facts, reason: "CONNECTION_LOST" });
}

/** A server that is none of ours, such as another program on that port. */
export function notAGateway(cause?: unknown): ConnectionFailed {
  return new ConnectionFailed("The server's answer is none of a gateway's.", {
    reason: "NOT_A_GATEWAY",
    retryable: false,
    whatToDo: "Check the URL: something else answers there.",
    cause,
  });
}

/** The error to throw for whatever a call threw: the caller's own reason where it was the caller that stopped it. */
export function asError(thrown: unknown, signal?: AbortSignal): unknown {
  if (signal?.aborted) return signal.reason;
  if (thrown instanceof MediagateError) return thrown;
  const error = ConnectError.from(thrown);
  const requestId = error.metadata.get("x-request-id") ?? undefined;
  const info = error.findDetails(ErrorInfoSchema)[0];
  if (info === undefined && error.details.length === 0) return withoutDetails(error, requestId);
  const retry = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
  const shouldRetry = error.metadata.get("x-should-retry");
  const httpStatus = Number(error.metadata.get("x-http-status") ?? NaN);
  return apiError(error.rawMessage, {
    reason: info?.reason || REASON_OF_CODE[error.code] || "INTERNAL",
    httpStatus: Number.isInteger(httpStatus) ? httpStatus : undefined,
    code: codeOf(error.metadata.get("x-openai-error")),
    param: error.findDetails(BadRequestSchema)[0]?.fieldViolations[0]?.field,
    requestId,
    retryAfterS: retry && Number(retry.seconds) + retry.nanos / 1e9,
    retryable: shouldRetry === null ? undefined : shouldRetry === "true",
  });
}

function withoutDetails(error: ConnectError, requestId: string | undefined): MediagateError {
  if (/^HTTP \d+$|^unsupported content type|^protocol error: (missing status|received)/.test(error.rawMessage)) {
    const passing = /^HTTP (429|502|503|504)$/.test(error.rawMessage);
    if (!passing) return notAGateway(error);
  }
  const unfit = /^serialize \w+: cannot encode field \S+\.(\w+) to \w+: (.+)$/.exec(error.rawMessage);
  if (unfit) {
    // It never left this machine.
    const facts = { reason: "INVALID_FIELD", param: unfit[1], retryable: false, cause: error };
    return new InvalidRequest(`'${unfit[1]}' cannot be sent: ${unfit[2]}.`, facts);
  }
  if (error.code === Code.DeadlineExceeded) {
    return new TimedOut("The gateway did not answer in time.", { requestId, cause: error });
  }
  const reason = REASON_OF_CODE[error.code];
  // Unreached, broken off, or a message that makes no sense: the call's fate is not known.
  if (reason === undefined) return lost(error, requestId);
  return apiError(error.rawMessage, { reason, requestId });
}

/** The finer code of an error as REST says it. */
function codeOf(envelope: string | null): string | undefined {
  try {
    const code: unknown = JSON.parse(envelope ?? "").error.code;
    return typeof code === "string" ? code : undefined;
  } catch {
    return undefined;
  }
}

/** The error of the tree for a REST answer that is none of success. */
export function refusal(status: number, body: string, header: (name: string) => string | null): MediagateError {
  let said: { message?: unknown; code?: unknown; param?: unknown };
  try {
    said = JSON.parse(body).error;
    if (typeof said?.message !== "string") return notAGateway();
  } catch {
    // A proxy's page, or a host that is no gateway.
    return status >= 502 ? lost(new Error(`HTTP ${status}`)) : notAGateway();
  }
  const code = typeof said.code === "string" ? said.code : undefined;
  const param = typeof said.param === "string" ? said.param : undefined;
  const waitMs = Number(header("retry-after-ms") ?? NaN);
  const waitS = Number(header("retry-after") ?? NaN);
  const shouldRetry = header("x-should-retry");
  return apiError(String(said.message), {
    reason: reasonOf(status, code, param),
    httpStatus: status,
    code,
    param,
    requestId: header("x-request-id") ?? undefined,
    retryAfterS: Number.isFinite(waitMs) ? waitMs / 1000 : Number.isFinite(waitS) ? waitS : undefined,
    retryable: shouldRetry === null ? undefined : shouldRetry === "true",
  });
}
