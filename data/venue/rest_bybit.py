"""The REST interface of a stand-in Bybit: what a recorder asks for.

Owns the answers: time, instruments-info, recent-trade, orderbook, kline. What must hold: as of
:mod:`data.venue.rest_api`. Source: reference page of the venue, section 4.

It refuses to know HTTP connections.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from data.venue.frames_bybit import BybitEncoder
from data.venue.names import BYBIT
from data.venue.rest_api import Answer, Facts, step_text

_MS = 1_000_000
_ROOT = "/v5/market"
_RECENT_MOST = 1000


class BybitRest:
    """Answers requests for paths of Bybit."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._number = {x.symbol: i for i, x in enumerate(facts.instruments)}
        self._encoders = [BybitEncoder(BYBIT, x.symbol, x.scales) for x in facts.instruments]

    def get(self, path: str, query: Mapping[str, str]) -> Answer:
        """The answer to GET ``path`` with ``query``."""
        routes: dict[str, Callable[[Mapping[str, str]], Any]] = {
            "/time": self._time,
            "/instruments-info": self._info,
            "/recent-trade": self._trades,
            "/orderbook": self._book,
            "/kline": self._klines,
        }
        handler = routes.get(path.removeprefix(_ROOT)) if path.startswith(_ROOT) else None
        if handler is None:
            return Answer(404, {"retCode": 404, "retMsg": "Not Found"})
        symbol = query.get("symbol", "")
        needs = path.removeprefix(_ROOT) in ("/recent-trade", "/orderbook", "/kline")
        if (needs or symbol) and symbol not in self._number:
            return Answer(200, self._said(10001, "params error: symbol invalid", {}))
        return Answer(200, self._said(0, "OK", handler(query)))

    def _said(self, code: int, text: str, result: Any) -> dict[str, Any]:
        now_ms = self._facts.now_ns() // _MS
        return {
            "retCode": code,
            "retMsg": text,
            "result": result,
            "retExtInfo": {},
            "time": now_ms,
        }

    def _time(self, _query: Mapping[str, str]) -> Any:
        now_ns = self._facts.now_ns()
        return {"timeSecond": str(now_ns // 10**9), "timeNano": str(now_ns)}

    def _info(self, query: Mapping[str, str]) -> Any:
        listed = [
            {
                "symbol": x.symbol,
                "contractType": "LinearPerpetual",
                "status": "Trading",
                "priceFilter": {"tickSize": step_text(x.scales.price)},
                "lotSizeFilter": {"qtyStep": step_text(x.scales.qty)},
            }
            for x in self._facts.instruments
            if query.get("symbol", x.symbol) == x.symbol
        ]
        return {"category": query.get("category", "linear"), "list": listed, "nextPageCursor": ""}

    def _trades(self, query: Mapping[str, str]) -> Any:
        number = self._number[query["symbol"]]
        encoder = self._encoders[number]
        limit = min(_RECENT_MOST, _number(query, "limit", 500))
        rows = self._facts.rows.last_trades(encoder.symbol, limit, self._facts.now_ns())
        listed = [
            {
                "execId": encoder.trade_name(row["id"]),
                "symbol": encoder.symbol,
                "price": encoder.price[row["price"]],
                "size": encoder.qty[row["qty"]],
                "side": "Sell" if row["side"] < 0 else "Buy",
                "time": str(row["ts_ns"] // _MS),
                "isBlockTrade": False,
            }
            for row in reversed(rows)
        ]
        return {"category": query.get("category", "linear"), "list": listed}

    def _book(self, query: Mapping[str, str]) -> Any:
        number = self._number[query["symbol"]]
        encoder, book = self._encoders[number], self._facts.book(number)
        made: dict[str, Any] = {"s": encoder.symbol, "b": [], "a": [], "u": 0, "seq": 0}
        if book is not None:
            sheet, row = book
            limit = _number(query, "limit", 25)
            for name, side in (("b", "bid"), ("a", "ask")):
                made[name] = json.loads(f"[{encoder.levels(sheet, row, side, limit)}]")
            made |= {"u": sheet["id"][row], "seq": sheet["id"][row]}
            made["cts"] = sheet["ts_ns"][row] // _MS
        return {**made, "ts": self._facts.now_ns() // _MS}

    def _klines(self, query: Mapping[str, str]) -> Any:
        encoder = self._encoders[self._number[query["symbol"]]]
        interval_ns = _number(query, "interval", 1) * 60 * 10**9
        limit, now_ns = min(1000, _number(query, "limit", 200)), self._facts.now_ns()
        rows = self._facts.rows
        if start := _number(query, "start", 0):
            end = _number(query, "end", 0)
            span = start * _MS, (end + 1) * _MS if end else None
            found = rows.bars_between(encoder.symbol, interval_ns, span, limit, now_ns)
        else:
            found = rows.last_bars(encoder.symbol, interval_ns, limit, now_ns)
        bars = [encoder.bar({name: [value] for name, value in row.items()}, 0) for row in found]
        listed = [[str(k[n]) for n in ("t", "o", "h", "l", "c", "v", "q")] for k in reversed(bars)]
        return {"category": "linear", "symbol": encoder.symbol, "list": listed}


def _number(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else default
