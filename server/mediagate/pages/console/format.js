// Numbers and times as people read them.

const UNITS = ["bytes", "KB", "MB", "GB", "TB", "PB"];

/** `1.5 MB`, in steps of 1000. */
export function bytes(count) {
  if (count < 1000) return count === 1 ? "1 byte" : `${Math.round(count)} bytes`;
  const step = Math.min(Math.floor(Math.log10(count) / 3), UNITS.length - 1);
  const value = count / 1000 ** step;
  return `${value >= 99.95 ? Math.round(value) : value.toFixed(1)} ${UNITS[step]}`;
}

/** `$0.20`; small amounts keep what counts in them. */
export function money(usd) {
  if (usd !== 0 && Math.abs(usd) < 0.01) return `$${Number(usd.toPrecision(2))}`;
  return usd.toLocaleString("en-US", { style: "currency", currency: "USD", maximumFractionDigits: usd < 1 ? 3 : 2 });
}

/** `45 s`, `3 min`, `1 h 20 min`, `4 days`. */
export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 90) return `${whole} s`;
  if (whole < 5400) return `${Math.round(whole / 60)} min`;
  if (whole < 172800) {
    const minutes = Math.round((whole % 3600) / 60);
    return `${Math.floor(whole / 3600)} h${minutes > 0 && minutes < 60 ? ` ${minutes} min` : ""}`;
  }
  return `${Math.round(whole / 86400)} days`;
}

const DATE = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", timeZone: "UTC" });

/** A moment in full, of Unix seconds. */
export const moment = (seconds) => DATE.format(new Date(seconds * 1000));

/** `12 Mar` of `2026-03-12`. */
export const day = (text) => DAY.format(new Date(`${text}T00:00:00Z`));

/** `5 min ago`, `in 3 days`. */
export function ago(seconds) {
  const past = Date.now() / 1000 - seconds;
  if (Math.abs(past) < 10) return "just now";
  return past > 0 ? `${duration(past)} ago` : `in ${duration(-past)}`;
}

/** `2026-03-12` in UTC, of a Date. */
export const isoDay = (date) => date.toISOString().slice(0, 10);

/** `1 file`, `3 files`. */
export const count = (number, word) => `${number.toLocaleString("en-US")} ${word}${number === 1 ? "" : "s"}`;

/** `fate_unknown` as `Fate unknown`. */
export function words(name) {
  const text = name.replaceAll("_", " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}
