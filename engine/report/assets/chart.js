// The chart: layout of the panes, one full draw, and the overlay with the crosshair.

const AXIS_W = 84;
const TIME_H = 20;
const OVERVIEW_H = 30;

const CHARACTER_PX = 6.7; // of FONT

/** Width of the price axis in a chart `w` wide: whole prices fit, those of this market too. */
function axisWidth(data, w) {
  const top = data.levels[0].high.reduce((a, b) => Math.max(a, b), 0);
  const longest = fixed(top / data.units.price, data.meta.price_scale).length;
  return Math.max(w < 520 ? 62 : AXIS_W, Math.ceil(longest * CHARACTER_PX) + 11);
}

/** Boxes of the panes for a chart of w x h pixels. */
function layout(data, view, w, h) {
  data.axis ??= new Map();
  if (!data.axis.has(w < 520)) data.axis.set(w < 520, axisWidth(data, w));
  const axis = data.axis.get(w < 520);
  const plot = { x: 0, w: w - axis };
  const shown = PANES.filter((name) => !view.hidden.has(name) && data.has[name]);
  const below = Math.min(shown.length * 96, Math.round(h * (h < 560 ? 0.4 : 0.46)));
  const each = shown.length ? Math.floor(below / shown.length) : 0;
  const bottom = h - TIME_H - OVERVIEW_H;
  const price = { x: 0, y: 0, w: plot.w, h: bottom - each * shown.length };
  const panes = {};
  shown.forEach((name, n) => {
    panes[name] = { x: 0, y: price.h + n * each, w: plot.w, h: each };
  });
  return { w, h, axis, plot, price, panes, bottom, strip: { y: price.h - STRIP_PX - 2 } };
}

/** Horizontal scale of the view, and the vertical one of prices [low, high]. */
function scales(view, box, low, high) {
  const perMs = box.plot.w / (view.t1 - view.t0);
  const x = {
    perMs, t0: view.t0, t1: view.t1, left: 0, right: box.plot.w,
    x: (t) => (t - view.t0) * perMs,
    t: (px) => view.t0 + px / perMs,
  };
  const [top, bottom] = [26, box.strip.y - 6];
  return {
    ...x, top: 0, bottom: box.price.h, low, high,
    y: (p) => top + ((high - p) / (high - low)) * (bottom - top),
    price: (py) => high - ((py - top) / (bottom - top)) * (high - low),
  };
}

/** Range of prices of candles [k0, k1), with what was traded in it. */
function priceRange(data, view, set, k0, k1) {
  if (view.price) return view.price;
  let [low, high] = k0 < k1 ? range(k0, k1, [set.high, set.low], false) : [Infinity, -Infinity];
  const f = data.tables.fill;
  const last = lowerBound(f.ts_ns, view.t1);
  for (let i = lowerBound(f.ts_ns, view.t0); i < last; i += 1) {
    low = Math.min(low, f.price[i]);
    high = Math.max(high, f.price[i]);
  }
  if (!(low <= high)) return [0, data.units.price];
  const room = Math.max((high - low) * 0.06, 1);
  return [low - room, high + room];
}

/** Draw everything but the crosshair; what the overlay and the pointer need of it is returned. */
function drawChart(canvas, data, view, c) {
  const { clientWidth: w, clientHeight: h } = canvas;
  const ctx = prepare(canvas, w, h);
  const box = layout(data, view, w, h);
  const { level, width, px } = chooseWidth(data, view, box.plot.w);
  const set = candlesOf(level, width);
  const k0 = Math.max(0, lowerBound(set.t, view.t0 - width));
  const k1 = lowerBound(set.t, view.t1);
  const [low, high] = priceRange(data, view, set, k0, k1);
  const scale = scales(view, box, low, high);
  const frame = { box, scale, set, k0, k1, px, width, level, paneScales: {}, times: [] };
  ctx.fillStyle = c.bg;
  ctx.fillRect(0, 0, w, h);
  drawGrid(ctx, c, data, view, frame);
  clipped(ctx, 0, 0, box.plot.w, box.bottom, () =>
    drawGaps(ctx, c, data.gaps, scale, 0, box.bottom));
  clipped(ctx, 0, 0, box.plot.w, box.price.h, () => drawPrice(ctx, c, data, view, frame));
  if (k0 >= k1) tellEmpty(ctx, c, frame);
  drawPanes(ctx, c, data, frame);
  drawAxes(ctx, c, data, view, frame);
  drawOverview(ctx, c, data, view, frame);
  return frame;
}

