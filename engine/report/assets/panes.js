// The panes below the price: delta, CVD, book imbalance, equity, drawdown.

const PANE_NAMES = { delta: "Delta", cvd: "CVD", book: "Book imbalance, log bid/ask of 5 levels",
  equity: "Equity", drawdown: "Drawdown" };

const HEAD_PX = 19; // room for a pane's name and value above what it draws

/** A vertical scale over [low, high] for a pane. */
function paneScale(pane, low, high, x) {
  const room = (high - low || 1) * 0.05;
  const [a, b] = [low - room, high + room];
  const inner = Math.max(4, pane.h - HEAD_PX - 3);
  const y = (v) => pane.y + HEAD_PX + ((b - v) / (b - a)) * inner;
  return { ...x, y, low: a, high: b, top: pane.y, bottom: pane.y + pane.h,
    value: (py) => b - ((py - pane.y - HEAD_PX) / inner) * (b - a) };
}

/** Range of columns over [k0, k1); `zero` keeps 0 inside. */
function range(k0, k1, columns, zero) {
  let [low, high] = zero ? [0, 0] : [Infinity, -Infinity];
  for (const values of columns) {
    for (let k = k0; k < k1; k += 1) {
      if (values[k] < low) low = values[k];
      if (values[k] > high) high = values[k];
    }
  }
  return low <= high ? [low, high] : [0, 1];
}

/** Lines of a pane's axis; its numbers stand outside the plot and are drawn by paneLabels. */
function paneAxis(ctx, c, pane, scale, plot, units) {
  const { step, values } = ticks(scale.low / units, scale.high / units, Math.max(2.2, pane.h / 24));
  scale.labels = [];
  for (const value of values) {
    const y = scale.y(value * units);
    if (y < pane.y + HEAD_PX - 2 || y > pane.y + pane.h - 1) continue;
    horizontal(ctx, y, plot.x, plot.x + plot.w, value === 0 ? c.line : c.grid);
    if (y < pane.y + pane.h - 5) scale.labels.push([axisNumber(value, decimalsOf(step)), y]);
  }
}

function paneLabels(ctx, c, scale, plot) {
  for (const [label, y] of scale.labels) text(ctx, label, plot.x + plot.w + 6, y, c.dim);
}

const axisNumber = (x, places) => (Math.abs(x) >= 1e5 ? short(x) : fixed(x, places));

function drawDelta(ctx, c, pane, set, k0, k1, px, x, plot, units) {
  const delta = (k) => set.buy[k] - set.sell[k];
  let most = 1;
  for (let k = k0; k < k1; k += 1) most = Math.max(most, Math.abs(delta(k)));
  const scale = paneScale(pane, -most, most, x);
  paneAxis(ctx, c, pane, scale, plot, units);
  const width = Math.max(1, Math.floor(px * 0.7));
  const zero = scale.y(0);
  for (let k = k0; k < k1; k += 1) {
    const left = Math.round(x.x(set.t[k] + set.width / 2) - width / 2);
    const y = scale.y(delta(k));
    ctx.fillStyle = delta(k) < 0 ? c.bear : c.bull;
    ctx.fillRect(left, Math.min(y, zero), width, Math.max(1, Math.abs(y - zero)));
    if (px >= FOOTPRINT_PX && pane.h > 40) {
      const up = delta(k) >= 0;
      text(ctx, (up ? "+" : "") + short(delta(k) / units), left + width / 2,
        up ? zero + 9 : zero - 8, c.dim, "center", SMALL);
    }
  }
  return scale;
}

function drawCvd(ctx, c, pane, set, k0, k1, px, x, plot, units) {
  const [low, high] = range(k0, k1, [set.cvdHigh, set.cvdLow], false);
  const scale = paneScale(pane, low, high, x);
  paneAxis(ctx, c, pane, scale, plot, units);
  const half = Math.max(0, Math.floor((px * 0.7) / 2));
  for (let k = k0; k < k1; k += 1) {
    const middle = Math.round(x.x(set.t[k] + set.width / 2));
    const [a, b] = [scale.y(set.cvdOpen[k]), scale.y(set.cvdClose[k])];
    ctx.fillStyle = set.cvdClose[k] < set.cvdOpen[k] ? c.bear : c.bull;
    const top = scale.y(set.cvdHigh[k]);
    ctx.fillRect(middle, top, 1, Math.max(1, scale.y(set.cvdLow[k]) - top));
    if (half) ctx.fillRect(middle - half, Math.min(a, b), 2 * half + 1, Math.max(1, Math.abs(a - b)));
  }
  return scale;
}

