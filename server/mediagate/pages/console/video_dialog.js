// One video: played, told of, changed.

import { call, get, idempotencyKey } from "./api.js";
import { opened } from "./content.js";
import { field, h, replace, said, setText } from "./dom.js";
import { busy, openDialog } from "./dialogs.js";
import { bytes, duration, moment, money } from "./format.js";
import { icon } from "./icons.js";
import { complaint, copyable, errorBox, showError, skeleton, toast } from "./notices.js";
import { failureOf, isReady, isRunning, nameOf, outlook, phaseBadge, phaseOf, phaseText } from "./video_facts.js";

const RENEW_MS = 5000;

/** Show one video. Returns `id`, `video` (as it is known by now), `update(video)` for what the stream of events tells, and `close()`, which does not call
 * `closed`: that is for where the user closes it. */
export function videoDialog(id, { session, life, doing, closed }) {
  const end = new AbortController();
  const signal = AbortSignal.any([life, end.signal]);
  const shown = openDialog("Video", {
    wide: true,
    whenClosed: () => {
      if (!end.signal.aborted) closed();
      end.abort();
    },
  });
  const stage = h("div.stage", {}, skeleton(1));
  const state = h("div.video-state");
  const prompt = h("p.prompt-whole");
  const facts = h("dl.facts");
  const trouble = h("div");
  shown.body.append(trouble, h("div.video-layout", {}, stage, h("div.video-side", {}, state, prompt, facts)));
  let now = null;

  function update(video) {
    // The stream may have told of its end before the answer of `load` is here.
    if (video === undefined || (now !== null && now.mediagate.seq > video.mediagate.seq)) return;
    const turned = now === null || phaseOf(now) !== phaseOf(video);
    now = video;
    if (turned) {
      replace(state, phaseBadge(video));
      replace(prompt, said(nameOf(video)));
      drawFoot();
      if (isReady(video)) play(stage, video, session, signal);
      else if (!isRunning(video)) replace(stage, failed(video));
      else replace(stage, h("div.stage-progress", {}, h("p.percent"), h("progress", { max: "100", "aria-label": "Progress" }), h("p.hint", { role: "status" })));
    }
    if (isRunning(video)) drawProgress(stage, video);
    drawFacts(facts, video);
  }

  function drawFoot() {
    const button = (name, label, run, cls = "") => h("button", { type: "button", class: cls, click: run }, icon(name), label);
    const remove = async () => { if (await doing.remove(now)) shown.close(); };
    shown.setFoot(
      button("trash", "Delete", remove, "quiet bad-text"),
      h("span.spring"),
      isRunning(now) && button("stop", "Stop", () => doing.cancel(now)),
      isReady(now) && button("remix", "Remix…", () => remixDialog(now, (video) => { shown.close(); doing.remixed(video); })),
      isReady(now) && button("download", "Download", () => doing.download(now), "primary"),
    );
  }

  async function load() {
    try {
      update(await get(`/v1/videos/${encodeURIComponent(id)}`, {}, signal));
    } catch (error) {
      replace(stage);
      showError(trouble, error, error.status === 404 ? null : load);
    }
  }

  function close() {
    end.abort();
    shown.close();
  }

  life.addEventListener("abort", close, { signal: end.signal });
  load();
  return { id, get video() { return now ?? undefined; }, update, close };
}

function drawProgress(stage, video) {
  const bar = stage.querySelector("progress");
  if (video.progress > 0) bar.value = video.progress;
  else bar.removeAttribute("value");
  const percent = stage.querySelector(".percent");
  percent.classList.toggle("counted", video.progress > 0);
  setText(percent, video.progress > 0 ? `${video.progress} %` : phaseText(video));
  setText(stage.querySelector(".hint"), [video.progress > 0 && phaseText(video), outlook(video)].filter(Boolean).join(" · "));
}

function failed(video) {
  const why = failureOf(video);
  const more = video.mediagate?.failure;
  const charged = more && (more.charged ? "The provider charged for it." : "Nothing was charged.");
  const retry = more && (more.retryable ? "Asking again can help." : "Asking for the same again will not help.");
  if (phaseOf(video) === "cancelled") return h("div.stage-end", {}, icon("stop"), h("p", {}, "It was stopped before it was finished."), h("p.hint", {}, charged));
  return h("div.stage-end", {}, icon("warning"), h("p", {}, said(why?.message ?? phaseText(video))), h("p.hint", {}, why?.code && h("code", {}, why.code), " ", charged, " ", retry));
}

