"""Every code that a terminal gives, in one table: what it means and what is to be done about it.

Owns the retcodes of a trade request (10004 to 10046) and the codes of ``last_error`` (1 to -10005),
each with a :class:`Treatment` and words for people. The classes are a judgement from the facts in
the terminal's documentation and from field reports; the principle behind them: only what certainly
was not executed may be tried again.

What must hold: a code that is not in the table is RECONCILE for whatever was sent; nothing is
tried again that may have been executed. It refuses to know how an answer is read or a request made.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.broker.protocol import Treatment

DONE = 10009
DONE_PARTIAL = 10010
PLACED = 10008
INVALID_FILL = 10030
CHECK_OK = 0
"""Retcode of ``order_check`` where nothing is wrong; the one that ``order_send`` never gives."""

NO_DATA = -1
"""``last_error`` of a call about a symbol that has nothing to tell yet."""

_T = Treatment


@dataclass(frozen=True, slots=True)
class Retcode:
    """A code of a trade request. ``treatment`` is what to do; ``closing`` what to do where the
    request was to close, change or withdraw something that was there before."""

    code: int
    name: str
    words: str
    treatment: Treatment
    closing: Treatment


@dataclass(frozen=True, slots=True)
class LastError:
    """A code of ``last_error``. ``sent`` is what to do where a request to trade ended with it,
    ``gone`` whether the link is dead (connect again), ``halt`` whether only a person can help."""

    code: int
    words: str
    sent: Treatment
    gone: bool = False
    halt: bool = False


def _row(
    code: int, name: str, words: str, treatment: Treatment, closing: Treatment | None = None
) -> Retcode:
    return Retcode(code, name, words, treatment, closing or treatment)


_RETCODES = (
    _row(10004, "REQUOTE", "the dealer offers another price", _T.FRESH_PRICE),
    _row(10006, "REJECT", "rejected by the dealer", _T.REFUSE),
    _row(10007, "CANCEL", "cancelled by the dealer", _T.REFUSE),
    _row(10008, "PLACED", "accepted, deals follow", _T.PLACED),
    _row(10009, "DONE", "executed", _T.DONE),
    _row(10010, "DONE_PARTIAL", "executed in part", _T.DONE),
    _row(10011, "ERROR", "the server failed while it worked on it", _T.RECONCILE),
    _row(10012, "TIMEOUT", "the server did not answer in time", _T.RECONCILE),
    _row(10013, "INVALID", "the request is invalid", _T.FIX_INPUT, _T.REREAD),
    _row(10014, "INVALID_VOLUME", "the volume does not fit the symbol", _T.FIX_INPUT),
    _row(10015, "INVALID_PRICE", "the price does not fit the market", _T.FIX_INPUT),
    _row(10016, "INVALID_STOPS", "stop or target are too near or on the wrong side", _T.FIX_INPUT),
    _row(10017, "TRADE_DISABLED", "trading is disabled for the account or symbol", _T.REFUSE),
    _row(10018, "MARKET_CLOSED", "the market is closed", _T.REFUSE),
    _row(10019, "NO_MONEY", "the margin does not suffice", _T.REFUSE),
    _row(10020, "PRICE_CHANGED", "the price changed", _T.FRESH_PRICE),
    _row(10021, "PRICE_OFF", "there is no quote to trade at", _T.FRESH_PRICE),
    _row(10022, "INVALID_EXPIRATION", "the symbol does not take this expiration", _T.FIX_INPUT),
    _row(10023, "ORDER_CHANGED", "the order's state changed", _T.REREAD),
    _row(10024, "TOO_MANY_REQUESTS", "too many requests", _T.BACK_OFF),
    _row(10025, "NO_CHANGES", "it stands as asked", _T.NO_CHANGE),
    _row(10026, "SERVER_DISABLES_AT", "automated trading is off at the server", _T.HALT),
    _row(10027, "CLIENT_DISABLES_AT", "automated trading is off in the terminal", _T.HALT),
    _row(10028, "LOCKED", "the request is locked for processing", _T.BACK_OFF),
    _row(10029, "FROZEN", "the order or position is frozen: the price is near", _T.REREAD),
    _row(10030, "INVALID_FILL", "the symbol does not take this way of filling", _T.FIX_INPUT),
    _row(10031, "CONNECTION", "no connection to the trade server", _T.RECONCILE),
    _row(10032, "ONLY_REAL", "allowed for real accounts only", _T.HALT),
    _row(10033, "LIMIT_ORDERS", "the most pending orders are placed", _T.REFUSE),
    _row(10034, "LIMIT_VOLUME", "the most volume of this symbol is reached", _T.REFUSE),
    _row(10035, "INVALID_ORDER", "the symbol does not take this type of order", _T.FIX_INPUT),
    _row(10036, "POSITION_CLOSED", "the position is closed already", _T.REREAD),
    _row(10038, "INVALID_CLOSE_VOLUME", "more than the position holds", _T.FIX_INPUT, _T.REREAD),
    _row(10039, "CLOSE_ORDER_EXIST", "it is being closed already", _T.FIX_INPUT, _T.REREAD),
    _row(10040, "LIMIT_POSITIONS", "the most positions are open", _T.REFUSE),
    _row(10041, "REJECT_CANCEL", "the activation was rejected, the order cancelled", _T.REFUSE),
    _row(10042, "LONG_ONLY", "only buying is allowed for the symbol", _T.REFUSE),
    _row(10043, "SHORT_ONLY", "only selling is allowed for the symbol", _T.REFUSE),
    _row(10044, "CLOSE_ONLY", "only closing is allowed for the symbol", _T.REFUSE),
    _row(10045, "FIFO_CLOSE", "positions must be closed oldest first", _T.FIX_INPUT),
    _row(10046, "HEDGE_PROHIBITED", "opposite positions are not allowed", _T.FIX_INPUT),
)

RETCODES: dict[int, Retcode] = {row.code: row for row in _RETCODES}
"""Every retcode of a trade request, by code."""

_LAST_ERRORS = (
    LastError(1, "no error", _T.RECONCILE),
    LastError(-1, "the terminal could not do it (unknown symbol, no data)", _T.RECONCILE),
    LastError(-2, "the arguments are not accepted", _T.FIX_INPUT),
    LastError(-3, "out of memory", _T.RECONCILE),
    LastError(-4, "not found", _T.RECONCILE),
    LastError(-5, "terminal and package do not fit together: update both", _T.RECONCILE, halt=True),
    LastError(-6, "the terminal is not authorized: check login, password, server",
              _T.RECONCILE, halt=True),
    LastError(-7, "this way of signing in is not supported (one-time password, certificate)",
              _T.RECONCILE, halt=True),
    LastError(-8, "trading through the Python API is switched off in the terminal",
              _T.HALT, halt=True),
    LastError(-10000, "the call to the terminal failed", _T.RECONCILE, gone=True),
    LastError(-10001, "the pipe to the terminal broke while sending", _T.RECONCILE, gone=True),
    LastError(-10002, "the pipe to the terminal broke while receiving", _T.RECONCILE, gone=True),
    LastError(-10003, "the terminal was not found or did not start", _T.RECONCILE, gone=True),
    LastError(-10004, "no connection to a terminal", _T.BACK_OFF, gone=True),
    LastError(-10005, "the terminal did not come online in time", _T.RECONCILE, gone=True),
)  # fmt: skip

LAST_ERRORS: dict[int, LastError] = {row.code: row for row in _LAST_ERRORS}
"""Every code of ``last_error``, by code."""


def treatment_of(retcode: int, closing: bool = False) -> Treatment:
    """What to do about a retcode of ``order_send``; RECONCILE for one that nobody knows."""
    row = RETCODES.get(retcode)
    if row is None:
        return Treatment.RECONCILE
    return row.closing if closing else row.treatment


def treatment_of_error(code: int) -> Treatment:
    """What to do where ``order_send`` gave None and this ``last_error``; RECONCILE if unknown."""
    row = LAST_ERRORS.get(code)
    return Treatment.RECONCILE if row is None else row.sent


def link_is_gone(code: int) -> bool:
    """Whether a ``last_error`` says that the link to the terminal is dead."""
    row = LAST_ERRORS.get(code)
    return row is not None and row.gone


def words_of(code: int) -> str:
    """A code in words, of either table."""
    row = RETCODES.get(code) or LAST_ERRORS.get(code)
    return row.words if row is not None else f"code {code}, which is not documented"
