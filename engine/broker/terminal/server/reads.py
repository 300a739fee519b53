"""What a terminal shows: account, symbols, positions, orders and deals as the package's structs.

Owns the way from the server's integers to the fields of ``mt5_surface.json``: floats, lots and the
wall clock of the server as an epoch. What must hold: what a terminal cannot see yet is not shown;
fields that have no meaning here are left out, which makes them zero.

It refuses to know what may be done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import numpy as np

from engine.broker.terminal.server.ledger import Ledger
from engine.broker.terminal.server.quotes import Quotes
from engine.broker.terminal.server.specs import CFD_LEVERAGE, LOT, SymbolSpec
from engine.broker.terminal.server.state import Deal, Order, Position
from engine.broker.terminal.server.words import Entry, Type

Struct = dict[str, Any]
T = TypeVar("T")

MAX_BARS = 100_000
"""Bars of a chart that a terminal keeps, ``terminal_info().maxbars``."""

_BID, _ASK = 2, 4
_ANY_CLOCK_S = 15 * 3600
"""No clock is further from UTC."""


class Reads:
    """Structs of what ``ledger`` holds. ``quotes_until_ns`` and ``trades_until_ns`` are how far the
    terminal knows what happened (-1: up to now), ``elsewhere`` says that it is logged in to another
    account."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.market = ledger.market
        self.quotes_until_ns = self.trades_until_ns = -1
        self.elsewhere = False
        self.kept_account: Struct | None = None
        self.selected = set(self.market.specs)

    # --- quotes that the terminal knows

    def rows(self, symbol: str) -> int:
        """Number of quotes of a symbol that the terminal knows."""
        quotes = self.market.quotes[symbol]
        if self.quotes_until_ns < 0:
            return quotes.rows
        return int(np.searchsorted(quotes.columns()[0], self.quotes_until_ns, side="right"))

    def _now_ns(self) -> int:
        """How far the terminal knows what became of orders and positions."""
        return self.market.now_ns if self.trades_until_ns < 0 else self.trades_until_ns

    def _touch(self, symbol: str) -> tuple[int, int, int]:
        """(ts_ns, bid, ask) that the terminal knows; zeros before the first quote."""
        quotes: Quotes = self.market.quotes[symbol]
        row = self.rows(symbol) - 1
        if row < 0:
            return 0, 0, 0
        ts, bid, ask = quotes.columns()
        return int(ts[row]), int(bid[row]), int(ask[row])

    # --- account and symbols

    def keep_account(self) -> None:
        """The terminal loses its server: it goes on showing the account as it is now."""
        if self.kept_account is None:
            self.kept_account = self.account()

    def account(self) -> Struct:
        """``AccountInfo``; another one's where the terminal is logged in elsewhere."""
        if self.elsewhere:
            a = self.ledger.account
            return {
                "login": a.login + 1, "leverage": a.leverage, "trade_allowed": True,
                "trade_expert": True, "margin_mode": int(a.margin_mode), "balance": 1_000.0,
                "equity": 1_000.0, "currency_digits": a.currency_digits, "name": "Somebody",
                "server": a.server, "currency": a.currency, "company": a.company,
            }  # fmt: skip
        if self.kept_account is not None:
            return dict(self.kept_account)
        ledger, a = self.ledger, self.ledger.account
        money, margin, equity = ledger.money.amount, ledger.margin(), ledger.equity()
        return {
            "login": a.login, "trade_mode": 2 if a.real else 0, "leverage": a.leverage,
            "limit_orders": a.limit_orders, "trade_allowed": a.trade_allowed,
            "trade_expert": a.trade_expert, "margin_mode": int(a.margin_mode),
            "currency_digits": a.currency_digits, "fifo_close": a.fifo,
            "balance": money(ledger.balance), "credit": money(ledger.credit),
            "profit": money(equity - ledger.balance - ledger.credit),
            "equity": money(equity), "margin": money(margin),
            "margin_free": money(equity - margin),
            "margin_level": round(100 * equity / margin, 2) if margin else 0.0,
            "margin_so_call": a.margin_call, "margin_so_so": a.stop_out, "name": a.name,
            "server": a.server, "currency": a.currency, "company": a.company,
        }  # fmt: skip

    def symbol(self, name: str) -> Struct | None:
        """``SymbolInfo``; None for a name that is not traded."""
        s = self.market.specs.get(name)
        if s is None:
            return None
        ts_ns, bid, ask = self._touch(name)
        value = self._tick_value(s)
        chosen = name in self.selected
        return {
            "select": chosen, "visible": chosen, "time": self.market.clock.seconds(ts_ns),
            "digits": s.digits, "spread": ask - bid, "spread_float": True,
            "ticks_bookdepth": 1 if s.obeys_depth else 0, "trade_calc_mode": s.calc_mode,
            "trade_mode": int(s.trade_mode), "trade_stops_level": s.stops_level,
            "trade_freeze_level": s.freeze_level, "trade_exemode": int(s.execution),
            "swap_mode": 1 if s.swap_long or s.swap_short else 0,
            "swap_rollover3days": s.triple_swap_day, "expiration_mode": s.expiration_mode,
            "filling_mode": int(s.filling), "order_mode": s.order_mode,
            "bid": s.price(bid), "ask": s.price(ask), **self._day(s, ts_ns),
            "point": round(1 / s.scale, s.digits), "trade_tick_value": value,
            "trade_tick_value_profit": value, "trade_tick_value_loss": value,
            "trade_tick_size": s.price(s.tick), "trade_contract_size": s.contract,
            "volume_min": s.volume_min, "volume_max": s.volume_max,
            "volume_step": s.volume_step, "volume_limit": s.volume_limit,
            "swap_long": s.swap_long, "swap_short": s.swap_short,
            "margin_hedged": s.margin_hedged, "currency_base": s.currency_base,
            "currency_profit": s.currency_profit,
            "currency_margin": s.currency_profit if s.calc_mode == CFD_LEVERAGE
            else s.currency_base,
            "description": s.description, "name": s.name, "path": f"Sandbox\\{s.name}",
        }  # fmt: skip

    def _tick_value(self, s: SymbolSpec) -> float:
        rate = self.ledger.money.rate(s.currency_profit) or 0.0
        return s.tick / s.scale * s.contract * rate

    def _day(self, s: SymbolSpec, ts_ns: int) -> Struct:
        """Highest and lowest bid and ask of the server's day so far."""
        if not ts_ns:
            return {}
        clock = self.market.clock
        wall = clock.wall_ns(ts_ns)
        begin_ns = clock.utc_ns(wall - wall % (86_400 * 10**9))
        ts, bid, ask = self.market.quotes[s.name].columns()
        a, b = int(np.searchsorted(ts, begin_ns)), self.rows(s.name)
        bids, asks = bid[a:b], ask[a:b]
        if not len(bids):
            return {}
        return {
            "bidhigh": s.price(int(bids.max())), "bidlow": s.price(int(bids.min())),
            "askhigh": s.price(int(asks.max())), "asklow": s.price(int(asks.min())),
            "session_open": s.price(int(bids[0])),
        }  # fmt: skip

    def tick(self, name: str) -> Struct | None:
        """``Tick``; None for a symbol that is not selected or was never quoted."""
        if name not in self.selected:
            return None
        ts_ns, bid, ask = self._touch(name)
        if not ts_ns:
            return None
        s, clock = self.market.specs[name], self.market.clock
        return {
            "time": clock.seconds(ts_ns), "bid": s.price(bid), "ask": s.price(ask),
            "time_msc": clock.msc(ts_ns), "flags": _BID | _ASK,
        }  # fmt: skip

    # --- positions and orders

    def positions(self) -> list[Struct]:
        """``TradePosition`` of every position that is seen."""
        shown = self.ledger.shown_positions.sorted(self._now_ns())
        return [] if self.elsewhere else [self._position(p) for p in shown]

    def _position(self, p: Position) -> Struct:
        s, clock = self.market.specs[p.symbol], self.market.clock
        _, bid, ask = self._touch(p.symbol)
        money = self.ledger.money.amount
        mean = round(p.mean / s.scale, s.digits + 6)
        return {
            "ticket": p.ticket, "time": clock.seconds(p.open_ns), "time_msc": clock.msc(p.open_ns),
            "time_update": clock.seconds(p.update_ns), "time_update_msc": clock.msc(p.update_ns),
            "type": 0 if p.buy else 1, "magic": p.magic, "identifier": p.ident,
            "reason": int(p.reason), "volume": p.volume / LOT, "price_open": mean,
            "sl": s.price(p.sl), "tp": s.price(p.tp),
            "price_current": s.price(bid if p.buy else ask),
            "swap": money(p.swap), "profit": money(self.ledger.floating(p)), "symbol": p.symbol,
            "comment": p.comment,
        }  # fmt: skip

    def orders(self) -> list[Struct]:
        """``TradeOrder`` of every working order that is seen."""
        shown = self.ledger.shown_orders.sorted(self._now_ns())
        return [] if self.elsewhere else [self.order(o) for o in shown]

    def order(self, o: Order) -> Struct:
        """``TradeOrder``."""
        s, clock = self.market.specs[o.symbol], self.market.clock
        _, bid, ask = self._touch(o.symbol)
        return {
            "ticket": o.ticket, "time_setup": clock.seconds(o.setup_ns),
            "time_setup_msc": clock.msc(o.setup_ns), "time_done": clock.seconds(o.done_ns),
            "time_done_msc": clock.msc(o.done_ns), "time_expiration": clock.seconds(o.expires_ns),
            "type": int(o.type), "type_time": int(o.until), "type_filling": int(o.filling),
            "state": int(o.state), "magic": o.magic, "position_id": self._ident(o.position),
            "position_by_id": o.position_by, "reason": int(o.reason),
            "volume_initial": o.initial / LOT, "volume_current": o.volume / LOT,
            "price_open": s.price(o.price), "sl": s.price(o.sl), "tp": s.price(o.tp),
            "price_current": s.price(ask if o.type == Type.BUY else bid),
            "price_stoplimit": s.price(o.trigger), "symbol": o.symbol, "comment": o.comment,
        }  # fmt: skip

    def _ident(self, position: int) -> int:
        """Identifier of a position by its ticket; history knows it by nothing else."""
        held = self.ledger.positions.get(position)
        return held.ident if held is not None else position

    # --- history

    def past_orders(self, payload: Struct) -> list[Struct]:
        """``history_orders_get``: by dates (of the end), else by ticket, else by position."""
        now_ns, ledger = -1 if self.elsewhere else self._now_ns(), self.ledger
        if payload.get("date_from") is not None:
            recent = _since(ledger.past.values(), lambda o: o.done_ns, payload)
            seen = [o for o in recent if ledger.past_seen_ns[o.ticket] <= now_ns]
            return [self.order(o) for o in seen if self._within(o.done_ns, payload)]
        seen = [o for t, o in ledger.past.items() if ledger.past_seen_ns[t] <= now_ns]
        if payload.get("ticket") is not None:
            return [self.order(o) for o in seen if o.ticket == payload["ticket"]]
        return [self.order(o) for o in seen if self._ident(o.position) == payload.get("position")]

    def past_deals(self, payload: Struct) -> list[Struct]:
        """``history_deals_get``: by dates, else one deal by ticket (its own, else of its order),
        else those of a position."""
        now_ns = -1 if self.elsewhere else self._now_ns()
        if payload.get("date_from") is not None:
            recent = _since(self.ledger.deals, lambda d: d.ts_ns, payload)
            seen = [d for d in recent if d.seen_ns <= now_ns]
            return self._deals(d for d in seen if self._within(d.ts_ns, payload))
        seen = [d for d in self.ledger.deals if d.seen_ns <= now_ns]
        ticket = payload.get("ticket")
        if ticket is not None:
            found = [d for d in seen if d.ticket == ticket] or [
                d for d in seen if d.order == ticket
            ]
            return self._deals(found[:1])
        return self._deals(d for d in seen if d.position == payload.get("position") and d.position)

    def _within(self, ts_ns: int, payload: Struct) -> bool:
        second = self.market.clock.seconds(ts_ns)
        return bool(payload["date_from"] <= second <= payload["date_to"])

    def _deals(self, deals: Iterable[Deal]) -> list[Struct]:
        return [self._deal(d) for d in deals]

    def _deal(self, d: Deal) -> Struct:
        clock, money = self.market.clock, self.ledger.money.amount
        spec = self.market.specs.get(d.symbol)
        return {
            "ticket": d.ticket, "order": d.order, "time": clock.seconds(d.ts_ns),
            "time_msc": clock.msc(d.ts_ns), "type": int(d.type), "entry": int(d.entry or Entry.IN),
            "magic": d.magic, "position_id": d.position, "reason": int(d.reason),
            "volume": d.volume / LOT, "price": spec.price(d.price) if spec else 0.0,
            "commission": money(d.commission), "swap": money(d.swap),
            "profit": money(d.profit), "fee": money(d.fee), "symbol": d.symbol,
            "comment": d.comment,
        }  # fmt: skip


def _since(rows: Iterable[T], time_ns: Callable[[T], int], payload: Struct) -> list[T]:
    """The later end of rows in the order of their times: what a window from a wall time can hold,
    whatever the clock. Sessions last for days and are asked every second."""
    from_ns = (payload["date_from"] - _ANY_CLOCK_S) * 10**9
    found = []
    for row in reversed(list(rows)):
        if time_ns(row) < from_ns:
            break
        found.append(row)
    return found[::-1]
