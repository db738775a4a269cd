// The page of keys, for admins.

import { call, get } from "./api.js";
import { budgetBar } from "./charts.js";
import { h, replace, said } from "./dom.js";
import { confirmed } from "./dialogs.js";
import { ago, count, moment, money } from "./format.js";
import { icon } from "./icons.js";
import { createKeyDialog, secretDialog } from "./key_dialogs.js";
import { Meanwhile } from "./meanwhile.js";
import { badge, empty, showError, skeleton, toast } from "./notices.js";
import { isAdmin } from "./session.js";
import { dataTable } from "./table.js";

const PAGE = 100;

export const keysPage = {
  name: "keys",
  title: "Keys",
  keys: "g k",
  allowed: isAdmin,

  open(place, { session, life }) {
    let keys = [];
    let all = 0;
    let token = "";
    let first = true;
    let round = 0;
    const meanwhile = new Meanwhile((key) => key.key_id);
    const trouble = h("div");
    const total = h("p.muted", {}, "\u00a0");
    const list = h("div", {}, skeleton(5));
    const next = h("button", { type: "button", hidden: true, click: () => load(true) }, "Show more");
    const make = () => createKeyDialog({ made: (key) => { take(key); secretDialog(key); } });
    const table = keysTable({ session, block, remove, renew });
    replace(
      place,
      h("div.page-head", {}, h("div", {}, h("h1", { tabindex: "-1" }, "Keys"), total),
        h("div.page-tools", {}, h("button", { type: "button", "data-shortcut": "r", click: () => load() }, icon("refresh"), "Refresh"),
          h("button.primary", { type: "button", "data-shortcut": "n", click: make }, icon("plus"), "New key"))),
      trouble,
      list,
      h("div.more", {}, next),
    );

    function draw() {
      next.hidden = !token;
      if (first) return;
      total.textContent = count(all, "key");
      if (!keys.length) replace(list, empty("keys", "No keys yet", "Only the master key opens this gateway. Give every program a key of its own, with what it may do and spend.", h("button.primary", { type: "button", click: make }, icon("plus"), "New key")));
      else if (table.element.parentNode !== list) replace(list, table.element);
      table.show(keys);
    }

    async function load(onward = false) {
      const mine = ++round;
      meanwhile.begin();
      showError(trouble, null);
      try {
        const page = await get("/key/list", { size: PAGE, page_token: onward ? token : null }, life);
        if (mine !== round) return;
        const told = onward ? [...keys, ...page.keys] : page.keys;
        keys = meanwhile.over(told);
        all = page.total_count + keys.length - told.length;
        token = page.next_page_token;
        first = false;
        draw();
      } catch (error) {
        if (mine === round) showError(trouble, error, () => load(onward));
      }
    }

    function take(key) {
      const { key: _secret, ...rest } = key;
      const known = keys.some((one) => one.key_id === key.key_id);
      keys = known ? keys.map((one) => (one.key_id === key.key_id ? rest : one)) : [rest, ...keys];
      if (!known) all += 1;
      meanwhile.took(rest, !known);
      first = false;
      draw();
    }

    async function block(key) {
      try {
        take({ ...key, ...(await call("POST", "/key/update", { json: { key: key.key_id, blocked: !key.blocked } })) });
        toast(key.blocked ? "The key is taken again." : "The key is blocked: every call with it is refused.");
      } catch (error) {
        showError(trouble, error);
      }
    }

    async function renew(key) {
      let fresh = null;
      const done = await confirmed({
        title: "Give this key another secret?",
        text: [h("strong", {}, said(nameOf(key))), "The secret of now is refused from that moment on: whoever uses it has to be told the new one. This cannot be undone."],
        verb: "New secret",
        work: async () => { fresh = await call("POST", "/key/regenerate", { json: { key: key.key_id } }); },
      });
      if (!done) return;
      take({ ...key, ...fresh });
      secretDialog(fresh);
    }

    async function remove(key) {
      const done = await confirmed({
        title: "Delete this key?",
        text: [h("strong", {}, said(nameOf(key))), "It is refused from now on, and so are the tokens that it made. What its team or user owns stays. This cannot be undone; blocking can."],
        verb: "Delete",
        work: () => call("POST", "/key/delete", { json: { keys: [key.key_id] } }),
      });
      if (!done) return;
      keys = keys.filter((one) => one.key_id !== key.key_id);
      all -= 1;
      meanwhile.dropped(key.key_id);
      draw();
      place.querySelector("h1").focus();
    }

    load();
  },
};

const nameOf = (key) => key.key_alias || key.key_name;

function keysTable({ session, block, remove, renew }) {
  const own = session.info?.key_id;
  return dataTable({
    caption: "Keys",
    keyOf: (key) => key.key_id,
    look: (key) => JSON.stringify([key, ago(key.created_at)]),
    columns: [
      {
        name: "name", label: "Key", order: nameOf,
        cell: (key) => h("div", {}, h("strong", {}, said(nameOf(key))), h("span.hint.mono.below", {}, key.key_name)),
      },
      { name: "owner", label: "Owner", less: true, order: (key) => key.team_id ?? key.user_id ?? "", cell: owner },
      { name: "state", label: "State", cell: (key) => h("div.badges", {}, stateOf(key), key.admin && badge("warn", "Admin", "Administers this gateway")) },
      { name: "models", label: "Models", less: true, cell: (key) => (key.models?.length ? said(key.models.join(", ")) : h("span.muted", {}, "All")) },
      { name: "budget", label: "Budget", order: (key) => key.spend, cell: budget },
      {
        name: "created", label: "Created", less: true, kind: "number", order: (key) => key.created_at,
        cell: (key) => h("time", { title: moment(key.created_at) }, ago(key.created_at)),
      },
      {
        name: "actions", label: "Actions", kind: "actions",
        cell: (key) => {
          // Whoever blocks or deletes the key of this very session is out.
          const mine = key.key_id === own;
          const button = (action, name, label, run) => h("button.quiet.icon-only", {
            type: "button", "data-action": action, title: mine ? "You are signed in with this key" : label, "aria-label": `${label} ${nameOf(key)}`, disabled: mine, click: () => run(key),
          }, icon(name));
          return h("div.row-actions", {},
            button("renew", "refresh", "New secret for", renew),
            button("block", key.blocked ? "check" : "block", key.blocked ? "Unblock" : "Block", block),
            button("delete", "trash", "Delete", remove));
        },
      },
    ],
  });
}

const owner = (key) => {
  if (key.team_id) return h("span", {}, h("span.muted", {}, "team "), said(key.team_id));
  if (key.user_id) return h("span", {}, h("span.muted", {}, "user "), said(key.user_id));
  return h("span.muted", {}, "itself");
};

function stateOf(key) {
  if (key.blocked) return badge("off", "Blocked");
  if (key.expires_at && key.expires_at < Date.now() / 1000) return badge("bad", "Expired", moment(key.expires_at));
  if (key.expires_at) return badge("ok", `Until ${ago(key.expires_at).replace("in ", "")} from now`, moment(key.expires_at));
  return badge("ok", "Active");
}

function budget(key) {
  if (key.max_budget === undefined) return h("span", {}, `${money(key.spend)} `, h("span.muted", {}, "· no limit"));
  return budgetBar({ spent: key.spend, held: key.reserved, most: key.max_budget, label: `Budget of ${nameOf(key)}` });
}
