"""The REST interface of a stand-in venue: Binance spot and USD-M.

Owns the answers: time, exchangeInfo, aggTrades, klines, depth, their limits, weights and error
codes. What must hold: an answer is a
pure function of the log, the clock and the request. Source: reference page of the venue, section 2.

It refuses to know HTTP connections.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from data.venue.frames import Encoder, Sheet
from data.venue.names import FUTURES, NS, interval_text
from data.venue.rest_rows import NoRows, RestRows, Row
from data.venue.tape import Instrument
from data.venue.weights import Weights

BUDGET = {"spot": 6_000, "futures": 2_400, "bybit": 1_000_000}
"""Weight a minute."""

REACH_NS = 48 * 3600 * NS
"""How far back aggTrades of USD-M go."""

_MS = 1_000_000
_QUOTES = ("USDT", "USDC", "FDUSD", "BUSD", "TUSD", "USD", "BTC", "ETH", "BNB", "EUR")
_INTERVALS = {interval_text(n * NS): n * NS for n in
              (1, 60, 180, 300, 900, 1800, 3600, 7200, 14_400, 21_600, 28_800, 43_200,
               86_400, 259_200, 604_800)}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, JSON body and headers."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def data(self) -> bytes:
        """The body as bytes."""
        return json.dumps(self.body, separators=(",", ":")).encode()


class RefusedError(Exception):
    """A request that is answered with an error of the venue."""

    def __init__(self, code: int, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.answer = Answer(status, {"code": code, "msg": text})


Book = Callable[[int], tuple[Sheet, int] | None]
"""Number of a series -> rows and row of the last book that was sent; None before the first."""


@dataclass(slots=True)
class Facts:
    """What the answers are made from; ``skew_ns`` is how far the venue's clock is off."""

    layout: str
    instruments: Sequence[Instrument]
    rows: RestRows | NoRows
    now_ns: Callable[[], int]
    book: Book
    skew_ns: Callable[[], int]


