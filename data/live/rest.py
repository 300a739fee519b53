"""A venue's REST: the few requests that a recording needs, within the weight that it allows.

Owns :class:`Rest`. Source: reference page of the venues, section 2. What must hold: a request waits
for its weight; 429 and 418 are obeyed for as long as the venue says; what an answer lacks or has in
another shape is a NetworkError and never a wrong row.

It refuses to know what is done with the rows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlencode

import msgspec

from data.errors import NetworkError, UsageError
from data.live.budget import Budget
from data.live.endpoint import Endpoint
from data.sources.http import Answer, Http, shown

T = TypeVar("T")

TOO_OLD = -4166
"""What USD-M futures answer for trades that are older than they keep (48 h)."""

UNKNOWN_SYMBOL = -1121

ANSWER_BYTES = 64 << 20
"""Longest answer: what spot says of all its instruments is near 20 MB."""

TRADES_MOST = 1000
KLINES_MOST = 1000
PATIENCE_S = 600.0
"""Longest pause (s) that is waited for; a longer one ends the work, and nothing is asked before it
is over."""

PAUSES_S = {403: 300.0, 418: 300.0, 429: 60.0}
"""Pause (s) after a status, where the venue names no time; a firewall (403) never does."""

_RETRIES = 4
_LOOK_S = 0.5


class RefusedError(NetworkError):
    """The venue understood the request and refuses it; ``code`` is the venue's own."""

    def __init__(self, error: NetworkError, code: int) -> None:
        super().__init__(error.what, where=error.where, why=error.why, do=error.do)
        self.code = code


class AggRow(msgspec.Struct, gc=False):
    """A row of ``aggTrades``; ``f`` is -1 in a tombstone (spot, 2022), whose id is used up."""

    a: int
    p: str
    q: str
    T: int
    m: bool
    f: int = 0


@dataclass(frozen=True, slots=True)
class _Api:
    prefix: str
    limit: int
    trades: int
    klines: int
    info: int


_APIS = {
    "binance-um": _Api("/fapi/v1", 2400, 20, 5, 1),
    "binance-spot": _Api("/api/v3", 6000, 4, 2, 20),
}
# Weights are those of 1000 rows. Bybit counts otherwise; its instruments are all that is asked.
_BYBIT = _Api("/v5/market", 600, 1, 1, 1)


class _Refusal(msgspec.Struct):
    code: int = 0
    msg: str = ""


class _Time(msgspec.Struct):
    serverTime: int  # noqa: N815  reason: the venue's name


