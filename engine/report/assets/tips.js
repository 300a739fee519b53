// What is told about a fill, an order, a decision or a round trip when it is pointed at.

const QUALITY = { 1: "a gap in the window", 2: "CVD approximate", 4: "book stale", 8: "warming up" };

const price = (data, p) => fixed(p / data.units.price, data.meta.price_scale);
const quantity = (data, q) => plain(q / data.units.qty, data.meta.qty_scale);
const money = (data, m, places = 2) => `${signed(m / data.units.money,
  Math.max(places, placesFor(m / data.units.money)))} ${data.currency}`;
const moment = (data, t) =>
  Number.isFinite(t) ? clock(data.t0 + t, { millis: true }) : "–";

/** Rows of a table of facts; a row is [name, value, class]. */
function facts(rows) {
  const body = el("dl");
  for (const [name, value, cls] of rows) {
    if (value === "" || value === undefined) continue;
    body.append(el("dt", { text: name }), el("dd", { text: value, cls }));
  }
  return body;
}

function titled(title, cls, ...parts) {
  return el("div", {}, el("h4", { text: title, cls }), ...parts);
}

/** Why a fill happened, what it waited for and what it cost. */
function fillTip(data, i) {
  const f = data.tables.fill;
  const o = data.tables.order;
  const n = data.orderById.get(f.order_id[i]);
  const type = n === undefined ? "" : words(data.enums.order_type[o.type[n]]);
  const trade = data.tradeById.get(f.position_id[i]);
  const role = !trade ? "" : trade.side === f.side[i] ? "entry" : "exit";
  const cause = data.enums.kind[f.cause_kind[i]];
  const lag = f.ts_ns[i] - f.cause_ts_ns[i];
  const broker = !f.latency_ns[i] && (type === "stop" || type === "target");
  const cost = (name) => (f.cost_known?.[i] ? money(data, -f[name][i], 4) : "not known");
  return titled(
    `${f.side[i] > 0 ? "Bought" : "Sold"} ${quantity(data, f.qty[i])} @ ${price(data, f.price[i])}`,
    f.side[i] > 0 ? "up" : "down",
    el("p", { text: `${words(data.enums.fill_reason[f.reason[i]])}: ` +
      data.meta.fill_reasons[f.reason[i]], cls: "reason" }),
    facts([
      ["time", moment(data, f.ts_ns[i])],
      ["fill", `${f.id[i]} of order ${f.order_id[i]} (${type}), ${role} of trade ${f.position_id[i]}`],
      ["liquidity", words(data.enums.liquidity[f.liquidity[i]])],
      ["caused by", `${words(cause)} ${f.cause_id[i] || ""}${lag ? `, ${span(Math.abs(lag))} ` +
        (lag > 0 ? "earlier" : "later") : ""}`],
      ["latency", `${broker ? "none, held by the broker" : `${span(f.latency_ns[i])} to the market`}` +
        `; known ${span(f.known_ns[i] - f.ts_ns[i])} later`],
      ["queue ahead", f.queue_ahead[i] ? quantity(data, f.queue_ahead[i]) : "none"],
      ["touch then", touch(data, f, i)],
      ["touch when sent", n === undefined ? "" : touch(data, o, n)],
      ["fee", money(data, -f.fee[i], 4)],
      ["spread", cost("cost_spread")],
      ["slippage", cost("cost_slippage")],
      ["result", f.pnl[i] ? money(data, f.pnl[i]) : "", signClass(f.pnl[i])],
    ]),
  );
}

function touch(data, table, i) {
  if (!table.bid || !table.bid[i] || !table.ask[i]) return "";
  return `${price(data, table.bid[i])} / ${price(data, table.ask[i])}`;
}

function orderTip(data, i) {
  const o = data.tables.order;
  const state = words(data.enums.order_state[o.state[i]]);
  const reason = words(data.enums.order_reason[o.reason[i]]);
  const rest = data.rests[i];
  return titled(
    `${data.enums.order_type[o.type[i]]} ${o.side[i] > 0 ? "buy" : "sell"} ` +
      `${quantity(data, o.qty[i])}${o.price[i] ? ` @ ${price(data, o.price[i])}` : ""}`,
    o.side[i] > 0 ? "up" : "down",
    facts([
      ["order", `${o.id[i]} of trade ${o.position_id[i] || "–"}`],
      ["sent", moment(data, o.ts_ns[i])],
      ["at the market", moment(data, o.active_ns[i])],
      ["ended", `${moment(data, o.done_ns[i])}, ${state}${reason === "none" ? "" : `: ${reason}`}`],
      ["rested", rest ? span(rest[1] - rest[0]) : ""],
      ["filled", `${quantity(data, o.filled_qty[i])} of ${quantity(data, o.qty[i])}`],
    ]),
  );
}

function gapTip(data, i) {
  const gap = data.gaps[i];
  return titled("Events are missing here", "down", facts([
    ["stream", words(data.enums.kind[gap.stream])],
    ["why", words(data.enums.gap_reason[gap.reason])],
    ["from", moment(data, gap.from)], ["to", moment(data, gap.to)],
    ["length", span(gap.to - gap.from)],
  ]));
}

