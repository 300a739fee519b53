// Candles of any width out of the finest ones, price rows, volume profiles: sums, no drawing.

const WIDTHS_MS = [15e3, 60e3, 300e3, 900e3, 3600e3, 4 * 3600e3, 86400e3];
const IMBALANCE = 3; // 300 % of the volume at the adjacent price, diagonally

/** "15s", "1m", "4h" of milliseconds. */
function widthName(ms) {
  if (ms % 86400e3 === 0) return `${ms / 86400e3}d`;
  if (ms % 3600e3 === 0) return `${ms / 3600e3}h`;
  if (ms % 60e3 === 0) return `${ms / 60e3}m`;
  return `${ms / 1e3}s`;
}

/** One stored level: candles of one width in order of time, with their price rows. */
function readLevel(columns, n, meta) {
  const level = { span: meta.span_us / 1000, rowUnits: meta.row_units, windows: [], made: new Map() };
  for (const part of ["slot", "open", "high", "low", "close", "volume", "buy", "sell", "trades",
    "gap", "delta_min", "delta_max", "rows", "row", "cell_sell", "cell_unknown", "cell_buy"]) {
    level[part] = columns.get(`level${n}.${part}`) || EMPTY;
  }
  level.windows = meta.windows.map(([a, b]) => [a / 1000, b / 1000]);
  const count = level.slot.length;
  level.rowStop = new Int32Array(count + 1);
  for (let i = 0; i < count; i += 1) {
    level.high[i] += level.open[i];
    level.low[i] = level.open[i] - level.low[i];
    level.close[i] += level.open[i];
    level.rowStop[i + 1] = level.rowStop[i] + level.rows[i];
  }
  return level;
}

/** Running delta before each candle of `level`, from 0 at each session's start (whole lengths since
 * the epoch plus the offset, as the engine has it; `session.t0` is the epoch time of t = 0). A level
 * that has holes takes the sum at the start of a wide candle from `wide`. */
function addCvd(level, session, wide) {
  const count = level.slot.length;
  level.cvdBefore = new Float64Array(count);
  let sum = 0;
  let last = -1;
  for (let i = 0; i < count; i += 1) {
    const t = level.slot[i] * level.span;
    if (wide) {
      const slot = Math.floor(t / wide.span);
      if (slot !== last) {
        const j = lowerBound(wide.slot, slot);
        if (j < wide.slot.length && wide.slot[j] === slot) sum = wide.cvdBefore[j];
        last = slot;
      }
    } else {
      const now = Math.floor((session.t0 + t - session.offset) / session.length);
      if (now !== last) sum = 0;
      last = now;
    }
    level.cvdBefore[i] = sum;
    sum += level.buy[i] - level.sell[i];
  }
}

/** Candles of `width` ms (a multiple of the level's) as columns, kept for the next time. */
function candlesOf(level, width) {
  const kept = level.made.get(width);
  if (kept) return kept;
  const by = Math.round(width / level.span);
  const starts = [];
  let last = NaN;
  for (let i = 0; i < level.slot.length; i += 1) {
    const slot = Math.floor(level.slot[i] / by);
    if (slot !== last) starts.push(i);
    last = slot;
  }
  const n = starts.length;
  const set = { width, level, n, first: Int32Array.from([...starts, level.slot.length]) };
  for (const name of ["t", "open", "high", "low", "close", "volume", "buy", "sell", "trades", "gap",
    "cvdOpen", "cvdClose", "cvdHigh", "cvdLow"]) set[name] = new Float64Array(n);
  for (let k = 0; k < n; k += 1) addUp(level, set, k, by);
  level.made.set(width, set);
  return set;
}

function addUp(level, set, k, by) {
  const [i0, i1] = [set.first[k], set.first[k + 1]];
  set.t[k] = Math.floor(level.slot[i0] / by) * set.width;
  set.open[k] = level.open[i0];
  set.close[k] = level.close[i1 - 1];
  set.cvdOpen[k] = level.cvdBefore[i0];
  set.cvdClose[k] = level.cvdBefore[i1 - 1] + level.buy[i1 - 1] - level.sell[i1 - 1];
  let [high, low, top, bottom] = [-Infinity, Infinity, -Infinity, Infinity];
  for (let i = i0; i < i1; i += 1) {
    high = Math.max(high, level.high[i]);
    low = Math.min(low, level.low[i]);
    top = Math.max(top, level.cvdBefore[i] + level.delta_max[i]);
    bottom = Math.min(bottom, level.cvdBefore[i] + level.delta_min[i]);
    for (const name of ["volume", "buy", "sell", "trades"]) set[name][k] += level[name][i];
    if (level.gap[i]) set.gap[k] = 1;
  }
  set.high[k] = high;
  set.low[k] = low;
  set.cvdHigh[k] = Math.max(top, set.cvdOpen[k], set.cvdClose[k]);
  set.cvdLow[k] = Math.min(bottom, set.cvdOpen[k], set.cvdClose[k]);
}

