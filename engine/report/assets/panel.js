// Beside the chart: headline figures, trades, statistics and costs, and what was run.

const TABLE_ROWS = 200;
const TRADE_COLUMNS = [
  { key: "id", head: "#", value: (t) => t.id, show: (t) => String(t.id) },
  { key: "side", head: "Side", value: (t) => t.side, show: (t) => (t.side > 0 ? "long" : "short"),
    cls: (t) => signClass(t.side) },
  { key: "open", head: "Entry", value: (t) => t.open,
    show: (t, data) => clock(data.t0 + t.open, { date: data.days > 1, year: data.days > 300 }) },
  { key: "held", head: "Held", value: (t) => t.close - t.open,
    show: (t) => (Number.isFinite(t.close) ? span(t.close - t.open) : "open") },
  { key: "entry", head: "In", value: (t) => t.entry, show: (t, data) => price(data, t.entry) },
  { key: "exit", head: "Out", value: (t) => t.exit, show: (t, data) => price(data, t.exit) },
  { key: "why", head: "Exit", value: (t) => t.why, show: (t) => words(t.why) },
  { key: "fees", head: "Fees", value: (t) => t.fees,
    show: (t, data) => fixed(t.fees / data.units.money, data.places) },
  { key: "net", head: "Net", value: (t) => t.net,
    show: (t, data) => signed(t.net / data.units.money, data.places), cls: (t) => signClass(t.net) },
];

/** The figures that matter most, from the manifest. */
function headline(data) {
  const r = data.meta.manifest.result || {};
  const wins = r.round_trips ? `${fixed((100 * (r.wins ?? 0)) / r.round_trips, 0)} % won` : "";
  const tiles = [
    ["Net", r.net_pnl, true, data.currency],
    ["Gross", r.gross_pnl, true, "before fees"],
    ["Fees", r.fees, false, "paid"],
    ["Max drawdown", r.max_drawdown, false, data.currency],
    ["Round trips", r.round_trips, null, wins],
  ];
  return tiles.filter(([, value]) => value !== undefined).map(([name, value, colour, note]) =>
    el("div", { cls: "tile" },
      el("span", { cls: "name", text: name }),
      el("strong", {
        text: colour === null ? fixed(value, 0) : (colour ? signed : fixed)(value, placesFor(value)),
        cls: colour ? signClass(value) : "",
      }),
      el("span", { cls: "note", text: note })));
}

/** Let Enter and the space bar do what a click does. */
function onKey(node, act) {
  node.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    act();
  });
}

/** The table of round trips: sorts by a click on a head, jumps by a click on a row. */
class TradeTable {
  constructor(app, parent) {
    this.app = app;
    this.sort = { key: "id", down: false };
    this.limit = TABLE_ROWS;
    this.body = el("tbody");
    this.heads = el("tr");
    this.more = el("button", { cls: "more", attrs: { type: "button" } });
    this.more.addEventListener("click", () => {
      this.limit += 5 * TABLE_ROWS;
      this.fill();
    });
    for (const column of TRADE_COLUMNS) {
      const head = el("th", { text: column.head, attrs: { scope: "col", tabindex: "0" } });
      const act = () => this.sortBy(column.key);
      head.addEventListener("click", act);
      onKey(head, act);
      this.heads.append(head);
    }
    const scroll = el("div", { cls: "scroll" },
      el("table", { cls: "trades" }, el("thead", {}, this.heads), this.body), this.more);
    parent.append(scroll);
    this.fill();
  }

  sortBy(key) {
    this.sort = { key, down: this.sort.key === key ? !this.sort.down : false };
    this.fill();
  }

  /** Trades in the order of the table. */
  ordered() {
    const column = TRADE_COLUMNS.find((c) => c.key === this.sort.key);
    const sign = this.sort.down ? -1 : 1;
    return [...this.app.data.trades].sort((a, b) => {
      const [x, y] = [column.value(a), column.value(b)];
      const less = typeof x === "string" ? x.localeCompare(y)
        : (Number.isFinite(x) ? x : Infinity) - (Number.isFinite(y) ? y : Infinity);
      return sign * (less || 0) || a.id - b.id;
    });
  }

