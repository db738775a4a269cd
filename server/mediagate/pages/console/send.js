// Bytes on their way up: one file in one request, or in parts that outlive a cut.

import { authorization, call, failure, idempotencyKey, isSignedIn, unreachable } from "./api.js";

/** From here on a file goes in parts. */
export const PARTS_FROM_BYTES = 32 << 20;
const PART_BYTES = 16 << 20;
const PART_BYTES_MIN = 1 << 18;
const AT_ONCE = 2;
const PAUSE_S_MAX = 15;
// What the gateway's last words to an upload that is cancelled may take.
const FAREWELL_MS = 5000;
// The browser tells late of what it has sent: so much may have arrived already.
const ARRIVED_BYTES = 4 << 20;

/** Store `file` as `plan` says. `progress(bytes)` tells what is sent, `phase(name, text)` what else happens: `sending`,
 * `storing`, `paused`. Returns the stored file. Raises `GatewayError`, `AbortError`. */
export async function send(file, plan, { signal, progress, phase, keys }) {
  if (file.size < PARTS_FROM_BYTES && !keys.parts) {
    try {
      phase("sending");
      return await whole(file, plan, { signal, progress, phase, keys });
    } catch (error) {
      // What is too large for one request is none too many for several.
      if (error.status !== 413 || file.size === 0) throw error;
    }
  }
  return await inParts(file, plan, { signal, progress, phase, keys });
}

async function whole(file, plan, { signal, progress, phase, keys }) {
  const form = new FormData();
  form.append("purpose", plan.purpose);
  // Before the file, so that every target gets the bytes while they arrive.
  for (const name of plan.custom_llm_provider ?? []) form.append("custom_llm_provider[]", name);
  for (const name of plan.target_model_names ?? []) form.append("target_model_names[]", name);
  if (plan.expires_after) {
    form.append("expires_after[anchor]", plan.expires_after.anchor);
    form.append("expires_after[seconds]", plan.expires_after.seconds);
  }
  if (plan.on_partial) form.append("on_partial", plan.on_partial);
  form.append("file", file, file.name);
  keys.whole ??= idempotencyKey();
  try {
    return await post("/v1/files", form, {
      signal,
      key: keys.whole,
      undone: (stored) => call("DELETE", `/v1/files/${stored.id}`),
      progress: (sent, total) => {
        // The form around the file is sent too: the file is what is told of.
        progress(Math.min(file.size, Math.max(0, sent - (total - file.size))));
        if (sent === total) phase("storing");
      },
    });
  } catch (error) {
    // An answer ends what its key stood for; a cut does not.
    if (error.status) keys.whole = null;
    throw error;
  }
}

/** `keys` remembers the upload and its parts, so that a second try goes on where the first one ended. */
async function inParts(file, plan, { signal, progress, phase, keys }) {
  keys.parts ??= { create: idempotencyKey(), complete: idempotencyKey(), upload: null, bytes: PART_BYTES, done: new Map() };
  const state = keys.parts;
  let part_ids = null;
  const patient = (work, until = signal) => untilReached(work, until, phase);
  phase("sending");
  if (state.upload === null) {
    const upload = await patient(() =>
      call("POST", "/v1/uploads", {
        signal,
        headers: { "idempotency-key": state.create },
        json: { ...plan, filename: file.name, bytes: file.size, mime_type: file.type || "application/octet-stream" },
      }));
    state.upload = upload.id;
  }
  try {
    await allParts(file, state, { signal, progress, phase, patient });
    progress(file.size);
    phase("storing");
    part_ids = [...state.done.entries()].sort(([a], [b]) => a - b).map(([, id]) => id);
    const headers = { "idempotency-key": state.complete };
    const done = await patient(() => call("POST", `/v1/uploads/${state.upload}/complete`, { signal, headers, json: { part_ids } }));
    return done.file;
  } catch (error) {
    if (signal.aborted) await undo(state.upload, part_ids);
    if (error.status) state.complete = idempotencyKey();
    throw error;
  }
}

async function allParts(file, state, { signal, progress, phase, patient }) {
  for (;;) {
    try {
      return await partsOf(file, state, { signal, progress, phase, patient });
    } catch (error) {
      // The gateway takes smaller parts than these.
      if (error.status !== 413 || state.bytes <= PART_BYTES_MIN) throw error;
      state.bytes /= 2;
      state.done.clear();
    }
  }
}