const GROUPS_KEPT = 8;

/** The stored row of every cell divided by `by`; the last few divisors are kept. */
function groupedRows(level, by) {
  if (by === 1) return level.row;
  level.groups ||= new Map();
  const kept = level.groups.get(by);
  if (kept) return kept;
  if (level.groups.size >= GROUPS_KEPT) level.groups.delete(level.groups.keys().next().value);
  const inverse = 1 / by;
  const made = Int32Array.from(level.row, (row) => Math.floor((row + 0.5) * inverse));
  level.groups.set(by, made);
  return made;
}

/** Price rows of the finest candles [i0, i1), `by` stored rows high: {low, sell, unknown, buy,
 * total}, where index 0 is row `low`; null where there are none. Rows in between are present, with
 * 0, so that neighbours in the arrays are neighbours in price. */
function rowsOf(level, i0, i1, by) {
  const [from, to] = [level.rowStop[i0], level.rowStop[i1]];
  if (from === to) return null;
  let low = Infinity;
  let high = -Infinity;
  for (let i = i0; i < i1; i += 1) {
    if (level.rowStop[i] === level.rowStop[i + 1]) continue;
    low = Math.min(low, level.row[level.rowStop[i]]);
    high = Math.max(high, level.row[level.rowStop[i + 1] - 1]);
  }
  low = Math.floor(low / by);
  const n = Math.floor(high / by) - low + 1;
  const rows = { low, n, by, sell: new Float64Array(n), unknown: new Float64Array(n),
    buy: new Float64Array(n), total: new Float64Array(n) };
  const grouped = groupedRows(level, by);
  for (let x = from; x < to; x += 1) {
    const r = grouped[x] - low;
    rows.sell[r] += level.cell_sell[x];
    rows.unknown[r] += level.cell_unknown[x];
    rows.buy[r] += level.cell_buy[x];
  }
  for (let r = 0; r < n; r += 1) rows.total[r] = rows.sell[r] + rows.unknown[r] + rows.buy[r];
  return rows;
}

/** Point of control and value area as row indices, by the kernel's own rule: the row of most volume
 * (the upper on a tie), then row by row the larger neighbour (tie: the nearer, then the upper). */
function valueArea(total) {
  let poc = 0;
  let sum = 0;
  for (let r = 0; r < total.length; r += 1) {
    sum += total[r];
    if (total[r] >= total[poc]) poc = r;
  }
  let [low, high, inside] = [poc, poc, total[poc]];
  const wanted = Math.ceil((sum * 7) / 10); // 70 %, exact in integers
  while (inside < wanted && (low > 0 || high < total.length - 1)) {
    const up = high < total.length - 1 ? total[high + 1] : -1;
    const down = low > 0 ? total[low - 1] : -1;
    if (up > down || (up === down && high + 1 - poc <= poc - (low - 1))) {
      high += 1;
      inside += up;
    } else {
      low -= 1;
      inside += down;
    }
  }
  return { poc, low, high, sum };
}

/** Diagonal imbalances: `buy[r]` is 1 where buying at row r is at least 300 % of the selling one row
 * below, `sell[r]` where selling is at least 300 % of the buying one row above. Neighbours are
 * adjacent prices, traded or not; quantities below the candle's mean cell do not count. */
function imbalances(rows) {
  const found = { buy: new Uint8Array(rows.n), sell: new Uint8Array(rows.n) };
  let sum = 0;
  let cells = 0;
  for (let r = 0; r < rows.n; r += 1) {
    sum += rows.buy[r] + rows.sell[r];
    cells += (rows.buy[r] > 0) + (rows.sell[r] > 0);
  }
  const least = cells ? sum / cells : 0;
  for (let r = 0; r < rows.n; r += 1) {
    const [buy, sell] = [rows.buy[r], rows.sell[r]];
    if (r > 0 && buy > 0 && buy >= least && buy >= IMBALANCE * rows.sell[r - 1]) found.buy[r] = 1;
    if (r < rows.n - 1 && sell > 0 && sell >= least && sell >= IMBALANCE * rows.buy[r + 1]) {
      found.sell[r] = 1;
    }
  }
  return found;
}

/** Mean log imbalance of the book by candle of `width`: {t, value}, sorted by time. */
function bookOf(columns, span, width) {
  const [slot, sum, n] = ["slot", "sum", "n"].map((p) => columns.get(`book.${p}`) || EMPTY);
  const by = Math.max(1, Math.round(width / span));
  const t = [];
  const value = [];
  let [total, count, last] = [0, 0, NaN];
  const put = () => {
    if (count) {
      t.push(last * by * span);
      value.push(total / count / 1e4);
    }
  };
  for (let i = 0; i < slot.length; i += 1) {
    const now = Math.floor(slot[i] / by);
    if (now !== last) {
      put();
      [total, count, last] = [0, 0, now];
    }
    total += sum[i];
    count += n[i];
  }
  put();
  return { t: Float64Array.from(t), value: Float64Array.from(value), width: by * span };
}
