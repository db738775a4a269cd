// The page of videos: a form that makes one, and a wall of all.

import { call, get } from "./api.js";
import { forgetPictures, save, thumbnail } from "./content.js";
import { h, keyed, replace, said, setText } from "./dom.js";
import { confirmed } from "./dialogs.js";
import { ago, count } from "./format.js";
import { icon } from "./icons.js";
import { Meanwhile } from "./meanwhile.js";
import { empty, showError, skeleton, toast } from "./notices.js";
import { createForm } from "./video_create.js";
import { after, failureOf, isReady, isRunning, nameOf, outlook, phaseBadge, phaseOf, phaseText } from "./video_facts.js";
import { videoDialog } from "./video_dialog.js";

const PAGE = 24;
const LIVE = { live: "Live", connecting: "Connecting…", away: "Not live" };

export const videosPage = {
  name: "videos",
  title: "Videos",
  keys: "g v",
  allowed: () => true,

  open(place, { session, life, go, feed }) {
    let videos = [];
    let more = false;
    let first = true;
    let dialog = null;
    const meanwhile = new Meanwhile((video) => video.id);
    const trouble = h("div");
    const live = h("span.live", { role: "status" });
    const wall = h("ul.wall", { "aria-label": "Videos, newest first" });
    const list = h("div", {}, skeleton(5));
    const next = h("button", { type: "button", hidden: true, click: () => load(true) }, "Show more");
    const shown = h("p.hint");
    const form = createForm({ created: (video) => take(video, true), life });
    replace(
      place,
      h("div.page-head", {}, h("h1", { tabindex: "-1" }, "Videos"), live),
      form,
      trouble,
      list,
      h("div.more", {}, next, shown),
    );

    function draw() {
      next.hidden = !more;
      if (first) return;
      if (!videos.length) replace(list, empty("videos", "No videos yet", "Say above what you want to see. The model local-video renders on this machine, with no account and at no cost."));
      else if (wall.parentNode !== list) replace(list, wall);
      keyed(wall, videos, (video) => video.id, (video) => makeCard(video, go, seen), (card, video) => card.update(video));
      setText(shown, videos.length ? `${count(videos.length, "video")} shown${more ? ", the newest: there are more" : ""}.` : "");
    }

    async function load(onward = false) {
      meanwhile.begin();
      next.disabled = true;
      showError(trouble, null);
      try {
        const page = await get("/v1/videos", { limit: PAGE, after: onward ? videos.at(-1)?.id : null }, life);
        const known = new Set(videos.map((video) => video.id));
        const fresh = meanwhile.over(page.data).filter((video) => !known.has(video.id));
        videos = [...videos, ...fresh].sort((a, b) => (a.id < b.id ? 1 : -1));
        more = page.has_more;
        first = false;
        draw();
      } catch (error) {
        showError(trouble, error, () => load(onward));
        if (first) replace(list);
      } finally {
        next.disabled = false;
      }
    }

    function take(video, isNew = false) {
      const known = videos.find((one) => one.id === video.id);
      // The stream may have told of its end before the answer to its creation is here.
      if (known && known.mediagate.seq > video.mediagate.seq) return;
      if (known) videos = videos.map((one) => (one === known ? video : one));
      else if (isNew || !videos.length || video.id > videos.at(-1).id) videos = [video, ...videos].sort((a, b) => (a.id < b.id ? 1 : -1));
      first = false;
      draw();
      if (dialog?.id === video.id) dialog.update(video);
    }

    function drop(id) {
      videos = videos.filter((video) => video.id !== id);
      meanwhile.dropped(id);
      forgetPictures(id);
      draw();
    }

    const doing = {
      async remove(video) {
        if (!(await confirmedDelete(video))) return false;
        drop(video.id);
        place.querySelector("h1").focus();
        return true;
      },
      async cancel(video) {
        const done = await confirmed({
          title: "Stop this video?",
          text: [said(nameOf(video)), "It is not finished then, and the provider may charge for what it did. This cannot be undone."],
          verb: "Stop it",
          work: async () => take(await call("POST", `/v1/videos/${video.id}/cancel`, { json: {} })),
        });
        if (done) toast("The video is being stopped.");
      },
      async download(video) {
        try {
          await save(session, `/v1/videos/${video.id}`, `${video.id}.mp4`);
        } catch (error) {
          if (error.name !== "AbortError") toast(error.message, { bad: true });
        }
      },
      remixed: (video) => take(video, true),
    };

    feed.addEventListener("event", ({ detail }) => {
      if (detail.type === "deleted") return drop(detail.video_id);
      // The one that the dialog shows may be behind "Show more".
      const known = videos.find((video) => video.id === detail.video_id) ?? (dialog?.id === detail.video_id ? dialog.video : undefined);
      const now = after(known, detail);
      if (now !== undefined && now !== known) take(now);
    }, { signal: life });

    function tellLive() {
      live.dataset.state = feed.state;
      setText(live, LIVE[feed.state]);
    }
    feed.addEventListener("state", tellLive, { signal: life });
    tellLive();

    // Pictures of cards far below are not asked for before somebody comes near them.
    const near = new IntersectionObserver((entries) => {
      for (const entry of entries) if (entry.isIntersecting) entry.target.showPicture();
    }, { rootMargin: "300px" });
    const seen = (card) => near.observe(card);
    life.addEventListener("abort", () => near.disconnect());

    load();
    return {
      at(id) {
        dialog?.close();
        dialog = id ? videoDialog(id, { session, life, doing, closed: () => go("videos") }) : null;
      },
    };
  },
};

