// What the strategy did: round trips, orders, fills and decisions, drawn and found under a pointer.

const STRIP_PX = 9; // height of the strip of decisions
const LONG_LINK_PX = 3;
const CROWD_PX = 4; // of the plot a fill, below which fills are dots

/** Positions as trades: times in ms, prices in price units, money in money units. */
function readTrades(tables, enums) {
  const p = tables.position;
  const fills = new Map();
  for (let i = 0; i < tables.fill.length; i += 1) {
    const id = tables.fill.position_id[i];
    if (!fills.has(id)) fills.set(id, []);
    fills.get(id).push(i);
  }
  const trades = [];
  for (let i = 0; i < p.length; i += 1) {
    const own = fills.get(p.id[i]) || [];
    const closed = Number.isFinite(p.closed_ns[i]);
    const mean = (side) => {
      let [sum, qty] = [0, 0];
      for (const f of own) {
        if (tables.fill.side[f] !== side) continue;
        sum += tables.fill.price[f] * tables.fill.qty[f];
        qty += tables.fill.qty[f];
      }
      return qty ? sum / qty : NaN;
    };
    trades.push({
      id: p.id[i], side: p.side[i], qty: p.qty[i], open: p.ts_ns[i],
      close: closed ? p.closed_ns[i] : NaN, entry: mean(p.side[i]), exit: mean(-p.side[i]),
      gross: p.gross_pnl[i], fees: p.fees[i], net: p.net_pnl[i],
      why: enums.exit_reason[p.exit_reason[i]], fills: own, order: p.entry_order_id[i],
    });
  }
  return trades;
}

/** Where the stop and the target of each trade stood: [{from, to, stop, target}] in ms and prices.
 * They are those of the decision that entered, then those that it was moved to. */
function readBrackets(data) {
  const d = data.tables.decision;
  const found = [];
  for (const trade of data.trades) {
    const end = Number.isFinite(trade.close) ? trade.close : data.to;
    const first = data.orderById.get(trade.order);
    const sent = first === undefined ? NaN : data.tables.order.ts_ns[first];
    let last = null;
    for (let i = lowerBound(d.ts_ns, sent); i < d.length && d.ts_ns[i] < end; i += 1) {
      const action = data.enums.action[d.action[i]];
      const entered = !last && action.startsWith("ENTER");
      if ((!entered && !(last && action === "MOVE_STOP")) || !d.stop?.[i]) continue;
      const from = Math.max(trade.open, d.ts_ns[i]);
      if (last) last.to = from;
      last = { from, to: end, stop: d.stop[i], target: last ? last.target : d.target[i] };
      found.push(last);
    }
  }
  return found;
}

/** Thin lines at the stops and targets that stood. */
function drawBrackets(ctx, c, data, scale) {
  ctx.globalAlpha = 0.75;
  for (const b of data.brackets) {
    const [x0, x1] = [Math.max(scale.left, scale.x(b.from)), Math.min(scale.right, scale.x(b.to))];
    if (x1 - x0 < LONG_LINK_PX) continue;
    for (const [level, colour] of [[b.stop, c.bear], [b.target, c.bull]]) {
      const y = scale.y(level);
      if (level && y > scale.top && y < scale.bottom) horizontal(ctx, y, x0, x1, colour, [2, 2]);
    }
  }
  ctx.globalAlpha = 1;
}

