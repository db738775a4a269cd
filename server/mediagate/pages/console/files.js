// The page of files.

import { call, get } from "./api.js";
import { field, h, replace, said, select } from "./dom.js";
import { confirmed } from "./dialogs.js";
import { copyDialog, fileDialog } from "./file_dialogs.js";
import { ALL_PURPOSES, download, isUnsettled, replicaBadge } from "./file_facts.js";
import { ago, bytes, count, moment } from "./format.js";
import { icon } from "./icons.js";
import { Meanwhile } from "./meanwhile.js";
import { badge, empty, showError, skeleton } from "./notices.js";
import { mayMakeTokens } from "./session.js";
import { dataTable } from "./table.js";
import { uploads } from "./transfers.js";
import { chooseFiles } from "./upload_dialog.js";

const PAGE = 50;
const LOOK_AGAIN_MS = 2000;
export const filesPage = {
  name: "files",
  title: "Files",
  keys: "g f",
  allowed: () => true,

  open(place, { session, life, go }) {
    let dialog = null;
    let files = [];
    let more = false;
    let first = true;
    let round = 0;
    const meanwhile = new Meanwhile((file) => file.id);
    const trouble = h("div");
    const usage = h("p.muted", {}, "\u00a0");
    const list = h("div", {}, skeleton(6));
    const next = h("button", { type: "button", hidden: true, click: () => load(true) }, "Show more");
    const shown = h("p.hint", { role: "status" });
    const purpose = select([["", "Every purpose"], ...ALL_PURPOSES.map((one) => [one, one])], { change: () => load() });
    const provider = select([["", "Every provider"]], { change: draw });
    const search = h("input", { type: "search", placeholder: "Name or id", "data-shortcut": "/", input: draw });
    const table = filesTable({ session, go, remove, changed: take });
    replace(
      place,
      h("div.page-head", {}, h("div", {}, h("h1", { tabindex: "-1" }, "Files"), usage),
        h("button.primary", { type: "button", "data-shortcut": "u", click: () => chooseFiles(session) }, icon("upload"), "Upload files")),
      h("div.filters", {}, field("Search", search), field("Purpose", purpose), field("Provider", provider),
        h("button", { type: "button", "data-shortcut": "r", click: () => load() }, icon("refresh"), "Refresh")),
      trouble,
      list,
      h("div.more", {}, next, shown),
    );

    function filtered() {
      const text = search.value.trim().toLowerCase();
      return files.filter((file) =>
        (!text || file.filename.toLowerCase().includes(text) || file.id.includes(text)) &&
        (!provider.value || (file.replicas ?? []).some((replica) => replica.provider === provider.value)));
    }

    function draw() {
      const seen = [...new Set(files.flatMap((file) => (file.replicas ?? []).map((replica) => replica.provider)))].sort();
      if ([...provider.options].slice(1).map((one) => one.value).join() !== seen.join()) {
        const value = provider.value;
        replace(provider, h("option", { value: "" }, "Every provider"), seen.map((one) => h("option", { value: one }, one)));
        provider.value = seen.includes(value) ? value : "";
      }
      const rows = filtered();
      next.hidden = !more;
      if (first) return;
      if (rows.length === 0) replace(list, nothing());
      else if (table.element.parentNode !== list) replace(list, table.element);
      table.show(rows);
      shown.textContent = rows.length ? `${count(rows.length, "file")} shown${more ? ", the newest: there are more" : ""}.` : "";
    }

    function nothing() {
      if (files.length || purpose.value) return empty("search", "Nothing found", more ? "Nothing among the files that are loaded. Show more, or search for something else." : "No file is like that.");
      const add = h("button.primary", { type: "button", click: () => chooseFiles(session) }, icon("upload"), "Upload files");
      return empty("files", "No files yet", "Drop files anywhere on this page, or choose them. What is stored has one id, wherever its copies lie.", add);
    }

    async function load(onward = false) {
      const mine = ++round;
      meanwhile.begin();
      next.disabled = true;
      showError(trouble, null);
      try {
        const after = onward ? files.at(-1)?.id : null;
        const page = await get("/v1/files", { limit: PAGE, after, purpose: purpose.value }, life);
        if (mine !== round) return;
        files = meanwhile.over(onward ? [...files, ...page.data] : page.data);
        more = page.has_more;
        first = false;
        draw();
      } catch (error) {
        if (mine === round) showError(trouble, error, () => load(onward));
        if (first) replace(list);
      } finally {
        next.disabled = false;
      }
      loadUsage();
    }

    async function loadUsage() {
      if (!mayMakeTokens(session)) return;
      try {
        const stored = await get("/v1/usage/storage", {}, life);
        usage.textContent = `${count(stored.files, "file")} stored, ${bytes(stored.bytes)}`;
      } catch {
        // A figure beside the page's matter: its absence says enough.
      }
    }

    function take(file) {
      const known = files.some((one) => one.id === file.id);
      // What a dialog shows may be none of this list's, or be behind "Show more".
      if (!known && ((purpose.value && purpose.value !== file.purpose) || (more && file.id < files.at(-1)?.id))) return;
      files = known ? files.map((one) => (one.id === file.id ? file : one)) : [file, ...files];
      meanwhile.took(file, !known);
      first = false;
      draw();
    }

    function drop(id) {
      files = files.filter((file) => file.id !== id);
      meanwhile.dropped(id);
      draw();
      loadUsage();
    }

    async function remove(file) {
      if (!(await confirmedDelete(file))) return false;
      drop(file.id);
      place.querySelector("h1").focus();
      return true;
    }

    // Files have no stream of events: what is still on its way is looked at, for as long as it is and the page is seen.
    const looking = setInterval(async () => {
      if (document.hidden) return;
      for (const file of files.filter(isUnsettled).slice(0, 10)) {
        try {
          const now = await get(`/v1/files/${file.id}`, {}, life);
          // It may have been deleted meanwhile, or have another purpose than is shown by now.
          if (files.some((one) => one.id === now.id)) take(now);
        } catch (error) {
          if (error.status === 404) drop(file.id);
        }
      }
    }, LOOK_AGAIN_MS);
    life.addEventListener("abort", () => clearInterval(looking));
    uploads.addEventListener("stored", (event) => {
      take(event.detail);
      loadUsage();
    }, { signal: life });

    load();
    return {
      at(id) {
        dialog?.close();
        dialog = id ? fileDialog(id, { session, life, remove, changed: take, closed: () => go("files") }) : null;
      },
    };
  },
};

