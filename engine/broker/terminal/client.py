"""The calls of the module, as methods of a :class:`Terminal` with one connection.

Owns the connection (one at a time; ``initialize`` drops the one before), ``last_error``, and what a
call gives back when it worked, found nothing, or failed. It must hold that ``last_error`` is
(1, 'Success') at the start of every other call and speaks of the last one only; that None is a
failure and an empty tuple is an answer; that after a broken pipe the first call says so and later
ones say that there is no connection, until ``initialize``.

The real module is one such object for a process; here several can live in one, which tests use.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.broker.terminal import rules, structs
from engine.broker.terminal.convenience import Convenience
from engine.broker.terminal.endpoint import NoTerminalError, connect_sandbox
from engine.broker.terminal.wire import ERRORS, SUCCESS, Link, LinkError, Reply

Rule = Callable[[rules.Args, rules.Kwargs], rules.Payload]
Build = Callable[[Any], Any]

_NOT_FOUND = -4
_AS_FAILURE = object()
"""Refused arguments give what a failure gives."""


class _CallError(Exception):
    """A call failed: ``last_error``'s code and text."""

    def __init__(self, code: int, text: str = "") -> None:
        super().__init__(code, text)
        self.error = (code, text or ERRORS[code])


def _struct(name: str) -> Build:
    return lambda value: structs.make(name, value)


def _many(name: str) -> Build:
    return lambda values: tuple(structs.make(name, value) for value in values)


def _same(value: Any) -> Any:
    return value


def _rates(value: Any) -> Any:
    return structs.make_rows(structs.RATES, value)


def _ticks(value: Any) -> Any:
    return structs.make_rows(structs.TICKS, value)