class BinanceRest:
    """Answers requests for paths of Binance."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._futures = facts.layout == FUTURES
        self._root = "/fapi/v1" if self._futures else "/api/v3"
        self._number = {x.symbol: i for i, x in enumerate(facts.instruments)}
        self._encoders = [Encoder(facts.layout, x.symbol, x.scales) for x in facts.instruments]
        self.weights = Weights(BUDGET[facts.layout], facts.now_ns)

    def get(self, path: str, query: Mapping[str, str]) -> Answer:
        """The answer to GET ``path`` with ``query``."""
        routes: dict[str, tuple[Callable[[Mapping[str, str]], Any], int]] = {
            "/ping": (lambda _q: {}, 1),
            "/time": (self._time, 1),
            "/exchangeInfo": (self._info, 1 if self._futures else 20),
            "/aggTrades": (self._trades, 20 if self._futures else 4),
            "/klines": (self._klines, self._klines_weight(query)),
            "/depth": (self._depth, self._depth_weight(query)),
        }
        name = path.removeprefix(self._root)
        if name == path or name not in routes:
            return Answer(404, {"code": -5000, "msg": f"Path {path}, Method GET is invalid"})
        handler, weight = routes[name]
        charge = self.weights.charge(weight)
        headers = {"X-MBX-USED-WEIGHT-1M": str(charge.used)}
        if charge.status != 200:
            text = f"Too many requests; the limit is {self.weights.most} weight per 1 MINUTE."
            if charge.status == 418:
                text = "Way too many requests; IP banned until the time of Retry-After."
            return Answer(
                charge.status,
                {"code": -1003, "msg": text},
                {**headers, "Retry-After": str(charge.retry_s)},
            )
        try:
            return Answer(200, handler(query), headers)
        except RefusedError as refused:
            return Answer(refused.answer.status, refused.answer.body, headers)

    def _time(self, _query: Mapping[str, str]) -> Any:
        return {"serverTime": (self._facts.now_ns() + self._facts.skew_ns()) // _MS}

    def _info(self, query: Mapping[str, str]) -> Any:
        wanted = [query["symbol"]] if query.get("symbol") else _list(query.get("symbols", "[]"))
        listed = [x for x in self._facts.instruments if not wanted or x.symbol in wanted]
        if set(wanted) - self._number.keys():
            raise RefusedError(-1121, "Invalid symbol.")
        limit = {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1}
        return {
            "timezone": "UTC",
            "serverTime": self._facts.now_ns() // _MS,
            "rateLimits": [{**limit, "limit": self.weights.most}],
            "symbols": [_symbol(x, self._futures) for x in listed],
        }

    def _trades(self, query: Mapping[str, str]) -> Any:
        number = self._series(query)
        symbol, rows = self._facts.instruments[number].symbol, self._facts.rows
        limit, now_ns = _int(query, "limit", 500), self._facts.now_ns()
        from_id, start, end = (_int(query, n, -1) for n in ("fromId", "startTime", "endTime"))
        if not 1 <= limit <= 1000:
            raise RefusedError(-1130, "Data sent for parameter 'limit' is not valid.")
        if from_id >= 0:
            found = rows.trades_from(symbol, from_id, limit, now_ns)
        elif start >= 0:
            to_ns = (end + 1) * _MS if end >= 0 else None
            self._within_reach(start * _MS, now_ns)
            found = rows.trades_between(symbol, start * _MS, to_ns, limit, now_ns)
        else:
            last = min(now_ns, (end + 1) * _MS - 1) if end >= 0 else now_ns
            found = rows.last_trades(symbol, limit, last)
        if found:
            self._within_reach(found[0]["ts_ns"], now_ns)
        encoder = self._encoders[number]
        return [self._trade(encoder, row) for row in found]

    def _within_reach(self, ts_ns: int, now_ns: int) -> None:
        if self._futures and ts_ns < now_ns - REACH_NS:
            raise RefusedError(-4166, "Search window is restricted to recent 2 days only.")

    def _trade(self, encoder: Encoder, row: Row) -> dict[str, Any]:
        qty, a = encoder.qty[row["qty"]], row["id"]
        made: dict[str, Any] = {"a": a, "p": encoder.price[row["price"]], "q": qty}
        if self._futures:
            made["nq"] = qty
        made |= {"f": a, "l": a, "T": row["ts_ns"] // _MS, "m": row["side"] < 0}
        return made if self._futures else {**made, "M": True}

    def _klines(self, query: Mapping[str, str]) -> Any:
        number = self._series(query)
        symbol, rows = self._facts.instruments[number].symbol, self._facts.rows
        interval_ns = _INTERVALS.get(query.get("interval", ""))
        if interval_ns is None:
            raise RefusedError(-1120, "Invalid interval.")
        limit, now_ns = _int(query, "limit", 500), self._facts.now_ns()
        if not 1 <= limit <= (1500 if self._futures else 1000):
            raise RefusedError(-1130, "Data sent for parameter 'limit' is not valid.")
        start, end = _int(query, "startTime", -1), _int(query, "endTime", -1)
        if start >= 0:
            span = start * _MS, (end + 1) * _MS if end >= 0 else None
            found = rows.bars_between(symbol, interval_ns, span, limit, now_ns)
        else:
            last = min(now_ns, (end + 1) * _MS - 1 + interval_ns) if end >= 0 else now_ns
            found = rows.last_bars(symbol, interval_ns, limit, last)
        encoder = self._encoders[number]
        return [_kline(encoder, row) for row in found]

    def _klines_weight(self, query: Mapping[str, str]) -> int:
        if not self._futures:
            return 2
        limit = _number(query.get("limit", ""), 500)
        return 1 if limit <= 100 else 2 if limit <= 500 else 5 if limit <= 1000 else 10

    def _depth(self, query: Mapping[str, str]) -> Any:
        number = self._series(query)
        limit = _int(query, "limit", 500 if self._futures else 100)
        if self._futures and limit not in (5, 10, 20, 50, 100, 500, 1000):
            raise RefusedError(-4021, f"{limit} is not valid depth limit")
        book = self._facts.book(number)
        if book is None:
            return {"lastUpdateId": 0, "bids": [], "asks": []}
        sheet, row = book
        encoder = self._encoders[number]
        bids, asks = (
            json.loads(f"[{encoder.levels(sheet, row, side, limit)}]") for side in ("bid", "ask")
        )
        head: dict[str, Any] = {"lastUpdateId": sheet["id"][row]}
        if self._futures:
            head |= {"E": self._facts.now_ns() // _MS, "T": sheet["ts_ns"][row] // _MS}
        return {**head, "bids": bids, "asks": asks}

    def _depth_weight(self, query: Mapping[str, str]) -> int:
        limit = _number(query.get("limit", ""), 0)
        steps = ((50, 2), (100, 5), (500, 10), (1000, 20)) if self._futures else (
            (100, 5), (500, 25), (1000, 50), (5000, 250))  # fmt: skip
        if not limit:
            return 1 if self._futures else 5
        return next((weight for most, weight in steps if limit <= most), steps[-1][1])

    def _series(self, query: Mapping[str, str]) -> int:
        symbol = query.get("symbol", "")
        if not symbol:
            raise RefusedError(
                -1102,
                "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.",
            )
        if symbol not in self._number:
            raise RefusedError(-1121, "Invalid symbol.")
        return self._number[symbol]


def step_text(scale: int) -> str:
    """The smallest step of a price or quantity with ``scale`` decimals."""
    return f"{10.0**-scale:.{scale}f}" if scale else "1"


def _symbol(x: Instrument, futures: bool) -> dict[str, Any]:
    quote = next((q for q in _QUOTES if x.symbol.endswith(q) and x.symbol != q), "")
    tick, step = step_text(x.scales.price), step_text(x.scales.qty)
    facts: dict[str, Any] = {
        "symbol": x.symbol,
        "status": "TRADING",
        "baseAsset": x.symbol.removesuffix(quote),
        "quoteAsset": quote,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "1000000000",
             "tickSize": tick},
            {"filterType": "LOT_SIZE", "minQty": step, "maxQty": "1000000000", "stepSize": step},
        ],
    }  # fmt: skip
    if futures:
        facts |= {
            "pair": x.symbol,
            "contractType": "PERPETUAL",
            "pricePrecision": x.scales.price,
            "quantityPrecision": x.scales.qty,
        }
    return facts


def _kline(encoder: Encoder, row: Row) -> list[Any]:
    k = encoder.bar({name: [value] for name, value in row.items()}, 0)
    return [k[n] for n in ("t", "o", "h", "l", "c", "v", "T", "q", "n", "V", "Q")] + ["0"]


def _list(text: str) -> list[str]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, list) or not all(isinstance(x, str) for x in found):
        raise RefusedError(-1101, "Illegal characters found in parameter 'symbols'.")
    return found


def _number(text: str, default: int) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else default


def _int(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise RefusedError(
            -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
        )
    return int(text)
