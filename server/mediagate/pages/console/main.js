// The console: who is here, and which page is shown.

import { forgetKey, onRefused } from "./api.js";
import { endSaving, forgetPictures } from "./content.js";
import { h, replace } from "./dom.js";
import { closeDialogs, confirmed } from "./dialogs.js";
import { Feed } from "./feed.js";
import { filesPage } from "./files.js";
import { count } from "./format.js";
import { icon } from "./icons.js";
import { keysPage } from "./keys.js";
import { empty, showError, toast } from "./notices.js";
import { providersPage } from "./providers.js";
import { signIn } from "./session.js";
import { listenToKeys, showShortcuts } from "./shortcuts.js";
import { spendPage } from "./spend.js";
import { endUploads, running } from "./transfers.js";
import { takeDrops } from "./upload_dialog.js";
import { nameOf } from "./video_facts.js";
import { videosPage } from "./videos.js";

const PAGES = [filesPage, videosPage, keysPage, spendPage, providersPage];
const WHO = { master: "Master key", admin: "Admin", key: "Key", end_user: "End user" };

const door = document.getElementById("sign-in");
const app = document.getElementById("app");
const skip = document.getElementById("skip");
const form = document.getElementById("sign-in-form");
const keyField = document.getElementById("key");
const button = document.getElementById("sign-in-button");
const trouble = document.getElementById("sign-in-error");

let stay = null;

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  button.disabled = true;
  showError(trouble, null);
  keyField.removeAttribute("aria-invalid");
  try {
    const session = await signIn(keyField.value.trim());
    keyField.value = "";
    enter(session);
  } catch (error) {
    showError(trouble, error);
    keyField.setAttribute("aria-invalid", "true");
    keyField.focus();
    keyField.select();
  } finally {
    button.disabled = false;
  }
});

const shown = document.getElementById("key-shown");
shown.addEventListener("click", () => {
  const seen = keyField.type === "password";
  keyField.type = seen ? "text" : "password";
  shown.setAttribute("aria-pressed", String(seen));
  shown.textContent = seen ? "Hide" : "Show";
});
button.disabled = false;

/** Show the console to whoever has signed in. */
function enter(session) {
  const end = new AbortController();
  const feed = new Feed();
  const content = h("main", { id: "content", tabindex: "-1" });
  const pages = PAGES.filter((page) => page.allowed(session));
  const links = pages.map((page) => h("a.nav-link", { href: `#/${page.name}` }, icon(page.name), h("span", {}, page.title)));
  stay = { session, feed, content, pages, links, end, open: null };
  replace(
    app,
    h("header.top", {},
      h("p.brand", {}, h("img", { src: "/console/icon.svg", alt: "", width: "26", height: "26" }), h("span", {}, "mediagate")),
      h("nav", { "aria-label": "Pages" }, links),
      h("div.who", {},
        h("p.who-name", {}, h("span.hint", {}, WHO[session.role]), session.label === WHO[session.role] ? null : h("bdi", {}, session.label)),
        h("button.quiet.icon-only", { type: "button", "aria-label": "Keyboard shortcuts", title: "Keyboard shortcuts (?)", "data-shortcut": "?", click: () => showShortcuts(pages) }, icon("help")),
        h("button.quiet.icon-only", { type: "button", "aria-label": "Sign out", title: "Sign out", click: signOut }, icon("out")))),
    content,
  );
  door.hidden = true;
  app.hidden = skip.hidden = false;
  addEventListener("hashchange", show, { signal: end.signal });
  listenToKeys({ pages, go, signal: end.signal });
  takeDrops(session, end.signal);
  feed.addEventListener("event", tellEnds, { signal: end.signal });
  feed.run();
  onRefused((error) => leave(error));
  show();
}

async function signOut() {
  const left = running();
  const sure = left === 0 || (await confirmed({
    title: "Sign out?", text: [`${count(left, "upload")} ${left === 1 ? "is" : "are"} not finished. Signing out ends them.`], verb: "Sign out", work: async () => {},
  }));
  if (sure) leave();
}

/** Forget the key and all that came with it; `error` is why the gateway does not take it any more. */
function leave(error = null) {
  if (stay === null) return;
  onRefused(() => {});
  // A key that is refused ends nothing at the gateway any more; one that is not gives back what it opened.
  if (error !== null) forgetKey();
  stay.open?.end.abort();
  stay.end.abort();
  stay.feed.close();
  stay = null;
  closeDialogs();
  endSaving();
  endUploads();
  forgetKey();
  forgetPictures();
  document.getElementById("toasts").replaceChildren();
  replace(app);
  app.hidden = skip.hidden = true;
  door.hidden = false;
  document.title = "Sign in · mediagate";
  showError(trouble, error);
  keyField.focus();
}

skip.addEventListener("click", (event) => {
  // Its fragment is no page of ours.
  event.preventDefault();
  document.getElementById("content").focus();
});

const go = (path) => { location.hash = `#/${path}`; };

/** Show the page that the address names. */
function show() {
  const [, name = "", path = ""] = /^#\/([^/]*)\/?(.*)$/.exec(location.hash) ?? [];
  const page = PAGES.find((one) => one.name === name) ?? PAGES[0];
  if (stay.open?.page === page) return stay.open.at(decoded(path));
  stay.open?.end.abort();
  const end = new AbortController();
  stay.open = { page, end, at: () => {} };
  for (const [at, link] of stay.links.entries()) {
    if (stay.pages[at] === page) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${page.title} · mediagate`;
  const place = h("div.page", { class: `page-${page.name}` });
  replace(stay.content, place);
  if (!page.allowed(stay.session)) {
    return replace(place, h("div.page-head", {}, h("h1", { tabindex: "-1" }, page.title)), empty("keys", "Not with this key", "An admin’s key sees this page. Everything else of yours is in the other pages."));
  }
  const opened = page.open(place, { session: stay.session, life: end.signal, go, feed: stay.feed });
  stay.open.at = opened?.at ?? (() => {});
  window.scrollTo(0, 0);
  place.querySelector("h1").focus({ preventScroll: true });
  stay.open.at(decoded(path));
}

function decoded(path) {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

/** Say that a video has ended to whoever looks at another page. */
function tellEnds({ detail }) {
  if (detail.type !== "end" || stay.open?.page === videosPage) return;
  const ready = detail.video.status === "completed";
  toast(`${ready ? "Ready" : "Not made"}: ${nameOf(detail.video).slice(0, 80)}`, { bad: !ready, action: { text: "Open", run: () => go(`videos/${detail.video_id}`) } });
}
