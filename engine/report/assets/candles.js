// The price pane: candles, footprint cells, volume profile, gaps.

const WIDTH_PROFILE = 0.16; // of the plot, at most
const ROW_PX = 12; // price rows are grouped until a cell is this high, where it holds numbers

/** Height of a price row in stored rows so that it is at least `least` pixels high. */
function rowsBy(scale, rowUnits, least) {
  const px = Math.abs(scale.y(0) - scale.y(rowUnits));
  let by = 1;
  while (px * by < least) by *= String(by)[0] === "2" ? 2.5 : 2;
  return Math.round(by);
}

/** Draw candles [k0, k1) of `set`; `px` is the width of one. */
function drawCandles(ctx, c, set, k0, k1, px, scale) {
  const half = px < 3 ? 0 : Math.max(1, Math.floor((px * 0.7) / 2));
  const middle = set.width / 2;
  for (const up of [true, false]) {
    ctx.fillStyle = up ? c.bull : c.bear;
    for (let k = k0; k < k1; k += 1) {
      if (set.close[k] >= set.open[k] !== up) continue;
      const x = Math.round(scale.x(set.t[k] + middle));
      const [high, low] = [scale.y(set.high[k]), scale.y(set.low[k])];
      ctx.fillRect(x, high, 1, Math.max(1, low - high));
      if (half) {
        const [a, b] = [scale.y(set.open[k]), scale.y(set.close[k])];
        ctx.fillRect(x - half, Math.min(a, b), 2 * half + 1, Math.max(1, Math.abs(a - b)));
      }
    }
  }
}

/** Draw the footprint of candles [k0, k1): price rows with volumes by aggressor. */
function drawFootprint(ctx, c, set, k0, k1, px, scale, mode, units) {
  const by = rowsBy(scale, set.level.rowUnits, ROW_PX);
  const height = Math.abs(scale.y(0) - scale.y(set.level.rowUnits * by));
  const all = [];
  let most = 1;
  for (let k = k0; k < k1; k += 1) {
    const rows = rowsOf(set.level, set.first[k], set.first[k + 1], by);
    all.push(rows);
    if (rows) most = rows.total.reduce((a, b) => Math.max(a, b), most);
  }
  for (let k = k0; k < k1; k += 1) {
    const x0 = scale.x(set.t[k]);
    const box = { x: x0 + 8, w: px - 11, height };
    drawStem(ctx, c, set, k, x0 + 3, scale);
    if (all[k - k0]) drawCells(ctx, c, all[k - k0], box, scale, mode, units, most, set.level);
  }
  return by;
}

/** The candle itself, beside its cells. */
function drawStem(ctx, c, set, k, x, scale) {
  const [a, b] = [scale.y(set.open[k]), scale.y(set.close[k])];
  ctx.fillStyle = set.close[k] >= set.open[k] ? c.bull : c.bear;
  ctx.fillRect(Math.round(x) + 1, scale.y(set.high[k]), 1,
    Math.max(1, scale.y(set.low[k]) - scale.y(set.high[k])));
  ctx.fillRect(Math.round(x), Math.min(a, b), 3, Math.max(1, Math.abs(a - b)));
}

function drawCells(ctx, c, rows, box, scale, mode, units, most, level) {
  const marks = imbalances(rows);
  const area = valueArea(rows.total);
  const gap = box.height > 6 ? 1 : 0;
  for (let r = 0; r < rows.n; r += 1) {
    if (!rows.total[r]) continue;
    // a price is the middle of its row, as it is for a candle drawn through it
    const top = scale.y((rows.low + r + 1) * level.rowUnits * rows.by - 0.5);
    if (top > scale.bottom || top + box.height < scale.top) continue;
    const cell = { x: box.x, y: top, w: box.w, h: box.height - gap };
    ctx.fillStyle = c.bg; // the profile behind must not shine through the numbers
    ctx.fillRect(cell.x, cell.y, cell.w, cell.h);
    if (mode === "volume") oneCell(ctx, c, cell, rows.total[r], rows.total[r] / most, c.accent, units);
    else if (mode === "delta") deltaCell(ctx, c, cell, rows, r, most, units);
    else sidesCell(ctx, c, cell, rows, r, marks, most, units);
    if (mode !== "bid x ask" && (marks.buy[r] || marks.sell[r])) {
      ctx.fillStyle = marks.buy[r] ? c.bull : c.bear;
      ctx.fillRect(marks.buy[r] ? cell.x + cell.w - 2 : cell.x, cell.y, 2, cell.h);
    }
    if (r === area.poc) {
      ctx.strokeStyle = c.poc;
      ctx.strokeRect(crisp(cell.x) - 1, crisp(cell.y) - 1, Math.round(cell.w) + 1,
        Math.max(2, Math.round(cell.h) + 1));
    }
  }
}