/** Lines from entry to exit. */
function drawTrades(ctx, c, data, view, scale) {
  for (const trade of data.trades) {
    const end = Number.isFinite(trade.close) ? trade.close : data.to;
    if (end < scale.t0 || trade.open > scale.t1 || !Number.isFinite(trade.entry)) continue;
    const [x0, x1] = [scale.x(trade.open), scale.x(end)];
    const y0 = scale.y(trade.entry);
    const y1 = scale.y(Number.isFinite(trade.exit) ? trade.exit : trade.entry);
    const chosen = trade.id === view.trade;
    const colour = trade.net >= 0 ? c.bull : c.bear;
    if (chosen) {
      ctx.globalAlpha = 0.13;
      ctx.fillStyle = colour;
      ctx.fillRect(x0, scale.top, Math.max(2, x1 - x0), scale.bottom - scale.top);
      ctx.globalAlpha = 1;
    }
    if (x1 - x0 < LONG_LINK_PX && !chosen) continue;
    ctx.strokeStyle = chosen ? c.text : colour;
    ctx.lineWidth = chosen ? 2 : 1.25;
    ctx.setLineDash([4, 3]);
    ctx.beginPath();
    ctx.moveTo(x0, y0);
    ctx.lineTo(x1, y1);
    ctx.stroke();
    ctx.setLineDash([]);
    ctx.lineWidth = 1;
  }
}

/** When an order stood where it is drawn, [from, to] in ms, or null for one that never rested. A
 * stop or target that the broker held is drawn from its position's start, or its last move. */
function restOf(data, i) {
  const o = data.tables.order;
  const type = data.enums.order_type[o.type[i]];
  if (type === "MARKET" || !o.price[i]) return null;
  const to = Number.isFinite(o.done_ns[i]) ? o.done_ns[i] : data.to;
  if (type === "LIMIT") {
    const from = Number.isFinite(o.active_ns[i]) ? o.active_ns[i] : o.ts_ns[i];
    return [from, Math.max(from, to)];
  }
  const trade = data.tradeById.get(o.position_id[i]);
  let from = trade ? trade.open : o.ts_ns[i];
  if (type === "STOP") {
    for (const t of data.stopMoves) if (t > from && t < to) from = t;
  }
  return [from, to];
}

function drawOrders(ctx, c, data, scale) {
  const o = data.tables.order;
  for (let i = 0; i < o.length; i += 1) {
    const rest = data.rests[i];
    if (!rest || rest[1] < scale.t0 || rest[0] > scale.t1) continue;
    const type = data.enums.order_type[o.type[i]];
    const y = scale.y(o.price[i]);
    if (y < scale.top || y > scale.bottom) continue;
    const x0 = Math.max(scale.left, scale.x(rest[0]));
    const x1 = Math.min(scale.right, Math.max(scale.x(rest[1]), x0 + 3));
    const colour = type === "STOP" ? c.bear : type === "TARGET" ? c.bull
      : o.side[i] > 0 ? c.bull : c.bear;
    horizontal(ctx, y, x0, x1, colour, type === "LIMIT" ? [] : [6, 3]);
    vertical(ctx, x0, y - 3, y + 4, colour);
    if (x1 - x0 > 22) text(ctx, type[0], x0 + 4, y - 7, colour, "left", SMALL);
  }
}

/** Dots at fills of which there are so many that triangles would hide the candles. */
function drawDots(ctx, c, f, from, to, scale) {
  ctx.globalAlpha = 0.7;
  for (let i = from; i < to; i += 1) {
    const y = scale.y(f.price[i]);
    ctx.fillStyle = f.side[i] > 0 ? c.bull : c.bear;
    ctx.fillRect(scale.x(f.ts_ns[i]) - 1, y - 1 + f.side[i] * 4, 2, 2);
  }
  ctx.globalAlpha = 1;
}

