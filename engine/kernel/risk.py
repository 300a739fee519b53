"""The guards: what forbids an entry, what ends the day, and what the account looks like meanwhile.

Owns equity at the touch, the day of the account's zone, its start equity, the peak, the halts, the
losses in a row, open risk, and the bits of :data:`REFUSALS`. It is always on: a backtest asks the
same guards as a live session, and a refusal is a decision that names its guards.

A halt of the day (loss since the day began, share of the equity it began with) lasts till the next
day, whatever the equity does and whoever resumes. A halt of the drawdown (share of the peak) lasts
till the operator resumes, and the peak then begins anew. With ``on_halt`` close, a position is to
be closed too: :func:`risk_closes`. All this is state, so it survives a snapshot. A guard whose
limit is 0 is off. What must hold: a guard that lacks what it needs refuses; roundings go against
us; sides are treated alike. A fold knows one symbol: the risk and the number of positions of others
come from outside, ``ask.other_heat`` (money) and ``ask.other_positions``, and are 0 in a fold of
one symbol. It refuses to choose an entry.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from data.events import NS, Control, MarketState
from engine.kernel.numbers import capped_sum, ratio_of, ratio_up
from engine.kernel.sizing import (
    MONEY_MAX,
    fee_units,
    risk_equity,
    risk_money,
    risk_size,
    risk_slippage,
    worth_up,
)

__all__ = [
    "REFUSALS", "RISK_PARAMS", "RISK_STATE", "risk_accept", "risk_boundary", "risk_check",
    "risk_closes", "risk_control", "risk_equity", "risk_money", "risk_moved", "risk_note",
    "risk_propose", "risk_size", "risk_slippage", "risk_standing", "risk_update",
]  # fmt: skip

REFUSALS = (
    "daily_loss", "drawdown", "heat_trade", "heat_symbol", "heat_total", "positions", "cooldown",
    "spread", "slippage", "latency", "stale", "market_state", "gap", "rr", "size", "notional",
    "kill", "expectancy",
)  # fmt: skip
"""Names of the bits in ``decision.refused``, lowest first; the manifest repeats them."""
GUARDS = len(REFUSALS)
BASIS_GUARD = "basis"
"""Name of one more bit, of folds whose orders are executed in another series than the flow's."""
R_BASIS = 1 << GUARDS
(
    R_DAILY_LOSS, R_DRAWDOWN, R_HEAT_TRADE, R_HEAT_SYMBOL, R_HEAT_TOTAL, R_POSITIONS, R_COOLDOWN,
    R_SPREAD, R_SLIPPAGE, R_LATENCY, R_STALE, R_MARKET_STATE, R_GAP, R_RR, R_SIZE, R_NOTIONAL,
    R_KILL, R_EXPECTANCY,
) = (1 << n for n in range(GUARDS))  # fmt: skip
BY_OPERATOR, BY_BASIS = 1, 2
"""Bits of ``paused`` in the state."""
ZONE_MAX = 128
CLOSE, HOLD = range(2)
MARKET_NORMAL, MARKET_TRADABLE = range(2)
BLIND_REFUSE, BLIND_ALLOW = range(2)
_DAY_NS = np.int64(86_400) * NS
_STOP = int(Control.STOP)
_RESUME = int(Control.RESUME)
_NORMAL = int(MarketState.NORMAL)
_AFTER = int(MarketState.COOLDOWN)

ASK = np.dtype(
    [
        ("direction", "i8"),
        ("entry", "i8"),
        ("stop", "i8"),
        ("target", "i8"),
        ("qty", "i8"),
        ("cost", "i8"),
        ("slip", "i8"),
        ("market", "i8"),
        ("min_rr_fp9", "i8"),
        ("fitted", "i8"),
        ("lower_fp9", "i8"),
        ("needed_fp9", "i8"),
        ("other_heat", "i8"),
        ("other_positions", "i8"),
        ("risk", "i8"),
        ("refused", "i8"),
    ],
    align=True,
)
"""The entry that is being asked about: int64 prices; cost of spread and slippage and slip (what
``risk_slippage`` says, -1: not served), price units; market: a MarketState; min_rr_fp9: a plan's
own least reward to risk; fitted 1, lower_fp9, needed_fp9: the model's lower bound and what it must
beat; the answer: risk (money) and refused (bits)."""

