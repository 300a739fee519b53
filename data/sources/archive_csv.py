"""Archive CSV to rows: fast where a block is clean, line by line where it is not.

Owns the parsing of one CSV file of a known layout, block by block. Arrow's CSV reader converts a
clean block in one go, decimals exactly; a block that it refuses is halved until the lines at fault
stand alone, and those are read one by one and rejected with a reason. What must hold: both ways
accept the same texts with the same values, and no input raises anything else.

It refuses to know which symbol or venue it reads, and where the rows go.
"""

from __future__ import annotations

import numpy as np

from data.events import EVENTS, Kind, Scales
from data.sources.archive_layouts import BOOL_ROLES, DECIMAL_ROLES, INT_ROLES, Layout
from data.sources.chunks import Chunk, shrink, take
from data.sources.decimals import (
    INT64_MAX,
    SCALE_MAX,
    NumberError,
    PrecisionError,
    from_decimal128,
    grow,
    pack,
    to_fixed,
)
from data.sources.rejects import RejectedError, Rejects
from data.sources.row_checks import MS_LIMIT, first_reasons, problems, venue_time_ns

_LEAF_LINES = 32
"""A refused block of at most this many lines is read line by line."""

_BOM = b"\xef\xbb\xbf"
_SIDES = {"buy": 1, "sell": -1}
_BOOLS = {"true": 1, "false": 0}

Values = dict[str, np.ndarray | tuple[np.ndarray, int]]
"""Role -> int64 array, or (int64 array, scale) for decimals."""


