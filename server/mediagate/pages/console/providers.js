// The page of providers: how deployments fare, and what lies in accounts.

import { get } from "./api.js";
import { h, replace, said, setText } from "./dom.js";
import { bytes, count, duration, words } from "./format.js";
import { icon } from "./icons.js";
import { badge, empty, showError, skeleton } from "./notices.js";
import { isAdmin } from "./session.js";
import { dataTable } from "./table.js";

const LOOK_AGAIN_MS = 10_000;
const HEALTH = { healthy: ["ok", "Healthy"], degraded: ["warn", "Degraded"], unhealthy: ["bad", "Unhealthy"] };

export const providersPage = {
  name: "providers",
  title: "Providers",
  keys: "g p",
  allowed: (session) => session.role !== "end_user",

  open(place, { session, life }) {
    const admin = isAdmin(session);
    const trouble = h("div");
    const told = h("p.muted", {}, admin ? "As their own traffic shows: nobody is asked, so looking costs nothing." : "Deployments, accounts and reasons are shown to admins’ keys alone.");
    const fresh = h("span.hint");
    const models = h("div.tiles", {}, skeleton(2));
    const deployments = deploymentsTable();
    const accounts = accountsTable();
    const accountsPart = h("section", { hidden: true }, h("h2", {}, "Accounts that keep files"), accounts.element);
    replace(
      place,
      h("div.page-head", {}, h("div", {}, h("h1", { tabindex: "-1" }, "Providers"), told),
        h("div.page-tools", {}, fresh, h("button", { type: "button", "data-shortcut": "r", click: () => load() }, icon("refresh"), "Refresh"))),
      trouble,
      h("section", {}, h("h2", {}, "Models"), models),
      admin && h("section", {}, h("h2", {}, "Deployments"), deployments.element),
      accountsPart,
    );

    async function load() {
      try {
        const [served, health, stored] = await Promise.all([
          get("/v1/models", {}, life), admin ? get("/health", {}, life) : null, admin ? get("/v1/usage/storage", {}, life) : null,
        ]);
        showError(trouble, null);
        replace(models, served.data.length ? served.data.map(modelTile) : empty("providers", "No models", admin ? "Name some in model_list of the configuration." : "This key may use none."));
        if (health) deployments.show([...health.unhealthy_endpoints.map((one) => ({ ...one, healthy: false })), ...health.healthy_endpoints.map((one) => ({ ...one, healthy: true }))]);
        accountsPart.hidden = !stored?.by_account.length;
        if (stored) accounts.show(stored.by_account);
        setText(fresh, `As of ${new Date().toLocaleTimeString()}`);
      } catch (error) {
        showError(trouble, error, load);
      }
    }

    const looking = setInterval(() => { if (!document.hidden) load(); }, LOOK_AGAIN_MS);
    life.addEventListener("abort", () => clearInterval(looking));
    load();
  },
};

function modelTile(model) {
  const { health, deployments, healthy_deployments: healthy } = model.mediagate;
  const [kind, text] = HEALTH[health] ?? ["warn", words(health)];
  return h("div.tile", {}, h("h3", {}, said(model.id)), h("div.badges", {}, badge(kind, text)),
    h("p.hint", {}, healthy === deployments ? count(deployments, "deployment") : `${healthy} of ${count(deployments, "deployment")} get new requests`));
}

function deploymentsTable() {
  return dataTable({
    caption: "Deployments",
    keyOf: (one) => one.deployment,
    columns: [
      { name: "deployment", label: "Deployment", order: (one) => one.deployment, cell: (one) => h("div", {}, said(one.model_name), h("span.hint.mono.below", {}, one.deployment)) },
      { name: "model", label: "Provider’s model", less: true, order: (one) => one.model ?? "", cell: (one) => one.model ?? "—" },
      { name: "account", label: "Account", less: true, order: (one) => one.account ?? "", cell: (one) => one.account ?? "—" },
      { name: "state", label: "State", order: (one) => Number(one.healthy), cell: (one) => (one.healthy ? badge("ok", "Gets requests") : badge("bad", one.cooling_seconds ? `Rests for ${duration(one.cooling_seconds)}` : "Gets none")) },
      { name: "failures", label: "Failures in the last minute", kind: "number", order: (one) => one.failures ?? 0, cell: (one) => String(one.failures ?? 0) },
      { name: "reason", label: "Why", cell: (one) => (one.reason ? words(one.reason) : "—") },
    ],
  });
}

function accountsTable() {
  return dataTable({
    caption: "Accounts that keep files",
    keyOf: (one) => one.account,
    columns: [
      { name: "account", label: "Account", order: (one) => one.account, cell: (one) => said(one.account) },
      { name: "provider", label: "Provider", less: true, order: (one) => one.provider, cell: (one) => one.provider },
      { name: "copies", label: "Copies", kind: "number", order: (one) => one.copies, cell: (one) => one.copies.toLocaleString("en-US") },
      { name: "bytes", label: "Stored", kind: "number", order: (one) => one.bytes, cell: (one) => bytes(one.bytes) },
      {
        name: "room", label: "Of its room",
        cell: (one) => (one.cap_bytes
          ? h("div.budget", {}, h("progress", { max: "1", value: Math.min(1, one.bytes / one.cap_bytes), class: one.nearly_full ? "warn" : "", "aria-label": `Room used at ${one.account}` }), h("span.hint", {}, `of ${bytes(one.cap_bytes)}${one.nearly_full ? ": nearly full" : ""}`))
          : h("span.muted", {}, "No bound known")),
      },
    ],
  });
}
