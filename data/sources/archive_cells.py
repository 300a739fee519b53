"""Cells of archive rows to values: a whole block at once, or one line by hand.

Owns which texts each role accepts. What must hold: :func:`parse_clean` gives what
:func:`parse_line` gives for each line, or None where any line needs a closer look.

It refuses to know what becomes of the values.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from data.ids import opaque_id, opaque_ids
from data.sources.archive_columns import NS_DIGITS, Values
from data.sources.archive_layouts import (
    BOOL_ROLES,
    INT_ROLES,
    WORD_ROLES,
    Layout,
    is_decimal,
)
from data.sources.decimals import (
    INT64_MAX,
    SCALE_MAX,
    NumberError,
    PrecisionError,
    from_decimal128,
    is_rounded,
    pack,
    to_fixed,
)
from data.sources.rejects import RejectedError

if TYPE_CHECKING:
    import pyarrow as pa

_BOOLS = {"true": 1, "false": 0}
_WORDS: dict[str, dict[str, int]] = {
    "side": {"buy": 1, "sell": -1, "unknown": 0},
    "tick": {"plustick": 2, "zeroplustick": 1, "zerominustick": -1, "minustick": -2},
    "book_side": {"bid": 1, "ask": -1},
}
_REASONS = {"side": "side", "tick": "tick", "book_side": "side"}

_SYMBOL = re.compile(r"[A-Z0-9][A-Z0-9_-]{1,29}")
_SYMBOLS_MAX = 100_000
"""A file names no more symbols than this; others are rejected, so that memory is bounded."""

_EXPONENT = re.compile(rb"^[0-9]+(?:\.[0-9]*)?[eE]", re.MULTILINE)
_ROUND_S = 10
"""Seconds that a spreadsheet rounded (``1.7145E+09``) are a multiple of this."""

_HEXADECIMAL = re.compile(rb"(?:^|[^0-9A-Za-z])0[xX]")


class Names:
    """Symbols seen in one file, by code, and the exchange that its rows must name."""

    def __init__(self, exchange: str) -> None:
        self.exchange = exchange
        self.symbols: list[str] = []
        self._codes: dict[str, int] = {}

    def code(self, role: str, text: str) -> int:
        """Code of a symbol, 0 for the right exchange; -1 for what cannot be."""
        if role == "exchange":
            return 0 if text == self.exchange else -1
        found = self._codes.get(text)
        if found is None:
            name = text.upper()
            if not _SYMBOL.fullmatch(name) or len(self.symbols) >= _SYMBOLS_MAX:
                return -1
            if name in self.symbols:
                found = self.symbols.index(name)
            else:
                found = len(self.symbols)
                self.symbols.append(name)
            self._codes[text] = found
        return found


def parse_clean(block: bytes, count: int, layout: Layout, names: Names) -> Values | None:
    """All rows of a block at once; None when any line needs a closer look."""
    import pyarrow as pa
    import pyarrow.csv as pc

    # Arrow would skip empty lines, end lines at a lone \r and read 0x1F as a number.
    if b"\n\n" in block or block[:1] == b"\n" or b"\r" in block or _hexadecimal(block, layout):
        return None
    titles = [role or f"_{i}" for i, role in enumerate(layout.roles)]
    types = {role: _arrow_type(role) for role in layout.roles if role}
    try:
        table = pc.read_csv(
            pa.py_buffer(block),
            read_options=pc.ReadOptions(
                column_names=titles, use_threads=False, block_size=len(block) + 1
            ),
            parse_options=pc.ParseOptions(quote_char=False),
            convert_options=pc.ConvertOptions(
                column_types=types,
                include_columns=list(types),
                null_values=[""] if layout.optional else [],
                true_values=["true", "True", "TRUE"],
                false_values=["false", "False", "FALSE"],
            ),
        )
    except pa.ArrowInvalid:
        return None
    if table.num_rows != count:
        return None
    try:
        values = {role: _role_values(role, table[role], layout, names) for role in types}
    except (OverflowError, KeyError):
        return None
    return None if "seconds" in values and _may_be_rounded(block, values["seconds"]) else values


def _may_be_rounded(block: bytes, seconds: np.ndarray | tuple[np.ndarray, int]) -> bool:
    """True when some time, the first cell of its row, may be one that a spreadsheet rounded."""
    whole, scale = seconds if isinstance(seconds, tuple) else (seconds, 0)
    return bool((whole % (_ROUND_S * 10**scale) == 0).any() and _EXPONENT.search(block))


def _hexadecimal(block: bytes, layout: Layout) -> bool:
    """True when a number of the block may be written as 0x1F."""
    if b"x" not in block and b"X" not in block:
        return False
    if not layout.has_words:
        return True
    # Names may hold an x; a number has it behind the zero with which its cell begins.
    return (b"0x" in block or b"0X" in block) and bool(_HEXADECIMAL.search(block))


def _arrow_type(role: str) -> pa.DataType:
    import pyarrow as pa

    if role in INT_ROLES:
        return pa.int64()
    if is_decimal(role):
        return pa.decimal128(38, _scale(role))
    if role in BOOL_ROLES:
        return pa.bool_()
    return pa.string() if role == "text_id" else pa.dictionary(pa.int32(), pa.string())


def _role_values(
    role: str, column: pa.ChunkedArray, layout: Layout, names: Names
) -> np.ndarray | tuple[np.ndarray, int]:
    """Values of a column; KeyError for a word or an empty cell that does not belong there."""
    if column.null_count:
        if role not in layout.optional:
            raise KeyError(role)
        column = column.fill_null(_zero(role))
    if is_decimal(role):
        return from_decimal128(column, _scale(role))
    if role in INT_ROLES or role in BOOL_ROLES:
        return column.to_numpy().astype(np.int64, copy=False)
    if role == "text_id":
        return _text_ids(column, optional=role in layout.optional)
    parts = [_words(role, chunk, names) for chunk in column.chunks]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)


def _scale(role: str) -> int:
    """Most decimals of a role: a time has no more than nanoseconds."""
    return NS_DIGITS if role == "seconds" else SCALE_MAX


def _zero(role: str) -> Any:
    import pyarrow as pa

    return pa.scalar(0).cast(_arrow_type(role))


def _words(role: str, chunk: pa.DictionaryArray, names: Names) -> np.ndarray:
    """Codes of a column of few different texts, each looked up once."""
    texts = chunk.dictionary.to_pylist()
    codes = np.array([_word(role, text, names) for text in texts], dtype=np.int64)
    return codes[chunk.indices.to_numpy(zero_copy_only=False)]


def _word(role: str, text: str, names: Names) -> int:
    text = text.strip(" \t")
    if role in WORD_ROLES:
        return _WORDS[role][text.lower()]
    return names.code(role, text)


_BLANKS = np.frombuffer(b" \t", dtype=np.uint8)


def _text_ids(column: pa.ChunkedArray, *, optional: bool) -> np.ndarray:
    parts = []
    for chunk in column.chunks:
        _, offsets, data = chunk.buffers()
        ends = np.frombuffer(offsets, dtype=np.int32)[chunk.offset : chunk.offset + len(chunk) + 1]
        texts = np.frombuffer(data, dtype=np.uint8) if data else np.zeros(0, dtype=np.uint8)
        edges = np.concatenate([ends[:-1], ends[1:] - 1])[np.tile(np.diff(ends) > 0, 2)]
        if np.isin(texts[edges], _BLANKS).any():
            raise KeyError("text_id")  # blanks around a cell do not count: by hand
        parts.append(opaque_ids(texts, ends.astype(np.int64)))
    ids = np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)
    if not optional and not ids.all():
        raise KeyError("text_id")
    return ids


def parse_line(raw: bytes, layout: Layout, names: Names) -> Values:
    """One row by hand; RejectedError with the reason."""
    cells = raw.decode("utf-8", "replace").split(",")
    if len(cells) != len(layout.roles):
        raise RejectedError("columns")
    values: Values = {}
    for role, cell in zip(layout.roles, cells, strict=True):
        if role:
            optional = role in layout.optional
            values[role] = _parse_cell(role, cell.strip(" \t"), names, optional)
    return values


def _parse_cell(
    role: str, cell: str, names: Names, optional: bool
) -> np.ndarray | tuple[np.ndarray, int]:
    if optional and not cell and role != "text_id":
        cell = "0"
    if role == "seconds" and is_rounded(cell):
        raise RejectedError("time_text")
    if is_decimal(role):
        try:
            return pack([to_fixed(cell, _scale(role))], _scale(role))
        except NumberError:
            raise RejectedError("number") from None
        except PrecisionError:
            raise RejectedError("precision") from None
        except OverflowError:
            raise RejectedError("overflow") from None
    return np.array([_whole(role, cell, names, optional)], dtype=np.int64)


def _whole(role: str, cell: str, names: Names, optional: bool) -> int:
    """A cell that is no decimal, as an int64; RejectedError with the reason."""
    if role in INT_ROLES:
        return _parse_int(cell)
    if role == "text_id":
        if not cell and not optional:
            raise RejectedError("number")
        return opaque_id(cell)
    if role in BOOL_ROLES or role in WORD_ROLES:
        known = _BOOLS if role in BOOL_ROLES else _WORDS[role]
        text = cell.lower()
        if text not in known:
            raise RejectedError(_REASONS.get(role, "side"))
        return known[text]
    return names.code(role, cell)


def _parse_int(cell: str) -> int:
    digits = cell.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 30:
        raise RejectedError("number")
    value = int(cell)
    if not -INT64_MAX <= value <= INT64_MAX:
        raise RejectedError("number")
    return value
