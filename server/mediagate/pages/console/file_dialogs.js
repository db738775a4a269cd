// One file: what is known of it, and a copy of it elsewhere.

import { call, get, idempotencyKey } from "./api.js";
import { field, h, replace, said } from "./dom.js";
import { busy, openDialog } from "./dialogs.js";
import { download, isUnsettled, replicaBadge } from "./file_facts.js";
import { bytes, moment } from "./format.js";
import { icon } from "./icons.js";
import { copyable, showError, skeleton, toast } from "./notices.js";
import { dataTable } from "./table.js";
import { targetsField } from "./targets.js";

const LOOK_AGAIN_MS = 2000;

/** Show one file, and follow its copies while something happens to them. `closed` is called where the user closes it; the
 * returned `close` does not call it. */
export function fileDialog(id, { session, life, remove, changed, closed }) {
  const end = new AbortController();
  const signal = AbortSignal.any([life, end.signal]);
  const shown = openDialog("File", {
    side: true,
    whenClosed: () => {
      if (!end.signal.aborted) closed();
      end.abort();
    },
  });
  const trouble = h("div");
  const facts = h("dl.facts");
  const table = replicaTable();
  const where = h("section", { hidden: true }, h("h3", {}, "Copies"), table.element);
  const waiting = skeleton(5);
  shown.body.append(trouble, waiting, facts, where);
  let timer = null;

  async function load() {
    try {
      draw(await get(`/v1/files/${encodeURIComponent(id)}`, {}, signal));
    } catch (error) {
      waiting.remove();
      showError(trouble, error, error.status === 404 ? null : load);
    }
  }

  function draw(file) {
    waiting.remove();
    showError(trouble, null);
    replace(shown.heading, said(file.filename));
    drawFacts(facts, file);
    where.hidden = false;
    table.show(file.replicas ?? []);
    if (timer === null) {
      const button = (name, label, run, cls = "") => h("button", { type: "button", class: cls, click: run }, icon(name), label);
      shown.setFoot(
        button("trash", "Delete", async () => (await remove(file)) && shown.close(), "quiet bad-text"),
        h("span.spring"),
        button("copy", "Copy…", () => copyDialog(file, { session, changed })),
        button("download", "Download", () => download(session, file)),
      );
    } else changed(file);
    timer = isUnsettled(file) ? setTimeout(load, LOOK_AGAIN_MS) : 0;
  }

  function close() {
    end.abort();
    shown.close();
  }

  signal.addEventListener("abort", () => clearTimeout(timer));
  life.addEventListener("abort", close, { signal: end.signal });
  load();
  return { close };
}

function drawFacts(facts, file) {
  const more = file.mediagate ?? {};
  const rows = [
    ["Id", copyable(file.id, "the id")],
    ["Size", `${bytes(file.bytes)} (${file.bytes.toLocaleString("en-US")} bytes)`],
    ["Type", more.content_type],
    ["Purpose", file.purpose],
    ["Status", file.status_details ? `${file.status}: ${file.status_details}` : file.status],
    ["Created", moment(file.created_at)],
    ["Expires", file.expires_at ? moment(file.expires_at) : "Never"],
    ["SHA-256", more.sha256 ? copyable(more.sha256, "the checksum") : "Not known: a store copied it by itself"],
    ["Copied from", more.source && said(more.source)],
    ["End user", more.user && said(more.user)],
  ].filter(([, value]) => value);
  replace(facts, rows.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

function replicaTable() {
  return dataTable({
    caption: "Copies of this file",
    keyOf: (replica) => replica.account,
    columns: [
      { name: "account", label: "Account", cell: (one) => (one.account === one.provider ? one.account : [one.account, h("span.muted", {}, ` · ${one.provider}`)]) },
      { name: "state", label: "State", cell: (one) => replicaBadge(one) },
      { name: "reference", label: "There it is", cell: (one) => (one.reference ? h("code", {}, one.reference) : "—") },
      { name: "expires", label: "Until", cell: (one) => (one.expires_at ? moment(one.expires_at) : "it is deleted") },
    ],
  });
}

/** Ask where to copy a file, and have it copied. */
export function copyDialog(file, { session, changed }) {
  const { body, setFoot, close } = openDialog("Copy to another place");
  const targets = targetsField(session, { needed: true });
  const name = h("input", { value: file.filename, autocomplete: "off", spellcheck: "false" });
  const place = h("div");
  const act = h("button.primary", { type: "submit" }, "Copy");
  let asked = "";
  let key = "";
  const form = h("form", { id: "copy-form", novalidate: true }, targets.element, field("Name of the copy", name), place);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const done = await busy(act, place, async () => {
      const chosen = targets.chosen();
      const json = { source: file.id, purpose: file.purpose, filename: name.value.trim() || file.filename, ...chosen };
      // Pressed again behind a cut it is the same wish; changed, it is another.
      if (JSON.stringify(json) !== asked) key = idempotencyKey();
      asked = JSON.stringify(json);
      changed(await call("POST", "/v1/files", { headers: { prefer: "respond-async", "idempotency-key": key }, json }));
    });
    if (!done) return;
    close();
    toast("The copy is being made. Its line in the table follows it.");
  });
  act.setAttribute("form", form.id);
  body.append(h("p", {}, "A copy is a file with an id of its own. Inside one cloud the store copies by itself; elsewhere the bytes are piped and rest nowhere."), form);
  setFoot(h("button", { type: "button", click: close }, "Cancel"), act);
}