class Rest:
    """Requests to ``venue`` at ``endpoint``. ``share`` is the part of the weight that is used.

    ``patience_s`` is the longest pause that is waited for. ``stop`` is asked in every wait: where
    it says true, the request ends with NetworkError.
    """

    def __init__(
        self,
        venue: str,
        endpoint: Endpoint | None = None,
        *,
        http: Http | None = None,
        share: float = 0.5,
        patience_s: float = PATIENCE_S,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self.venue = venue
        self.endpoint = endpoint or Endpoint.real(venue)
        self.requests = 0
        self._http = http or Http()
        self._api = _APIS.get(venue, _BYBIT)
        self._budget = Budget(self._api.limit, share)
        self._paused_by = 0
        self._patience_s, self._stop = patience_s, stop
        real = endpoint is None or endpoint.rest == Endpoint.real(venue).rest
        self._served: bool | None = False if real else None  # None: not known yet

    @property
    def has_trades(self) -> bool:
        """Whether the venue gives trades by id."""
        return self.venue in _APIS

    def now_ns(self) -> int:
        """The venue's time as far as it matters for budgets: a served one's own, else ours."""
        if self._served is not False:
            clock = self.endpoint.clock(self._http)
            self._served = clock is not None
            if clock is not None:
                return clock.now_ns
        return time.time_ns()

    def time_ms(self) -> int:
        """The venue's clock, ms UTC."""
        return self._ask("/time", {}, 1, _Time).serverTime

    def agg_trades(self, symbol: str, from_id: int, limit: int = TRADES_MOST) -> list[AggRow]:
        """Up to ``limit`` aggregated trades from ``from_id`` on, by rising id.

        RefusedError with :data:`TOO_OLD` where the venue does not keep them any more.
        """
        query = {"symbol": symbol, "fromId": from_id, "limit": limit}
        return self._ask("/aggTrades", query, self._api.trades, list[AggRow])

    def klines(
        self, symbol: str, start_ms: int, end_ms: int, limit: int = KLINES_MOST
    ) -> list[list[Any]]:
        """Bars of a minute that open within [start_ms, end_ms]; cells as the venue orders them."""
        query = {"symbol": symbol, "interval": "1m", "startTime": start_ms, "endTime": end_ms,
                 "limit": limit}  # fmt: skip
        return self._ask("/klines", query, self._api.klines, list[list[Any]])

    def exchange_info(self, symbols: Sequence[str], type_: type[T]) -> T:
        """Facts of instruments as ``type_``; USD-M futures always tell of all."""
        query = {}
        if self.venue == "binance-spot" and symbols:
            query = {"symbols": msgspec.json.encode(list(symbols)).decode()}
        return self._ask("/exchangeInfo", query, self._api.info, type_)

    def instruments_info(self, cursor: str, type_: type[T]) -> T:
        """A page of Bybit's linear contracts as ``type_``."""
        query: dict[str, Any] = {"category": "linear", "limit": 1000}
        if cursor:
            query["cursor"] = cursor
        return self._ask("/instruments-info", query, self._api.info, type_)

    def _ask(self, path: str, query: dict[str, Any], weight: int, type_: type[T]) -> T:
        url = f"{self.endpoint.rest}{self._api.prefix}{path}"
        if query:
            url += "?" + urlencode(query)
        while True:
            answer = self._answered(url, weight)
            if not self._obey(url, answer):
                return _decoded(url, answer, type_)

    def _answered(self, url: str, weight: int) -> Answer:
        """An answer that is not the venue's trouble; a few failures are waited out."""
        failures = 0
        while True:
            self._wait(weight)
            self.requests += 1
            try:
                answer = self._http.get(url, max_bytes=ANSWER_BYTES)
                if answer.status < 500:
                    return answer
                error = _said(url, answer.status, "it is in trouble")
            except NetworkError as failed:
                error = failed
            failures += 1
            if failures > _RETRIES:
                raise error
            self._sleep(_LOOK_S * 2**failures)

    def _obey(self, url: str, answer: Answer) -> bool:
        """What the venue says of the rate; True where the request is to be made again."""
        used = answer.headers.get("x-mbx-used-weight-1m", "")
        if used.isdecimal():
            self._budget.told(int(used), self.now_ns())
        if answer.status not in PAUSES_S:
            return False
        asked = answer.headers.get("retry-after", "")
        pause_s = float(asked) if asked.isdecimal() else PAUSES_S[answer.status]
        self._paused_by = answer.status
        self._budget.hold(self.now_ns() + int(pause_s * 1e9))
        if answer.status == 403:
            return False
        self._check_pause(url, pause_s)
        return True

    def _check_pause(self, url: str, pause_s: float) -> None:
        if pause_s > self._patience_s:
            why = f"it asks for a pause of {pause_s:.0f} s"
            raise _said(url, self._paused_by, why)

    def _wait(self, weight: int) -> None:
        self._check_pause(self.endpoint.rest, self._budget.held_ns(self.now_ns()) / 1e9)
        while wait_ns := self._budget.wait_ns(weight, self.now_ns()):
            self._sleep(min(wait_ns / 1e9, _LOOK_S))

    def _sleep(self, seconds: float) -> None:
        end_s = time.monotonic() + seconds
        while (left_s := end_s - time.monotonic()) > 0:
            if self._stop():
                raise _said(self.endpoint.rest, 0, "stopped while waiting for the venue")
            time.sleep(min(left_s, 0.1))


def _decoded(url: str, answer: Answer, type_: type[T]) -> T:
    if answer.status != 200:
        try:
            refusal = msgspec.json.decode(answer.body, type=_Refusal)
        except (msgspec.MsgspecError, ValueError):
            refusal = _Refusal()
        why = refusal.msg or _WHY.get(answer.status, "")
        if answer.status in (403, 451):  # it refuses whoever asks, not what was asked
            raise _said(url, answer.status, why)
        raise RefusedError(_said(url, answer.status, why), refusal.code)
    try:
        return msgspec.json.decode(answer.body, type=type_)
    except (msgspec.MsgspecError, ValueError) as error:
        raise _said(url, 200, f"in a shape that is not the venue's: {error}") from None


_WHY = {
    403: "its firewall refuses this address: ask less often",
    404: "there is nothing of that name",
    451: "it does not serve the place that you ask from",
}


def _said(url: str, status: int, why: str) -> NetworkError:
    answered = f"the venue answered {status}" if status else "the venue was not waited for"
    return NetworkError(answered, where=shown(url), why=why, do="try again later")


def known_or_refuse(
    symbols: Sequence[str], known: Sequence[str], venue: str, where: str = "--symbol"
) -> None:
    """UsageError where one of ``symbols`` is not among ``known``; names what looks like it.

    ``where`` is the option or the file that named them."""
    from difflib import get_close_matches

    for symbol in symbols:
        if symbol not in known:
            near = get_close_matches(symbol, known, 3)
            raise UsageError(
                f"{venue} does not know {symbol}",
                where=where,
                why="it is not in the list of instruments that the venue gives",
                do=f"did you mean {' or '.join(near)}" if near else "check the symbol",
            )
