// Charts, drawn by hand: pictures for the eye, beside tables that hold the same for everybody.

import { h, svg } from "./dom.js";
import { day, money } from "./format.js";

const WIDTH = 880;
const HEIGHT = 240;
const LEFT = 58;
const BOTTOM = 26;
const TOP = 12;
const LABELS = 8;

/** How many parts have a colour of their own; what is behind them is one part, the last. */
export const COLOURS = 5;

/** Bars, one a day, of parts on top of each other. `days`: texts such as `2026-11-21`; `parts`: `{name, values}` with one
 * value for each day, in US dollars. */
export function stackedBars(days, parts, label) {
  const sums = days.map((_, at) => parts.reduce((sum, part) => sum + part.values[at], 0));
  const most = niceCeiling(Math.max(...sums, 0));
  const y = (value) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / most);
  const step = (WIDTH - LEFT) / days.length;
  const wide = Math.min(step * 0.72, 46);
  const every = Math.ceil(days.length / LABELS);
  const grid = [0, 0.25, 0.5, 0.75, 1].map((share) => [
    svg("line.grid", { x1: LEFT, x2: WIDTH, y1: y(most * share), y2: y(most * share) }),
    svg("text.axis", { x: LEFT - 8, y: y(most * share) + 4, "text-anchor": "end" }, money(most * share)),
  ]);
  const bars = days.map((one, at) => {
    let under = 0;
    const x = LEFT + step * at + (step - wide) / 2;
    const pieces = parts.map((part, number) => {
      const value = part.values[at];
      if (value <= 0) return null;
      const from = y(under + value);
      const high = Math.max(1, y(under) - from);
      under += value;
      return svg("rect", { x, y: from, width: wide, height: high, rx: 2, class: `part-${number}` }, svg("title", {}, `${day(one)}, ${part.name}: ${money(value)}`));
    });
    const text = at % every === 0 && svg("text.axis", { x: x + wide / 2, y: HEIGHT - 8, "text-anchor": "middle" }, day(one));
    return [pieces, text];
  });
  return h(
    "figure.chart",
    // On a small screen it scrolls.
    { tabindex: "0" },
    svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": label }, grid, bars),
    parts.length > 1 && h("ul.legend", { "aria-hidden": "true" }, parts.map((part, number) => h("li", {}, h("span.swatch", { class: `part-${number}` }), part.name))),
  );
}

/** A round number that is not below `value`, so that a scale has round steps. */
function niceCeiling(value) {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return power * [1, 1.2, 1.6, 2, 3, 4, 5, 6, 8, 10].find((factor) => factor * power >= value);
}

/** How much of a limit is used, with its numbers beside it. */
export function budgetBar({ spent, held, most, label }) {
  const share = most > 0 ? (spent + held) / most : 1;
  return h("div.budget", {},
    h("progress", { max: "1", value: Math.min(1, share), class: share >= 1 ? "bad" : share >= 0.8 ? "warn" : "", "aria-label": label }),
    h("span.hint", {}, `${money(spent)} of ${money(most)}${held > 0 ? `, ${money(held)} held` : ""}`));
}