function oneCell(ctx, c, cell, value, strength, colour, units, sign = false) {
  ctx.globalAlpha = 0.08 + 0.6 * Math.sqrt(strength);
  ctx.fillStyle = colour;
  ctx.fillRect(cell.x, cell.y, cell.w, cell.h);
  ctx.globalAlpha = 1;
  if (cell.h < 9 || cell.w < 30) return;
  const label = (sign && value > 0 ? "+" : "") + short(value / units);
  text(ctx, label, cell.x + cell.w / 2, cell.y + cell.h / 2 + 0.5, c.text, "center", SMALL);
}

function deltaCell(ctx, c, cell, rows, r, most, units) {
  const delta = rows.buy[r] - rows.sell[r];
  oneCell(ctx, c, cell, delta, Math.abs(delta) / most, delta < 0 ? c.bear : c.bull, units, true);
}

/** Sold at the bid on the left, bought at the ask on the right; imbalances are bold and framed. */
function sidesCell(ctx, c, cell, rows, r, marks, most, units) {
  const half = cell.w / 2;
  for (const [value, left, colour, hot] of [
    [rows.sell[r], cell.x, c.bear, marks.sell[r]],
    [rows.buy[r], cell.x + half, c.bull, marks.buy[r]],
  ]) {
    ctx.globalAlpha = hot ? 0.55 : 0.06 + 0.3 * Math.sqrt(value / most);
    ctx.fillStyle = colour;
    ctx.fillRect(left, cell.y, half - 0.5, cell.h);
    ctx.globalAlpha = 1;
    if (cell.h < 9 || cell.w < 44) continue;
    const font = hot ? `bold ${SMALL}` : SMALL;
    const ink = value ? c.text : c.dim;
    text(ctx, short(value / units), left + half / 2, cell.y + cell.h / 2 + 0.5, ink, "center", font);
  }
}

/** Volume by price of what is visible, from the right edge; returns POC and value area prices. */
function drawProfile(ctx, c, level, i0, i1, scale, plot) {
  const by = rowsBy(scale, level.rowUnits, 2);
  const rows = rowsOf(level, i0, i1, by);
  if (!rows) return null;
  const area = valueArea(rows.total);
  const units = level.rowUnits * by;
  const most = rows.total[area.poc];
  const wide = Math.min(150, plot.w * WIDTH_PROFILE);
  const right = plot.x + plot.w;
  const height = Math.abs(scale.y(0) - scale.y(units));
  for (let r = 0; r < rows.n; r += 1) {
    const y = scale.y((rows.low + r + 1) * units - 0.5);
    if (!rows.total[r] || y > scale.bottom || y + height < scale.top) continue;
    const inside = r >= area.low && r <= area.high;
    const length = (rows.total[r] / most) * wide;
    const buy = (rows.buy[r] / rows.total[r]) * length;
    ctx.globalAlpha = inside ? 0.42 : 0.18;
    ctx.fillStyle = c.bear;
    ctx.fillRect(right - length, y, length - buy, Math.max(1, height - (height > 3 ? 0.6 : 0)));
    ctx.fillStyle = c.bull;
    ctx.fillRect(right - buy, y, buy, Math.max(1, height - (height > 3 ? 0.6 : 0)));
  }
  ctx.globalAlpha = 1;
  const at = (r) => (rows.low + r) * units - 0.5;
  return { poc: at(area.poc) + units / 2, low: at(area.low), high: at(area.high + 1), by };
}

/** Bands of missing events over the whole height, hatched. */
function drawGaps(ctx, c, gaps, scale, y0, y1) {
  for (const gap of gaps) {
    const [x0, x1] = [scale.x(gap.from), scale.x(gap.to)];
    if (gap.filled || x1 < scale.left || x0 > scale.right) continue;
    const left = Math.max(scale.left, x0);
    const right = Math.min(scale.right, Math.max(x1, x0 + 2));
    ctx.globalAlpha = 0.08;
    ctx.fillStyle = c.warn;
    ctx.fillRect(left, y0, right - left, y1 - y0);
    ctx.globalAlpha = 1;
    hatch(ctx, left, right, y0, y1, c.warn);
  }
}