class Terminal(Convenience):
    """Every call of the module. ``connect(path)`` gives the link of a new connection, or raises
    :class:`NoTerminalError`; by default a sandbox at an address (see ``endpoint``)."""

    def __init__(self, connect: Callable[[str | None], Link] = connect_sandbox) -> None:
        self._connect = connect
        self._link: Link | None = None
        self._error = SUCCESS

    # --- how a call is made

    def _exchange(self, name: str, payload: rules.Payload) -> Any:
        """The value of the server's answer; _CallError where there is none."""
        if self._link is None:
            raise _CallError(-10004)
        try:
            reply: Reply = self._link.call(name, payload)
        except LinkError as error:
            self._drop()
            raise _CallError(error.code, error.text) from error
        if reply.error[0] == SUCCESS[0]:
            return reply.value
        if reply.error[0] == -10002:
            self._drop()
        raise _CallError(*reply.error)

    def _drop(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None

    def _ask(
        self,
        name: str,
        rule: Rule,
        build: Build = _same,
        args: rules.Args = (),
        kwargs: rules.Kwargs | None = None,
        failure: Any = None,
        refused: Any = _AS_FAILURE,
    ) -> Any:
        """One call from its arguments to its value: rule, server, build. ``failure`` is what it
        gives where it fails, ``refused`` where its arguments do."""
        self._error = SUCCESS
        worth = failure if refused is _AS_FAILURE else refused
        try:
            payload = self._checked(name, rule, args, kwargs or {})
            worth = failure
            return build(self._exchange(name, payload))
        except _CallError as error:
            self._error = error.error
            return worth

    def _checked(
        self, name: str, rule: Rule, args: rules.Args, kwargs: rules.Kwargs
    ) -> rules.Payload:
        try:
            return rule(args, kwargs)
        except rules.ArgumentError as error:
            raise _CallError(-2, str(error)) from error
        except rules.PendingError as error:
            self._error = (-2, rules.INVALID)
            text = f"<built-in function {name}> returned a result with an exception set"
            raise SystemError(text) from error.__cause__

    def _query(
        self, name: str, rule: Rule, struct: str, args: rules.Args, kwargs: rules.Kwargs
    ) -> Any:
        """A query whose group is filtered here, and whose "not found" is an empty tuple."""
        group: list[str | None] = []

        def sent(args: rules.Args, kwargs: rules.Kwargs) -> rules.Payload:
            payload = rule(args, kwargs)
            group.append(payload.pop("group", None))
            return payload

        found = self._ask(name, sent, _many(struct), args, kwargs)
        if found is None or group[0] is None:
            return self._or_nothing(found)
        return tuple(x for x in found if rules.group_matches(group[0], x.symbol))

    def _or_nothing(self, found: Any) -> Any:
        """A query's result, where "not found" is success with an empty tuple."""
        if found is None and self._error[0] == _NOT_FOUND:
            self._error = SUCCESS
            return ()
        return found

    # --- connection

    def initialize(self, *args: Any, **kwargs: Any) -> bool:
        """Connect to the terminal at ``path``, log in where ``login`` is given; False on failure.
        ``timeout`` in ms."""
        self._error = SUCCESS
        self._drop()
        try:
            payload = self._checked("initialize", rules.initialize, args, kwargs)
            self._link = self._connect(payload["path"])
            self._exchange("initialize", payload)
        except NoTerminalError as error:
            self._error = (-10003, str(error))
        except _CallError as error:
            self._error = error.error
            self._drop()
        return self._error == SUCCESS

    def login(self, *args: Any, **kwargs: Any) -> bool:
        """Change the account: ``login(login, password, server, timeout)``; False on failure, which
        keeps the connection."""
        return bool(self._ask("login", rules.login, bool, args, kwargs, failure=False))

    def shutdown(self) -> bool:
        """Close the connection; True, whether there was one or not."""
        self._error = SUCCESS
        self._drop()
        return True

    def last_error(self) -> tuple[int, str]:
        """(code, text) of the last other call; (1, 'Success') where it worked."""
        return self._error

    def version(self) -> Any:
        """(500, build, date as text); (0, 0, '') on failure."""
        return self._ask("version", rules.nothing, tuple, failure=(0, 0, ""))

    def terminal_info(self) -> Any:
        """TerminalInfo; None on failure."""
        return self._ask("terminal_info", rules.nothing, _struct("TerminalInfo"))

    def account_info(self) -> Any:
        """AccountInfo; None on failure."""
        return self._ask("account_info", rules.nothing, _struct("AccountInfo"))

    # --- symbols and quotes

    def symbols_total(self) -> Any:
        """Number of symbols; None on failure."""
        return self._ask("symbols_total", rules.nothing, int)

    def symbols_get(self, *args: Any, **kwargs: Any) -> Any:
        """SymbolInfo of a group's symbols; False for bad arguments, None on failure."""
        found = self._ask(
            "symbols_get", rules.symbols_get, _many("SymbolInfo"), args, kwargs, refused=False
        )
        return self._or_nothing(found)

    def symbol_info(self, *args: Any) -> Any:
        """SymbolInfo of a symbol, selected or not; None on failure."""
        return self._ask("symbol_info", rules.symbol, _struct("SymbolInfo"), args)

    def symbol_info_tick(self, *args: Any) -> Any:
        """The last Tick of a selected symbol, however old; None on failure."""
        return self._ask("symbol_info_tick", rules.symbol, _struct("Tick"), args)

    def symbol_select(self, *args: Any) -> bool:
        """Show a symbol or hide it (``enable``); False on failure."""
        return bool(self._ask("symbol_select", rules.symbol_select, bool, args, failure=False))

    def market_book_add(self, *args: Any) -> Any:
        """Subscribe to a symbol's depth; False on failure, with last_error at Success, None for
        bad arguments."""
        return self._book("market_book_add", args)

    def market_book_release(self, *args: Any) -> Any:
        """End a subscription to depth; fails as ``market_book_add`` does."""
        return self._book("market_book_release", args)

    def _book(self, name: str, args: rules.Args) -> Any:
        done = self._ask(name, rules.symbol, bool, args, failure=False, refused=None)
        if done is False and self._error[0] > -10000:
            self._error = SUCCESS
        return done

    def market_book_get(self, *args: Any) -> Any:
        """BookInfo of each level; None on failure."""
        return self._ask("market_book_get", rules.symbol, _many("BookInfo"), args)

    # --- history of prices

    def copy_rates_from(self, *args: Any) -> Any:
        """``(symbol, timeframe, date_from, count)``: bars back from a date, oldest first."""
        return self._ask("copy_rates_from", rules.rates_from, _rates, args)

    def copy_rates_from_pos(self, *args: Any) -> Any:
        """``(symbol, timeframe, start_pos, count)``: bars back from the one at ``start_pos``, 0
        being the bar that still forms."""
        return self._ask("copy_rates_from_pos", rules.rates_from_pos, _rates, args)

    def copy_rates_range(self, *args: Any) -> Any:
        """``(symbol, timeframe, date_from, date_to)``: the bars between two dates."""
        return self._ask("copy_rates_range", rules.rates_range, _rates, args)

    def copy_ticks_from(self, *args: Any) -> Any:
        """``(symbol, date_from, count, flags)``: ticks onwards from a date."""
        return self._ask("copy_ticks_from", rules.ticks_from, _ticks, args)

    def copy_ticks_range(self, *args: Any) -> Any:
        """``(symbol, date_from, date_to, flags)``: the ticks between two dates."""
        return self._ask("copy_ticks_range", rules.ticks_range, _ticks, args)

    # --- orders and positions

    def orders_total(self) -> Any:
        """Number of working orders; None on failure."""
        return self._ask("orders_total", rules.nothing, int)

    def orders_get(self, *args: Any, **kwargs: Any) -> Any:
        """Working orders as TradeOrder, all or by ticket, symbol or group; None on failure."""
        return self._query("orders_get", rules.live_query, "TradeOrder", args, kwargs)

    def positions_total(self) -> Any:
        """Number of open positions; None on failure."""
        return self._ask("positions_total", rules.nothing, int)

    def positions_get(self, *args: Any, **kwargs: Any) -> Any:
        """Open positions as TradePosition, all or by ticket, symbol or group; None on failure."""
        return self._query("positions_get", rules.live_query, "TradePosition", args, kwargs)

    def history_orders_total(self, *args: Any) -> Any:
        """Number of ended orders between two dates; None on failure."""
        return self._ask("history_orders_total", rules.history_total, int, args)

    def history_orders_get(self, *args: Any, **kwargs: Any) -> Any:
        """Ended orders between two dates (and of a group), or of a ticket or position."""
        return self._query("history_orders_get", rules.history_query, "TradeOrder", args, kwargs)

    def history_deals_total(self, *args: Any) -> Any:
        """Number of deals between two dates; None on failure."""
        return self._ask("history_deals_total", rules.history_total, int, args)

    def history_deals_get(self, *args: Any, **kwargs: Any) -> Any:
        """Deals between two dates (and of a group), or of a ticket or position."""
        return self._query("history_deals_get", rules.history_query, "TradeDeal", args, kwargs)

    # --- trading

    def order_check(self, *args: Any, **kwargs: Any) -> Any:
        """What a request would do: OrderCheckResult, retcode 0 where it would pass; None on
        failure."""
        return self._trade("order_check", "OrderCheckResult", args, kwargs)

    def order_send(self, *args: Any, **kwargs: Any) -> Any:
        """Send a trade request: OrderSendResult, whose retcode is the verdict; None on failure,
        which with -10000 to -10002 may mean that it was executed."""
        return self._trade("order_send", "OrderSendResult", args, kwargs)

    def _trade(self, name: str, struct: str, args: rules.Args, kwargs: rules.Kwargs) -> Any:
        sent: list[rules.Payload] = []

        def rule(args: rules.Args, kwargs: rules.Kwargs) -> rules.Payload:
            sent.append(rules.request(args, kwargs))
            return sent[0]

        def build(value: Any) -> Any:
            # the result's request is what was sent, not what the server made of it
            request = structs.make("TradeRequest", sent[0]["request"])
            return structs.make(struct, dict(value) | {"request": request})

        return self._ask(name, rule, build, args, kwargs)

    def order_calc_margin(self, *args: Any) -> Any:
        """``(action, symbol, volume, price)``: margin in account currency; None on failure."""
        return self._ask("order_calc_margin", rules.calc_margin, float, args)

    def order_calc_profit(self, *args: Any) -> Any:
        """``(action, symbol, volume, price_open, price_close)``: profit in account currency;
        None on failure."""
        return self._ask("order_calc_profit", rules.calc_profit, float, args)
