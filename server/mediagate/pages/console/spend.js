// The page of spend.

import { get } from "./api.js";
import { COLOURS, budgetBar, stackedBars } from "./charts.js";
import { saveAnswer } from "./content.js";
import { field, h, replace, said, select, uniqueId } from "./dom.js";
import { busy } from "./dialogs.js";
import { ago, isoDay, money, words } from "./format.js";
import { icon } from "./icons.js";
import { empty, showError, skeleton, toast } from "./notices.js";
import { isAdmin } from "./session.js";
import { dataTable } from "./table.js";

const DAY_MS = 86_400_000;
const PERIODS = [["7", "Last 7 days"], ["30", "Last 30 days"], ["90", "Last 90 days"], ["own", "From … to …"]];
const DAYS_MAX = 366;
const GROUPS = [
  { name: "models", title: "Models", filter: "model" },
  { name: "keys", title: "Keys", filter: "api_key" },
  { name: "teams", title: "Teams", filter: "team_id" },
  { name: "users", title: "Users", filter: "user_id" },
  { name: "providers", title: "Providers", filter: "provider" },
];
const NOBODY = { models: "No model", keys: "Master key", teams: "No team", users: "No user", providers: "No provider" };

export const spendPage = {
  name: "spend",
  title: "Spend",
  keys: "g s",
  allowed: (session) => session.role !== "end_user",

  open(place, { session, life }) {
    let group = GROUPS[0];
    let round = 0;
    const period = select(PERIODS, { value: "30" });
    const today = isoDay(new Date());
    const from = h("input", { type: "date", max: today, value: isoDay(new Date(Date.now() - 29 * DAY_MS)) });
    const to = h("input", { type: "date", max: today, value: today });
    const own = h("div.own-period", { hidden: true }, field("From", from), field("To", to));
    const trouble = h("div");
    const budgets = h("section.budgets", { hidden: true });
    const panel = h("div", { role: "tabpanel", id: uniqueId("panel"), tabindex: "0" }, skeleton(5));
    const csv = h("button", { type: "button" }, icon("download"), "CSV");
    const tabs = tabList(GROUPS, panel, (chosen) => {
      group = chosen;
      load();
    });
    replace(
      place,
      h("div.page-head", {},
        h("div", {}, h("h1", { tabindex: "-1" }, "Spend"), h("p.muted", {}, isAdmin(session) ? "Everybody’s, by when it was asked for, in UTC." : "What the owner of this key spent: its team, else its user, else itself. In UTC.")),
        h("div.page-tools", {}, field("Period", period), own, csv)),
      trouble, budgets, tabs, panel,
    );

    function range() {
      if (period.value === "own") return { start_date: from.value, end_date: to.value };
      return { start_date: isoDay(new Date(Date.now() - (Number(period.value) - 1) * DAY_MS)), end_date: isoDay(new Date()) };
    }

    async function load() {
      const mine = ++round;
      showError(trouble, null);
      panel.setAttribute("aria-busy", "true");
      try {
        const [shown] = await Promise.all([loadReport(group, range(), life), loadBudgets()]);
        if (mine === round) replace(panel, shown);
      } catch (error) {
        if (mine === round) showError(trouble, error, load);
      } finally {
        panel.removeAttribute("aria-busy");
      }
    }

    async function loadBudgets() {
      const { data } = await get("/v1/spend/budgets", {}, life);
      const told = data.filter((budget) => budget.max_budget !== undefined);
      budgets.hidden = told.length === 0;
      replace(budgets, h("h2", {}, "Budgets"), h("div.tiles", {}, told.map((budget) => h("div.tile", {},
        h("h3", {}, `${words(budget.kind)}${budget.kind === "key" ? "" : ` ${budget.id}`}`),
        budgetBar({ spent: budget.spend, held: budget.reserved, most: budget.max_budget, label: `Budget of ${budget.kind} ${budget.id}` }),
        budget.budget_reset_at && h("p.hint", {}, `Begins anew ${ago(budget.budget_reset_at)}`)))));
    }

    csv.addEventListener("click", () => busy(csv, trouble, async () => {
      const { start_date, end_date } = range();
      const answer = await saveAnswer("/v1/spend/logs", { ...range(), format: "csv", limit: 10_000 }, `spend-${start_date}-${end_date}.csv`);
      if (answer.headers.get("x-has-more") === "true") toast("These are the newest 10,000 requests: there are more in this period. Choose a shorter one.", { bad: true });
    }));
    period.addEventListener("change", () => {
      own.hidden = period.value !== "own";
      load();
    });
    for (const input of [from, to]) input.addEventListener("change", load);
    load();
  },
};