RISK_STATE = np.dtype(
    [
        ("started", "i8"),
        ("equity", "i8"),
        ("day", "i8"),
        ("day_equity", "i8"),
        ("peak", "i8"),
        ("daily_halt", "i8"),
        ("drawdown_halt", "i8"),
        ("kill", "i8"),
        ("paused", "i8"),
        ("halts", "i8"),
        ("losses", "i8"),
        ("pause_until_ns", "i8"),
        ("flat_balance", "i8"),
        ("closed", "i8"),
        ("stop", "i8"),
        ("accepted", "i8"),
        ("open_risk", "i8"),
        ("bid", "i8"),
        ("ask_price", "i8"),
        ("touch_ns", "i8"),
        ("trade_ns", "i8"),
        ("gap_ns", "i8"),
        ("asked", "i8"),
        ("refusals", "i8", (GUARDS,)),
        ("ask", ASK),
    ],
    align=True,
)
"""Money at 1e-8; day: calendar day of the account's zone since 1970; halts: how often one began;
losses in a row; flat_balance: balance when last flat; stop: stop of what was accepted; accepted,
open_risk: money at that stop; bid, ask_price, touch_ns, trade_ns, gap_ns: the market as of the last
boundary; asked, refusals: how often the guards were asked, and how often each refused."""

RISK_PARAMS = np.dtype(
    [
        ("share_fp9", "i8"),
        ("kelly_fp9", "i8"),
        ("leverage_fp9", "i8"),
        ("notional_min_money", "i8"),
        ("notional_max_money", "i8"),
        ("qty_max_lots", "i8"),
        ("heat_trade_fp9", "i8"),
        ("heat_symbol_fp9", "i8"),
        ("heat_total_fp9", "i8"),
        ("positions", "i8"),
        ("daily_loss_fp9", "i8"),
        ("drawdown_fp9", "i8"),
        ("on_halt", "i8"),
        ("losses", "i8"),
        ("losses_pause_ns", "i8"),
        ("spread_fp9", "i8"),
        ("slippage_fp9", "i8"),
        ("latency_ns", "i8"),
        ("stale_ns", "i8"),
        ("gap_ns", "i8"),
        ("market", "i8"),
        ("blind", "i8"),
        ("min_rr_fp9", "i8"),
        ("zone_n", "i8"),
        ("zone_from_ns", "i8", (ZONE_MAX,)),
        ("zone_offset_ns", "i8", (ZONE_MAX,)),
    ],
    align=True,
)
"""Shares at 1e-9 of equity (heat, loss, drawdown) or of price (spread, slippage); zone_from_ns and
zone_offset_ns: from when on the account's zone is how far ahead of UTC, zone_n rows, rising."""


# --- the account -----------------------------------------------------------------------------


@njit(cache=True, nogil=True)
def risk_day(p, now_ns):
    """Calendar day (days since 1970) of ``now_ns`` in the account's zone."""
    low = np.int64(0)
    high = p.zone_n
    while high - low > 1:
        middle = (low + high) // 2
        if p.zone_from_ns[middle] <= now_ns:
            low = middle
        else:
            high = middle
    offset = p.zone_offset_ns[low] if p.zone_n > 0 else np.int64(0)
    return (now_ns + offset) // _DAY_NS


@njit(cache=True, nogil=True)
def _lost(from_, equity, limit_fp9):
    """True when equity fell from ``from_`` by the limit's share of it, or more."""
    loss = from_ - equity
    return limit_fp9 > 0 and loss > 0 and loss >= ratio_up(max(from_, 0), limit_fp9)