class ArchiveParser:
    """Parses one CSV file of ``layout``; give it the blocks of the file in order.

    Rejected lines go to ``rejects``. ``lines`` is the number of lines read so far.
    """

    def __init__(self, layout: Layout, has_header: bool, rejects: Rejects) -> None:
        self.layout = layout
        self.rejects = rejects
        self.lines = 0
        self._skip_header = has_header

    def parse(self, block: bytes) -> list[Chunk]:
        """Rows of one block of whole lines, in file order; each chunk at its smallest scale."""
        if not self.lines:
            block = block.removeprefix(_BOM)
        if b"\r" in block:
            block = block.replace(b"\r\n", b"\n")
        if self._skip_header:
            block = block[block.find(b"\n") + 1 :] if b"\n" in block else b""
            self._skip_header = False
            self.lines += 1
        first = self.lines + 1
        self.lines += _count_lines(block)
        return self._halve(block, first) if block else []

    def _halve(self, block: bytes, first: int) -> list[Chunk]:
        """Parse a block whose first line has number ``first``; halve it where that fails."""
        count = _count_lines(block)
        values = _parse_clean(block, count, self.layout)
        if values is not None:
            lines = np.arange(first, first + count, dtype=np.int64)
            chunk = self._to_chunk(values, lines, block)
            if chunk is not None:
                return [chunk] if len(chunk) else []
        if count <= _LEAF_LINES:
            return self._line_by_line(block, first)
        middle = block.find(b"\n", len(block) // 2) + 1
        if middle in (0, len(block)):
            middle = block.rfind(b"\n", 0, len(block) // 2) + 1
        if middle in (0, len(block)):
            return self._line_by_line(block, first)
        left, right = block[:middle], block[middle:]
        return self._halve(left, first) + self._halve(right, first + _count_lines(left))

    def _line_by_line(self, block: bytes, first: int) -> list[Chunk]:
        chunks = []
        lines = block.split(b"\n")
        if not lines[-1]:
            lines.pop()
        for number, raw in enumerate(lines, start=first):
            if not raw.strip():
                continue  # an empty line says nothing and holds nothing
            try:
                values = _parse_line(raw, self.layout)
                chunk = self._to_chunk(values, np.array([number], dtype=np.int64), raw)
                if chunk is None:
                    raise RejectedError("overflow")
            except RejectedError as error:
                self.rejects.add(number, error.reason, raw)
                continue
            chunks.append(chunk)
        return [c for c in chunks if len(c)]

    def _to_chunk(self, values: Values, lines: np.ndarray, block: bytes) -> Chunk | None:
        """The good rows of parsed ``values``; None when one scale cannot hold all of them."""
        try:
            columns, scales = _columns(self.layout.kind, values, len(lines))
        except OverflowError:
            return None
        found = problems(self.layout.kind, columns)
        tombstone = _ints(values, "first") == -1 if "first" in values else None
        good, bad = first_reasons(found, len(lines))
        if bad:
            texts = block.split(b"\n")
            for row, reason in bad:
                dead = tombstone is not None and tombstone[row]
                self.rejects.add(int(lines[row]), "tombstone" if dead else reason, texts[row])
        return _trimmed(self.layout.kind, columns, scales, lines, good)


def _trimmed(
    kind: Kind, columns: dict[str, np.ndarray], scales: Scales, lines: np.ndarray, good: np.ndarray
) -> Chunk:
    """The chunk of the ``good`` rows; a rejected row does not raise the scale of the others."""
    chunk = Chunk(kind, dict(columns), scales, lines)
    return chunk if good.all() else shrink(take(chunk, good))


def _count_lines(block: bytes) -> int:
    return block.count(b"\n") + (0 if block.endswith(b"\n") or not block else 1)


def _parse_clean(block: bytes, count: int, layout: Layout) -> Values | None:
    """All rows of a block at once; None when any line needs a closer look."""
    import pyarrow as pa
    import pyarrow.csv as pc

    # Arrow would skip empty lines, end lines at a lone \r and read 0x1F as a number.
    if b"\n\n" in block or block[:1] == b"\n" or b"\r" in block or b"x" in block or b"X" in block:
        return None
    names = [role or f"_{i}" for i, role in enumerate(layout.roles)]
    types = {role: _arrow_type(role) for role in layout.roles if role}
    try:
        table = pc.read_csv(
            pa.py_buffer(block),
            read_options=pc.ReadOptions(
                column_names=names, use_threads=False, block_size=len(block) + 1
            ),
            parse_options=pc.ParseOptions(quote_char=False),
            convert_options=pc.ConvertOptions(
                column_types=types,
                include_columns=list(types),
                null_values=[],
                true_values=["true", "True", "TRUE"],
                false_values=["false", "False", "FALSE"],
            ),
        )
    except pa.ArrowInvalid:
        return None
    if table.num_rows != count:
        return None
    try:
        return {role: _role_values(role, table[role]) for role in types}
    except (OverflowError, KeyError):
        return None


def _arrow_type(role: str):  # type: ignore[no-untyped-def]
    import pyarrow as pa

    if role in INT_ROLES:
        return pa.int64()
    if role in DECIMAL_ROLES:
        return pa.decimal128(38, SCALE_MAX)
    return pa.bool_() if role in BOOL_ROLES else pa.string()


def _role_values(role: str, column) -> np.ndarray | tuple[np.ndarray, int]:  # type: ignore[no-untyped-def]
    if role in DECIMAL_ROLES:
        return from_decimal128(column, SCALE_MAX)
    if role in INT_ROLES or role in BOOL_ROLES:
        return column.to_numpy().astype(np.int64, copy=False)
    return np.array([_SIDES[t.strip(" \t").lower()] for t in column.to_pylist()], dtype=np.int64)


def _parse_line(raw: bytes, layout: Layout) -> Values:
    """One row by hand; RejectedError with the reason."""
    cells = raw.decode("utf-8", "replace").split(",")
    if len(cells) != len(layout.roles):
        raise RejectedError("columns")
    values: Values = {}
    for role, cell in zip(layout.roles, cells, strict=True):
        if role:
            values[role] = _parse_cell(role, cell.strip(" \t"))
    return values


def _parse_cell(role: str, cell: str) -> np.ndarray | tuple[np.ndarray, int]:
    if role in DECIMAL_ROLES:
        try:
            return pack([to_fixed(cell, SCALE_MAX)], SCALE_MAX)
        except NumberError:
            raise RejectedError("number") from None
        except PrecisionError:
            raise RejectedError("precision") from None
        except OverflowError:
            raise RejectedError("overflow") from None
    if role in INT_ROLES:
        return np.array([_parse_int(cell)], dtype=np.int64)
    known = _BOOLS if role in BOOL_ROLES else _SIDES
    text = cell.lower()
    if text not in known:
        raise RejectedError("side")
    return np.array([known[text]], dtype=np.int64)


def _parse_int(cell: str) -> int:
    digits = cell.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 30:
        raise RejectedError("number")
    value = int(cell)
    if not -INT64_MAX <= value <= INT64_MAX:
        raise RejectedError("number")
    return value


def _columns(kind: Kind, values: Values, rows: int) -> tuple[dict[str, np.ndarray], Scales]:
    """Every column of ``kind`` from parsed roles; OverflowError when no scale holds a column."""
    build = {Kind.TRADE: _trade, Kind.BAR: _bar, Kind.QUOTE: _quote}[kind]
    own, scales = build(values)
    columns = {}
    for field in EVENTS[kind].fields:
        column = own.get(field.name, np.zeros(rows, dtype=np.int64))
        columns[field.name] = column.astype(field.dtype, copy=False)
    return columns, scales


def _trade(v: Values) -> tuple[dict[str, np.ndarray], Scales]:
    (price,), price_scale = _level(v, "price")
    (qty,), qty_scale = _level(v, "qty")
    # The buyer being the maker means that the aggressor sold.
    side = _ints(v, "side") if "side" in v else 1 - 2 * _ints(v, "maker")
    own = {
        "ts_ns": venue_time_ns(_ints(v, "time")),
        "id": _ints(v, "id"),
        "price": price,
        "qty": qty,
        "side": side,
    }
    return own, Scales(price_scale, qty_scale)


def _quote(v: Values) -> tuple[dict[str, np.ndarray], Scales]:
    (bid, ask), price_scale = _level(v, "bid", "ask")
    (bid_qty, ask_qty), qty_scale = _level(v, "bid_qty", "ask_qty")
    own = {
        "ts_ns": venue_time_ns(_ints(v, "time")),
        "id": _ints(v, "id"),
        "bid": bid,
        "bid_qty": bid_qty,
        "ask": ask,
        "ask_qty": ask_qty,
    }
    return own, Scales(price_scale, qty_scale)


def _bar(v: Values) -> tuple[dict[str, np.ndarray], Scales]:
    """A kline; its close time is the last ms (or us) inside, so the interval ends one later."""
    prices, price_scale = _level(v, "open", "high", "low", "close")
    volumes, qty_scale = _level(v, "volume", "buy_volume")
    open_time, close_time = _ints(v, "time"), _ints(v, "close_time")
    sane = (close_time > 0) & (close_time < INT64_MAX)
    open_ns = venue_time_ns(open_time)
    end_ns = venue_time_ns(np.where(sane, close_time, -1) + 1)
    same_unit = (open_time < MS_LIMIT) == (close_time < MS_LIMIT)
    own = {
        "ts_ns": np.where(same_unit, end_ns, 0),
        "open_ns": open_ns,
        "interval_ns": end_ns - open_ns,
        "volume": volumes[0],
        "buy_volume": volumes[1],
        "trades": _ints(v, "count"),
    }
    own |= dict(zip(("open", "high", "low", "close"), prices, strict=True))
    return own, Scales(price_scale, qty_scale)


def _level(v: Values, *roles: str) -> tuple[list[np.ndarray], int]:
    """Decimal columns brought to the largest of their scales."""
    pairs = []
    for role in roles:
        pair = v[role]
        assert isinstance(pair, tuple), role
        pairs.append(pair)
    top = max(scale for _, scale in pairs)
    return [grow(values, top - scale) for values, scale in pairs], top


def _ints(v: Values, role: str) -> np.ndarray:
    column = v[role]
    assert not isinstance(column, tuple), role
    return column
