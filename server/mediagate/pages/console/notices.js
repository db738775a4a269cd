// What the page says: toasts, errors beside what failed, states, empty places.

import { GatewayError } from "./api.js";
import { h, replace, said } from "./dom.js";
import { icon } from "./icons.js";

const TOAST_MS = 6000;

/** Say something that needs no answer. It goes by itself; a pointer or the focus on it keeps it. */
export function toast(text, { bad = false, action = null } = {}) {
  const note = h(
    "div.toast",
    { class: bad ? "bad" : "" },
    icon(bad ? "warning" : "check"),
    h("p", {}, text),
    action && h("button.quiet", { type: "button", click: () => { note.remove(); action.run(); } }, action.text),
    h("button.quiet.icon-only", { type: "button", "aria-label": "Dismiss", click: () => note.remove() }, icon("close")),
  );
  const toasts = document.getElementById("toasts");
  // What lies below an open dialog is out of reach.
  const dialogs = document.querySelectorAll("dialog[open]");
  const top = dialogs.length ? dialogs[dialogs.length - 1] : document.body;
  if (toasts.parentNode !== top) top.append(toasts);
  toasts.append(note);
  const leave = () => (note.matches(":hover, :focus-within") ? setTimeout(leave, 1000) : note.remove());
  setTimeout(leave, bad ? 2 * TOAST_MS : TOAST_MS);
}

/** What is wrong with what was entered, found here and told like an answer of the gateway. */
export const complaint = (message) => new GatewayError({ message, status: -1 });

/** An error where it happened: the gateway's words, its code, and the id by which its log knows the request. */
export function errorBox(error, retry = null) {
  return h(
    "div.notice.bad",
    { role: "alert" },
    icon("warning"),
    h(
      "div",
      {},
      h("p", {}, said(error.message)),
      error.retryAfter > 0 && h("p.hint", {}, `Worth trying again in ${error.retryAfter} s.`),
      (error.code || error.requestId) &&
        h("p.hint", {}, error.code && h("code", {}, error.code), error.requestId && [error.code ? " · request " : "Request ", h("code", {}, error.requestId)]),
    ),
    retry && h("button", { type: "button", click: retry }, icon("refresh"), "Try again"),
  );
}

/** Show an error in a place of its own, or empty the place. Errors of this page itself are no secrets, but no help either. */
export function showError(place, error, retry = null) {
  if (error === null) return replace(place);
  if (error.name === "AbortError") return place;
  if (!(error instanceof GatewayError)) console.error(error);
  return replace(place, errorBox(error, retry));
}

const STATES = {
  ok: "check", busy: "clock", warn: "warning", bad: "cross", off: "block",
};

/** A state by icon, word and colour. `kind` is `ok`, `busy`, `warn`, `bad` or `off`. */
export function badge(kind, text, title = null) {
  return h("span.badge", { class: kind, title }, icon(STATES[kind]), text);
}

/** A place where nothing is yet, and what to do about it. */
export function empty(name, title, text, action = null) {
  return h("div.empty", {}, icon(name), h("h2", {}, title), h("p.muted", {}, text), action);
}

/** Rows of grey where something is still on its way. */
export function skeleton(rows = 4) {
  return h("div.skeleton", { role: "status" }, h("span.unseen", {}, "Loading…"), Array.from({ length: rows }, () => h("div")));
}

/** A button that copies a text. Where the page may not reach the clipboard (no https), the text is selected instead. */
export function copyButton(text, what) {
  const button = h("button.quiet.icon-only", { type: "button", "aria-label": `Copy ${what}`, title: `Copy ${what}` }, icon("copy"));
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
      toast(`Copied ${what}.`);
    } catch {
      const shown = button.parentElement.querySelector("[data-copied]");
      if (shown instanceof HTMLInputElement) shown.select();
      else if (shown) getSelection().selectAllChildren(shown);
      toast("This page may not use the clipboard. The text is selected: copy it with the keyboard.");
    }
  });
  return button;
}

/** A line of code or an id, with its button. */
export const copyable = (text, what) =>
  h("span.copyable", {}, h("code", { "data-copied": true }, text), copyButton(text, what));
