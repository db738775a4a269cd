// Icons on a grid of 24, drawn here. They are decoration: what a button does is told by its text or its label.

import { svg } from "./dom.js";

const PATHS = {
  files: "M6 3h8l4 4v14H6zM14 3v4h4",
  videos: "M3 5h18v14H3zM10 9v6l5-3z",
  keys: "M11 12.500L20 3.500M15.500 8l3 3M8 11.500a4 4 0 1 0 0 8a4 4 0 1 0 0-8",
  spend: "M4 20V4M4 20h16M8 16v-4M12 16V8M16 16v-6",
  providers: "M4 5h16v5H4zM4 14h16v5H4zM8 7.500h.01M8 16.500h.01",
  upload: "M12 16V4M7 9l5-5 5 5M4 16v4h16v-4",
  download: "M12 4v12M7 11l5 5 5-5M4 20h16",
  trash: "M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13M10 11v5M14 11v5",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  close: "M6 6l12 12M18 6L6 18",
  plus: "M12 5v14M5 12h14",
  refresh: "M20 11a8 8 0 0 0-14.500-4L4 9M4 4v5h5M4 13a8 8 0 0 0 14.500 4L20 15M20 20v-5h-5",
  play: "M8 5v14l11-7z",
  stop: "M6 6h12v12H6z",
  remix: "M4 7h3c5 0 5 10 10 10h3M4 17h3c2 0 3-1.500 4-3.500M14 10c.8-1.800 1.600-3 3-3h3M17 4l3 3-3 3M17 14l3 3-3 3",
  check: "M5 12.500l4.500 4.500L19 7.500",
  clock: "M12 3a9 9 0 1 0 0 18a9 9 0 1 0 0-18M12 7v5l3 2",
  warning: "M12 4L2.500 20h19zM12 10v4M12 17h.01",
  cross: "M12 3a9 9 0 1 0 0 18a9 9 0 1 0 0-18M9 9l6 6M15 9l-6 6",
  block: "M12 3a9 9 0 1 0 0 18a9 9 0 1 0 0-18M6 6l12 12",
  image: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15.500 9h.01",
  out: "M14 4H5v16h9M10 12h10M17 8l4 4-4 4",
  help: "M12 3a9 9 0 1 0 0 18a9 9 0 1 0 0-18M9.500 9.500a2.500 2.500 0 1 1 3.500 2.300c-.7.300-1 .8-1 1.700M12 17h.01",
  search: "M10.500 4a6.500 6.500 0 1 0 0 13a6.500 6.500 0 1 0 0-13M15.500 15.500L20 20",
  more: "M5 12h.01M12 12h.01M19 12h.01",
};

/** An icon by its name. */
export function icon(name, filled = false) {
  return svg("svg.icon", { viewBox: "0 0 24 24", "aria-hidden": "true", class: filled ? "filled" : "" }, svg("path", { d: PATHS[name] }));
}
