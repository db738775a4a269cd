// Where files can go: the accounts and models that this key is told of, and any other by its name.

import { get } from "./api.js";
import { field, h, replace, said, uniqueId } from "./dom.js";
import { complaint } from "./notices.js";
import { isAdmin, mayMakeTokens } from "./session.js";

/** Accounts as `{account, provider}`. An admin is told of all, everybody else of those that hold something of theirs. */
export async function knownAccounts(session, signal) {
  if (!mayMakeTokens(session)) return [];
  const { by_account } = await get("/v1/usage/storage", {}, signal);
  return by_account;
}

/** A choice of targets. Returns the element, and `chosen()`: the fields of a request. It raises what
 * has to be chosen yet. */
export function targetsField(session, { needed = false } = {}) {
  const name = uniqueId("targets");
  const accounts = h("div.choices");
  const models = h("div.choices");
  const other = h("input", { placeholder: "bedrock, my-account", autocomplete: "off", spellcheck: "false" });
  const ways = {
    accounts: h("div.way", {}, accounts, field("Others, by name", other, "Providers or accounts of this gateway, with commas between them.")),
    models: h("div.way", {}, h("p.hint", {}, "A copy in every account of a model, so that each of its deployments can read the file."), models),
  };
  const radio = (value, text) => {
    const input = h("input", { type: "radio", name, value });
    input.addEventListener("change", show);
    return { input, label: h("label.choice", {}, input, text) };
  };
  const choices = [
    ...(needed ? [] : [radio("default", "The gateway’s default")]),
    radio("accounts", "Providers and accounts"),
    radio("models", "Wherever models need it"),
  ];
  choices[0].input.checked = true;
  const element = h("fieldset.targets", {}, h("legend", {}, needed ? "Copy to" : "Store at"), choices.map((choice) => {
    const way = ways[choice.input.value];
    return way ? [choice.label, way] : choice.label;
  }));

  function picked() {
    return choices.find((choice) => choice.input.checked).input.value;
  }

  function show() {
    for (const [value, way] of Object.entries(ways)) way.hidden = picked() !== value;
  }

  async function load() {
    const [stores, served] = await Promise.all([knownAccounts(session).catch(() => []), get("/v1/models").catch(() => ({ data: [] }))]);
    const why = isAdmin(session) ? "There is no account." : "Only an admin’s key is told all accounts: name one below.";
    replace(accounts, stores.map((one) => check(one.account, one.account === one.provider ? null : one.provider)));
    if (!stores.length) replace(accounts, h("p.hint", {}, why));
    const names = served.data.map((model) => model.id).filter((id) => !id.includes("*"));
    replace(models, names.length ? names.map((id) => check(id)) : h("p.hint", {}, "This key has no models."));
  }

  show();
  load();
  return {
    element,
    chosen() {
      const ticked = (place) => [...place.querySelectorAll("input:checked")].map((input) => input.value);
      if (picked() === "default") return {};
      const names = picked() === "models"
        ? ticked(models)
        : [...ticked(accounts), ...other.value.split(",").map((one) => one.trim()).filter(Boolean)];
      if (!names.length) throw complaint("Choose at least one place.");
      return picked() === "models" ? { target_model_names: names } : { custom_llm_provider: names };
    },
  };
}

function check(value, note = null) {
  return h("label.choice", {}, h("input", { type: "checkbox", value }), h("span", {}, said(value), note && h("span.muted", {}, ` · ${note}`)));
}
