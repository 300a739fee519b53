// Numbers, times and DOM elements. Text only ever enters the page as text, never as markup.

const pad = (x, n = 2) => String(x).padStart(n, "0");
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** `x` with thousands separated and `decimals` places. */
function fixed(x, decimals) {
  if (!Number.isFinite(x)) return "–";
  const [whole, part] = Math.abs(x).toFixed(decimals).split(".");
  const sign = x < 0 && Number(x.toFixed(decimals)) !== 0 ? "−" : "";
  return sign + whole.replace(/\B(?=(\d{3})+$)/g, ",") + (part ? `.${part}` : "");
}

/** With a plus sign where positive. */
const signed = (x, decimals) => (x > 0 ? "+" : "") + fixed(x, decimals);

/** A quantity in at most five characters or so: 0.016, 4.21, 83.5, 1.2k. */
function short(x) {
  const a = Math.abs(x);
  if (a === 0) return "0";
  if (a >= 1e9) return `${fixed(x / 1e9, 1)}G`;
  if (a >= 1e6) return `${fixed(x / 1e6, 1)}M`;
  if (a >= 1e4) return `${fixed(x / 1e3, a >= 1e5 ? 0 : 1)}k`;
  if (a >= 100) return fixed(x, 0);
  if (a >= 10) return fixed(x, 1);
  if (a >= 0.01) return fixed(x, 2);
  return fixed(x, Math.min(8, 1 - Math.floor(Math.log10(a)))).replace(/0+$/, "");
}

/** `x` with as many of `decimals` places as it needs, never as a power of ten. */
const plain = (x, decimals) => {
  const string = fixed(x, decimals);
  return string.includes(".") ? string.replace(/\.?0+$/, "") : string;
};

/** Decimals that show an amount: two, or more where two would leave less than two digits of it. */
const placesFor = (x) => (Number.isFinite(x) && x !== 0 && Math.abs(x) < 0.1
  ? Math.min(8, 1 - Math.floor(Math.log10(Math.abs(x)))) : 2);

/** UTC time of `ms` since the epoch: date, seconds and milliseconds as asked. */
function clock(ms, { date = true, year = true, seconds = true, millis = false } = {}) {
  const d = new Date(ms);
  const day = `${year ? `${d.getUTCFullYear()}-` : ""}${pad(d.getUTCMonth() + 1)}-` +
    `${pad(d.getUTCDate())} `;
  const time = `${pad(d.getUTCHours())}:${pad(d.getUTCMinutes())}`;
  return (date ? day : "") + time + (seconds ? `:${pad(d.getUTCSeconds())}` : "") +
    (millis ? `.${pad(d.getUTCMilliseconds(), 3)}` : "");
}

/** "850 ms", "12.5 s", "3m 20s", "2h 5m". */
function span(ms) {
  if (!Number.isFinite(ms)) return "–";
  if (ms < 1000) return `${fixed(ms, ms < 10 && ms % 1 ? 2 : 0)} ms`;
  if (ms < 60e3) return `${fixed(ms / 1e3, ms % 1000 ? 1 : 0)} s`;
  if (ms < 3600e3) return `${Math.floor(ms / 60e3)}m ${pad(Math.floor((ms % 60e3) / 1e3))}s`;
  if (ms < 86400e3) return `${Math.floor(ms / 3600e3)}h ${pad(Math.floor((ms % 3600e3) / 60e3))}m`;
  return `${Math.floor(ms / 86400e3)}d ${Math.floor((ms % 86400e3) / 3600e3)}h`;
}

/** BOOK_WALK -> book walk. */
const words = (name) => String(name ?? "").toLowerCase().replaceAll("_", " ");

/** An element with class, text and children; `text` is never read as markup. */
function el(tag, { cls, text, title, attrs } = {}, ...children) {
  const node = document.createElement(tag);
  if (cls) node.className = cls;
  if (text !== undefined) node.textContent = text;
  if (title) node.title = title;
  for (const [name, value] of Object.entries(attrs || {})) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

const byId = (id) => document.getElementById(id);
const signClass = (x) => (x > 0 ? "up" : x < 0 ? "down" : "");
