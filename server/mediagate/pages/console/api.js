// Calls of the gateway. The key lives in this module's memory and nowhere else: in no storage, no cookie, no URL.

let secret = null;
let whenRefused = () => {};

/** What the gateway, or the way to it, answered instead. `status` is 0 where there was no answer at all. */
export class GatewayError extends Error {
  constructor({ status = 0, message, code = "", param = "", requestId = "", retryAfter = 0, mayRetry = false }) {
    super(message);
    Object.assign(this, { status, code, param, requestId, retryAfter, mayRetry });
  }
}

export const useKey = (key) => { secret = key; };
export const forgetKey = () => { secret = null; };
export const isSignedIn = () => secret !== null;
/** What to do once the key is not taken any more. */
export const onRefused = (callback) => { whenRefused = callback; };

/** The headers of a call that is not made by `call`. */
export const authorization = () => ({ authorization: `Bearer ${secret}` });

/** A name for one change, by which its repetition is known. Not `randomUUID`: that is for https and localhost alone. */
export function idempotencyKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** `path` with a query; members that are null, undefined or empty are left out. */
export function withQuery(path, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return given.length ? `${path}?${new URLSearchParams(given)}` : path;
}

/** Call the gateway and return the answer's Response. Raises `GatewayError`; `AbortError` where `signal` says so, and where
 * whoever asked has signed out meanwhile. */
export async function respond(method, path, { query, json, body, headers = {}, signal } = {}) {
  const used = secret;
  if (used === null) throw left();
  let response;
  try {
    response = await fetch(withQuery(path, query), {
      method,
      body: json === undefined ? body : JSON.stringify(json),
      headers: { ...authorization(), ...(json === undefined ? {} : { "content-type": "application/json" }), ...headers },
      signal,
      cache: "no-store",
      credentials: "omit",
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw unreachable();
  }
  if (used !== secret) throw left();
  if (response.ok) return response;
  const error = failure(response.status, (name) => response.headers.get(name), await response.text().catch(() => ""));
  if (error.status === 401 && used === secret) whenRefused(error);
  throw error;
}

/** Call the gateway and return the answer's JSON. */
export async function call(method, path, options = {}) {
  const response = await respond(method, path, options);
  try {
    return await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw unreachable();
  }
}

export const get = (path, query = {}, signal = undefined) => call("GET", path, { query, signal });

const left = () => new DOMException("Signed out meanwhile.", "AbortError");

/** That nobody answered. */
export const unreachable = () =>
  new GatewayError({ message: "The gateway cannot be reached. Is it running, and is the connection up?", mayRetry: true });

/** An answer that is an error, in the gateway's own words. */
export function failure(status, header, text) {
  let said = {};
  try {
    said = JSON.parse(text).error ?? {};
  } catch {
    // Something between the gateway and this page answered.
  }
  const told = header("x-should-retry");
  return new GatewayError({
    status,
    message: said.message || `The answer was ${status}, with no explanation.`,
    code: said.code ?? "",
    param: said.param ?? "",
    requestId: header("x-request-id") ?? "",
    retryAfter: Number(header("retry-after")) || 0,
    mayRetry: told === null ? [408, 429, 500, 502, 503, 504].includes(status) : told === "true",
  });
}
