"""What a terminal shows of an account, turned into the plain values of the protocol.

Owns the reading of accounts, positions, orders and deals: which numbers of the terminal mean what.
Times become UTC by the server's clock, volumes base quantities, amounts money.

What must hold: a deal's profit, commission, swap and fee add up to what it did to the balance;
deals of symbols that are none of ours count with their money only. It refuses to know how the
values were asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from data.enums import ExitReason, OrderType, Side
from engine.broker.mt5_clock import ServerClock
from engine.broker.mt5_symbols import Symbol, money
from engine.broker.protocol import Account, DealFact, OrderFact, PositionFact

HEDGING = 2
_REAL = 2
_FILLED = 4
_TYPES = {
    0: OrderType.MARKET, 1: OrderType.MARKET, 2: OrderType.LIMIT, 3: OrderType.LIMIT,
    4: OrderType.STOP, 5: OrderType.STOP, 6: OrderType.STOP, 7: OrderType.STOP,
    8: OrderType.MARKET,
}  # fmt: skip
_DEAL_BUY, _DEAL_SELL, _DEAL_CREDIT = 0, 1, 3
_ENTRY_IN = 0
_REASONS = {4: ExitReason.STOP, 5: ExitReason.TARGET, 6: ExitReason.STOP_OUT}
_BY_HAND = frozenset((0, 1, 2))
"""Reasons of a person: the terminal's window, a mobile one, the web."""


def why_not(terminal: Any, account: Any) -> str:
    """Why an order would be refused whatever it is; empty where nothing stands against it."""
    if not terminal.connected:
        return "the terminal has no connection to the trade server"
    if not terminal.trade_allowed:
        return "Algo Trading is switched off in the terminal"
    if terminal.tradeapi_disabled:
        return "trading through the Python API is switched off in the terminal's options"
    if not account.trade_allowed:
        return "the account may not trade (investor password, or frozen)"
    if not account.trade_expert:
        return "the server does not allow automated trading for this account"
    return ""


def read_account(info: Any, words: str) -> Account:
    """An AccountInfo; ``words`` why trading is not allowed."""
    return Account(
        login=info.login,
        server=info.server,
        currency=info.currency,
        hedging=info.margin_mode == HEDGING,
        real=info.trade_mode == _REAL,
        balance=money(info.balance),
        equity=money(info.equity),
        margin=money(info.margin),
        trade_allowed=not words,
        why_not=words,
    )


def read_position(p: Any, symbol: Symbol, clock: ServerClock, now_ns: int) -> PositionFact:
    """A TradePosition."""
    return PositionFact(
        ticket=p.ticket,
        ident=p.identifier,
        symbol=p.symbol,
        magic=p.magic,
        comment=p.comment,
        side=Side.BUY if p.type == 0 else Side.SELL,
        qty=symbol.qty(p.volume),
        price=symbol.units(p.price_open),
        stop=symbol.units(p.sl),
        target=symbol.units(p.tp),
        open_ns=clock.past_utc_ns(p.time_msc or p.time, now_ns),
    )


def read_order(o: Any, symbol: Symbol, clock: ServerClock, now_ns: int, over: bool) -> OrderFact:
    """A TradeOrder, of the history where ``over``."""
    done = (o.time_done_msc or o.time_done) if over else 0
    setup = clock.past_utc_ns(o.time_setup_msc or o.time_setup, now_ns)
    return OrderFact(
        ticket=o.ticket,
        symbol=o.symbol,
        magic=o.magic,
        comment=o.comment,
        type=_TYPES.get(o.type, OrderType.MARKET),
        side=Side.SELL if o.type in (1, 3, 5, 7) else Side.BUY,
        qty=symbol.qty(o.volume_initial),
        left=symbol.qty(o.volume_current),
        price=symbol.units(o.price_open),
        setup_ns=setup,
        # an order of the history has ended, even if the server forgot to say when
        done_ns=(clock.past_utc_ns(done, now_ns) if done else setup) if over else 0,
        filled=o.state == _FILLED,
        position=o.position_id,
    )


def read_deal(d: Any, symbols: Mapping[str, Symbol], clock: ServerClock, now_ns: int) -> DealFact:
    """A TradeDeal. One that is no trade, or in a symbol that is none of ours, has no side and no
    quantity; a credit does not touch the balance, so it brings nothing."""
    symbol = symbols.get(d.symbol)
    ours = symbol is not None and d.type in (_DEAL_BUY, _DEAL_SELL)
    side = (Side.BUY if d.type == _DEAL_BUY else Side.SELL) if ours else Side.UNKNOWN
    return DealFact(
        ticket=d.ticket,
        order=d.order,
        position=d.position_id,
        symbol=d.symbol,
        magic=d.magic,
        comment=d.comment,
        side=side,
        qty=symbol.qty(d.volume) if symbol is not None and ours else 0,
        price=symbol.units(d.price) if symbol is not None and ours else 0,
        profit=0 if d.type == _DEAL_CREDIT else money(d.profit),
        fee=-(money(d.commission) + money(d.swap) + money(d.fee)),
        ts_ns=clock.past_utc_ns(d.time_msc or d.time, now_ns),
        reason=_REASONS.get(d.reason, ExitReason.OPEN) if ours else ExitReason.OPEN,
        closes=ours and d.entry != _ENTRY_IN,
        by_hand=ours and d.reason in _BY_HAND,
    )
