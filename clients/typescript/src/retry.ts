/** Calls that may be repeated. */

import { MediagateError } from "./errors.js";

/** What is longer is no limit: a timer would take it for none at all, and ring at once. */
export const TIMER_MS_MAX = 2 ** 31 - 1;
const BACKOFF_S = 0.4;
const BACKOFF_MAX_S = 8;
// Of answers that ask to wait longer than this, callers hear at once, and decide themselves.
const RETRY_AFTER_MAX_S = 30;

/** Wait before attempt `attempt`, counted from 1. */
export async function pause(error: MediagateError, attempt: number, signal?: AbortSignal): Promise<void> {
  const backoff = Math.min(BACKOFF_MAX_S, BACKOFF_S * 2 ** (attempt - 1)) * (0.75 + Math.random() / 2);
  await sleep(Math.max(error.retryAfterS ?? 0, backoff), signal);
}

/** Wait so many seconds. Rejects with the signal's reason. */
export function sleep(seconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason as Error);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, seconds * 1000);
    signal?.addEventListener("abort", stop, { once: true });
  });
}

/** Make a call until it has an answer that repeating would not change. */
export async function withRetries<T>(
  maxRetries: number,
  signal: AbortSignal | undefined,
  call: () => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await call();
    } catch (error) {
      const again = error instanceof MediagateError && error.retryable && (error.retryAfterS ?? 0) <= RETRY_AFTER_MAX_S;
      if (!again || attempt > maxRetries) throw error;
      await pause(error, attempt, signal);
    }
  }
}