@njit(cache=True, nogil=True)
def _halts(s, p):
    if s.daily_halt == 0 and _lost(s.day_equity, s.equity, p.daily_loss_fp9):
        s.daily_halt = 1
        s.halts += 1
    if s.drawdown_halt == 0 and _lost(s.peak, s.equity, p.drawdown_fp9):
        s.drawdown_halt = 1
        s.halts += 1


@njit(cache=True, nogil=True)
def _losses(s, p, known, now_ns):
    """Count losses in a row: what the balance became since the account was last flat."""
    if known.closed_positions != s.closed:
        s.closed = known.closed_positions
        if known.balance < s.flat_balance:
            s.losses += 1
            if p.losses > 0 and s.losses >= p.losses:
                s.pause_until_ns = now_ns + p.losses_pause_ns
        else:
            s.losses = 0
        s.flat_balance = known.balance
    elif known.qty == 0 and known.open_orders == 0:
        s.flat_balance = known.balance


@njit(cache=True, nogil=True)
def _open_risk(s, c, known):
    """What the position, or the entry under way, loses at its stop from its entry, money."""
    if known.qty == 0 and known.open_orders == 0:
        s.stop = 0
        s.accepted = 0
        s.open_risk = 0
        return
    s.open_risk = s.accepted if known.open_orders > 0 else np.int64(0)
    if known.qty != 0:
        away = known.entry_price
        if s.stop > 0:
            away = known.entry_price - s.stop if known.qty > 0 else s.stop - known.entry_price
        units = max(np.int64(0), away + fee_units(c, known.entry_price + abs(away)))
        s.open_risk = max(s.open_risk, worth_up(c, units, abs(known.qty)))


@njit(cache=True, nogil=True)
def risk_update(s, p, c, known, bid, ask, now_ns):
    """Once a boundary: equity, day, peak, losses, halts, open risk; int64 prices, 0: no touch."""
    s.equity = risk_equity(c, known.balance, known.qty, known.entry_price, bid, ask)
    day = risk_day(p, now_ns)
    if s.started == 0:
        s.started = 1
        s.day = day
        s.day_equity = s.equity
        s.peak = s.equity
        s.flat_balance = known.balance
        s.closed = known.closed_positions
    elif day > s.day:
        s.day = day
        s.day_equity = s.equity
        s.daily_halt = 0
    s.peak = max(s.peak, s.equity)
    _losses(s, p, known, now_ns)
    _halts(s, p)
    _open_risk(s, c, known)


@njit(cache=True, nogil=True)
def risk_boundary(s, p, c, core, sides, known, now_ns):
    """At a boundary (ns): take over the market as it is known, then :func:`risk_update`.

    A touch older than ``stale`` values nothing: the last trade does.
    """
    s.bid = sides.bid
    s.ask_price = sides.ask
    s.touch_ns = sides.quote_ns
    s.trade_ns = core.last_trade_ns
    s.gap_ns = max(core.trade_gap_ns, core.depth_gap_ns)
    s.paused = core.paused
    fresh = s.bid > 0 and (p.stale_ns == 0 or now_ns - s.touch_ns <= p.stale_ns)
    bid = s.bid if fresh else core.last_price
    ask = s.ask_price if fresh else core.last_price
    risk_update(s, p, c, known, bid, ask, now_ns)


@njit(cache=True, nogil=True)
def risk_control(s, code):
    """Fold a control event: STOP kills; RESUME (code numbers) revives and ends a drawdown halt."""
    if code == _STOP:
        s.kill = 1
    elif code == _RESUME:
        s.kill = 0
        if s.drawdown_halt == 1:
            s.drawdown_halt = 0
            s.peak = s.equity


