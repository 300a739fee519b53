"""The broker behind a MetaTrader 5 terminal: the Broker protocol over calls to its package.

Owns the order of calls for each thing that is asked, and what their answers amount to. The parts
lie apart: codes in ``retcodes``, symbols in ``mt5_symbols``, the clock in ``mt5_clock``, requests
in ``mt5_requests``, facts in ``mt5_facts``, signing in and checked reads in ``mt5_link``.

What must hold: a request is sent once; a refusal that is certain (10030: another way of filling) is
the only thing after which it is made again. An answer that was lost, that is of another request, or
that nobody knows is RECONCILE. The account is that of the settings at most one second before
anything is sent. It refuses to know intents, the log, and how a terminal is reached.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from data.enums import OrderType
from data.errors import ConfigError, OfsError
from engine.broker.calls import CallLostError, CallRaisedError, Terminal
from engine.broker.mt5_clock import NS, ServerClock
from engine.broker.mt5_facts import (
    read_account,
    read_deal,
    read_order,
    read_position,
    why_not,
)
from engine.broker.mt5_link import (
    Mt5Settings,
    failure,
    identity,
    prove_clock,
    read,
    refuted,
    select,
    sign_in,
)
from engine.broker.mt5_requests import (
    ACTION_DEAL,
    ACTION_PENDING,
    Request,
    at_once,
    cancel_request,
    close_request,
    frozen,
    levels_request,
    order_request,
    unsent,
    wrong_close,
    wrong_move,
    wrong_order,
)
from engine.broker.mt5_symbols import FILLING_RETURN, Symbol, read_symbol
from engine.broker.protocol import (
    Account,
    BrokerError,
    DealFact,
    Health,
    Instrument,
    NewOrder,
    OrderFact,
    Outcome,
    PositionFact,
    Tick,
    Treatment,
)
from engine.broker.retcodes import (
    DONE,
    INVALID_FILL,
    NO_DATA,
    link_is_gone,
    treatment_of,
    treatment_of_error,
    words_of,
)

__all__ = ["Mt5Broker", "Mt5Settings"]

IDENTITY_NS = NS
"""The account is looked at again after this long, before something is sent."""

SYMBOL_NS = 60 * NS
"""A symbol's properties are read again after this long, or when a request did not fit them."""

TOUCH_NS = NS
"""A quote that was read so long ago serves an order whose price does not bind the server."""

NO_TICK = Tick(0, 0, 0)
"""A symbol that has not been quoted yet."""

LOST = -10002
"""Code of an outcome whose answer was lost on our side, as the package has it."""

SEEN_MOST = 4_096
"""Tickets of orders that are remembered to tell an answer that was given before."""

_DAY_S = 86_400
_TICKS = 2_000
_COPY_TICKS_INFO = 1