/** Triangles at fills: up for bought, down for sold; full for entries, hollow for exits. */
function drawFills(ctx, c, data, scale) {
  const f = data.tables.fill;
  const from = lowerBound(f.ts_ns, scale.t0);
  const to = lowerBound(f.ts_ns, scale.t1);
  const room = (scale.right - scale.left) / (to - from); // smaller where they crowd
  if (room < CROWD_PX) {
    drawDots(ctx, c, f, from, to, scale);
    return;
  }
  const size = room < 11 ? 4 : 6;
  for (let i = from; i < to; i += 1) {
    const y = scale.y(f.price[i]);
    if (y < scale.top || y > scale.bottom) continue;
    const x = scale.x(f.ts_ns[i]);
    const side = f.side[i];
    const trade = data.tradeById.get(f.position_id[i]);
    const colour = side > 0 ? c.bull : c.bear;
    ctx.beginPath();
    ctx.moveTo(x, y + side);
    ctx.lineTo(x - size, y + side * (size + 6));
    ctx.lineTo(x + size, y + side * (size + 6));
    ctx.closePath();
    ctx.fillStyle = !trade || trade.side === side ? colour : c.bg;
    ctx.fill();
    ctx.lineWidth = 2.5;
    ctx.strokeStyle = c.bg;
    ctx.stroke();
    ctx.lineWidth = 1.5;
    ctx.strokeStyle = colour;
    ctx.stroke();
    ctx.lineWidth = 1;
  }
}

/** One mark a decision, the most telling where several share a pixel: acted, blocked, nothing. */
function drawDecisions(ctx, c, data, scale, y) {
  const d = data.tables.decision;
  const from = Math.max(0, lowerBound(d.ts_ns, scale.t0));
  const to = lowerBound(d.ts_ns, scale.t1);
  const wide = Math.max(1, Math.min(8, scale.perMs * data.step * 0.6));
  let [last, rank] = [NaN, -1];
  for (let i = from; i < to; i += 1) {
    const x = Math.floor(scale.x(d.ts_ns[i]) - wide / 2);
    const now = d.action[i] ? 2 : d.direction[i] ? 1 : 0;
    if (x === last && now <= rank) continue;
    [last, rank] = [x, now];
    const name = data.enums.action[d.action[i]];
    const up = now === 2 ? name === "ENTER_LONG" : d.direction[i] > 0;
    const plain = now === 0 || (now === 2 && !name.startsWith("ENTER"));
    ctx.globalAlpha = now === 2 ? 1 : now === 1 ? 0.55 : 0.25;
    ctx.fillStyle = plain ? (now ? c.accent : c.dim) : up ? c.bull : c.bear;
    const height = now === 2 ? STRIP_PX : now === 1 ? STRIP_PX - 4 : 2;
    ctx.fillRect(x, y + STRIP_PX - height, wide, height);
  }
  ctx.globalAlpha = 1;
}

/** What lies under (px, py) of the price pane: {kind, index}, nearest first, or null. */
function markAt(data, scale, px, py, strip) {
  const f = data.tables.fill;
  let [best, found] = [13, null];
  const near = 16 / scale.perMs;
  const time = scale.t(px);
  if (py < strip.y - 2) {
    for (let i = lowerBound(f.ts_ns, time - near); i < f.length && f.ts_ns[i] <= time + near; i += 1) {
      const y = scale.y(f.price[i]) + f.side[i] * 7;
      const away = Math.hypot(scale.x(f.ts_ns[i]) - px, y - py);
      if (away < best) [best, found] = [away, { kind: "fill", index: i }];
    }
    if (found) return found;
    const o = data.tables.order;
    for (let i = 0; i < o.length; i += 1) {
      const rest = data.rests[i];
      if (!rest || time < rest[0] - near / 4 || time > rest[1] + near / 4) continue;
      if (Math.abs(scale.y(o.price[i]) - py) < 5) return { kind: "order", index: i };
    }
    const gap = data.gaps.findIndex((g) => !g.filled && g.from <= time && time <= g.to);
    return gap < 0 ? null : { kind: "gap", index: gap };
  }
  if (py > strip.y + STRIP_PX + 2) return null;
  const d = data.tables.decision;
  const [a, b] = [lowerBound(d.ts_ns, time - near / 2), lowerBound(d.ts_ns, time + near / 2)];
  let rank = -1;
  for (let i = a; i < b; i += 1) {
    const value = (d.action[i] ? 2 : d.direction[i] ? 1 : 0) -
      Math.abs(d.ts_ns[i] - time) / (near + 1) / 2;
    if (value > rank) [rank, found] = [value, { kind: "decision", index: i }];
  }
  return found;
}