/** Say why there is nothing to see. */
function tellEmpty(ctx, c, { box, set, level }) {
  const partly = level.windows.length && set.n;
  const why = partly ? `${widthName(level.span)} candles are kept around the fills only: choose auto`
    : set.n ? "No candles here: Home shows the whole range" : "There are no candles in this report";
  text(ctx, why, box.plot.w / 2, box.price.h / 2, c.dim, "center");
}

function clipped(ctx, x, y, w, h, draw) {
  ctx.save();
  ctx.beginPath();
  ctx.rect(x, y, w, h);
  ctx.clip();
  draw();
  ctx.restore();
}

function drawGrid(ctx, c, data, view, frame) {
  const { box, scale } = frame;
  for (const { t, strong } of timeTicks(view.t0, view.t1, data.t0, box.plot.w)) {
    vertical(ctx, scale.x(t), 0, box.bottom, strong ? c.line : c.grid);
  }
  const unit = data.units.price;
  for (const p of ticks(scale.low / unit, scale.high / unit, box.price.h / 46).values) {
    horizontal(ctx, scale.y(p * unit), 0, box.plot.w, c.grid);
  }
}

/** Whether the candles of this frame are wide enough for cells, and which ones. */
function footprintMode(data, view, frame) {
  if (!data.has.footprint || view.mode === "candles") return "";
  if (frame.px < FOOTPRINT_PX) return "";
  return view.mode === "auto" ? "bid x ask" : view.mode;
}

function drawPrice(ctx, c, data, view, frame) {
  const { set, k0, k1, px, scale, level, box } = frame;
  frame.mode = footprintMode(data, view, frame);
  frame.profile = data.has.footprint && k0 < k1
    ? drawProfile(ctx, c, level, set.first[k0], set.first[k1], scale, box.plot) : null;
  if (frame.mode) {
    frame.rowsBy = drawFootprint(ctx, c, set, k0, k1, px, scale, frame.mode, data.units.qty);
  } else drawCandles(ctx, c, set, k0, k1, px, scale);
  if (frame.profile) {
    const { poc, low, high } = frame.profile;
    horizontal(ctx, scale.y(poc), 0, box.plot.w, c.poc, [1, 3]);
    for (const edge of [low, high]) horizontal(ctx, scale.y(edge), 0, box.plot.w, c.dim, [2, 5]);
  }
  drawBrackets(ctx, c, data, scale);
  drawTrades(ctx, c, data, view, scale);
  drawOrders(ctx, c, data, scale);
  drawFills(ctx, c, data, scale);
  drawDecisions(ctx, c, data, scale, box.strip.y);
}

function drawPanes(ctx, c, data, frame) {
  const { box, set, k0, k1, px, scale, width } = frame;
  const units = data.units;
  for (const [name, pane] of Object.entries(box.panes)) {
    const draw = {
      delta: () => drawDelta(ctx, c, pane, set, k0, k1, px, scale, box.plot, units.qty),
      cvd: () => drawCvd(ctx, c, pane, set, k0, k1, px, scale, box.plot, units.qty),
      book: () => drawBook(ctx, c, pane, data.book(width), scale, box.plot),
      equity: () => drawEquity(ctx, c, pane, data.tables.equity, scale, box.plot, units.money),
      drawdown: () => drawDrawdown(ctx, c, pane, data.tables.equity, scale, box.plot, units.money),
    }[name];
    clipped(ctx, 0, pane.y, box.plot.w, pane.h, () => { frame.paneScales[name] = draw(); });
    paneLabels(ctx, c, frame.paneScales[name], box.plot);
    horizontal(ctx, pane.y, 0, box.w, c.line);
  }
}

