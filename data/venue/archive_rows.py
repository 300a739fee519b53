"""A market made up for rehearsals: any day of any symbol, in the rows of the public archive.

Owns what the stand-in archive serves when no folder of files is given. What must hold: a day's rows
are a pure function of venue, symbol and date; days join (ids go on, the price does not jump); bars
are those of the trades; every row has the columns, the header and the unit of time of the real file
of that date.

It refuses to know sockets. Nobody should test a strategy on it: see :mod:`data.sources.synthetic`.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np

from data.sources.archive_files import QUOTES_FROM, QUOTES_TO, ArchiveFile

DAY_MS = 86_400_000
_MINUTE_MS = 60_000
_FIRST = date(2017, 8, 17)
_MICROSECONDS_FROM = date(2025, 1, 1)
_UM_HEADER_FROM = date(2022, 8, 11)

_HEADERS = {
    "aggTrades": "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,"
    "is_buyer_maker",
    "klines": "open_time,open,high,low,close,volume,close_time,quote_volume,count,"
    "taker_buy_volume,taker_buy_quote_volume,ignore",
    "bookTicker": "update_id,best_bid_price,best_bid_qty,best_ask_price,best_ask_qty,"
    "transaction_time,event_time",
}


_BYBIT_HEADER = (
    "timestamp,symbol,side,size,price,tickDirection,trdMatchID,grossValue,homeNotional,"
    "foreignNotional"
)


@dataclass(frozen=True, slots=True)
class _Day:
    """Trades of one day: arrays of one length; prices in ticks, quantities in lots."""

    ids: np.ndarray
    time_ms: np.ndarray
    ticks: np.ndarray
    lots: np.ndarray
    maker: np.ndarray


@dataclass(frozen=True, slots=True)
class MadeUp:
    """Content of the stand-in archive: ``trades_a_day`` trades of any symbol on every day from
    ``first`` to ``last`` (both included), their bars, and quotes where the archive has them."""

    trades_a_day: int = 300
    first: date = date(2020, 1, 1)
    last: date = date(2026, 12, 31)

    def text(self, file: ArchiveFile) -> str | None:
        """The CSV inside a file; None where the archive has no such file."""
        days = [d for d in file.days() if self.first <= d <= self.last]
        if days and not file.has_checksum:
            return _bybit(self._day(file, days[0]), file)
        if file.type == "bookTicker":
            days = [d for d in days if QUOTES_FROM <= d <= QUOTES_TO]
        if not days or file.type not in _HEADERS or (file.type, file.venue) in _NOT_PUBLISHED:
            return None
        if file.monthly and days[-1] != file.last:
            return None  # the month is not over
        lines = [_HEADERS[file.type]] if _has_header(file) else []
        for day in days:
            lines += _ROWS[file.type](self._day(file, day), day, file.venue)
        return "\n".join(lines) + "\n"

    def _day(self, file: ArchiveFile, day: date) -> _Day:
        n = self.trades_a_day
        name = f"{file.venue} {file.symbol} {day}".encode()
        random = np.random.default_rng(list(hashlib.sha256(name).digest()))
        begin = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000
        time_ms = begin + np.sort(random.integers(0, DAY_MS, n))
        steps = random.integers(-20, 21, n)
        walk = np.cumsum(steps)
        start, stop = _level(file.symbol, day), _level(file.symbol, day + timedelta(1))
        # A bridge from this morning's price to tomorrow's, so that days join.
        ramp = np.arange(1, n + 1) / n
        ticks = start + walk + np.rint((stop - start - walk[-1]) * ramp).astype(np.int64)
        first_id = (day - _FIRST).days * n + 1
        ids = np.arange(first_id, first_id + n)
        lots = random.integers(1, 2_000, n)
        return _Day(ids, time_ms, np.maximum(ticks, 100), lots, random.random(n) < 0.5)


def _level(symbol: str, day: date) -> int:
    """A price in ticks for the beginning of a day."""
    base = 100_000 + int.from_bytes(hashlib.sha256(symbol.encode()).digest()[:3]) % 500_000
    return round(base * (1 + 0.05 * math.sin(day.toordinal() / 9)))


def _has_header(file: ArchiveFile) -> bool:
    return file.venue == "binance-um" and file.first >= _UM_HEADER_FROM


def _stamp(time_ms: int, day: date, venue: str) -> str:
    """A time as the archive of that day writes it: spot in us since 2025, else ms."""
    fine = venue == "binance-spot" and day >= _MICROSECONDS_FROM
    return f"{time_ms}{time_ms * 7919 % 1000:03d}" if fine else str(time_ms)


def _trades(rows: _Day, day: date, venue: str) -> list[str]:
    spot = venue == "binance-spot"
    yes, no = ("True", "False") if spot else ("true", "false")
    tail = ",True" if spot else ""
    lists = (a.tolist() for a in (rows.ids, rows.ticks, rows.lots, rows.time_ms, rows.maker))
    return [
        f"{i},{t / 10:.1f},{q / 1000:.3f},{2 * i - 1},{2 * i},{_stamp(ms, day, venue)},"
        f"{yes if m else no}{tail}"
        for i, t, q, ms, m in zip(*lists, strict=True)
    ]


def _bars(rows: _Day, day: date, venue: str) -> list[str]:
    begin = int(rows.time_ms[0]) // DAY_MS * DAY_MS
    minute = (rows.time_ms - begin) // _MINUTE_MS
    fine = venue == "binance-spot" and day >= _MICROSECONDS_FROM
    bound = np.searchsorted(minute, np.arange(1441)).tolist()
    last, lines = int(rows.ticks[0]), []
    for m in range(1440):
        part = range(bound[m], bound[m + 1])
        ticks = rows.ticks[part.start : part.stop].tolist() or [last]
        lots = rows.lots[part.start : part.stop].tolist()
        bought = sum(q for q, i in zip(lots, part, strict=True) if not rows.maker[i])
        last = ticks[-1]
        opened = begin + m * _MINUTE_MS
        ends = f"{opened + _MINUTE_MS - 1}{'999' if fine else ''}"
        prices = ",".join(f"{t / 10:.1f}" for t in (ticks[0], max(ticks), min(ticks), last))
        lines.append(
            f"{opened}{'000' if fine else ''},{prices},{sum(lots) / 1000:.3f},{ends},"
            f"{sum(lots) * last / 10_000:.4f},{len(lots)},{bought / 1000:.3f},"
            f"{bought * last / 10_000:.4f},0"
        )
    return lines


def _quotes(rows: _Day, _day: date, _venue: str) -> list[str]:
    lists = (a.tolist() for a in (rows.ids, rows.ticks, rows.lots, rows.time_ms))
    return [
        f"{1_000 * i},{(t - 1) / 10:.1f},{q / 1000:.3f},{t / 10:.1f},{(q + 7) / 1000:.3f},"
        f"{ms},{ms + 4}"
        for i, t, q, ms in zip(*lists, strict=True)
    ]


def _bybit(rows: _Day, file: ArchiveFile) -> str:
    """Bybit's trades: contracts with UUIDs and a tick direction, spot without ids."""
    spot = file.venue == "bybit-spot"
    header = "id,timestamp,price,volume,side,rpi" if spot else _BYBIT_HEADER
    lines, last = [header], 0
    lists = (a.tolist() for a in (rows.ids, rows.ticks, rows.lots, rows.time_ms, rows.maker))
    for number, (i, t, q, ms, maker) in enumerate(zip(*lists, strict=True), start=1):
        side = "Sell" if maker else "Buy"
        price, size = f"{t / 10:.1f}", f"{q / 1000:.3f}"
        if spot:
            lines.append(f"{number},{ms},{price},{size},{side.lower()},0")
            continue
        tick = "PlusTick" if t > last else "MinusTick" if t < last else "ZeroPlusTick"
        name = hashlib.md5(f"{file.symbol} {i}".encode(), usedforsecurity=False).hexdigest()
        uuid = "-".join((name[:8], name[8:12], name[12:16], name[16:20], name[20:]))
        money = q * t / 10_000
        lines.append(
            f"{ms // 1000}.{ms % 1000:03d}1,{file.symbol},{side},{size},{price},{tick},{uuid},"
            f"{money * 1e8:.6e},{size},{money:.4f}"
        )
        last = t
    return "\n".join(lines) + "\n"


_ROWS = {"aggTrades": _trades, "klines": _bars, "bookTicker": _quotes}
_NOT_PUBLISHED = frozenset({("bookTicker", "binance-spot")})