  fill() {
    const { data } = this.app;
    TRADE_COLUMNS.forEach((column, n) => {
      const state = this.sort.key === column.key ? (this.sort.down ? "descending" : "ascending")
        : "none";
      this.heads.children[n].setAttribute("aria-sort", state);
    });
    const trades = this.ordered();
    this.body.replaceChildren(...trades.slice(0, this.limit).map((trade) => {
      const row = el("tr", { attrs: { tabindex: "0", "data-trade": trade.id } });
      for (const column of TRADE_COLUMNS) {
        row.append(el("td", { text: column.show(trade, data), cls: column.cls?.(trade) || "" }));
      }
      const jump = () => this.app.jump(trade);
      row.addEventListener("click", jump);
      onKey(row, jump);
      return row;
    }));
    this.more.hidden = trades.length <= this.limit;
    this.more.textContent = `Show more of ${fixed(trades.length, 0)} trades`;
    if (!trades.length) {
      this.body.append(el("tr", {}, el("td", { text: "This run closed no position.",
        cls: "none", attrs: { colspan: String(TRADE_COLUMNS.length) } })));
    }
    this.mark(this.app.view.trade);
  }

  mark(id) {
    for (const row of this.body.children) {
      const chosen = row.dataset.trade === String(id);
      row.classList.toggle("chosen", chosen);
      if (chosen) reveal(row);
    }
  }
}

/** Scroll the panel, and nothing but the panel, until `row` is in sight. */
function reveal(row) {
  const panel = row.closest("[role=tabpanel]");
  const [box, view] = [row.getBoundingClientRect(), panel.getBoundingClientRect()];
  if (panel.scrollHeight <= panel.clientHeight) return;
  if (box.top < view.top + 30) panel.scrollTop -= view.top + 30 - box.top;
  else if (box.bottom > view.bottom) panel.scrollTop += box.bottom - view.bottom;
}

/** A number as a statistic of `unit` is written. */
function statistic(value, unit) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  if (unit === "ratio") return fixed(value, 2);
  if (unit === "share") return `${fixed(value * 100, Math.abs(value) < 0.1 ? 2 : 1)} %`;
  if (unit === "count") return fixed(value, 0);
  if (unit === "s") return span(value * 1000);
  if (unit === "1/day") return `${fixed(value, 2)} a day`;
  return `${fixed(value, placesFor(value))} ${unit}`;
}

/** One heading of statistics: value, 95 % interval, and what to bear in mind. */
function statisticsTable(title, rows) {
  const body = el("tbody");
  for (const [n, row] of rows.entries()) {
    const some = row.low !== null && row.high !== null;
    const bounds = some ? `${statistic(row.low, row.unit)} … ${statistic(row.high, row.unit)}` : "";
    body.append(el("tr", { title: row.doc, attrs: { "data-name": row.name } },
      el("th", { text: row.label, attrs: { scope: "row" } }),
      el("td", { text: statistic(row.value, row.unit) }),
      el("td", { text: bounds, cls: "interval" })));
    if (row.note && row.note !== rows[n + 1]?.note) { // once for lines that share it
      body.append(el("tr", { cls: "remark" }, el("td", { text: row.note, attrs: { colspan: "3" } })));
    }
  }
  return el("table", { cls: "statistics" }, el("thead", {}, el("tr", {},
    el("th", { text: title, cls: "title", attrs: { scope: "col" } }),
    el("th", { text: "", attrs: { scope: "col" } }),
    el("th", { text: "95 % interval", attrs: { scope: "col" } }))), body);
}