function drawAxes(ctx, c, data, view, frame) {
  const { box, scale } = frame;
  const unit = data.units.price;
  const right = box.plot.w;
  vertical(ctx, right, 0, box.bottom, c.line);
  const { step, values } = ticks(scale.low / unit, scale.high / unit, box.price.h / 46);
  const places = Math.min(data.meta.price_scale, decimalsOf(step));
  const taken = [];
  for (const [name, colour] of frame.profile ? [["poc", c.poc], ["high", c.dim], ["low", c.dim]] : []) {
    const y = scale.y(frame.profile[name]);
    if (y < 8 || y > box.price.h - 8 || taken.some((other) => Math.abs(other - y) < 16)) continue;
    taken.push(y);
    const label = { poc: "POC", high: "VAH", low: "VAL" }[name];
    const finer = places && Math.min(data.meta.price_scale, places + 1);
    const value = fixed(frame.profile[name] / unit, finer);
    const named = `${label} ${value}`;
    const fits = named.length * CHARACTER_PX + 8 <= box.axis;
    tag(ctx, fits ? named : value, box.w - 1, y, c.panel, colour, "right");
  }
  for (const p of values) {
    const y = scale.y(p * unit);
    if (y < 8 || y > box.price.h - 8 || taken.some((other) => Math.abs(other - y) < 14)) continue;
    text(ctx, fixed(p, places), right + 6, y, c.dim);
  }
  horizontal(ctx, box.bottom, 0, box.w, c.line);
  for (const { t, label, strong } of timeTicks(view.t0, view.t1, data.t0, box.plot.w)) {
    const x = scale.x(t);
    const half = label.length * 3.4;
    if (x < half || x > right - half) continue;
    text(ctx, label, x, box.bottom + TIME_H / 2, strong ? c.text : c.dim, "center");
  }
  text(ctx, "UTC", right + 6, box.bottom + TIME_H / 2, c.dim);
}

/** The whole range in a strip at the bottom, with what is visible marked in it. */
function drawOverview(ctx, c, data, view, frame) {
  const { box } = frame;
  const top = box.h - OVERVIEW_H;
  const x = (t) => ((t - view.home[0]) / (view.home[1] - view.home[0])) * box.w;
  horizontal(ctx, top, 0, box.w, c.line);
  const closes = data.levels[0].close;
  const [low, high] = closes.length ? range(0, closes.length, [closes], false) : [0, 1];
  const y = (p) => top + 5 + ((high - p) / (high - low || 1)) * (OVERVIEW_H - 10);
  const by = Math.max(1, Math.floor(closes.length / (box.w * 1.5)));
  ctx.strokeStyle = c.dim;
  ctx.beginPath();
  for (let i = 0; i < closes.length; i += by) {
    ctx.lineTo(x(data.levels[0].slot[i] * data.levels[0].span), y(closes[i]));
  }
  ctx.stroke();
  for (const trade of data.trades) {
    ctx.fillStyle = trade.net >= 0 ? c.bull : c.bear;
    ctx.fillRect(x(trade.open), box.h - 4, Math.max(2, x(trade.close) - x(trade.open) || 2), 3);
  }
  const [a, b] = [Math.max(0, x(view.t0)), Math.min(box.w, x(view.t1))];
  ctx.fillStyle = c.bg;
  ctx.globalAlpha = 0.6;
  ctx.fillRect(0, top + 1, a, OVERVIEW_H);
  ctx.fillRect(b, top + 1, box.w - b, OVERVIEW_H);
  ctx.globalAlpha = 1;
  ctx.strokeStyle = c.accent;
  ctx.strokeRect(crisp(a) - 0.5, top + 1.5, Math.max(4, b - a) - 1, OVERVIEW_H - 3);
}

/** Index of the candle under time `t`, or -1. */
function candleAt(frame, t) {
  const k = lowerBound(frame.set.t, t + 1e-9) - 1;
  return k >= 0 && t < frame.set.t[k] + frame.width ? k : -1;
}

/** The crosshair with its values; `point` is {x, y} or null. */
function drawOverlay(canvas, data, view, frame, c, point) {
  const { clientWidth: w, clientHeight: h } = canvas;
  const ctx = prepare(canvas, w, h);
  const { box, scale } = frame;
  const inside = point && point.x <= box.plot.w && point.y < box.bottom;
  const t = inside ? scale.t(point.x) : NaN;
  const k = inside ? candleAt(frame, t) : frame.k1 - 1;
  drawLegend(ctx, c, data, view, frame, k);
  drawPaneLegends(ctx, c, data, frame, k, inside ? t : view.t1);
  if (!inside) return;
  vertical(ctx, point.x, 0, box.bottom, c.dim, [3, 3]);
  horizontal(ctx, point.y, 0, box.plot.w, c.dim, [3, 3]);
  const label = clock(data.t0 + t, { millis: scale.perMs > 0.05 });
  const half = label.length * 3.5;
  tag(ctx, label, Math.max(half, Math.min(point.x, box.plot.w - half)), box.bottom + TIME_H / 2,
    c.text, c.bg, "center");
  tag(ctx, valueAt(data, frame, point.y), box.plot.w + 1, point.y, c.text, c.bg);
}

