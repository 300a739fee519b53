// Starts the report: unpacks the data, builds the page, and keeps view and address together.

const HASH_DELAY_MS = 250;

/** Everything the page works with, from the packed payload. */
function readData(meta, columns) {
  const tables = {};
  for (const name of ["order", "fill", "position", "signal", "decision", "equity"]) {
    tables[name] = readTable(columns, name);
  }
  const levels = meta.levels.map((level, n) => readLevel(columns, n, level));
  if (!levels.length) levels.push(readLevel(columns, 0, { span_us: 15e6, row_units: 1, windows: [] }));
  const [length, offset] = meta.session_us.map((us) => us / 1000);
  levels.forEach((level, n) => addCvd(level, { length, offset, t0: meta.t0_ms },
    n ? levels[0] : null));
  tables.equity.down = Float64Array.from(tables.equity.drawdown || [], (d) => -d);
  const m = meta.manifest;
  const data = {
    meta, columns, tables, levels, enums: meta.enums, t0: meta.t0_ms,
    from: meta.from_us / 1000, to: meta.to_us / 1000,
    days: (meta.to_us - meta.from_us) / 86400e6,
    units: { price: 10 ** meta.price_scale, qty: 10 ** meta.qty_scale, money: 10 ** meta.money_scale },
    currency: m.currency || "", gates: m.gates || [], detectors: m.detectors || [],
    refusals: m.refusals || [],
    gaps: meta.gaps.map((g) => ({ ...g, from: g.from / 1000, to: g.to / 1000 })),
    books: new Map(),
  };
  addLookups(data);
  return data;
}

function addLookups(data) {
  const { tables, levels } = data;
  data.trades = readTrades(tables, data.enums);
  const most = data.trades.reduce((a, t) => Math.max(a, Math.abs(t.net), t.fees), 0);
  data.places = most < data.units.money ? Math.max(2, placesFor(most / data.units.money / 10)) : 2;
  data.tradeById = new Map(data.trades.map((t) => [t.id, t]));
  data.orderById = new Map(Array.from(tables.order.id || [], (id, i) => [id, i]));
  const d = tables.decision;
  data.stopMoves = [];
  let step = 60e3;
  for (let i = 0; i < d.length; i += 1) {
    if (data.enums.action[d.action[i]] === "MOVE_STOP") data.stopMoves.push(d.ts_ns[i]);
    if (i) step = Math.min(step, d.ts_ns[i] - d.ts_ns[i - 1] || step);
  }
  data.step = step;
  data.brackets = readBrackets(data);
  data.rests = Array.from({ length: tables.order.length }, (_, i) => restOf(data, i));
  data.book = (width) => {
    if (!data.books.has(width)) {
      data.books.set(width, bookOf(data.columns, levels[0].span, width));
    }
    return data.books.get(width);
  };
  const delta = levels.some((l) => l.buy.some((x) => x > 0) || l.sell.some((x) => x > 0));
  data.has = { delta, cvd: delta, book: (data.columns.get("book.slot") || EMPTY).length > 0,
    equity: tables.equity.length > 0, drawdown: tables.equity.length > 0,
    footprint: levels.some((l) => l.row.length > 0) };
}