function drawBook(ctx, c, pane, book, x, plot) {
  const k0 = Math.max(0, lowerBound(book.t, x.t0 - book.width));
  const k1 = lowerBound(book.t, x.t1);
  let most = 0.1;
  for (let k = k0; k < k1; k += 1) most = Math.max(most, Math.abs(book.value[k]));
  const scale = paneScale(pane, -most, most, x);
  paneAxis(ctx, c, pane, scale, plot, 1);
  const zero = scale.y(0);
  for (let k = k0; k < k1; k += 1) {
    const left = x.x(book.t[k]);
    const width = Math.max(1, x.x(book.t[k] + book.width) - left - (x.perMs * book.width > 4 ? 1 : 0));
    const y = scale.y(book.value[k]);
    ctx.globalAlpha = 0.75;
    ctx.fillStyle = book.value[k] < 0 ? c.bear : c.bull;
    ctx.fillRect(left, Math.min(y, zero), width, Math.max(1, Math.abs(y - zero)));
  }
  ctx.globalAlpha = 1;
  return scale;
}

/** A stepped line of `values` at `times`, filled to `base` where one is given. */
function drawSteps(ctx, pane, times, values, x, scale, colour, base) {
  const k0 = Math.max(0, lowerBound(times, x.t0) - 1);
  const k1 = Math.min(times.length, lowerBound(times, x.t1) + 1);
  if (k0 >= k1) return;
  ctx.save();
  ctx.beginPath();
  ctx.rect(x.left, pane.y, x.right - x.left, pane.h);
  ctx.clip();
  const path = new Path2D();
  let last = scale.y(values[k0]);
  path.moveTo(x.x(times[k0]), last);
  for (let k = k0; k < k1; k += 1) {
    const px = x.x(times[k]);
    const y = scale.y(values[k]);
    path.lineTo(px, last);
    path.lineTo(px, y);
    last = y;
  }
  ctx.strokeStyle = colour;
  ctx.lineWidth = 1.5;
  ctx.lineJoin = "round";
  ctx.stroke(path);
  ctx.lineWidth = 1;
  if (base !== undefined) {
    path.lineTo(x.x(times[k1 - 1]), base);
    path.lineTo(x.x(times[k0]), base);
    ctx.globalAlpha = 0.16;
    ctx.fillStyle = colour;
    ctx.fill(path);
  }
  ctx.restore();
}

function drawEquity(ctx, c, pane, equity, x, plot, units) {
  const k0 = Math.max(0, lowerBound(equity.ts_ns, x.t0) - 1);
  const k1 = Math.min(equity.length, lowerBound(equity.ts_ns, x.t1) + 1);
  const [low, high] = range(k0, k1, [equity.equity, equity.balance], false);
  const scale = paneScale(pane, low, high, x);
  paneAxis(ctx, c, pane, scale, plot, units);
  if (equity.length) {
    const start = scale.y(equity.balance[0]);
    if (start > pane.y && start < pane.y + pane.h) {
      horizontal(ctx, start, plot.x, plot.x + plot.w, c.dim, [2, 3]);
    }
  }
  drawSteps(ctx, pane, equity.ts_ns, equity.equity, x, scale, c.accent);
  return scale;
}

function drawDrawdown(ctx, c, pane, equity, x, plot, units) {
  const k0 = Math.max(0, lowerBound(equity.ts_ns, x.t0) - 1);
  const k1 = Math.min(equity.length, lowerBound(equity.ts_ns, x.t1) + 1);
  const down = equity.down;
  const [low] = range(k0, k1, [down], true);
  const scale = paneScale(pane, low || -units, 0, x);
  paneAxis(ctx, c, pane, scale, plot, units);
  drawSteps(ctx, pane, equity.ts_ns, down, x, scale, c.bear, scale.y(0));
  return scale;
}
