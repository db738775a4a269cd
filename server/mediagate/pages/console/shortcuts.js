// Keys of the keyboard that do something, and the dialog that lists them. They can be switched off: a voice that is typed for
// somebody is full of single letters.

import { h } from "./dom.js";
import { openDialog } from "./dialogs.js";

const DOES = [
  ["/", "Search"], ["u", "Upload files"], ["n", "New video, or new key"], ["r", "Refresh"], ["?", "This list"], ["Esc", "Close a dialog"], ["Ctrl Enter", "Create the video"],
];
const SECOND_MS = 1200;
let on = true;

/** Listen until `signal`. Elements say by `data-shortcut` which key presses or focuses them. */
export function listenToKeys({ pages, go, signal }) {
  let began = -SECOND_MS;
  addEventListener("keydown", (event) => {
    if (!on || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest?.("input, select, textarea, video") || document.querySelector("dialog[open]")) return;
    if (event.timeStamp - began < SECOND_MS) {
      began = -SECOND_MS;
      const page = pages.find((one) => one.keys === `g ${event.key}`);
      if (page) {
        event.preventDefault();
        return go(page.name);
      }
    }
    if (event.key === "g") {
      began = event.timeStamp;
      return;
    }
    const element = document.querySelector(`#app [data-shortcut="${CSS.escape(event.key)}"]`);
    if (!element) return;
    event.preventDefault();
    if (element.matches("button")) element.click();
    else element.focus();
  }, { signal });
}

/** List them, and let them be switched off. */
export function showShortcuts(pages) {
  const { body } = openDialog("Keyboard shortcuts");
  const box = h("input", { type: "checkbox" });
  box.checked = on;
  box.addEventListener("change", () => { on = box.checked; });
  const rows = [...pages.map((page) => [page.keys, page.title]), ...DOES];
  body.append(
    h("dl.shortcuts", {}, rows.map(([keys, does]) => h("div", {}, h("dt", {}, keys.split(" ").map((key) => h("kbd", {}, key))), h("dd", {}, does)))),
    h("label.choice", {}, box, "Single keys do something"),
  );
}