/** A decision gate by gate, with the numbers behind it. */
function decisionTip(data, i) {
  const d = data.tables.decision;
  const ratio = 10 ** data.meta.ratio_scale;
  const action = data.enums.action[d.action[i]];
  const exit = action === "EXIT" ? ` (${words(data.enums.exit_reason[d.exit_reason[i]])})` : "";
  const gates = el("ul", { cls: "gates" });
  data.gates.forEach((name, bit) => {
    const mask = 2 ** bit;
    const on = Math.floor(d.gates[i] / mask) % 2 === 1;
    const off = Math.floor(d.blocked[i] / mask) % 2 === 1;
    const mark = on ? "✓" : off ? "✗" : "·";
    const state = on ? "passed" : off ? "blocked" : "not asked";
    gates.append(el("li", { text: `${mark} ${name}`, cls: state.replace(" ", "-"), title: state }));
  });
  const flags = Object.entries(QUALITY).filter(([bit]) => Math.floor(d.quality[i] / bit) % 2 === 1);
  return titled(
    `${action === "NONE" ? "No action" : words(action)}${exit}`,
    d.direction[i] > 0 ? "up" : d.direction[i] < 0 ? "down" : "",
    gates,
    facts([
      ["decision", `${d.id[i]}, ${clock(data.t0 + d.ts_ns[i])}`],
      ["direction", d.direction[i] ? (d.direction[i] > 0 ? "long" : "short") : "none"],
      ["score", fixed(d.score_fp9[i] / ratio, 3)],
      ["delta, z", `${signed(d.delta[i] / data.units.qty, 3)}, z ${signed(d.delta_z_fp9[i] / ratio, 2)}`],
      ["CVD", signed(d.cvd[i] / data.units.qty, 3)],
      ["book", signed(d.book_fp9[i] / ratio, 3)],
      ["flip", d.flip_fp9[i] ? signed(d.flip_fp9[i] / ratio, 3) : ""],
      ["price", d.price[i] ? price(data, d.price[i]) : ""],
      ["position", d.position[i] ? quantity(data, d.position[i]) : "flat"],
      ["quality", flags.length ? flags.map(([, name]) => name).join(", ") : "good"],
      ...deskOf(data, i),
      ...signalsOf(data, d.id[i]),
    ]),
  );
}

/** What a strategy with a desk adds: where the trade stands, for whom, at what odds, who refused. */
function deskOf(data, i) {
  const d = data.tables.decision;
  const ratio = 10 ** data.meta.ratio_scale;
  const refused = data.refusals.filter((_, bit) => Math.floor((d.refused?.[i] || 0) / 2 ** bit) % 2);
  const level = (name) => (d[name]?.[i] ? price(data, d[name][i]) : "");
  return [
    ["refused by", refused.map((name) => words(name)).join(", "), "down"],
    ["state", d.lifecycle?.[i] ? words(data.enums.lifecycle[d.lifecycle[i]]) : ""],
    ["market", d.market?.[i] ? words(data.enums.market_state[d.market[i]]) : ""],
    ["plan", d.plan?.[i] ? String(d.plan[i]) : ""],
    ["probability", d.probability_fp9?.[i] ? fixed(d.probability_fp9[i] / ratio, 3) : ""],
    ["needed", d.needed_fp9?.[i] ? fixed(d.needed_fp9[i] / ratio, 3) : ""],
    ["size", d.qty?.[i] ? quantity(data, d.qty[i]) : ""],
    ["stop", level("stop")],
    ["target", level("target")],
    ["at risk", d.risk?.[i] ? money(data, -d.risk[i]) : ""],
  ];
}

function signalsOf(data, id) {
  const s = data.tables.signal;
  const ratio = 10 ** data.meta.ratio_scale;
  const rows = [];
  for (let i = lowerBound(s.decision_id, id); i < s.length && s.decision_id[i] === id; i += 1) {
    rows.push([`signal ${data.detectors[s.detector[i]] ?? s.detector[i]}`,
      `${s.direction[i] > 0 ? "long" : "short"}, ${signed(s.value_fp9[i] / ratio, 3)} ` +
        `against ${fixed(s.threshold_fp9[i] / ratio, 3)}`]);
  }
  return rows;
}

/** The element that tells about a mark. */
function tipOf(data, mark) {
  const tips = { fill: fillTip, order: orderTip, decision: decisionTip, gap: gapTip };
  return tips[mark.kind](data, mark.index);
}

/** Put the box `node` beside (x, y) inside a parent of w x h. */
function place(node, x, y, w, h) {
  const [width, height] = [node.offsetWidth, node.offsetHeight];
  let left = x + 16;
  if (left + width > w - 8) left = x - width - 16;
  left = Math.max(8, Math.min(left, w - width - 8));
  const top = Math.max(8, Math.min(y - height / 3, h - height - 8));
  node.style.left = `${Math.round(left)}px`;
  node.style.top = `${Math.round(top)}px`;
}