function filesTable({ session, go, remove, changed }) {
  return dataTable({
    caption: "Files, with their copies",
    keyOf: (file) => file.id,
    // The times are told relative to now.
    look: (file) => JSON.stringify([file, ago(file.created_at)]),
    columns: [
      {
        name: "name", label: "Name", order: (file) => file.filename.toLowerCase(),
        cell: (file) => h("div.file-name", {},
          h("button.link", { type: "button", "data-action": "open", click: () => go(`files/${file.id}`) }, said(file.filename)),
          h("span.hint.mono", {}, file.id)),
      },
      { name: "purpose", label: "Purpose", less: true, order: (file) => file.purpose, cell: (file) => file.purpose },
      { name: "size", label: "Size", kind: "number", order: (file) => file.bytes, cell: (file) => bytes(file.bytes) },
      { name: "copies", label: "Copies", cell: copies },
      {
        name: "created", label: "Created", less: true, kind: "number", order: (file) => file.created_at,
        cell: (file) => h("time", { datetime: new Date(1000 * file.created_at).toISOString(), title: moment(file.created_at) }, ago(file.created_at)),
      },
      { name: "actions", label: "Actions", kind: "actions", cell: (file) => actions(file, { session, remove, changed }) },
    ],
  });
}

function copies(file) {
  const badges = (file.replicas ?? []).map((replica) => replicaBadge(replica, replica.state === "ready" ? replica.account : `${replica.account}: ${replica.state}`));
  if (file.status === "error") badges.unshift(badge("bad", "Error", file.status_details));
  const copied = file.mediagate?.copied_bytes;
  if (copied !== undefined && file.status === "uploaded") {
    badges.push(h("span.hint", {}, `${bytes(copied)} of ${bytes(file.bytes)} copied`));
  }
  return h("div.badges", {}, badges);
}

function actions(file, { session, remove, changed }) {
  const button = (name, label, run) =>
    h("button.quiet.icon-only", { type: "button", "data-action": name, title: label, "aria-label": `${label} ${file.filename}`, click: run }, icon(name));
  return h("div.row-actions", {},
    button("download", "Download", () => download(session, file)),
    button("copy", "Copy", () => copyDialog(file, { session, changed })),
    button("trash", "Delete", () => remove(file)));
}

function confirmedDelete(file) {
  const where = (file.replicas ?? []).map((replica) => replica.account).join(", ");
  return confirmed({
    title: "Delete this file?",
    text: [
      h("strong", {}, said(file.filename)),
      `${bytes(file.bytes)}${where ? `, at ${where}` : ""}. It is gone for everybody at once, and its copies are removed everywhere. This cannot be undone.`,
    ],
    verb: "Delete",
    work: () => call("DELETE", `/v1/files/${file.id}`),
  });
}
