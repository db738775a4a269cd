// From files on this machine to uploads: chosen or dropped, then told what for and where to.

import { field, h, said, select } from "./dom.js";
import { openDialog } from "./dialogs.js";
import { bytes, count } from "./format.js";
import { showError } from "./notices.js";
import { PURPOSES } from "./file_facts.js";
import { targetsField } from "./targets.js";
import { upload } from "./transfers.js";

const DAY_S = 86400;
const EXPIRES = [["", "Never; batch: 30 days"], [DAY_S, "After a day"], [7 * DAY_S, "After a week"], [30 * DAY_S, "After 30 days"]];
const LISTED = 6;
// What was chosen last is likely what is wanted next; it is forgotten with the page.
const last = { purpose: "user_data", expires: "" };
// Held while the browser asks: what nothing refers to may be collected, and with it the answer.
let asking = null;

/** Let the browser ask for files. */
export function chooseFiles(session) {
  const input = h("input", { type: "file", multiple: true });
  asking = input;
  input.addEventListener("change", () => uploadDialog(session, [...input.files]));
  asking.click();
}

/** Ask what the files are for and where they go, then send them. */
export function uploadDialog(session, files) {
  if (!files.length) return;
  const { body, setFoot, close } = openDialog(`Upload ${count(files.length, "file")}`);
  const purpose = select(PURPOSES.map((one) => [one, one]), { value: last.purpose });
  const expires = select(EXPIRES, { value: last.expires });
  const place = h("div");
  const keep = h("input", { type: "checkbox" });
  const targets = targetsField(session);
  const list = h("ul.chosen", {}, files.slice(0, LISTED).map((file) => h("li", {}, said(file.name), h("span.muted", {}, ` ${bytes(file.size)}`))));
  if (files.length > LISTED) list.append(h("li.muted", {}, `and ${count(files.length - LISTED, "other")}, ${bytes(files.reduce((sum, file) => sum + file.size, 0))} in all`));
  const form = h(
    "form",
    { id: "upload-form" },
    list,
    h("div.fields", {}, field("Purpose", purpose), field("Expires", expires)),
    targets.element,
    h("label.choice", {}, keep, h("span", {}, "Keep what succeeds", h("span.hint.below", {}, "Where one of several targets fails, it is made up for later. Else a file is at all of them or nowhere."))),
    place,
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    Object.assign(last, { purpose: purpose.value, expires: expires.value });
    let plan;
    try {
      plan = { purpose: purpose.value, ...targets.chosen() };
    } catch (error) {
      return showError(place, error);
    }
    if (expires.value) plan.expires_after = { anchor: "created_at", seconds: Number(expires.value) };
    if (keep.checked) plan.on_partial = "keep";
    close();
    upload(files, plan);
  });
  body.append(form);
  const go = h("button.primary", { type: "submit", form: form.id }, "Upload");
  setFoot(h("button", { type: "button", click: close }, "Cancel"), go);
  go.focus();
}

/** Take files that are dropped anywhere, unless something on the page takes them itself. */
export function takeDrops(session, signal) {
  const veil = h("div.veil", { hidden: true, "aria-hidden": "true" }, h("p", {}, "Drop to upload"));
  document.body.append(veil);
  const brings = (event) => event.dataTransfer?.types.includes("Files") ?? false;
  let depth = 0;
  const over = (event) => {
    if (!brings(event)) return;
    event.preventDefault();
    veil.hidden = event.target.closest?.("[data-drop]") != null || document.querySelector("dialog[open]") !== null;
  };
  addEventListener("dragenter", (event) => { if (brings(event)) depth++; over(event); }, { signal });
  addEventListener("dragover", over, { signal });
  addEventListener("dragleave", () => { depth = Math.max(0, depth - 1); if (!depth) veil.hidden = true; }, { signal });
  addEventListener("drop", (event) => {
    depth = 0;
    veil.hidden = true;
    if (event.defaultPrevented || !brings(event)) return;
    event.preventDefault();
    if (document.querySelector("dialog[open]") === null) uploadDialog(session, filesOf(event.dataTransfer));
  }, { signal });
  signal.addEventListener("abort", () => veil.remove());
}

/** The files among what was dropped. A folder is none, and reading it as one would fail much later. */
function filesOf(transfer) {
  return [...transfer.items]
    .filter((item) => item.kind === "file" && !item.webkitGetAsEntry?.()?.isDirectory)
    .map((item) => item.getAsFile())
    .filter(Boolean);
}
