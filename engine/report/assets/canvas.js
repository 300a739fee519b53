// Drawing on a canvas: sharp lines, axes, ticks, colours of the theme. Knows nothing of markets.

const FONT = "11px ui-monospace, 'SF Mono', 'DejaVu Sans Mono', Menlo, Consolas, monospace";
const SMALL = FONT.replace("11px", "10px");
const COLOURS = ["bg", "panel", "line", "grid", "text", "dim", "bull", "bear", "poc", "accent",
  "warn"];
const TIME_STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 14400,
  21600, 43200, 86400, 172800, 432000, 864000, 2592000].map((s) => s * 1e3);

/** The colours of the theme in use, by name. */
function palette() {
  const style = getComputedStyle(document.documentElement);
  return Object.fromEntries(COLOURS.map((n) => [n, style.getPropertyValue(`--${n}`).trim()]));
}

/** Fit a canvas to its element at the screen's density, empty; the context in CSS pixels. */
function prepare(canvas, width, height) {
  const density = window.devicePixelRatio || 1;
  const [w, h] = [Math.round(width * density), Math.round(height * density)];
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
  } else canvas.getContext("2d").clearRect(0, 0, width, height);
  const ctx = canvas.getContext("2d");
  ctx.setTransform(density, 0, 0, density, 0, 0);
  ctx.font = FONT;
  ctx.textBaseline = "middle";
  ctx.lineWidth = 1;
  return ctx;
}

/** The middle of the pixel at `x`, where a line of one pixel is sharp. */
const crisp = (x) => Math.round(x) + 0.5;

function horizontal(ctx, y, x0, x1, colour, dash = []) {
  ctx.strokeStyle = colour;
  ctx.setLineDash(dash);
  ctx.beginPath();
  ctx.moveTo(x0, crisp(y));
  ctx.lineTo(x1, crisp(y));
  ctx.stroke();
  ctx.setLineDash([]);
}

function vertical(ctx, x, y0, y1, colour, dash = []) {
  ctx.strokeStyle = colour;
  ctx.setLineDash(dash);
  ctx.beginPath();
  ctx.moveTo(crisp(x), y0);
  ctx.lineTo(crisp(x), y1);
  ctx.stroke();
  ctx.setLineDash([]);
}

function text(ctx, string, x, y, colour, align = "left", font = FONT) {
  ctx.font = font;
  ctx.fillStyle = colour;
  ctx.textAlign = align;
  ctx.fillText(string, x, y);
}

/** Text on a filled box, as on an axis. */
function tag(ctx, string, x, y, colour, ink, align = "left") {
  ctx.font = FONT;
  const width = ctx.measureText(string).width + 8;
  const left = align === "left" ? x : align === "right" ? x - width : x - width / 2;
  ctx.fillStyle = colour;
  ctx.fillRect(left, Math.round(y) - 8, width, 16);
  text(ctx, string, left + 4, y + 0.5, ink);
  return [left, width];
}

/** A round step (1, 2 or 5 times a power of ten) for about `count` ticks over `range`. */
function niceStep(range, count) {
  const rough = range / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].find((m) => m * power >= rough) * power;
}

/** Ticks of a linear axis. */
function ticks(low, high, count) {
  if (!(high > low)) return { step: 1, values: [] };
  const step = niceStep(high - low, count);
  const values = [];
  for (let n = Math.ceil(low / step - 1e-9); n * step <= high; n += 1) values.push(n * step);
  return { step, values };
}

/** Decimals that tell the ticks of `step` apart. */
const decimalsOf = (step) => Math.max(0, Math.min(10, -Math.floor(Math.log10(step) + 1e-9)));

/** Ticks of the time axis: {t, label, strong}; `origin` is ms since the epoch of t = 0. */
function timeTicks(t0, t1, origin, px) {
  const step = TIME_STEPS.find((s) => (s / (t1 - t0)) * px >= 76) || TIME_STEPS.at(-1);
  const found = [];
  for (let t = Math.ceil((t0 + origin) / step) * step; t <= t1 + origin; t += step) {
    const midnight = t % 86400e3 === 0;
    const d = new Date(t);
    const label = midnight ? `${d.getUTCDate()} ${MONTHS[d.getUTCMonth()]}`
      : clock(t, { date: false, seconds: step < 60e3 });
    found.push({ t: t - origin, label, strong: midnight });
  }
  return found;
}

/** Hatching between x0 and x1. */
function hatch(ctx, x0, x1, y0, y1, colour) {
  ctx.save();
  ctx.beginPath();
  ctx.rect(x0, y0, x1 - x0, y1 - y0);
  ctx.clip();
  ctx.strokeStyle = colour;
  ctx.globalAlpha = 0.45;
  ctx.beginPath();
  const height = y1 - y0;
  for (let x = Math.floor((x0 - height) / 8) * 8; x < x1; x += 8) {
    ctx.moveTo(x, y1);
    ctx.lineTo(x + height, y0);
  }
  ctx.stroke();
  ctx.restore();
}
