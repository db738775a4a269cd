// Dialogs: the native element, so that the focus stays in it, Escape closes it and it comes back to where it was.

import { h, replace, uniqueId } from "./dom.js";
import { icon } from "./icons.js";
import { showError } from "./notices.js";

/** Open a dialog and return it with `body`, `foot` and `close`. `whenClosed` is called once, however it is closed. */
export function openDialog(title, { wide = false, side = false, whenClosed = () => {} } = {}) {
  const id = uniqueId("dialog");
  const body = h("div.dialog-body");
  const foot = h("div.dialog-foot", { hidden: true });
  const heading = h("h2", { id }, title);
  const close = () => dialog.close();
  const dialog = h(
    "dialog",
    { "aria-labelledby": id, class: side ? "side" : wide ? "wide" : "" },
    h("div.dialog-head", {}, heading, h("button.quiet.icon-only", { type: "button", "aria-label": "Close", click: close }, icon("close"))),
    body,
    foot,
  );
  // Only where it began there too: text that is marked up to the outside is no click on it.
  let pressed = null;
  dialog.addEventListener("pointerdown", (event) => { pressed = event.target; });
  dialog.addEventListener("click", (event) => { if (event.target === dialog && pressed === dialog) close(); });
  dialog.addEventListener("close", () => {
    const toasts = dialog.querySelector("#toasts");
    if (toasts !== null) document.body.append(toasts);
    dialog.remove();
    whenClosed();
  }, { once: true });
  document.body.append(dialog);
  dialog.showModal();
  return {
    dialog,
    heading,
    body,
    close,
    setFoot(...buttons) {
      foot.hidden = false;
      replace(foot, buttons);
    },
  };
}

/** Close every dialog: who signs out leaves nothing open. */
export function closeDialogs() {
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
}

/** Run `work` from a button: it waits, and what goes wrong stands in `place`. Returns whether it went well. */
export async function busy(button, place, work) {
  const focused = document.activeElement === button;
  button.disabled = true;
  button.setAttribute("aria-busy", "true");
  showError(place, null);
  try {
    await work();
    return true;
  } catch (error) {
    showError(place, error);
    return false;
  } finally {
    button.disabled = false;
    button.removeAttribute("aria-busy");
    // A button that is disabled loses the focus.
    if (focused && document.activeElement === document.body) button.focus();
  }
}

/** Ask before something that nobody can take back, then do it; the dialog stays open with the error where that fails.
 * Whoever closes it meanwhile stops nothing: how the work ends is the answer then too. */
export function confirmed({ title, text, verb, work }) {
  return new Promise((resolve) => {
    let done = false;
    const { body, setFoot, close } = openDialog(title, { whenClosed: () => resolve(done) });
    const place = h("div");
    const act = h("button.danger", { type: "button" }, verb);
    act.addEventListener("click", async () => {
      done = busy(act, place, work);
      if (await done) close();
    });
    body.append(...text.map((line) => h("p", {}, line)), place);
    const keep = h("button", { type: "button", click: close }, "Keep");
    setFoot(keep, act);
    keep.focus();
  });
}
