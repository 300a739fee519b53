"""Rows of a file that a mapping describes: blocks of lines in, chunks of one kind out.

Owns the reading of such a file, block by block, in bounded memory. A column is converted at once
for all rows; a row at fault is marked with the first thing that is wrong with it and leaves the
others alone. What must hold: no input raises; a line becomes an event, is counted as skipped, or
stands among the rejects with its reason; the result does not depend on where blocks end (but for
numbers so long that no common scale holds them: of a block, the fewer are rejected).

It refuses to know which format a file is and where the rows go.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from data.events import EVENTS, Kind, Scales
from data.ids import opaque_ids
from data.sources.chunks import Chunk, Column, shrink, take
from data.sources.decimals import INT64_MAX, grow
from data.sources.mapping import INTEGERS, LEVELS_MAX, MAKER_SIDES, PRICES, WORDS, Mapping
from data.sources.mapping_fields import Fields, split
from data.sources.mapping_numbers import EMPTY, OK, OVERFLOW, REASON, Decimals, decimals, words
from data.sources.mapping_times import NO_TIME, UNITS, Times, epoch, written
from data.sources.mapping_zones import Clock
from data.sources.rejects import Rejects
from data.sources.row_checks import problems

SINCE_NS = 365 * 86_400 * 1_000_000_000
"""1971: before it no market floated. Epochs in a wrong unit fall before it."""

_BOM = b"\xef\xbb\xbf"
_NAME_MAX = 30


class _Rows:
    """The rows of one block while they are read; ``why`` keeps the first fault of each, ``ts_ns``
    its time."""

    def __init__(self, fields: Fields) -> None:
        self.fields = fields
        self.bad = np.zeros(len(fields), dtype=bool)
        self.skipped = np.zeros(len(fields), dtype=bool)
        self.why: dict[int, str] = {}
        self.ts_ns = np.zeros(len(fields), dtype=np.int64)

    def reject(self, rows: np.ndarray, reason: str) -> None:
        for row in np.flatnonzero(rows & ~self.bad & ~self.skipped):
            self.why[int(row)] = reason
        self.bad |= rows & ~self.skipped

    def check(self, numbers: Decimals, *, may_be_empty: bool = False) -> None:
        """Mark the rows whose cell is no number."""
        for state, reason in REASON.items():
            if not (state == EMPTY and may_be_empty):
                self.reject(numbers.state == state, reason)

    @property
    def good(self) -> np.ndarray:
        return ~(self.bad | self.skipped)


class MappingParser:
    """Reads one file by ``mapping``; give it the blocks of the file in order.

    ``lines`` counts the lines read, ``rows`` the events among them, ``skipped`` those that carry no
    event, by words; ``clock`` the rows in doubled and skipped hours.
    """

    def __init__(self, mapping: Mapping, rejects: Rejects) -> None:
        self.mapping = mapping
        self.rejects = rejects
        self.lines = 0
        self.rows = 0
        self.skipped: Counter[str] = Counter()
        self.clock = Clock(mapping.time.zone)
        self._carried: dict[str, tuple[int, int, int]] = {}  # value, scale, time

    def parse(self, block: bytes) -> list[tuple[str, Chunk]]:
        """(symbol, rows) of a block of whole lines, in file order; the symbol is empty where the
        file does not carry one in each row."""
        block = self._without_header(block)
        if not block:
            return []
        m = self.mapping
        fields, odd, count = split(block, self.lines + 1, m.separator, m.columns, m.least)
        self.lines += count
        rows = _Rows(fields)
        ts_ns = rows.ts_ns = self._times(rows)
        columns, scales = _BUILD[m.kind](self, rows)
        columns = self._whole(columns, ts_ns, len(fields))
        for reason, mask in problems(m.kind, _scalars(columns), SINCE_NS):
            rows.reject(mask, reason)
        self._tell_rejects(rows, odd)
        self.rows += int(rows.good.sum())
        chunk = Chunk(m.kind, columns, scales, fields.lines)
        return self._by_symbol(rows, chunk)

    def _without_header(self, block: bytes) -> bytes:
        if not self.lines:
            block = block.removeprefix(_BOM)
        while self.lines < self.mapping.header_lines and block:
            end = block.find(b"\n") + 1
            block = block[end:] if end else b""
            self.lines += 1
        return block

    def _times(self, rows: _Rows) -> np.ndarray:
        """Exchange times int64[rows] in ns UTC; 0 where a row has none."""
        form = self.mapping.time
        times = read_times(rows.fields, self.mapping)
        rows.reject(times.state != OK, "time_text")
        zoned = np.zeros(len(times.ns), dtype=bool) if form.wall else times.zoned
        ns = times.ns - np.where(zoned, times.zone_s * 1_000_000_000, 0)
        on_clock = np.flatnonzero(rows.good & ~zoned)
        found = self.clock.to_utc(ns[on_clock])
        ns[on_clock] = found.utc_ns
        skipped = np.zeros(len(ns), dtype=bool)
        skipped[on_clock] = found.skipped
        rows.reject(skipped, "skipped_hour")
        return np.where(rows.good, ns, 0)

    def _whole(self, own: dict[str, Column], time_ns: np.ndarray, rows: int) -> dict[str, Column]:
        """Every column of the kind in its stored type; what is not known is 0."""
        m = self.mapping
        own["ts_ns"] = time_ns
        if m.kind == Kind.BAR:
            opened = time_ns - m.interval_ns if m.close_time else time_ns
            own["open_ns"] = np.where(time_ns > 0, opened, 0)
            own["interval_ns"] = np.full(rows, m.interval_ns, dtype=np.int64)
            own["ts_ns"] = np.where(time_ns > 0, opened + m.interval_ns, 0)
        out: dict[str, Column] = {}
        for field in EVENTS[m.kind].fields:
            column = own.get(field.name, np.zeros(rows, dtype=np.int64))
            out[field.name] = (
                column if isinstance(column, tuple) else column.astype(field.dtype, copy=False)
            )
        return out

    def _tell_rejects(self, rows: _Rows, odd: list[tuple[int, bytes]]) -> None:
        found = [(line, "columns", raw) for line, raw in odd]
        found += [
            (int(rows.fields.lines[i]), why, rows.fields.raw(i)) for i, why in rows.why.items()
        ]
        for line, reason, raw in sorted(found):
            self.rejects.add(line, reason, raw)

    def _by_symbol(self, rows: _Rows, chunk: Chunk) -> list[tuple[str, Chunk]]:
        column = self.mapping.symbol_column
        if column < 0:
            kept = take(chunk, rows.good)
            return [("", shrink(kept))] if len(kept) else []
        names, index = words(rows.fields, column)
        out = []
        for i, name in enumerate(names):
            kept = take(chunk, rows.good & (index == i))
            if len(kept):
                out.append((symbol_name(name), shrink(kept)))
        return out

    # What each kind is made of. All numbers of a row that is at fault are 0.

    def _numbers(self, rows: _Rows, role: str, *, optional: bool = False) -> list[Decimals]:
        """The columns of a role; one of zeros where an optional one is not mapped."""
        m = self.mapping
        unit = "price" if role in PRICES else "qty"
        whole = role in INTEGERS
        found = []
        for column in m.roles.get(role, ()):
            shift = 0 if whole else m.shift.get(unit, 0)
            places = None if whole else m.places.get(unit)
            one = decimals(rows.fields, column, m.decimal, shift, places, exact=role == "id")
            rows.check(one, may_be_empty=optional)
            found.append(one)
        if not found:
            found.append(_zeros(len(rows.fields)))
        return found

    def _integers(self, rows: _Rows, role: str) -> np.ndarray:
        (one,) = self._numbers(rows, role, optional=True)
        whole, rest = np.divmod(one.values, 10**one.scale)
        rows.reject(rest != 0, "number")
        return whole

    def _ids(self, rows: _Rows) -> np.ndarray:
        """Trade ids: numbers, or texts that become opaque ones."""
        if "id_text" not in self.mapping.roles:
            return self._integers(rows, "id")
        fields, column = rows.fields, self.mapping.roles["id_text"][0]
        width = np.diff([fields.starts[:, column], fields.ends[:, column]], axis=0)[0]
        if len(width) and (width == width[0]).all():
            cells = fields.matrix(np.arange(len(fields)), column, int(width[0])).ravel()
        else:
            texts = [fields.text(row, column).encode() for row in range(len(fields))]
            cells = np.frombuffer(b"".join(texts), dtype=np.uint8)
            width = np.array([len(t) for t in texts], dtype=np.int64)
        return opaque_ids(cells, np.concatenate([[0], np.cumsum(width)]))

    def _trade(self, rows: _Rows) -> tuple[dict[str, Column], Scales]:
        (price,), (qty,) = self._numbers(rows, "price"), self._numbers(rows, "qty")
        side = np.zeros(len(rows.fields), dtype=np.int64)
        for role in WORDS & set(self.mapping.roles):
            known = self.mapping.sides if role == "side" else MAKER_SIDES
            texts, index = words(rows.fields, self.mapping.roles[role][0])
            side = np.array([known.get(t.lower(), 0) for t in texts], dtype=np.int64)[index]
            rows.reject(side == 0, "side")
        own: dict[str, Column] = {"price": price.values, "qty": qty.values, "side": side}
        own["id"] = self._ids(rows)
        return own, Scales(price.scale, qty.scale)

    def _quote(self, rows: _Rows) -> tuple[dict[str, Column], Scales]:
        m = self.mapping
        (bid,) = self._numbers(rows, "bid", optional=m.carry)
        (ask,) = self._numbers(rows, "ask", optional=m.carry)
        if m.carry:
            self._carry(rows, {"bid": bid, "ask": ask})
        prices, price_scale = _level(rows, [bid, ask])
        sizes = [self._numbers(rows, r, optional=True)[0] for r in ("bid_qty", "ask_qty")]
        qtys, qty_scale = _level(rows, sizes)
        own: dict[str, Column] = dict(zip(("bid", "ask"), prices, strict=True))
        own |= dict(zip(("bid_qty", "ask_qty"), qtys, strict=True))
        own["id"] = self._integers(rows, "id")
        return own, Scales(price_scale, qty_scale)

    def _carry(self, rows: _Rows, sides: dict[str, Decimals]) -> None:
        """Fill empty cells with the last value of their side; a row at fault passes nothing on, and
        no row passes anything on to an earlier time (an export may run backwards)."""
        for one in sides.values():
            rows.reject((one.state == OK) & (one.values <= 0), "price")
        silent = np.logical_and.reduce([one.state == EMPTY for one in sides.values()])
        self._skip(rows, silent, "neither bid nor ask changed")
        for name, one in sides.items():
            known = (one.state == OK) & rows.good
            value, scale, since_ns = self._carried.get(name, (0, 0, 0))
            if scale > one.scale and _fits(one.values, scale - one.scale):
                one.values, one.scale = grow(one.values, scale - one.scale), scale
            seed = value * 10 ** max(one.scale - scale, 0)
            seed = seed if scale <= one.scale and abs(seed) <= INT64_MAX else 0
            last = np.maximum.accumulate(np.where(known, np.arange(len(known)), -1))
            there = np.maximum(last, 0)
            filled = np.where(last >= 0, one.values[there], seed)
            filled[np.where(last >= 0, rows.ts_ns[there], since_ns) > rows.ts_ns] = 0
            one.values = np.where(one.state == EMPTY, filled, one.values)
            one.state = np.where((one.state == EMPTY) & (filled > 0), OK, one.state).astype(np.int8)
            if len(known) and last[-1] >= 0:
                stop = int(last[-1])
                self._carried[name] = int(one.values[stop]), one.scale, int(rows.ts_ns[stop])
        open_ = np.logical_or.reduce([one.state == EMPTY for one in sides.values()])
        self._skip(rows, open_, "the other side is not known yet")

    def _skip(self, rows: _Rows, mask: np.ndarray, why: str) -> None:
        mask = mask & rows.good
        rows.skipped |= mask
        if mask.any():
            self.skipped[why] += int(mask.sum())

    def _bar(self, rows: _Rows) -> tuple[dict[str, Column], Scales]:
        names = ("open", "high", "low", "close")
        prices, price_scale = _level(rows, [self._numbers(rows, name)[0] for name in names])
        sums = ("volume", "buy_volume")
        given = [self._numbers(rows, name, optional=True)[0] for name in sums]
        qtys, qty_scale = _level(rows, given)
        own: dict[str, Column] = dict(zip(names, prices, strict=True))
        own |= dict(zip(sums, qtys, strict=True))
        own["trades"] = self._integers(rows, "trades")
        return own, Scales(price_scale, qty_scale)

    def _depth(self, rows: _Rows) -> tuple[dict[str, Column], Scales]:
        roles = ("bid_price", "ask_price", "bid_qty", "ask_qty")
        found = {r: self._numbers(rows, r, optional=True)[:LEVELS_MAX] for r in roles}
        count = len(found["bid_price"])
        prices, price_scale = _level(rows, found["bid_price"] + found["ask_price"])
        qtys, qty_scale = _level(rows, found["bid_qty"] + found["ask_qty"])
        own: dict[str, Column] = {"id": self._integers(rows, "id")}
        bests: list[np.ndarray] = []
        for side, sign in (("bid", -1), ("ask", 1)):
            here = slice(0, count) if side == "bid" else slice(count, None)
            price, qty = np.stack(prices[here], axis=1), np.stack(qtys[here], axis=1)
            there = np.logical_and.accumulate((price > 0) & (qty > 0), axis=1)
            rows.reject(((price != 0) & (qty != 0) & ~there).any(axis=1), "levels")
            worse = (np.diff(price, axis=1) * sign > 0) | ~there[:, 1:]
            rows.reject(np.asarray(~worse.all(axis=1)), "levels")
            offsets = np.concatenate([[0], np.cumsum(there.sum(axis=1))]).astype(np.int64)
            own[f"{side}_price"], own[f"{side}_qty"] = (
                (price[there], offsets),
                (qty[there], offsets),
            )
            bests.append(np.where(there[:, 0], price[:, 0], 0))
        bid, ask = bests
        rows.reject((bid == 0) | (ask == 0) | (bid >= ask), "levels")
        return own, Scales(price_scale, qty_scale)


_BUILD = {
    Kind.TRADE: MappingParser._trade,
    Kind.QUOTE: MappingParser._quote,
    Kind.BAR: MappingParser._bar,
    Kind.DEPTH: MappingParser._depth,
}


def read_times(fields: Fields, mapping: Mapping) -> Times:
    """The wall-clock times of rows, before any zone is applied."""
    form = mapping.time
    if form.unit == "text":
        return written(fields, form.columns, form.order)
    # one time with many decimals must not raise the scale until the others do not fit
    most = len(str(UNITS[form.unit])) - 1
    numbers = decimals(fields, form.columns[0], mapping.decimal, most=most, exact=True)
    times = epoch(numbers, form.unit, form.base_ns)
    if form.span_ns:
        since_ns = times.ns - form.base_ns
        outside = (since_ns < 0) | (since_ns >= form.span_ns)
        times.state[outside & (times.state == OK)] = NO_TIME
    return times


def symbol_name(text: str) -> str:
    """A symbol as the log writes it: capitals, no separators; ``BTC/USDT`` is BTCUSDT."""
    kept = "".join(c for c in text.upper() if c.isascii() and (c.isalnum() or c in "._-"))
    return kept.strip("._-")[:_NAME_MAX] or "UNNAMED"


def _zeros(rows: int) -> Decimals:
    return Decimals(np.zeros(rows, dtype=np.int64), 0, np.full(rows, EMPTY, dtype=np.int8))


def _scalars(columns: dict[str, Column]) -> dict[str, np.ndarray]:
    return {name: c for name, c in columns.items() if not isinstance(c, tuple)}


def _fits(values: np.ndarray, by: int) -> bool:
    return not len(values) or int(np.abs(values).max()) <= INT64_MAX // 10**by


def _level(rows: _Rows, numbers: list[Decimals]) -> tuple[list[np.ndarray], int]:
    """Columns brought to the largest of their scales; rows that do not fit it are rejected."""
    top = max(one.scale for one in numbers)
    out = []
    for one in numbers:
        large = np.abs(one.values) > INT64_MAX // 10 ** (top - one.scale)
        one.state[large] = OVERFLOW
        rows.reject(large, "overflow")
        out.append(grow(np.where(large | rows.bad, 0, one.values), top - one.scale))
    return out, top