/** Play a video by a token that lives for minutes. Where it is over in the middle, a new one goes on at the same place. */
async function play(stage, video, session, signal) {
  const player = h("video", { controls: true, playsinline: true, preload: "metadata", "aria-label": nameOf(video) });
  const place = h("div");
  const [width, height] = video.size.split("x").map(Number);
  if (width && height) player.style.aspectRatio = `${width} / ${height}`;
  let source = null;
  let renewed = -Infinity; // Of the time since the page was opened, which may be short.
  async function open(at = 0, goOn = false) {
    source?.done();
    source = null;
    source = await opened(session, `/v1/videos/${video.id}`, signal);
    player.src = source.url;
    if (at) player.addEventListener("loadedmetadata", () => { player.currentTime = at; }, { once: true });
    if (goOn) player.play().catch(() => {});
  }
  async function again() {
    if (signal.aborted || !player.hasAttribute("src")) return;
    const at = player.currentTime;
    const played = !player.paused;
    try {
      // In the gateway's words, where it has any: the player itself says next to nothing.
      await call("GET", `/v1/videos/${video.id}`, { signal });
      if (performance.now() - renewed < RENEW_MS) throw complaint("This browser cannot play the video. Download it instead.");
      renewed = performance.now();
      await open(at, played);
    } catch (error) {
      if (error.name !== "AbortError") replace(place, errorBox(error));
    }
  }
  player.addEventListener("error", again);
  signal.addEventListener("abort", () => {
    player.removeAttribute("src");
    player.load();
    source?.done();
  });
  replace(stage, player, place);
  try {
    await open();
  } catch (error) {
    showError(place, error, () => open().then(() => replace(place), (one) => showError(place, one)));
  }
}

function drawFacts(facts, video) {
  const more = video.mediagate ?? {};
  const output = more.output;
  const cost = more.cost;
  const source = video.remixed_from_video_id;
  const rows = [
    ["Id", copyable(video.id, "the id")],
    ["Model", said(video.model)],
    ["Asked for", `${video.seconds} s at ${video.size}`],
    ["Made", output && `${output.duration_seconds.toFixed(1)} s, ${output.width} × ${output.height}, ${bytes(output.bytes)}, ${output.has_audio ? "with" : "without"} sound`],
    ["Created", moment(video.created_at)],
    ["Took", video.completed_at && duration(video.completed_at - video.created_at)],
    ["Expires", video.expires_at && moment(video.expires_at)],
    ["Cost", costText(cost)],
    ["Made from", source && h("a", { href: `#/videos/${source}` }, source)],
    ["End user", more.user && said(more.user)],
  ].filter(([, value]) => value);
  const look = JSON.stringify([video.id, output, cost, video.completed_at, video.expires_at]);
  if (facts.dataset.look === look) return;
  facts.dataset.look = look;
  replace(facts, rows.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

function costText(cost) {
  if (!cost) return null;
  if (cost.source) return money(cost.charged_usd);
  if (cost.held_usd > 0) return `${money(cost.held_usd)} held`;
  return cost.charged_usd ? money(cost.charged_usd) : "Nothing charged";
}

function remixDialog(video, made) {
  const { body, setFoot, close } = openDialog("Remix");
  const prompt = h("textarea", { rows: "4", maxlength: "32000" });
  const place = h("div");
  const act = h("button.primary", { type: "submit", form: "remix-form" }, "Create remix");
  let key = idempotencyKey();
  const form = h("form", { id: "remix-form", novalidate: true }, field("What shall be different", prompt, "Length, size and model are those of the source, and so is the price."), place);
  form.addEventListener("input", () => { key = idempotencyKey(); });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const done = await busy(act, place, async () => {
      if (!prompt.value.trim()) throw complaint("Say what shall be different.");
      const remix = await call("POST", `/v1/videos/${video.id}/remix`, { json: { prompt: prompt.value.trim() }, headers: { "idempotency-key": key } });
      close();
      made(remix);
    });
    if (done) toast("The remix is on its way.");
  });
  body.append(form);
  setFoot(h("button", { type: "button", click: close }, "Cancel"), act);
  prompt.focus();
}