function makeCard(video, go, seen) {
  const picture = h("div.picture");
  const prompt = h("p.prompt");
  const state = h("div.card-state");
  const facts = h("p.hint");
  const open = h("button.card-open", { type: "button", "data-action": "open", click: () => go(`videos/${video.id}`) });
  const card = h("li.card", {}, picture, h("div.card-text", {}, prompt, facts, state), open);
  let now = null;
  let pictured = false;
  card.showPicture = async () => {
    if (!now || !isReady(now) || pictured) return;
    pictured = true;
    try {
      const url = await thumbnail(now.id);
      replace(picture, h("img", { src: url, alt: "" }), h("span.play", {}, icon("play", true)));
    } catch {
      replace(picture, h("span.play", {}, icon("play", true)));
    }
  };
  card.update = (changed) => {
    if (now !== null && JSON.stringify(now) === JSON.stringify(changed)) return;
    const turned = now === null || phaseOf(now) !== phaseOf(changed);
    now = changed;
    if (turned) {
      card.dataset.phase = phaseOf(now);
      replace(prompt, said(nameOf(now)));
      replace(state, phaseBadge(now));
      open.setAttribute("aria-label", `${isReady(now) ? "Play" : "Open"}: ${nameOf(now)} (${phaseText(now)})`);
    }
    setText(facts, `${now.model} · ${now.seconds} s · ${now.size} · ${ago(now.created_at)}`);
    if (isRunning(now)) drawProgress(picture, now);
    else if (isReady(now)) {
      if (turned) replace(picture, icon("image"));
      seen(card);
      if (turned) card.showPicture();
    } else if (turned) {
      replace(picture, icon(phaseOf(now) === "failed" ? "warning" : "stop"), h("p", {}, said(failureOf(now)?.message ?? phaseText(now))));
    }
  };
  return card;
}

function drawProgress(picture, video) {
  let bar = picture.querySelector("progress");
  if (bar === null) {
    bar = h("progress", { max: "100", "aria-label": `Progress of ${nameOf(video)}` });
    replace(picture, h("p.percent"), h("p.hint"), bar);
  }
  if (video.progress > 0) bar.value = video.progress;
  else bar.removeAttribute("value");
  const percent = picture.querySelector(".percent");
  percent.classList.toggle("counted", video.progress > 0);
  setText(percent, video.progress > 0 ? `${video.progress} %` : phaseText(video));
  setText(picture.querySelector(".hint"), outlook(video));
}

function confirmedDelete(video) {
  return confirmed({
    title: "Delete this video?",
    text: [
      h("strong", {}, said(nameOf(video))),
      `${isRunning(video) ? "It still runs, and is stopped. " : ""}The video and its pictures are removed; files that were made of it stay. This cannot be undone.`,
    ],
    verb: "Delete",
    work: () => call("DELETE", `/v1/videos/${video.id}`),
  });
}