@njit(cache=True, nogil=True)
def risk_basis(s, good):
    """After :func:`risk_boundary`: without a good basis (``good`` 0) no entry may be sent."""
    if good == 0:
        s.paused |= BY_BASIS


@njit(cache=True, nogil=True)
def risk_funds(s, live):
    """Before :func:`risk_boundary`: what the fold's own executions did not bring is no result.

    That is where the account begins, what is paid in or taken out, and what other symbols earn on
    the same account: a fold answers for its own trading, the session for the account. ``live`` is a
    LIVE_STATE record, in which the sum (money) is noted as told.
    """
    moved = live.adjusted - live.told
    if s.started == 1:
        s.day_equity += moved
        s.peak += moved
        s.flat_balance += moved
    live.told = live.adjusted


@njit(cache=True, nogil=True)
def risk_closes(s, p):
    """True while a halt wants the position closed (ExitReason.RISK)."""
    return p.on_halt == CLOSE and (s.daily_halt == 1 or s.drawdown_halt == 1)


# --- the question ----------------------------------------------------------------------------


@njit(cache=True, nogil=True)
def risk_propose(s, direction, entry, stop, target, qty, cost):
    """Begin to ask about an entry; int64 prices (0: none) and qty, ``cost`` in price units.

    What else there is to say (slip, market, min_rr_fp9, fitted, lower_fp9, needed_fp9) is then set
    in ``s.ask``; until then it is 0. ``other_heat`` and ``other_positions`` stay as they are.
    """
    a = s.ask
    a.direction = direction
    a.entry = entry
    a.stop = stop
    a.target = target
    a.qty = qty
    a.cost = cost
    a.slip = 0
    a.market = 0
    a.min_rr_fp9 = 0
    a.fitted = 0
    a.lower_fp9 = 0
    a.needed_fp9 = 0
    a.risk = 0
    a.refused = 0


@njit(cache=True, nogil=True)
def risk_standing(s, now_ns):
    """Bits of the guards that would refuse any entry at ``now_ns``: halts, losses, kill."""
    bits = np.int64(0)
    if s.daily_halt == 1:
        bits |= R_DAILY_LOSS
    if s.drawdown_halt == 1:
        bits |= R_DRAWDOWN
    if now_ns < s.pause_until_ns:
        bits |= R_COOLDOWN
    if s.kill == 1 or s.paused & BY_OPERATOR:
        bits |= R_KILL
    if s.paused & BY_BASIS:
        bits |= R_BASIS
    return bits


@njit(cache=True, nogil=True)
def _above(money, equity, limit_fp9):
    return limit_fp9 > 0 and (equity <= 0 or money > ratio_of(equity, limit_fp9))


@njit(cache=True, nogil=True)
def _heat_bits(s, p, known):
    a = s.ask
    bits = np.int64(0)
    symbol = capped_sum(a.risk, s.open_risk)
    if _above(a.risk, s.equity, p.heat_trade_fp9):
        bits |= R_HEAT_TRADE
    if _above(symbol, s.equity, p.heat_symbol_fp9):
        bits |= R_HEAT_SYMBOL
    if _above(capped_sum(symbol, a.other_heat), s.equity, p.heat_total_fp9):
        bits |= R_HEAT_TOTAL
    held = 1 if known.qty != 0 or known.open_orders > 0 else 0
    if p.positions > 0 and held + a.other_positions >= p.positions:
        bits |= R_POSITIONS
    return bits