/** The report of one group over a period: sums, chart, and the tables that say the same. */
async function loadReport(group, range, signal) {
  const days = daysOf(range);
  const ask = (what, more = {}) => get(`/v1/spend/${what}`, { ...range, ...more, limit: 1000 }, signal).then((report) => report.data);
  const [totals, daily] = await Promise.all([ask(group.name), ask("days")]);
  if (!totals.length) return empty("spend", "Nothing was spent", "Not in this period. Videos and chats whose model has a price are counted here as soon as they are asked for.");
  const top = totals.filter((total) => total.id).slice(0, totals.length > COLOURS ? COLOURS - 1 : COLOURS);
  const parts = await Promise.all(top.map(async (total) => ({ name: total.alias ?? total.id, values: series(days, await ask("days", { [group.filter]: total.id })) })));
  const all = series(days, daily);
  const rest = all.map((sum, at) => Math.max(0, sum - parts.reduce((part, one) => part + one.values[at], 0)));
  // A sum of binary fractions leaves dust where there is nothing.
  if (rest.some((value) => value > 1e-9)) parts.push({ name: top.length < totals.length && totals.every((one) => one.id) ? "All others" : NOBODY[group.name], values: rest.map((value) => (value > 1e-9 ? value : 0)) });
  const sum = (name) => totals.reduce((found, total) => found + total[name], 0);
  return [
    h("div.tiles", {}, tile("Spent", money(sum("spend"))), tile("Held for what is under way", money(sum("reserved"))), tile("Requests", sum("requests").toLocaleString("en-US"))),
    stackedBars(days, parts, `Spend by day and ${group.title.toLowerCase()}, ${money(sum("spend"))} in all. The table below has the numbers.`),
    totalsTable(group, totals),
    h("details.twin", {}, h("summary", {}, "The chart as a table"), daysTable(days, parts)),
  ];
}

/** Each day of the period; the first ones of a period that is too long are left out. */
function daysOf({ start_date, end_date }) {
  const last = Date.parse(`${end_date}T00:00:00Z`);
  const first = Math.max(Date.parse(`${start_date}T00:00:00Z`), last - (DAYS_MAX - 1) * DAY_MS);
  const days = [];
  for (let at = first; at <= last; at += DAY_MS) days.push(isoDay(new Date(at)));
  return days;
}

function series(days, totals) {
  const known = new Map(totals.map((total) => [total.id, total.spend]));
  return days.map((day) => known.get(day) ?? 0);
}

const tile = (name, value) => h("div.tile", {}, h("p.hint", {}, name), h("p.figure", {}, value));

function totalsTable(group, totals) {
  const most = Math.max(...totals.map((total) => total.spend), 1e-12);
  const name = (total) => total.alias ?? total.id ?? NOBODY[group.name];
  const table = dataTable({
    caption: `Spend by ${group.title.toLowerCase()}`,
    keyOf: (total) => total.id ?? "",
    columns: [
      { name: "name", label: group.title, order: (total) => name(total), cell: (total) => h("div", {}, said(name(total)), total.alias && h("span.hint.mono.below", {}, total.id)) },
      { name: "share", label: "Share", less: true, cell: (total) => h("progress", { max: "1", value: total.spend / most, "aria-label": `Share of ${name(total)}` }) },
      { name: "spend", label: "Spent", kind: "number", order: (total) => total.spend, cell: (total) => money(total.spend) },
      { name: "held", label: "Held", kind: "number", less: true, order: (total) => total.reserved, cell: (total) => money(total.reserved) },
      { name: "requests", label: "Requests", kind: "number", order: (total) => total.requests, cell: (total) => total.requests.toLocaleString("en-US") },
    ],
  });
  table.show(totals);
  return table.element;
}

function daysTable(days, parts) {
  const table = dataTable({
    caption: "Spend by day",
    keyOf: (row) => row.day,
    columns: [
      { name: "day", label: "Day", order: (row) => row.day, cell: (row) => row.day },
      ...parts.map((part, number) => ({ name: `part-${number}`, label: part.name, kind: "number", cell: (row) => money(row.values[number]) })),
      { name: "sum", label: "All", kind: "number", order: (row) => row.sum, cell: (row) => money(row.sum) },
    ],
  });
  table.show(days.map((day, at) => {
    const values = parts.map((part) => part.values[at]);
    return { day, values, sum: values.reduce((sum, value) => sum + value, 0) };
  }));
  return table.element;
}

/** Tabs as ARIA has them: one stop of the Tab key, arrows between them. */
function tabList(groups, panel, choose) {
  const tabs = groups.map((group, at) => h("button.tab", {
    type: "button", role: "tab", id: uniqueId("tab"), "aria-controls": panel.id, click: () => activate(at),
  }, group.title));
  function activate(at, focus = false) {
    for (const [number, tab] of tabs.entries()) {
      tab.setAttribute("aria-selected", String(number === at));
      tab.tabIndex = number === at ? 0 : -1;
    }
    panel.setAttribute("aria-labelledby", tabs[at].id);
    if (focus) tabs[at].focus();
    choose(groups[at]);
  }
  const list = h("div.tabs", { role: "tablist", "aria-label": "Spend by" }, tabs);
  list.addEventListener("keydown", (event) => {
    const at = tabs.indexOf(document.activeElement);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    activate((to + tabs.length) % tabs.length, true);
  });
  for (const [number, tab] of tabs.entries()) {
    tab.setAttribute("aria-selected", String(number === 0));
    tab.tabIndex = number === 0 ? 0 : -1;
  }
  panel.setAttribute("aria-labelledby", tabs[0].id);
  return list;
}