/** From the result at the middle to the net result: one bar a step. */
function costsTable(rows) {
  const most = Math.max(...rows.map((row) => Math.abs(row.value)), 1e-12);
  const list = el("div", { cls: "costs" });
  for (const row of rows) {
    const bar = el("i", { cls: signClass(row.value) });
    bar.style.width = `${(Math.abs(row.value) / most) * 100}%`;
    const value = row.value > 0 ? `+${statistic(row.value, row.unit)}` : statistic(row.value, row.unit);
    list.append(el("div", { cls: "cost", title: row.doc, attrs: { "data-name": row.name } },
      el("span", { text: row.label }), el("div", { cls: "bar" }, bar), el("b", { text: value })));
  }
  const note = rows.find((row) => row.note);
  if (note) list.append(el("p", { cls: "hint", text: note.note }));
  return list;
}

/** The manifest: what was run, as short facts, and whole below with a button that copies it. */
function manifestView(data) {
  const m = data.meta.manifest;
  const json = JSON.stringify(m, null, 1);
  const copy = el("button", { text: "Copy", attrs: { type: "button" } });
  copy.addEventListener("click", async () => {
    copy.textContent = (await copied(json)) ? "Copied" : "Select and copy by hand";
    setTimeout(() => { copy.textContent = "Copy"; }, 1600);
  });
  const counts = Object.entries(m.counts || {}).filter(([, n]) => n)
    .map(([name, n]) => `${fixed(n, 0)} ${words(name)}`).join(", ");
  return el("div", {},
    facts([
      ["run", m.run], ["strategy", m.strategy], ["market", `${m.venue} ${m.symbol}`],
      ["from", m.from], ["to", m.to], ["made", m.created], ["counts", counts],
      ["fill model", String(m.fill_model ?? "")], ["digest", m.digest], ["log", m.log?.path],
      ["content", m.log?.content_hash],
    ]),
    el("details", {}, el("summary", { text: "Settings" }),
      facts(Object.entries(m.params || {}).map(([k, v]) => [k, String(v)]))),
    el("details", { attrs: { id: "manifest" } }, el("summary", { text: "Manifest" }), copy,
      el("pre", { text: json })));
}

/** Put `string` on the clipboard; false where the browser does not allow it. */
async function copied(string) {
  try {
    await navigator.clipboard.writeText(string);
    return true;
  } catch {
    const area = el("textarea");
    area.value = string;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

/** Fill the panel; returns its table of trades. */
function buildPanel(app) {
  const { data } = app;
  byId("tiles").replaceChildren(...headline(data));
  const table = new TradeTable(app, byId("tab-trades"));
  const summary = byId("tab-summary");
  if (data.meta.costs?.length) {
    summary.append(el("h3", { text: "Where the result went" }), costsTable(data.meta.costs));
  }
  if (data.meta.statistics?.length) {
    summary.append(el("h3", { text: "Statistics" }), el("p", { cls: "hint", text:
      "A year has 365.25 days, every hour of it. Point at a line for what it is." }),
    ...data.meta.statistics.map(({ title, rows }) => statisticsTable(title, rows)));
  } else summary.append(el("p", { cls: "hint", text: "There are no statistics of this run." }));
  byId("tab-run").append(manifestView(data));
  wireTabs([...document.querySelectorAll("[role=tab]")]);
  return table;
}

/** One panel of several is shown; on the keyboard the arrows choose it and Tab leads on. */
function wireTabs(tabs) {
  const show = (tab) => {
    for (const other of tabs) {
      other.setAttribute("aria-selected", String(other === tab));
      other.tabIndex = other === tab ? 0 : -1;
      byId(other.getAttribute("aria-controls")).hidden = other !== tab;
    }
  };
  tabs.forEach((tab, n) => {
    tab.addEventListener("click", () => show(tab));
    tab.addEventListener("keydown", (event) => {
      const by = { ArrowRight: 1, ArrowLeft: tabs.length - 1 }[event.key];
      if (!by) return;
      event.preventDefault();
      event.stopPropagation();
      const next = tabs[(n + by) % tabs.length];
      show(next);
      next.focus();
    });
  });
  show(tabs[0]);
}
