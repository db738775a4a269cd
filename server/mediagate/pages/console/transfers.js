// Uploads of this page, whichever of its pages is shown: a queue, and the panel that shows it.

import { forgetKey, GatewayError } from "./api.js";
import { h, keyed, said, setText, uniqueId } from "./dom.js";
import { bytes, count, duration } from "./format.js";
import { icon } from "./icons.js";
import { showError, toast } from "./notices.js";
import { cancelUpload, send } from "./send.js";

const AT_ONCE = 2;
const RATE_WINDOW_MS = 4000;
const TIDY_MS = 8000;
const ENDED = ["done", "failed", "cancelled"];

/** Tells `stored` (with the file in `detail`) when an upload is done. */
export const uploads = new EventTarget();
let all = [];
let panel = null;

/** Put files into the queue. `plan` has the fields of `POST /v1/files` but the file. */
export function upload(files, plan) {
  all.push(...files.map((file) => ({
    id: uniqueId("upload"), file, plan, state: "waiting", note: "", sent: 0, samples: [], error: null, keys: {}, end: null,
  })));
  run();
}

/** How many are not at their end. */
export const running = () => all.filter((one) => !ENDED.includes(one.state)).length;

/** End them all, and forget them and the key. */
export function endUploads() {
  for (const one of all) {
    if (one.state !== "done" && one.keys.parts?.upload) cancelUpload(one.keys.parts.upload);
  }
  // Before they are stopped: without a key none of them waits for what it could take back.
  forgetKey();
  for (const one of all) one.end?.abort();
  all = [];
  draw();
}

function run() {
  const busy = all.filter((one) => one.end !== null).length;
  for (const one of all.filter((two) => two.state === "waiting").slice(0, AT_ONCE - busy)) start(one);
  draw();
}

async function start(one) {
  one.end = new AbortController();
  one.error = null;
  one.samples = [];
  const phase = (name, note = "") => {
    Object.assign(one, { state: name, note });
    draw();
  };
  const progress = (sent) => {
    one.sent = sent;
    const now = performance.now();
    one.samples = [...one.samples.filter(([at]) => now - at < RATE_WINDOW_MS), [now, sent]];
    draw();
  };
  try {
    const stored = await send(one.file, one.plan, { signal: one.end.signal, progress, phase, keys: one.keys });
    one.sent = one.file.size;
    one.state = "done";
    uploads.dispatchEvent(new CustomEvent("stored", { detail: stored }));
    toast(`Uploaded ${one.file.name}.`);
  } catch (error) {
    one.state = error.name === "AbortError" ? "cancelled" : "failed";
    if (one.state === "failed") one.error = await explained(one.file, error);
  }
  one.end = null;
  run();
  if (one.state === "done") setTimeout(tidy, TIDY_MS);
}

/** Take away what is done once all is, unless somebody looks at it. What failed stays until it is dismissed. */
function tidy() {
  if (running()) return;
  if (panel.element.matches(":hover, :focus-within")) return setTimeout(tidy, TIDY_MS);
  all = all.filter((one) => one.state !== "done");
  draw();
}

/** A connection that breaks and a file that is gone look alike to the browser; reading a byte of the file tells them apart. */
async function explained(file, error) {
  if (error.status !== 0) return error;
  try {
    await file.slice(0, 1).arrayBuffer();
    return error;
  } catch {
    return new GatewayError({ message: "The file was changed, moved or deleted meanwhile. Choose it again." });
  }
}

function cancel(one) {
  if (one.end === null) {
    if (one.keys.parts?.upload) cancelUpload(one.keys.parts.upload);
    one.state = "cancelled";
  } else {
    one.state = "cancelling";
    one.end.abort();
  }
  draw();
}

function again(one) {
  one.state = "waiting";
  run();
}

function dismiss(one) {
  // A failed one that went in parts can be gone on with, until now.
  if (one.state === "failed" && one.keys.parts?.upload) cancelUpload(one.keys.parts.upload);
  all = all.filter((other) => other !== one);
  draw();
}

function rate(one) {
  if (one.samples.length < 2) return null;
  const [[from, first], [to, last]] = [one.samples[0], one.samples.at(-1)];
  return to - from < 300 ? null : (1000 * (last - first)) / (to - from);
}

function told(one) {
  const size = bytes(one.file.size);
  if (one.state === "waiting") return `Waiting · ${size}`;
  if (one.state === "storing") return `All sent · being stored at its targets · ${size}`;
  if (one.state === "paused") return one.note;
  if (one.state === "cancelling") return "Being cancelled…";
  if (one.state === "done") return `Stored · ${size}`;
  if (one.state === "cancelled") return "Cancelled: nothing is kept.";
  if (one.state === "failed") return "";
  const speed = rate(one);
  const rest = speed ? ` · ${bytes(speed)}/s · ${duration((one.file.size - one.sent) / speed)} left` : "";
  return `${bytes(one.sent)} of ${size}${rest}`;
}

function draw() {
  if (panel === null) panel = makePanel();
  panel.element.hidden = all.length === 0;
  const left = running();
  setText(panel.title, left ? `Uploading ${count(left, "file")}` : "Uploads");
  panel.clear.hidden = left > 0;
  keyed(panel.list, all, (one) => one.id, makeLine, (line, one) => line.update(one));
}

function makePanel() {
  const title = h("h2", { "aria-live": "polite" });
  const list = h("ul");
  const clear = h("button.quiet", { type: "button", click: () => [...all].forEach(dismiss) }, "Clear");
  const element = h("section.transfers", { "aria-label": "Uploads", hidden: true }, h("div.transfers-head", {}, title, clear), list);
  document.body.append(element);
  return { element, title, list, clear };
}

function makeLine(one) {
  const bar = h("progress", { max: "1", "aria-label": `Upload of ${one.file.name}` });
  const text = h("p.hint");
  const trouble = h("div");
  const button = (name, label, run) =>
    h("button.quiet.icon-only", { type: "button", "aria-label": `${label} ${one.file.name}`, title: label, click: run }, icon(name));
  const stop = button("close", "Cancel", () => cancel(one));
  const gone = button("close", "Dismiss", () => dismiss(one));
  const line = h("li", {}, h("div.transfer-top", {}, h("span.transfer-name", {}, said(one.file.name)), stop, gone), bar, text, trouble);
  let drawn = null;
  line.update = () => {
    const ended = ENDED.includes(one.state);
    line.dataset.state = one.state;
    stop.hidden = ended;
    gone.hidden = !ended;
    bar.hidden = ended && one.state !== "done";
    bar.className = one.state === "done" ? "ok" : one.state === "paused" ? "warn" : "";
    if (one.state === "storing") bar.removeAttribute("value");
    else bar.value = one.file.size ? one.sent / one.file.size : one.state === "done" ? 1 : 0;
    setText(text, told(one));
    text.hidden = one.state === "failed";
    if (drawn !== one.error) {
      drawn = one.error;
      showError(trouble, one.error, one.error && (() => again(one)));
    }
  };
  return line;
}

addEventListener("beforeunload", (event) => {
  if (running()) event.preventDefault();
});