class Mt5Broker:
    """An account behind a terminal, see :class:`engine.broker.protocol.Broker`."""

    name = "mt5"

    def __init__(self, terminal: Terminal, settings: Mt5Settings) -> None:
        self.terminal = terminal
        self.settings = settings
        self.clock = ServerClock(settings.clock)
        self.clock_proven = False
        self._symbols: dict[str, Symbol] = {}
        self._read_ns: dict[str, int] = {}
        self._touches: dict[str, tuple[int, Tick]] = {}
        self._checked_ns = 0
        self._fillings: dict[str, int] = {}
        self._seen: dict[int, int] = {}
        self._last_request = 0

    # --- connecting

    def connect(self) -> Account:
        """See :meth:`Broker.connect`."""
        self._seen.clear()
        self._last_request = 0
        terminal, info = sign_in(self.terminal, self.settings)
        self._checked_ns = self.terminal.now_ns()
        account = read_account(info, why_not(terminal, info))
        for name in self.settings.symbols:
            self._read_symbol(name)
            profit = self._symbols[name].instrument.profit_currency
            if profit != account.currency:
                raise ConfigError(
                    f"{name} cannot be traded with this account",
                    why=f"its results arise in {profit}, the account is in {account.currency}",
                    do="use an account in that currency, or another symbol",
                )
        if not self.clock_proven:
            self.clock_proven = prove_clock(self.terminal, self.settings)
        return account

    def account(self) -> Account:
        """See :meth:`Broker.account`."""
        info = self._identity()
        terminal = self._read("terminal_info")
        return read_account(info, why_not(terminal, info))

    def instruments(self) -> Sequence[Instrument]:
        """See :meth:`Broker.instruments`."""
        return [self._symbol(name).instrument for name in self.settings.symbols]

    def stop(self) -> None:
        """See :meth:`Broker.stop`."""
        self.terminal.close()

    # --- the market

    def quotes(self, symbol: str, since_ns: int) -> Sequence[Tick]:
        """See :meth:`Broker.quotes`."""
        self._symbol(symbol)
        if since_ns == 0:
            return [self._tick(symbol)]
        now = self.terminal.now_ns()
        begin, count = self.clock.window_from_s(since_ns, now), _TICKS
        found: dict[int, Tick] = {}
        while True:
            # the first such call of a terminal may fetch for long what it does not have
            rows = read(
                self.terminal, "copy_ticks_from", symbol, begin, count, _COPY_TICKS_INFO,
                deadline_s=self.settings.history_s,
            )  # fmt: skip
            for row in rows:
                tick = self._as_tick(symbol, row["time_msc"], row["bid"], row["ask"], now)
                if tick.ts_ns > since_ns:
                    found[tick.ts_ns] = tick
            if len(rows) < count:
                return [found[ts] for ts in sorted(found)]
            last = int(rows[-1]["time"])
            # a second that holds more ticks than were asked for is asked for again, whole
            begin, count = (last, count) if last > begin else (begin, 2 * count)

    def _as_tick(self, symbol: str, time_msc: Any, bid: Any, ask: Any, now: int) -> Tick:
        s = self._symbol(symbol)
        ts = self.clock.past_utc_ns(int(time_msc), now)
        return Tick(ts, s.units(float(bid)), s.units(float(ask)))

    def _tick(self, symbol: str) -> Tick:
        """The last tick, held against the clock rule; NO_TICK where there is none yet."""
        answer = self.terminal.call("symbol_info_tick", symbol, deadline_s=self.settings.call_s)
        now = self.terminal.now_ns()
        if answer.value is None and answer.code == NO_DATA:
            # not quoted yet, or no longer followed: it is selected again before the next order
            self._read_ns.pop(symbol, None)
            self._touches[symbol] = now, NO_TICK
            return NO_TICK
        if answer.value is None:
            raise failure("symbol_info_tick", answer)
        verdict = self.clock.check(answer.value, now)
        if verdict.wrong:
            raise refuted(self.settings.clock, symbol, verdict.words)
        self.clock_proven = self.clock_proven or verdict.proven
        v = answer.value
        shown = v.time_msc or v.time * 1000
        tick = self._as_tick(symbol, shown, v.bid, v.ask, now) if shown else NO_TICK
        self._touches[symbol] = now, tick
        return tick

    # --- what changes something

    def submit(self, order: NewOrder) -> Outcome:
        """See :meth:`Broker.submit`."""
        symbol, tick = self._before(order.symbol)
        found = self._wrong(symbol, order, tick)
        if found is not None:
            # the quote may have been read before this, and the market moved since
            tick = self._tick(order.symbol)
            found = self._wrong(symbol, order, tick)
        if found is not None:
            return found
        closing = order.position != 0
        if order.type is not OrderType.MARKET and not at_once(order):
            # an order that waits has one way of filling, whatever the symbol says
            request = order_request(symbol, order, tick, FILLING_RETURN)
            return self._send(symbol, request, closing)
        return self._fill(
            symbol, order.ioc, lambda mode: order_request(symbol, order, tick, mode), closing
        )

    def _wrong(self, symbol: Symbol, order: NewOrder, tick: Tick) -> Outcome | None:
        """Why an order is not sent, by this quote; None where nothing stands against it."""
        age = self.terminal.now_ns() - tick.ts_ns
        if age > self.settings.stale_s * NS or min(tick.bid, tick.ask) <= 0:
            return unsent(Treatment.FRESH_PRICE, f"the last quote is {age // NS} s old")
        return wrong_order(symbol, order, tick)

    def modify(self, symbol: str, position: int, stop: int, target: int) -> Outcome:
        """See :meth:`Broker.modify`."""
        s, _ = self._before(symbol)
        held = self._position(s, position)
        if held is None:
            return unsent(Treatment.REREAD, f"there is no position {position}")
        tick = self._tick(symbol)
        found = wrong_move(s, held, stop, target, tick)
        if found is not None:
            return found
        return self._send(s, levels_request(s, position, stop, target), closing=True)

    def close(self, position: PositionFact, qty: int, magic: int, comment: str) -> Outcome:
        """See :meth:`Broker.close`."""
        s, tick = self._before(position.symbol)
        found = wrong_close(s, position, qty)
        if found is None and frozen(s, position, tick) is not None:
            tick = self._tick(s.name)
            found = frozen(s, position, tick)
        if found is not None:
            return found
        more = {"magic": magic, "comment": comment, "deviation": self.settings.deviation}
        return self._fill(
            s, True, lambda mode: close_request(s, position, qty, tick, mode) | more, closing=True
        )

    def cancel(self, symbol: str, order: int) -> Outcome:
        """See :meth:`Broker.cancel`."""
        s = self._symbol(symbol)
        self._recent_identity()
        if not self._read("orders_get", ticket=order):
            return unsent(Treatment.REREAD, f"there is no working order {order}")
        return self._send(s, cancel_request(s, order), closing=True)

    def _before(self, name: str) -> tuple[Symbol, Tick]:
        """What must be known before something is sent: account, symbol, touch."""
        self._recent_identity()
        if self.terminal.now_ns() - self._read_ns.get(name, 0) > SYMBOL_NS:
            self._read_symbol(name)
        symbol = self._symbol(name)
        read_ns, tick = self._touches.get(name, (0, NO_TICK))
        # where no price binds the server, the quote only tells whether the market lives
        old = self.terminal.now_ns() - read_ns > TOUCH_NS
        return symbol, self._tick(name) if old or symbol.holds_price() else tick

    def _fill(
        self, s: Symbol, ioc: bool, request: Callable[[int], Request], closing: bool
    ) -> Outcome:
        """Send a market order with the way of filling that the symbol takes. A refusal for that
        reason (10030) is certain, so the next one is tried, and remembered where it was taken."""
        modes = list(s.fillings(ioc))
        known = self._fillings.get(s.name)
        if known in modes:
            modes.sort(key=lambda mode: mode != known)
        for mode in modes:
            outcome = self._send(s, request(mode), closing)
            if outcome.code != INVALID_FILL:
                if outcome.treatment in (Treatment.DONE, Treatment.PLACED):
                    self._fillings[s.name] = mode
                return outcome
        return outcome

    def _send(self, s: Symbol, request: Request, closing: bool = False) -> Outcome:
        """Send a request, once. BrokerGoneError where it certainly was not sent."""
        try:
            answer = self.terminal.call("order_send", request, deadline_s=self.settings.send_s)
        except CallLostError as error:
            return Outcome(Treatment.RECONCILE, LOST, error.what)
        except CallRaisedError as error:
            # the package may raise after it has sent: an exception left pending shows at the end
            return Outcome(Treatment.RECONCILE, LOST, f"{error.what}: {error.why}")
        result = answer.value
        if result is None:
            treatment = treatment_of_error(answer.code)
            if treatment is not Treatment.RECONCILE and link_is_gone(answer.code):
                raise failure("order_send", answer)
            return Outcome(treatment, answer.code, f"{words_of(answer.code)} ({answer.text})")
        return self._outcome(s, request, result, closing)

    def _outcome(self, s: Symbol, request: Request, result: Any, closing: bool) -> Outcome:
        """What a result amounts to."""
        if self._is_stale(request, result):
            # answers are out of step: everything that this worker still says is of the past
            self.terminal.close()
            return Outcome(Treatment.RECONCILE, LOST, "the answer is that of another request")
        treatment = treatment_of(result.retcode, closing)
        if result.retcode == DONE and request["action"] == ACTION_PENDING:
            treatment = Treatment.PLACED
        if treatment is Treatment.FIX_INPUT:
            self._read_ns.pop(s.name, None)
        return Outcome(
            treatment=treatment,
            code=result.retcode,
            text=f"{words_of(result.retcode)} ({result.comment})",
            order=result.order,
            deal=result.deal,
            qty=s.qty(result.volume) if result.deal else 0,
            price=s.units(result.price) if result.deal else 0,
        )

    def _is_stale(self, request: Request, result: Any) -> bool:
        """Whether a result was given before: its request number, or the ticket of an order that
        another request made."""
        repeated = result.request_id != 0 and result.request_id == self._last_request
        self._last_request = result.request_id
        if request["action"] in (ACTION_DEAL, ACTION_PENDING) and result.order != 0:
            repeated = repeated or result.order in self._seen
            self._seen[result.order] = request.get("magic", 0)
            if len(self._seen) > SEEN_MOST:
                del self._seen[next(iter(self._seen))]
        return repeated

    # --- what there is

    def positions(self) -> Sequence[PositionFact]:
        """See :meth:`Broker.positions`."""
        rows, now = self._read("positions_get"), self.terminal.now_ns()
        return [
            read_position(row, self._symbol(row.symbol), self.clock, now)
            for row in rows
            if row.symbol in self.settings.symbols
        ]

    def orders(self, since_ns: int) -> Sequence[OrderFact]:
        """See :meth:`Broker.orders`."""
        working = self._read("orders_get")
        ended = self._history("history_orders_get", since_ns)
        now = self.terminal.now_ns()
        over = {row.ticket for row in ended}
        both = [(row, False) for row in working if row.ticket not in over]
        both += [(row, True) for row in ended]
        return [
            read_order(row, self._symbol(row.symbol), self.clock, now, is_over)
            for row, is_over in both
            if row.symbol in self.settings.symbols
        ]

    def deals(self, since_ns: int) -> Sequence[DealFact]:
        """See :meth:`Broker.deals`."""
        rows, now = self._history("history_deals_get", since_ns), self.terminal.now_ns()
        self.instruments()
        # a server may list one twice
        facts = {row.ticket: read_deal(row, self._symbols, self.clock, now) for row in rows}
        return sorted(facts.values(), key=lambda deal: (deal.ts_ns, deal.ticket))

    def _history(self, name: str, since_ns: int) -> Any:
        """A window of history, in the server's clock and a day beyond its present."""
        now = self.terminal.now_ns()
        begin = self.clock.window_from_s(since_ns, now)
        end = self.clock.to_server_s(now) + _DAY_S
        answer = self.terminal.call(name, max(1, begin), end, deadline_s=self.settings.history_s)
        if answer.value is None:
            raise failure(name, answer)
        return answer.value

    def _position(self, s: Symbol, ticket: int) -> PositionFact | None:
        rows = self._read("positions_get", ticket=ticket)
        if not rows or rows[0].symbol != s.name:
            return None
        return read_position(rows[0], s, self.clock, self.terminal.now_ns())

    def health(self) -> Health:
        """See :meth:`Broker.health`."""
        t = self.terminal
        try:
            offset = self.clock.offset_ns(t.now_ns())
            terminal = self._read("terminal_info")
            why = why_not(terminal, self._identity())
            ticks = [self._tick(name) for name in self.settings.symbols]
            ages = [t.now_ns() - tick.ts_ns for tick in ticks if tick is not NO_TICK]
        except OfsError as error:  # the clock of a link may fail too
            return Health(False, False, -1, t.round_trip_ns, t.restarts, 0, error.what)
        age = max(0, min(ages)) if ages else -1
        words = why
        if not words and not self.clock_proven:
            words = "no fresh quote has confirmed the rule of the server's clock yet"
        return Health(terminal.connected, not why, age, t.round_trip_ns, t.restarts, offset, words)

    # --- reads

    def _read(self, name: str, *args: Any, **kwargs: Any) -> Any:
        return read(self.terminal, name, *args, deadline_s=self.settings.call_s, **kwargs)

    def _identity(self) -> Any:
        info = identity(self.terminal, self.settings)
        self._checked_ns = self.terminal.now_ns()
        return info

    def _recent_identity(self) -> None:
        if self.terminal.now_ns() - self._checked_ns > IDENTITY_NS:
            self._identity()

    def _read_symbol(self, name: str) -> None:
        info = select(self.terminal, self.settings, name)
        self._symbols[name] = read_symbol(info, self.settings.symbols[name])
        self._read_ns[name] = self.terminal.now_ns()

    def _symbol(self, name: str) -> Symbol:
        if name not in self.settings.symbols:
            raise BrokerError(f"this broker was not made for {name}", do="name it in the settings")
        if name not in self._symbols:
            self._read_symbol(name)
        return self._symbols[name]