async function partsOf(file, state, { signal, progress, patient }) {
  const total = Math.max(1, Math.ceil(file.size / state.bytes));
  const size = (number) => Math.min(state.bytes, file.size - number * state.bytes);
  const under = new Map();
  const tell = () => {
    const kept = [...state.done.keys()].reduce((sum, number) => sum + size(number), 0);
    progress(kept + [...under.values()].reduce((sum, sent) => sum + sent, 0));
  };
  // What fails ends its neighbour too: two errors of one upload say no more than one.
  const ours = new AbortController();
  const both = AbortSignal.any([signal, ours.signal]);
  let next = 0;
  async function sendSome() {
    while (next < total) {
      const number = next++;
      if (state.done.has(number)) continue;
      const key = idempotencyKey();
      const part = await patient(async () => {
        const form = new FormData();
        form.append("data", file.slice(number * state.bytes, number * state.bytes + size(number)));
        const seen = (sent) => {
          under.set(number, Math.min(sent, size(number)));
          tell();
        };
        return await post(`/v1/uploads/${state.upload}/parts`, form, { signal: both, key, progress: seen });
      }, both);
      under.delete(number);
      state.done.set(number, part.id);
      tell();
    }
  }
  tell();
  try {
    await Promise.all(Array.from({ length: AT_ONCE }, sendSome));
  } catch (error) {
    ours.abort();
    throw error;
  }
}

/** Try until the gateway can be reached, with growing pauses that the browser's word that it is online again ends. */
async function untilReached(work, signal, phase) {
  for (let pause = 1; ; pause = Math.min(2 * pause, PAUSE_S_MAX)) {
    try {
      return await work();
    } catch (error) {
      if (error.name === "AbortError" || !error.mayRetry) throw error;
      const wait = Math.max(pause, error.retryAfter ?? 0);
      phase("paused", `${error.status === 0 ? "No connection" : error.message} Trying again in ${wait} s.`);
      await online(wait, signal);
      phase("sending");
    }
  }
}

function online(seconds, signal) {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const end = new AbortController();
    const finish = (settle) => () => {
      clearTimeout(timer);
      end.abort();
      settle();
    };
    const timer = setTimeout(finish(resolve), 1000 * seconds);
    addEventListener("online", finish(resolve), { signal: end.signal });
    signal.addEventListener("abort", finish(() => reject(signal.reason)), { signal: end.signal });
  });
}

/** Let go of an upload that nobody will finish; it would expire by itself within the hour. */
export function cancelUpload(id) {
  if (isSignedIn()) call("POST", `/v1/uploads/${id}/cancel`, { json: {} }).catch(() => {});
}

/** Cancel an upload. One that the gateway was putting together already, of `part_ids`, becomes a file: that is deleted. */
async function undo(id, part_ids) {
  if (!isSignedIn()) return;
  const ask = (method, path, json) => call(method, path, { json, signal: AbortSignal.timeout(FAREWELL_MS) });
  try {
    await ask("POST", `/v1/uploads/${id}/cancel`, {}).catch(async (error) => {
      if (part_ids === null) throw error;
      const { file } = await ask("POST", `/v1/uploads/${id}/complete`, { part_ids });
      await ask("DELETE", `/v1/files/${file.id}`);
    });
  } catch {
    // Nobody is there to be told. Parts expire within the hour.
  }
}

/** A POST that tells how far it is, as `fetch` does not. Who leaves when all of it may be there is waited for a moment: what
 * the gateway made of it `undone` takes back. */
function post(path, form, { signal, key, progress, undone = null }) {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const request = new XMLHttpRequest();
    let ended = false;
    let patience = null;
    const abort = () => {
      if (ended && undone !== null && isSignedIn()) patience = setTimeout(() => request.abort(), FAREWELL_MS);
      else request.abort();
    };
    signal.addEventListener("abort", abort);
    for (const event of ["loadstart", "progress"]) {
      request.upload.addEventListener(event, ({ loaded, total }) => { ended = total - loaded <= ARRIVED_BYTES; });
    }
    request.open("POST", path);
    for (const [name, value] of Object.entries({ ...authorization(), "idempotency-key": key })) request.setRequestHeader(name, value);
    request.upload.addEventListener("progress", (event) => progress(event.loaded, event.total));
    request.addEventListener("loadend", async () => {
      clearTimeout(patience);
      signal.removeEventListener("abort", abort);
      if (signal.aborted) {
        try {
          if (request.status === 200) await undone?.(JSON.parse(request.responseText));
        } catch {
          // Nobody is there to be told.
        }
        return reject(signal.reason);
      }
      if (request.status === 0) return reject(unreachable());
      if (request.status >= 400) return reject(failure(request.status, (name) => request.getResponseHeader(name), request.responseText));
      try {
        resolve(JSON.parse(request.responseText));
      } catch {
        reject(unreachable());
      }
    });
    request.send(form);
  });
}
