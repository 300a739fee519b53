// Reads the packed columns of engine/report/encode.py: base64 -> inflate -> zigzag varints.

const EMPTY = new Float64Array(0);

/** Bytes of base64 `text`. */
function fromBase64(text) {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i += 1) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

/** Undo deflate (zlib form); throws with a sentence for people where the browser cannot. */
async function inflate(bytes) {
  if (typeof DecompressionStream === "undefined") {
    throw new Error(
      "This browser is too old to unpack the report (it lacks DecompressionStream). " +
        "Chrome or Edge 80, Firefox 113, Safari 16.4 and everything newer can.",
    );
  }
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Columns by name as Float64Array; `columns[name]` is [values, 1 where differenced, divisor]. */
function readColumns(bytes, columns) {
  const found = new Map();
  let at = 0;
  for (const [name, [count, delta, divisor]] of Object.entries(columns)) {
    const values = new Float64Array(count);
    let last = 0;
    for (let i = 0; i < count; i += 1) {
      const first = bytes[at];
      let z = 0;
      let unit = 1;
      let byte;
      do {
        byte = bytes[at];
        at += 1;
        z += (byte & 127) * unit;
        unit *= 128;
      } while (byte > 127);
      const value = first & 1 ? -(z + 1) / 2 : z / 2;
      last = delta ? last + value : value;
      values[i] = divisor === 1 ? last : last * divisor;
    }
    found.set(name, values);
  }
  return found;
}

/** The record table `name` as columns: {length, ts_ns: [...], ...}; times in ms, none is NaN. */
function readTable(columns, name) {
  const table = { length: 0 };
  for (const [key, values] of columns) {
    if (!key.startsWith(`${name}.`)) continue;
    const field = key.slice(name.length + 1);
    table[field] = values;
    table.length = values.length;
    if (field.endsWith("_ns")) {
      for (let i = 0; i < values.length; i += 1) values[i] = values[i] < 0 ? NaN : values[i] / 1000;
    }
  }
  return table;
}

/** First index of rising `values` that is not below `x`. */
function lowerBound(values, x, from = 0, to = values.length) {
  let low = from;
  let high = to;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] < x) low = middle + 1;
    else high = middle;
  }
  return low;
}