/** What the vertical axis reads at pixel `y`. */
function valueAt(data, frame, y) {
  for (const [name, pane] of Object.entries(frame.box.panes)) {
    if (y < pane.y || y >= pane.y + pane.h) continue;
    const unit = { delta: data.units.qty, cvd: data.units.qty, book: 1 }[name] || data.units.money;
    return short(frame.paneScales[name].value(y) / unit);
  }
  return fixed(frame.scale.price(y) / data.units.price, data.meta.price_scale);
}

/** Words of different colours in a row, as many as fit. */
function run(ctx, x, y, right, parts) {
  ctx.font = FONT;
  for (const [string, colour] of parts) {
    const width = ctx.measureText(string).width;
    if (x + width > right) return;
    text(ctx, string, x, y, colour);
    x += width + 7;
  }
}

function drawLegend(ctx, c, data, view, frame, k) {
  const { set, box, level } = frame;
  const unit = data.units.price;
  const places = data.meta.price_scale;
  const mode = frame.mode ? ` ${frame.mode}` : "";
  const name = [`${data.meta.manifest.symbol} ${widthName(frame.width)}${mode}`, c.text];
  if (k < 0 || k >= set.n) {
    run(ctx, 8, 13, box.plot.w, [name]);
    return;
  }
  const up = set.close[k] >= set.open[k] ? c.bull : c.bear;
  const delta = set.buy[k] - set.sell[k];
  const price = (label, value) => [`${label} ${fixed(value / unit, places)}`, up];
  const parts = [name, [clock(data.t0 + set.t[k], { date: data.days > 1.01 }), c.dim],
    price("O", set.open[k]), price("H", set.high[k]), price("L", set.low[k]),
    price("C", set.close[k])];
  if (set.volume[k]) parts.push([`V ${short(set.volume[k] / data.units.qty)}`, c.text]);
  if (data.has.delta) {
    parts.push([`Δ ${delta > 0 ? "+" : ""}${short(delta / data.units.qty)}`,
      delta < 0 ? c.bear : c.bull]);
  }
  if (set.trades[k]) parts.push([`${fixed(set.trades[k], 0)} trades`, c.dim]);
  if (frame.mode) parts.push([`row ${plain((frame.rowsBy * level.rowUnits) / unit, places)}`, c.dim]);
  if (set.gap[k]) parts.push(["gap", c.warn]);
  if (box.w < 520) {
    run(ctx, 8, 13, box.plot.w, parts.slice(0, 2).concat(parts.slice(6)));
    run(ctx, 8, 28, box.plot.w, parts.slice(2, 6));
  } else run(ctx, 8, 13, box.plot.w, parts);
}

function drawPaneLegends(ctx, c, data, frame, k, t) {
  const { set, box } = frame;
  const equity = data.tables.equity;
  const e = lowerBound(equity.ts_ns, t + 1e-9) - 1;
  const book = data.book(frame.width);
  const b = lowerBound(book.t, t + 1e-9) - 1;
  const qty = (x) => (Number.isFinite(x) ? (x > 0 ? "+" : "") + short(x / data.units.qty) : "");
  const money = (x) => `${signed(x / data.units.money, 2)} ${data.currency}`;
  const values = {
    delta: () => (k >= 0 ? qty(set.buy[k] - set.sell[k]) : ""),
    cvd: () => (k >= 0 ? qty(set.cvdClose[k]) : ""),
    book: () => (b >= 0 ? signed(book.value[b], 2) : ""),
    equity: () => (e >= 0 ? money(equity.equity[e]).replace("+", "") : ""),
    drawdown: () => (e >= 0 ? money(equity.down[e]) : ""),
  };
  for (const [name, pane] of Object.entries(box.panes)) {
    run(ctx, 8, pane.y + 11, box.plot.w, [[PANE_NAMES[name], c.dim], [values[name](), c.text]]);
  }
}
