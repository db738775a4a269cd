// A new key, and the one moment at which its secret is seen.

import { call, get } from "./api.js";
import { field, h, replace, said, select } from "./dom.js";
import { busy, openDialog } from "./dialogs.js";
import { copyButton } from "./notices.js";

const PERIODS = [["", "Never begins anew"], ["1d", "A day"], ["1w", "A week"], ["1mo", "A month"]];
const LIVES = [["", "For ever"], ["1d", "A day"], ["30d", "30 days"], ["90d", "90 days"], ["365d", "A year"]];

/** Ask what a key may do, and make it. `made` gets the answer, with its secret. */
export function createKeyDialog({ made }) {
  const { body, setFoot, close } = openDialog("New key");
  const text = (props = {}) => h("input", { autocomplete: "off", spellcheck: "false", ...props });
  const alias = text({ placeholder: "reports-service" });
  const user = text();
  const teams = h("datalist", { id: "teams" });
  const team = text({ list: "teams" });
  const most = text({ type: "number", min: "0", step: "any", inputmode: "decimal", placeholder: "No limit" });
  const period = select(PERIODS, { value: "1mo" });
  const life = select(LIVES);
  const rate = text({ type: "number", min: "1", step: "1", inputmode: "numeric", placeholder: "No limit" });
  const admin = h("input", { type: "checkbox" });
  const models = h("div.choices");
  const place = h("div");
  const form = h(
    "form",
    { id: "key-form", novalidate: true },
    field("Name", alias, "Letters, digits and . _ @ + -; no other key has it."),
    h("div.fields", {}, field("Team", team, "Shares its objects."), field("User", user, "Made where it does not exist."), teams),
    h("div.fields", {}, field("Budget, US dollars", most), field("In a period of", period)),
    h("div.fields", {}, field("Lives", life), field("Requests a minute", rate)),
    h("fieldset", {}, h("legend", {}, "Models"), h("p.hint", {}, "None ticked: all of them."), models),
    h("label.choice", {}, admin, h("span", {}, "Administers the gateway", h("span.hint.below", {}, "Sees everybody’s spend, and makes and deletes keys."))),
    place,
  );
  const act = h("button.primary", { type: "submit", form: form.id }, "Create key");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    let key = null;
    const done = await busy(act, place, async () => {
      const json = {};
      const given = (name, value) => { if (value !== "") json[name] = value; };
      given("key_alias", alias.value.trim());
      given("team_id", team.value.trim());
      given("user_id", user.value.trim());
      given("duration", life.value);
      if (most.value !== "") {
        json.max_budget = Number(most.value);
        given("budget_duration", period.value);
      }
      if (rate.value !== "") json.rpm_limit = Number(rate.value);
      const ticked = [...models.querySelectorAll("input:checked")].map((input) => input.value);
      if (ticked.length) json.models = ticked;
      if (admin.checked) json.admin = true;
      key = await call("POST", "/key/generate", { json });
    });
    if (!done) return;
    close();
    made(key);
  });
  body.append(form);
  setFoot(h("button", { type: "button", click: close }, "Cancel"), act);
  alias.focus();
  get("/v1/models").then(({ data }) => {
    replace(models, data.map((model) => h("label.choice", {}, h("input", { type: "checkbox", value: model.id }), said(model.id))));
  }, () => {});
  get("/team/list", { size: 200 }).then(({ teams: known }) => {
    replace(teams, (known ?? []).map((one) => h("option", { value: one.team_id })));
  }, () => {});
}

/** Show a secret, once. */
export function secretDialog(key) {
  const { body, setFoot, close } = openDialog("The secret of this key");
  const shown = h("input.mono", { value: key.key, readonly: true, "data-copied": true, "aria-label": "Secret", autocomplete: "off" });
  shown.addEventListener("focus", () => shown.select());
  body.append(
    h("p", {}, h("strong", {}, said(key.key_alias || key.key_name))),
    h("div.joined", {}, shown, copyButton(key.key, "the secret")),
    h("p.notice.warn", {}, "It is shown here and never again: the gateway keeps its digest alone. Store it now."),
  );
  const done = h("button.primary", { type: "button", click: close }, "I have stored it");
  setFoot(done);
  shown.focus();
}
