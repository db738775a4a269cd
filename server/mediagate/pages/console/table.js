// A table that sorts, and keeps focus and order while its rows change.

import { h, keyed, replace } from "./dom.js";

/** `columns`: `name`, `label`, `cell(row)` (a node or a text), optional `order(row)` (what it is sorted by: a number or a
 * text), `kind` (`number`, `actions`) and `less` (left out on a small screen). `look(row)` changes whenever a row has to be
 * drawn anew. Returns the element, and `show(rows)`. */
export function dataTable({ caption, columns, keyOf, look = JSON.stringify }) {
  let sorted = null;
  let rows = [];
  const body = h("tbody");
  const heads = columns.map((column) => head(column, sortBy));
  const table = h(
    "table",
    {},
    h("caption.unseen", {}, caption),
    h("thead", {}, h("tr", {}, heads.map((one) => one.cell))),
    body,
  );
  const element = h("div.table", { tabindex: "0", role: "region", "aria-label": caption }, table);

  function sortBy(column) {
    const down = sorted?.column === column ? !sorted.down : column.kind === "number";
    sorted = { column, down };
    for (const one of heads) {
      if (one.column.order) one.cell.setAttribute("aria-sort", one.column !== column ? "none" : down ? "descending" : "ascending");
    }
    draw();
  }

  function draw() {
    keyed(body, inOrder(rows, sorted), keyOf, () => h("tr"), (line, row) => drawRow(line, row, columns, look));
  }

  return {
    element,
    show(changed) {
      rows = changed;
      draw();
    },
  };
}

function head(column, sortBy) {
  const classes = classesOf(column);
  if (column.kind === "actions") return { column, cell: h("th", { scope: "col", class: classes }, h("span.unseen", {}, column.label)) };
  if (!column.order) return { column, cell: h("th", { scope: "col", class: classes }, column.label) };
  const button = h("button.sort", { type: "button", click: () => sortBy(column) }, column.label, h("span.arrow", { "aria-hidden": "true" }));
  return { column, cell: h("th", { scope: "col", "aria-sort": "none", class: classes }, button) };
}

const classesOf = (column) => [column.kind ?? "", column.less ? "less" : "", `of-${column.name}`].join(" ");

function inOrder(rows, sorted) {
  if (sorted === null) return rows;
  const { column, down } = sorted;
  const compare = (a, b) => {
    const [x, y] = [column.order(a), column.order(b)];
    return typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y), undefined, { numeric: true });
  };
  return [...rows].sort((a, b) => (down ? -compare(a, b) : compare(a, b)));
}

function drawRow(line, row, columns, look) {
  const looks = look(row);
  if (line.looks === looks) return;
  line.looks = looks;
  const focused = line.contains(document.activeElement) ? document.activeElement.dataset.action : undefined;
  replace(line, columns.map((column, place) =>
    h(place === 0 ? "th" : "td", { scope: place === 0 ? "row" : null, class: classesOf(column) }, column.cell(row))));
  if (focused) line.querySelector(`[data-action="${focused}"]`)?.focus();
}