@njit(cache=True, nogil=True)
def _feed_bits(s, p, now_ns):
    """What the market must be like to be traded on: fresh, whole, with a touch that is close."""
    bits = np.int64(0)
    blind = p.blind == BLIND_ALLOW and s.touch_ns == 0
    touch = s.bid > 0 and s.ask_price > s.bid
    if p.spread_fp9 > 0 and not blind:
        wide = 2 * (s.ask_price - s.bid)
        if not touch or wide > ratio_of(s.bid + s.ask_price, p.spread_fp9):
            bits |= R_SPREAD
    slips = s.ask.slip < 0 or s.ask.slip > ratio_of(max(s.ask.entry, 0), p.slippage_fp9)
    if p.slippage_fp9 > 0 and not blind and slips:
        bits |= R_SLIPPAGE
    heard = max(s.trade_ns, s.touch_ns)
    if p.latency_ns > 0 and (heard == 0 or now_ns - heard > p.latency_ns):
        bits |= R_LATENCY
    priced = s.trade_ns if blind else s.touch_ns
    if p.stale_ns > 0 and (priced == 0 or now_ns - priced > p.stale_ns):
        bits |= R_STALE
    if p.gap_ns > 0 and s.gap_ns > 0 and now_ns - s.gap_ns < p.gap_ns:
        bits |= R_GAP
    return bits


@njit(cache=True, nogil=True)
def _idea_bits(s, p, c):
    """What the entry itself must be like: market, reward, size, notional, expectancy."""
    a = s.ask
    bits = np.int64(0)
    after = p.market == MARKET_TRADABLE and a.market == _AFTER
    if a.market != _NORMAL and not after:
        bits |= R_MARKET_STATE
    rr = max(p.min_rr_fp9, a.min_rr_fp9)
    gain = a.direction * (a.target - a.entry)
    lose = a.direction * (a.entry - a.stop)
    wrong = (a.target > 0 and gain <= 0) or (a.stop > 0 and lose <= 0)
    poor = a.target > 0 and rr > 0 and (a.stop == 0 or gain < ratio_up(max(lose, 0), rr))
    if wrong or poor:
        bits |= R_RR
    small = a.qty < max(c.qty_min, 1) or a.qty % c.qty_step != 0
    if small or a.entry <= 0 or (p.qty_max_lots > 0 and a.qty > p.qty_max_lots):
        bits |= R_SIZE
    notional = worth_up(c, max(a.entry, 0), max(a.qty, 0))
    if notional < p.notional_min_money or notional >= MONEY_MAX:
        bits |= R_NOTIONAL
    if p.notional_max_money > 0 and notional > p.notional_max_money:
        bits |= R_NOTIONAL
    if p.leverage_fp9 > 0 and _above(notional, s.equity, p.leverage_fp9):
        bits |= R_NOTIONAL
    if a.fitted == 1 and a.lower_fp9 <= a.needed_fp9:
        bits |= R_EXPECTANCY
    return bits


@njit(cache=True, nogil=True)
def risk_check(s, p, c, known, now_ns):
    """Ask every guard about ``s.ask`` at ``now_ns``; bits of those that refuse, 0: it may enter.

    Sets ``s.ask.risk`` (money at the stop, costs included) and ``s.ask.refused``.
    """
    a = s.ask
    a.risk = risk_money(c, max(a.entry, 0), max(a.stop, 0), a.qty, a.cost)
    bits = risk_standing(s, now_ns)
    bits |= _heat_bits(s, p, known)
    bits |= _feed_bits(s, p, now_ns)
    bits |= _idea_bits(s, p, c)
    a.refused = bits
    s.asked += 1
    for n in range(GUARDS):
        s.refusals[n] += (bits >> n) & 1
    return bits


@njit(cache=True, nogil=True)
def risk_note(s, d):
    """Write the entry that was asked about, and the answer, into the decision record ``d``."""
    a = s.ask
    d.refused = a.refused
    d.qty = a.qty
    d.stop = a.stop
    d.target = a.target
    d.risk = a.risk
    d.needed_fp9 = a.needed_fp9


@njit(cache=True, nogil=True)
def risk_accept(s):
    """The entry that was asked about was sent: its stop and its risk are ours from now on."""
    s.stop = s.ask.stop
    s.accepted = s.ask.risk


@njit(cache=True, nogil=True)
def risk_moved(s, stop):
    """The stop of the position moved to int64 price ``stop``."""
    s.stop = stop