/** The page: one object that the pointer, the keys and the panel talk to. */
class App {
  constructor(data) {
    this.data = data;
    this.view = newView(data);
    this.surface = byId("surface");
    this.base = byId("base");
    this.over = byId("over");
    this.tip = byId("tip");
    this.at = null;
    this.pinned = null;
    this.colours = palette();
    fromHash(this.view, data, location.hash);
    this.table = buildPanel(this);
    this.controls();
    this.draw();
    listen(this);
    window.addEventListener("hashchange", () => this.restore());
    new ResizeObserver(() => this.request()).observe(this.surface);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.recolour());
    window.addEventListener("beforeprint", () => this.print(true));
    window.addEventListener("afterprint", () => this.print(false));
  }

  /** Draw everything now; returns the milliseconds it took. */
  draw() {
    const started = performance.now();
    this.frame = drawChart(this.base, this.data, this.view, this.colours);
    drawOverlay(this.over, this.data, this.view, this.frame, this.colours, this.at);
    this.reflect();
    return performance.now() - started;
  }

  request() {
    if (this.waiting) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = 0;
      this.draw();
    });
  }

  /** The view changed: draw, and write it into the address (`push`: a step that Back undoes). */
  changed(push) {
    this.request();
    if (!this.pinned) this.tip.hidden = true;
    clearTimeout(this.timer);
    const write = () => {
      const hash = toHash(this.view, this.data);
      if (hash === location.hash) return;
      try {
        if (push) history.pushState(null, "", hash);
        else history.replaceState(null, "", hash);
      } catch { // a browser that keeps no history for local files
        location.replace(hash);
      }
    };
    if (push) write();
    else this.timer = setTimeout(write, HASH_DELAY_MS);
  }

  restore() {
    fromHash(this.view, this.data, location.hash);
    this.table.mark(this.view.trade);
    this.unpin();
    this.request();
  }

  point(p, type) {
    this.at = type === "touch" ? this.at : p;
    if (!this.waiting) {
      drawOverlay(this.over, this.data, this.view, this.frame, this.colours, this.at);
    }
    if (this.pinned) return;
    const mark = p && p.x < this.frame.box.plot.w
      ? markAt(this.data, this.frame.scale, p.x, p.y, this.frame.box.strip) : null;
    this.surface.style.cursor = mark ? "pointer" : "";
    this.tell(mark, p);
  }

  /** Show what is known of `mark` beside `p`; hide the box where there is none. */
  tell(mark, p) {
    if (!mark || p.y > this.frame.box.price.h) {
      this.tip.hidden = true;
      return;
    }
    this.tip.replaceChildren(tipOf(this.data, mark));
    this.tip.hidden = false;
    place(this.tip, p.x, p.y, this.surface.clientWidth, this.surface.clientHeight);
  }

  /** A click pins what is told; a touch also moves the crosshair. */
  click(p, type) {
    this.unpin();
    if (type === "touch") this.at = p;
    this.point(p, type === "touch" ? "mouse" : type);
    const mark = markAt(this.data, this.frame.scale, p.x, p.y, this.frame.box.strip);
    if (!mark || p.x > this.frame.box.plot.w || p.y > this.frame.box.price.h) return;
    this.pinned = mark;
    this.tip.classList.add("pinned");
    if (mark.kind === "fill") {
      this.view.trade = this.data.tables.fill.position_id[mark.index];
      this.table.mark(this.view.trade);
      this.changed(false);
    }
  }

  unpin() {
    this.pinned = null;
    this.tip.hidden = true;
    this.tip.classList.remove("pinned");
  }

  escape() {
    this.unpin();
    this.help(false);
    this.view.trade = 0;
    this.table.mark(0);
  }

  /** Show a round trip with some room around it. */
  jump(trade) {
    const end = Number.isFinite(trade.close) ? trade.close : trade.open + 60e3;
    const room = Math.max((end - trade.open) * 0.7, 90e3);
    this.view.trade = trade.id;
    this.view.price = null;
    setRange(this.view, trade.open - room, end + room);
    this.table.mark(trade.id);
    this.unpin();
    this.changed(true);
    if (matchMedia("(max-width: 1000px)").matches) this.surface.scrollIntoView({ block: "start" });
  }

  step(by) {
    const { trades } = this.data;
    if (!trades.length) return;
    const now = trades.findIndex((t) => t.id === this.view.trade);
    this.jump(trades[(now + by + trades.length + (now < 0 && by < 0 ? 1 : 0)) % trades.length]);
  }

  nextMode() {
    this.view.mode = MODES[(MODES.indexOf(this.view.mode) + 1) % MODES.length];
  }

  toggleTheme() {
    const dark = getComputedStyle(document.documentElement).colorScheme.includes("dark");
    document.documentElement.dataset.theme = dark ? "light" : "dark";
    this.recolour();
  }

  /** Paper is light, and a canvas keeps the colours that it was drawn in. */
  print(begins) {
    const root = document.documentElement.dataset;
    if (begins) [this.shown, root.theme] = [root.theme, "light"];
    else if (this.shown) root.theme = this.shown;
    else delete root.theme;
    this.colours = palette();
    // Chromium prints what is drawn from here on, and what was cleared as white boxes: start anew
    for (const canvas of [this.base, this.over]) canvas.width = 0;
    this.draw();
  }

  recolour() {
    this.colours = palette();
    this.request();
  }

  help(show) {
    const box = byId("help");
    if (show && !box.open) box.showModal();
    else if (!show && box.open) box.close();
  }

  controls() {
    const { view, data } = this;
    const act = (id, run, push = true) => byId(id).addEventListener("click", () => {
      run();
      this.changed(push);
    });
    const width = byId("width");
    const widths = WIDTHS_MS.filter((w) => data.levels.some((l) => w % l.span === 0));
    width.append(el("option", { text: "auto", attrs: { value: "0" } }),
      ...widths.map((w) => el("option", { text: widthName(w), attrs: { value: String(w) } })));
    width.addEventListener("change", () => {
      view.width = Number(width.value);
      this.changed(true);
    });
    const mode = byId("mode");
    mode.append(...MODES.map((m) => el("option", { text: m, attrs: { value: m } })));
    mode.disabled = !data.has.footprint;
    mode.addEventListener("change", () => {
      view.mode = mode.value;
      this.changed(true);
    });
    byId("panes").append(...PANES.filter((name) => data.has[name]).map((name) => {
      const button = el("button", { text: name === "cvd" ? "CVD" : name,
        attrs: { type: "button", "data-pane": name } });
      button.addEventListener("click", () => {
        if (!view.hidden.delete(name)) view.hidden.add(name);
        this.changed(true);
      });
      return button;
    }));
    const middle = () => (view.t0 + view.t1) / 2;
    act("in", () => zoom(view, 0.5, middle()), false);
    act("out", () => zoom(view, 2, middle()), false);
    act("home", () => { setRange(view, ...view.home); view.price = null; });
    act("theme", () => this.toggleTheme());
    act("ask", () => this.help(true));
    byId("help-close").addEventListener("click", () => this.help(false));
  }

  /** Let the controls show the view. */
  reflect() {
    byId("width").value = String(this.view.width);
    byId("mode").value = this.view.mode;
    for (const button of byId("panes").children) {
      button.setAttribute("aria-pressed", String(!this.view.hidden.has(button.dataset.pane)));
    }
  }
}

/** Names, market and range at the top; notes where there are any. */
function heading(meta) {
  const m = meta.manifest;
  byId("title").textContent = String(m.strategy ?? "");
  byId("market").textContent = `${m.symbol} · ${m.venue}`;
  byId("range").textContent = `${String(m.from).slice(0, 16).replace("T", " ")} – ` +
    `${String(m.to).slice(0, 16).replace("T", " ")} UTC`;
  byId("run").textContent = meta.run;
  byId("notes").replaceChildren(...meta.notes.map((note) => el("p", { text: note })));
  byId("notes").hidden = !meta.notes.length;
}

async function start() {
  const meta = JSON.parse(byId("meta").textContent);
  heading(meta);
  const bytes = await inflate(fromBase64(byId("data").textContent.trim()));
  const data = readData(meta, readColumns(bytes, meta.columns));
  const app = new App(data);
  byId("loading").remove();
  // For tests, and for whoever looks under the hood from the console.
  window.ofs = { app, data, imbalances, valueArea, rowsOf, candlesOf };
}

start().catch((error) => {
  byId("loading").textContent = `The report cannot be shown. ${error.message}`;
  byId("loading").classList.add("failed");
  console.error(error);
});
