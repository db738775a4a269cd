// The form that makes a video, with what it would cost before it is asked for.

import { call, get, idempotencyKey } from "./api.js";
import { field, h, replace, said, select } from "./dom.js";
import { busy } from "./dialogs.js";
import { bytes, duration, money } from "./format.js";
import { icon } from "./icons.js";
import { complaint, showError, toast } from "./notices.js";

const PAUSE_MS = 400;

/** The form. `created(video)` is called with what the gateway answers. */
export function createForm({ created, life }) {
  let models = [];
  let image = null;
  const prompt = h("textarea", { rows: "2", placeholder: "A paper boat on a river at dusk, seen from a low bridge", "data-shortcut": "n", maxlength: "32000" });
  const model = select([]);
  const seconds = select([]);
  const size = select([]);
  const sound = select([["", "As the model does"], ["true", "With sound"], ["false", "Without sound"]]);
  const soundField = field("Sound", sound);
  const about = h("p.hint");
  const price = h("p.price", { role: "status" });
  const trouble = h("div");
  const reference = referenceField((file) => { image = file; later(); });
  const make = h("button.primary", { type: "submit" }, "Create video");
  const form = h(
    "form.card-form",
    { "aria-label": "New video", novalidate: true },
    field("Prompt", prompt),
    h("div.fields", {}, field("Model", model), field("Length", seconds), field("Size", size), soundField),
    about,
    trouble,
    reference.shown,
    h("div.form-foot", {}, reference.element, price, make),
  );

  const chosen = () => models.find((one) => one.id === model.value);

  function drawModel() {
    const one = chosen();
    if (!one) return;
    options(seconds, one.seconds, one.default_seconds, (value) => `${value} s`);
    options(size, one.sizes, one.default_size, (value) => value.replace("x", " × "));
    soundField.hidden = one.audio !== "optional";
    reference.allow(one.inputs.includes("image"));
    prompt.maxLength = one.prompt_chars_max;
    replace(about, said(one.description));
    later();
  }

  /** The fields of the request: JSON, or a form where an image goes with it. */
  function wish() {
    const one = chosen();
    const fields = { prompt: prompt.value.trim(), model: model.value, seconds: seconds.value, size: size.value };
    if (one?.audio === "optional" && sound.value) fields.generate_audio = sound.value === "true";
    if (image === null || !one?.inputs.includes("image")) return { json: fields };
    const body = new FormData();
    for (const [name, value] of Object.entries(fields)) body.append(name, value);
    body.append("input_reference", image, image.name);
    return { body };
  }

  let timer = null;
  let asking = new AbortController();
  function later() {
    clearTimeout(timer);
    timer = setTimeout(estimate, PAUSE_MS);
  }

  async function estimate() {
    asking.abort();
    asking = new AbortController();
    if (!prompt.value.trim() || !chosen()) return replace(price);
    try {
      const told = await call("POST", "/v1/videos/estimate", { ...wish(), signal: AbortSignal.any([life, asking.signal]) });
      const cost = told.cost_usd === null ? "Its price is not known" : told.cost_usd === 0 ? "Costs nothing" : `Costs about ${money(told.cost_usd)}`;
      const waits = told.waiting ? ` · ${told.waiting} wait for the same account` : "";
      replace(price, `${cost}${told.eta ? ` · takes about ${duration(told.eta.p50_seconds)}` : ""}${waits}`);
      showError(trouble, null);
    } catch (error) {
      replace(price);
      showError(trouble, error);
    }
  }

  async function loadModels() {
    try {
      models = (await get("/v1/videos/models", {}, life)).data.filter((one) => one.operations.includes("create"));
      replace(model, models.map((one) => h("option", { value: one.id }, one.id)));
      if (!models.length) replace(about, "This key may use no model that makes videos.");
      make.disabled = !models.length;
      drawModel();
    } catch (error) {
      showError(trouble, error, loadModels);
    }
  }

  let key = idempotencyKey();
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (!prompt.value.trim()) {
      showError(trouble, complaint("Say what the video shall show."));
      prompt.setAttribute("aria-invalid", "true");
      return prompt.focus();
    }
    clearTimeout(timer);
    asking.abort();
    const asked = { prompt: prompt.value, image };
    await busy(make, trouble, async () => {
      try {
        created(await call("POST", "/v1/videos", { ...wish(), headers: { "idempotency-key": key } }));
      } catch (error) {
        // Behind a cut the same wish must not be paid for twice; an answer ends it.
        if (error.status) key = idempotencyKey();
        throw error;
      }
      key = idempotencyKey();
      // What was entered meanwhile is the next wish.
      if (image === asked.image) reference.clear();
      if (prompt.value === asked.prompt) {
        prompt.value = "";
        replace(price);
      }
      toast("The video is on its way.");
    });
  });
  form.addEventListener("input", () => {
    prompt.removeAttribute("aria-invalid");
    // Another wish than the one that was cut off.
    key = idempotencyKey();
    later();
  });
  prompt.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
  model.addEventListener("change", drawModel);
  life.addEventListener("abort", () => {
    reference.clear();
    clearTimeout(timer);
  });
  loadModels();
  return form;
}

function options(control, values, first, text) {
  const before = control.value;
  // A model without a list takes any: its default stands for all.
  const all = values.length ? values : [first];
  replace(control, all.map((value) => h("option", { value }, text(value))));
  control.value = all.includes(before) ? before : first;
}

/** A place for an image to start from: chosen or dropped. */
function referenceField(changed) {
  const input = h("input", { type: "file", accept: "image/png,image/jpeg,image/webp", class: "unseen", tabindex: "-1", "aria-hidden": "true" });
  const pick = h("button.quiet", { type: "button", click: () => input.click() }, icon("image"), "Add a reference image");
  const shown = h("div.reference-shown", { hidden: true });
  const element = h("div.reference", { "data-drop": true }, pick, h("span.hint", {}, "or drop one here"), input);
  let url = null;

  /** Whether the model takes one. What was chosen is kept for a model that does. */
  function allow(taken) {
    element.hidden = !taken;
    shown.hidden = !taken || url === null;
  }

  function set(file) {
    if (file !== null && !file.type.startsWith("image/")) return toast(`${file.name} is no image.`, { bad: true });
    if (url !== null) URL.revokeObjectURL(url);
    url = file === null ? null : URL.createObjectURL(file);
    shown.hidden = file === null;
    if (file !== null) {
      replace(shown, h("img", { src: url, alt: "" }), h("span", {}, said(file.name), h("span.muted", {}, ` · ${bytes(file.size)}`)),
        h("button.quiet.icon-only", { type: "button", "aria-label": "Remove the reference image", click: () => { set(null); pick.focus(); } }, icon("close")));
    }
    input.value = "";
    changed(file);
  }

  input.addEventListener("change", () => { if (input.files.length) set(input.files[0]); });
  element.addEventListener("dragover", (event) => { event.preventDefault(); element.classList.add("over"); });
  element.addEventListener("dragleave", () => element.classList.remove("over"));
  element.addEventListener("drop", (event) => {
    event.preventDefault();
    element.classList.remove("over");
    if (event.dataTransfer.files.length) set(event.dataTransfer.files[0]);
  });
  return { element, shown, allow, clear: () => set(null) };
}
