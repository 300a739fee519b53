"""The text of a partial book, read by compiled code in the form in which the venue sends it.

Owns :func:`read_book`. A book of twenty levels is eighty decimals in strings; reading them one by
one takes ten times as long as everything else that a recorder does. So this reader takes whole
frames in exactly the usual form, and takes none that it does not understand to the last byte:
those are read the slow way, which knows why a frame is refused.

What must hold: a frame that is read here gives what the slow way gives (a property test compares
them); nothing is read that a check would refuse.

It refuses to know where a frame came from.
"""

from __future__ import annotations

import numpy as np

from data import jitcache
from data.events import DEPTH_LEVELS_MAX, PRICE_QTY_PRODUCT_MAX

jitcache.activate()  # before numba decides where compiled code is kept

from numba import njit  # noqa: E402

SIDES = 4
"""Rows of a block: bid prices, bid quantities, ask prices, ask quantities."""

_DIGITS_MAX = 18
_LIMIT = np.int64(PRICE_QTY_PRODUCT_MAX)
_LEVELS = DEPTH_LEVELS_MAX
_QUOTE, _COLON, _COMMA, _OPEN, _CLOSE = ord('"'), ord(":"), ord(","), ord("{"), ord("}")
_LIST, _LIST_END, _POINT, _ESCAPE, _ZERO = ord("["), ord("]"), ord("."), ord("\\"), ord("0")
_E, _T, _S, _U, _B, _A = ord("E"), ord("T"), ord("s"), ord("u"), ord("b"), ord("a")
_LAST_ID = b"lastUpdateId"
_BIDS, _ASKS = b"bids", b"asks"


@njit(cache=True, nogil=True)
def read_book(text, start, symbol, price_scale, qty_scale, block, at):  # type: ignore[no-untyped-def]
    """Read ``data`` of a frame from its ``{`` at byte ``start`` on, to the end of ``text``.

    ``text`` and ``symbol`` are bytes; an empty symbol is a message that names none. Levels go to
    ``block`` int64[n, 4, 25], row ``at``, scaled. Returns ints: 1 where it was understood (else
    nothing of the rest counts), E, T (venue's unit, 0 where absent), last update id, bids, asks.
    """
    bad = (0, 0, 0, 0, 0, 0)
    sent, time, last_id, bids, asks, seen = 0, 0, 0, 0, 0, 0
    end = len(text) - 2
    i = start
    if end <= i or text[i] != _OPEN or text[end] != _CLOSE or text[end + 1] != _CLOSE:
        return bad
    while True:
        i += 1
        if i >= end or text[i] != _QUOTE:
            return bad
        key = i + 1
        i = _string_end(text, key, end)
        if i < 0 or text[i + 1] != _COLON:
            return bad
        field = _field(text, key, i - key)
        i += 2
        if field & seen:
            return bad
        seen |= field
        if field == 16 or field == 32:
            side = 0 if field == 16 else 2
            i, count = _levels(text, i, end, price_scale, qty_scale, block[at], side)
            if field == 16:
                bids = count
            else:
                asks = count
        elif field == 1 or field == 2 or field == 4:
            i, value = _number(text, i, end)
            if field == 1:
                sent = value
            elif field == 2:
                time = value
            else:
                last_id = value
        elif field == 8:
            i = _same(text, i, symbol)
        else:
            i = _skip(text, i, end)
        if i < 0 or i > end:
            return bad
        if i == end:
            break
        if text[i] != _COMMA:
            return bad
    needed = 60 if len(symbol) else 52
    if seen & needed != needed or bids + asks == 0:
        return bad
    if bids and asks and block[at, 0, 0] >= block[at, 2, 0]:
        return bad
    return 1, sent, time, last_id, bids, asks


def warm_up() -> None:
    """Compile, or load, what reads books: seconds when it was never compiled, else none."""
    block = np.empty((1, SIDES, DEPTH_LEVELS_MAX), np.int64)
    read_book(b'{"b":[["1","1"]],"a":[["2","1"]]}}', 0, b"S", 0, 0, block, 0)


@njit(cache=True, nogil=True)
def _field(text, at, length):  # type: ignore[no-untyped-def]
    """Bit of a key: 1 E, 2 T, 4 last update id, 8 symbol, 16 bids, 32 asks; 0 for any other."""
    if length == 1:
        c = text[at]
        if c == _E:
            return 1
        if c == _T:
            return 2
        if c == _U:
            return 4
        if c == _S:
            return 8
        if c == _B:
            return 16
        return 32 if c == _A else 0
    if length == 4:
        if _is(text, at, _BIDS):
            return 16
        return 32 if _is(text, at, _ASKS) else 0
    return 4 if length == 12 and _is(text, at, _LAST_ID) else 0


