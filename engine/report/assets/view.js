// What is being looked at: the time range, candle width, modes; kept in the address after the #.

const MIN_SPAN_MS = 4e3;
const MODES = ["auto", "candles", "bid x ask", "delta", "volume"];
const PANES = ["delta", "cvd", "book", "equity", "drawdown"];
const FOOTPRINT_PX = 58; // a candle at least this wide shows its price rows

/** The state of the page. Times are ms since the report's origin. */
function newView(data) {
  const pad = Math.max(2e3, (data.to - data.from) * 0.01);
  return {
    home: [data.from - pad, data.to + pad],
    t0: data.from - pad,
    t1: data.to + pad,
    price: null, // [low, high] where the user has scaled it by hand
    width: 0, // 0: chosen by the zoom
    mode: "auto",
    hidden: new Set(),
    trade: 0,
    theme: "",
  };
}

/** Show [t0, t1], not further out or in than makes sense. */
function setRange(view, t0, t1) {
  const whole = view.home[1] - view.home[0];
  let length = Math.min(Math.max(t1 - t0, MIN_SPAN_MS), whole * 1.5);
  if (!Number.isFinite(length)) length = whole;
  const middle = (t0 + t1) / 2;
  const slack = length * 0.5;
  let start = middle - length / 2;
  start = Math.max(view.home[0] - slack, Math.min(start, view.home[1] + slack - length));
  view.t0 = start;
  view.t1 = start + length;
}

/** Zoom by `factor` (below 1: in) around time `at`. */
function zoom(view, factor, at) {
  setRange(view, at - (at - view.t0) * factor, at + (view.t1 - at) * factor);
}

/** Move by a share of what is visible. */
function pan(view, share) {
  const by = (view.t1 - view.t0) * share;
  setRange(view, view.t0 + by, view.t1 + by);
}

/** The level and candle width (ms) for a plot of `px` pixels. */
function chooseWidth(data, view, px) {
  const perMs = px / (view.t1 - view.t0);
  const [wide, fine] = [data.levels[0], data.levels[1]];
  const widths = WIDTHS_MS.filter((w) => data.levels.some((l) => w % l.span === 0));
  if (!widths.length) widths.push(wide.span);
  let width = view.width;
  if (!width) {
    const least = widths[0];
    const calm = widths.find((w) => w >= 60e3 && w * perMs >= 5.5) || widths[widths.length - 1];
    width = least * perMs >= FOOTPRINT_PX ? least : calm;
    if (fine && width < wide.span && !covered(fine, view.t0, view.t1)) width = wide.span;
  }
  const level = fine && width < wide.span ? fine : wide;
  return { level, width: Math.max(width, level.span), px: Math.max(width, level.span) * perMs };
}

/** Whether the middle of [t0, t1] lies in a window in which `level` has candles. */
function covered(level, t0, t1) {
  const middle = (t0 + t1) / 2;
  return !level.windows.length || level.windows.some(([a, b]) => a <= middle && middle < b);
}

/** The view as text for the address. */
function toHash(view, data) {
  const stamp = (t) => new Date(Math.round(data.t0 + t)).toISOString();
  const parts = [`t=${stamp(view.t0)}~${stamp(view.t1)}`];
  if (view.width) parts.push(`w=${widthName(view.width)}`);
  if (view.mode !== "auto") parts.push(`m=${view.mode.replaceAll(" ", "-")}`);
  if (view.hidden.size) parts.push(`hide=${[...view.hidden].join(",")}`);
  if (view.price) parts.push(`p=${view.price.map((p) => p.toPrecision(10)).join("~")}`);
  if (view.trade) parts.push(`trade=${view.trade}`);
  return `#${parts.join("&")}`;
}

/** Set the view from the address; what is missing or makes no sense stays as it is at first. */
function fromHash(view, data, hash) {
  const fresh = newView(data);
  for (const key of ["t0", "t1", "price", "width", "mode", "hidden", "trade"]) view[key] = fresh[key];
  const given = new Map(hash.replace(/^#/, "").split("&").map((part) => {
    const at = part.indexOf("=");
    return [part.slice(0, at), part.slice(at + 1).replaceAll("%20", " ")];
  }));
  const times = (given.get("t") || "").split("~").map((text) => Date.parse(text) - data.t0);
  if (times.length === 2 && times.every(Number.isFinite) && times[0] < times[1]) {
    setRange(view, times[0], times[1]);
  }
  view.width = WIDTHS_MS.find((w) => widthName(w) === given.get("w")) || 0;
  const mode = (given.get("m") || "auto").replaceAll("-", " ");
  if (MODES.includes(mode)) view.mode = mode;
  view.hidden = new Set((given.get("hide") || "").split(",").filter((p) => PANES.includes(p)));
  const prices = (given.get("p") || "").split("~").map(Number);
  if (prices.length === 2 && prices.every(Number.isFinite) && prices[0] < prices[1]) {
    view.price = prices;
  }
  view.trade = Math.max(0, Number.parseInt(given.get("trade"), 10) || 0);
}