@njit(cache=True, nogil=True)
def _is(text, at, word):  # type: ignore[no-untyped-def]
    same = 0
    while same < len(word) and text[at + same] == word[same]:
        same += 1
    return same == len(word)


@njit(cache=True, nogil=True)
def _string_end(text, i, end):  # type: ignore[no-untyped-def]
    """Place of the closing quote of a plain ASCII string that begins at ``i``; -1 for another."""
    while i < end:
        c = text[i]
        if c == _QUOTE:
            return i
        if c == _ESCAPE or c < 32 or c > 126:
            return -1
        i += 1
    return -1


@njit(cache=True, nogil=True)
def _number(text, i, end):  # type: ignore[no-untyped-def]
    """(place behind, value) of a whole number without a sign; place -1 where there is none."""
    first, value = i, 0
    while i < end and 48 <= text[i] <= 57:
        value = value * 10 + (text[i] - 48)
        i += 1
        if i - first > _DIGITS_MAX:
            return -1, 0
    if i == first or (text[first] == _ZERO and i - first > 1):
        return -1, 0
    return i, value


@njit(cache=True, nogil=True)
def _same(text, i, symbol):  # type: ignore[no-untyped-def]
    """Place behind the string ``symbol``; -1 where another one stands at ``i``."""
    n = len(symbol)
    if i + n + 2 > len(text) or text[i] != _QUOTE or text[i + n + 1] != _QUOTE:
        return -1
    return i + n + 2 if n and _is(text, i + 1, symbol) else -1


@njit(cache=True, nogil=True)
def _skip(text, i, end):  # type: ignore[no-untyped-def]
    """Place behind a plain string or a whole number, which is all that else occurs; else -1."""
    if text[i] == _QUOTE:
        i = _string_end(text, i + 1, end)
        return i + 1 if i >= 0 else -1
    i, _ = _number(text, i, end)
    return i


@njit(cache=True, nogil=True)
def _decimal(text, i, end, scale):  # type: ignore[no-untyped-def]
    """(place behind the closing quote, scaled value) of ``"12.50"``; place -1 for another form."""
    if i >= end or text[i] != _QUOTE:
        return -1, 0
    i += 1
    first, value, digits, places, point = i, 0, 0, 0, False
    while i < end and text[i] != _QUOTE:
        c = text[i]
        if c == _POINT and not point and i > first:
            point = True
        elif 48 <= c <= 57:
            if point:
                places += 1
            if places > scale:
                if c != _ZERO:
                    return -1, 0
            else:
                value = value * 10 + (c - 48)
                digits += 1
                if digits > _DIGITS_MAX:
                    return -1, 0
        else:
            return -1, 0
        i += 1
    if i >= end or digits == 0 or (point and places == 0):
        return -1, 0
    for _ in range(scale - min(places, scale)):
        if value >= _LIMIT // 10:
            return -1, 0
        value *= 10
    return i + 1, value


@njit(cache=True, nogil=True)
def _levels(text, i, end, price_scale, qty_scale, book, side):  # type: ignore[no-untyped-def]
    """(place behind, levels) of ``[["price","qty"],..]``, best first; place -1 for another form."""
    if i + 1 >= end or text[i] != _LIST:
        return -1, 0
    i += 1
    if text[i] == _LIST_END:
        return i + 1, 0
    n, before = 0, 0
    while True:
        if n == _LEVELS or i >= end or text[i] != _LIST:
            return -1, 0
        i, price = _decimal(text, i + 1, end, price_scale)
        if i < 0 or text[i] != _COMMA:
            return -1, 0
        i, qty = _decimal(text, i + 1, end, qty_scale)
        if i < 0 or text[i] != _LIST_END:
            return -1, 0
        if price == 0 or qty == 0 or price >= (_LIMIT + qty - 1) // qty:
            return -1, 0
        if n and ((price >= before) if side == 0 else (price <= before)):
            return -1, 0
        book[side, n], book[side + 1, n] = price, qty
        before = price
        n += 1
        i += 1
        if i >= end:
            return -1, 0
        if text[i] == _LIST_END:
            return i + 1, n
        if text[i] != _COMMA:
            return -1, 0
        i += 1
