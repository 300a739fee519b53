"""What a broker's answer does to orders, positions and balance in a live fold.

Owns the six acts of a BROKER event: an order that works, ended or was refused; an execution, ours
or the server's; the levels of a position; the balance; an outcome that is unknown, and known again.
Executions are booked by the functions of ``account``, with the broker's money in place of ours. It
refuses to know how an answer was come by: whoever asks the broker says each thing once.

What must hold, whatever comes, also what makes no sense:

* balance = start balance + sum of ``pnl`` - sum of ``fee`` of the fill rows + ``adjusted``;
* an execution that fits no position is money without a position: a fill row of position 0;
* what does not fit is counted by name in ``violations`` and changes nothing else.

An answer is known when it is folded: there is no response latency here. Its own time (the broker's,
UTC) stands in the rows; it never goes back from answer to answer.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from data.events import (
    BrokerAct,
    ExitReason,
    FillReason,
    Kind,
    Liquidity,
    OrderReason,
    OrderState,
    OrderType,
)
from engine.kernel.account import (
    SUM_MAX,
    book_close,
    book_open,
    closable,
    drop_closed,
    end_order,
    money_fits,
    new_position,
    order_step,
    own_position,
    portion,
)
from engine.kernel.compiled import inlined, internal
from engine.kernel.live_orders import send_what_waited
from engine.kernel.live_state import (
    CANCEL_SENT,
    V_BAD_ANSWER,
    V_OVERFILL,
    V_POSITIONS,
    V_UNKNOWN_ORDER,
    V_UNKNOWN_POSITION,
)
from engine.kernel.matching_orders import find_order, new_order
from engine.kernel.matching_records import write_fill
from engine.kernel.matching_reports import apply_reports, send_report
from engine.kernel.matching_state import NEVER, POSITIONS, SCRATCH, V_OVERFLOW
from engine.kernel.numbers import divide_half_away, product_fits
from engine.kernel.orders import ACCEPT, CANCEL, FILL_ALL, FILL_PART, REFUSE, SUBMIT, is_live

_ORDER = np.int64(BrokerAct.ORDER)
_FILL = np.int64(BrokerAct.FILL)
_LEVELS = np.int64(BrokerAct.LEVELS)
_BALANCE = np.int64(BrokerAct.BALANCE)
_BLOCK = np.int64(BrokerAct.BLOCK)
_UNBLOCK = np.int64(BrokerAct.UNBLOCK)
_WORKING = np.int64(OrderState.WORKING)
_CANCELLED = np.int64(OrderState.CANCELLED)
_REJECTED = np.int64(OrderState.REJECTED)
_PENDING = np.int64(OrderState.PENDING)
_BY_STRATEGY = np.int64(OrderReason.BY_STRATEGY)
_BY_BROKER = np.int64(OrderReason.BY_BROKER)
_UNSENT = np.int64(OrderReason.UNSENT)
_STOPPED_OUT = np.int64(OrderReason.STOP_OUT)
_NONE = np.int64(OrderReason.NONE)
_MARKET = np.int64(OrderType.MARKET)
_LIMIT = np.int64(OrderType.LIMIT)
_STOP = np.int64(OrderType.STOP)
_TARGET = np.int64(OrderType.TARGET)
_OPEN = np.int64(ExitReason.OPEN)
_EXIT_STOP = np.int64(ExitReason.STOP)
_EXIT_TARGET = np.int64(ExitReason.TARGET)
_EXIT_STOP_OUT = np.int64(ExitReason.STOP_OUT)
_BY_STRATEGY_EXIT = np.int64(ExitReason.STRATEGY)
_BY_HAND = np.int64(ExitReason.CONTROL)
_TAKER = np.int64(Liquidity.TAKER)
_MAKER = np.int64(Liquidity.MAKER)
_KIND = np.int64(Kind.BROKER)
_FILLED_BY = np.int64(FillReason.BY_BROKER)
_ZERO = np.int64(0)
_NO_SLOT = np.int64(-1)
REASONS = len(ExitReason)
MONEY_MOST = 1 << 60
"""No money of one answer, and no balance, may be this far from 0."""


# --- positions -------------------------------------------------------------------------------


@internal
def held_as(s, m, ident):
    """Slot of the open position that the broker calls ``ident``, -1 where none is held."""
    if ident != 0:
        for k in range(m.n_positions):
            i = m.position_at[k]
            if m.positions[i].qty > 0 and s.positions[i].ident == ident:
                return i
    return _NO_SLOT


@internal
def _meets(s, m, p, o):
    """Slot of the position that the execution changes, -1 where it opens one.

    One position a symbol in a netting account. In a hedging one it is the one that is named, or
    where none is, the one that the order may reduce, or that it opened itself.
    """
    e = s.answer
    if p.hedging == 0:
        return m.position_at[0] if m.n_positions > 0 else _NO_SLOT
    i = held_as(s, m, e.position)
    if i < 0 and e.position == 0:
        i = closable(m, p, o) if o.reduce_only else own_position(m, p, o)
    return i


@internal
def _may_open(s, p, o, i):
    """True when what an execution does not close may open or enlarge position slot ``i``.

    What the server does by itself, and what is done by hand, never opens a position of ours.
    """
    if o.travelled == 0:
        return i >= 0 and s.positions[i].ident == s.answer.position
    return p.hedging == 0 or o.reduce_only == 0


@internal
def _row(s, m, out, o):
    """The fill row just written says what a broker's fill is: no model, latencies as they were."""
    if out.n_fills > 0:
        r = out.fills[out.n_fills - 1]
        if r.id == m.fill_id:
            r.known_ns = max(s.answer.known, m.now_ns)
            r.latency_ns = max(_ZERO, m.now_ns - o.sent_ns) if o.travelled else _ZERO
            r.model = 0


@internal
def _money_alone(s, m, p, out, o, qty, pnl, fee):
    """An execution without a position: the broker's money is booked, and the order goes on."""
    write_fill(m, p, out, o, _ZERO, qty, s.answer.price, fee, pnl)
    m.balance += pnl - fee
    m.news = 1
    o.left -= qty
    if o.left == 0:
        end_order(m, out, o, FILL_ALL, o.reason)
    else:
        order_step(m, o, FILL_PART)
    _row(s, m, out, o)


@internal
def _close(s, m, p, out, o, i, qty, pnl, fee):
    """``qty`` of the execution reduces position slot ``i``."""
    w = m.positions[i]
    cost = portion(w.cost, qty, w.qty, w.side)
    book_close(m, p, out, o, w, qty, s.answer.price, cost, pnl, fee)
    _row(s, m, out, o)


@internal
def _open(s, m, p, b, out, o, i, qty, pnl, fee):
    """``qty`` of the execution opens a position, or enlarges slot ``i`` (-1: none)."""
    e = s.answer
    if i < 0:
        i = new_position(m, o)
        if i >= 0:
            s.positions[i].ident = 0
            s.positions[i].basis_sum = 0
            s.positions[i].moved = 0
    if i < 0:
        s.violations[V_POSITIONS] += 1
        _money_alone(s, m, p, out, o, qty, pnl, fee)
        return
    w = m.positions[i]
    if w.cost + e.price * qty > SUM_MAX // (2 * p.mul):
        m.violations[V_OVERFLOW] += 1
        if w.qty == 0:
            drop_closed(m)
        _money_alone(s, m, p, out, o, qty, pnl, fee)
        return
    x = s.positions[i]
    if e.position != 0:
        x.ident = e.position
    if product_fits(2 * abs(b.units), w.entry_qty + qty):
        x.basis_sum += b.units * qty
    book_open(m, p, out, o, w, qty, e.price, pnl, fee)
    _row(s, m, out, o)


@internal
def _book(s, m, p, b, out, o):
    """Book the execution on ``o``, a live order with at least as much left: close, then open.

    The result belongs to what is closed; the fee is shared by quantity, to the last unit.
    """
    e = s.answer
    i = _meets(s, m, p, o)
    left = e.qty
    pnl = e.pnl
    fee = e.fee
    if i >= 0 and m.positions[i].side == -e.side:
        part = min(left, m.positions[i].qty)
        share = fee
        if part < left:
            share = portion(abs(fee), part, left, _ZERO)
            share = share if fee >= 0 else -share
        _close(s, m, p, out, o, i, part, pnl, share)
        left -= part
        fee -= share
        pnl = _ZERO
        opens = p.hedging == 0 and o.travelled == 1
        i = _NO_SLOT
        if left > 0 and not opens:
            s.violations[V_OVERFILL] += 1
    else:
        opens = _may_open(s, p, o, i)
        if not opens:
            s.violations[V_UNKNOWN_POSITION] += 1
    if left > 0 and opens:
        _open(s, m, p, b, out, o, i, left, pnl, fee)
    elif left > 0:
        _money_alone(s, m, p, out, o, left, pnl, fee)


# --- executions ------------------------------------------------------------------------------


@internal
def _bounded(money):
    """True for an amount of money that a few of can be added up; the least int64 has no abs."""
    return -MONEY_MOST < money < MONEY_MOST


@internal
def _sane(s, m, p):
    """True when the numbers of an execution can be booked."""
    e = s.answer
    if not (_bounded(e.pnl) and _bounded(e.fee) and _bounded(m.balance)):
        return False
    if e.qty <= 0 or e.price <= 0 or (e.side != 1 and e.side != -1):
        return False
    known = e.reason >= 0 and e.reason < REASONS
    return known and money_fits(p, e.price, e.qty) and abs(m.net_qty) < SUM_MAX - e.qty


@internal
def _late_order(s, m):
    """The scratch slot as the ended order that ``s.answer`` names; it writes no second row."""
    o = m.orders[SCRATCH]
    e = s.answer
    new_order(m, o, _MARKET, e.side, e.qty + 1, _ZERO)
    m.order_id -= 1
    o.id = e.order_id
    o.travelled = 1
    o.exit_reason = _BY_STRATEGY_EXIT
    s.late += 1
    return o


@internal
def _server_order(s, m):
    """The scratch slot as the order by which the server, or a person, made the execution."""
    o = m.orders[SCRATCH]
    e = s.answer
    i = held_as(s, m, e.position)
    kind = _MARKET
    price = _ZERO
    if e.reason == _EXIT_STOP:
        kind = _STOP
        price = m.positions[i].stop if i >= 0 else _ZERO
    elif e.reason == _EXIT_TARGET:
        kind = _TARGET
        price = m.positions[i].target if i >= 0 else _ZERO
    new_order(m, o, kind, e.side, e.qty, price)
    o.named = m.positions[i].id if i >= 0 else 0
    o.position_id = o.named
    o.reduce_only = 1
    o.exit_reason = e.reason if e.reason != _OPEN else _BY_HAND
    if e.reason == _EXIT_STOP_OUT:
        o.reason = _STOPPED_OUT
    elif e.reason == _OPEN or e.reason == _BY_HAND:
        o.reason = _BY_BROKER
    return o


@inlined
def _fill(s, m, p, b, out):
    """An execution: of an open order, of one that had ended, or of none of ours."""
    e = s.answer
    if not _sane(s, m, p):
        s.violations[V_BAD_ANSWER] += 1
        return
    m.why = _FILLED_BY
    m.cause_kind = _KIND
    m.cause_ns = e.ts
    m.cause_id = e.id
    m.queue_ahead = 0
    m.liquidity = _TAKER
    i = find_order(m, e.order_id) if e.order_id > 0 else _NO_SLOT
    turned = i >= 0 and m.orders[i].side != e.side
    if i >= 0 and not turned:
        o = m.orders[i]
        m.now_ns = max(m.now_ns, o.sent_ns)
        if o.state == _PENDING:
            order_step(m, o, ACCEPT)
            o.active_ns = m.now_ns
        if o.type == _LIMIT:
            m.liquidity = _MAKER
        if e.qty > o.left:
            s.violations[V_OVERFILL] += 1
            o.left = e.qty
        _book(s, m, p, b, out, o)
        return
    if 0 < e.order_id <= m.order_id and not turned:
        o = _late_order(s, m)
    else:
        if e.order_id != 0:
            s.violations[V_UNKNOWN_ORDER] += 1
        o = _server_order(s, m)
    o.active_ns = m.now_ns
    order_step(m, o, SUBMIT)
    order_step(m, o, ACCEPT)
    _book(s, m, p, b, out, o)
    o.id = 0


# --- the other acts --------------------------------------------------------------------------


@inlined
def _order(s, m, out):
    """An order of ours works, ended, or was refused."""
    e = s.answer
    i = find_order(m, e.order_id)
    if i < 0:
        if 0 < e.order_id <= m.order_id:
            s.late += 1
        else:
            s.violations[V_UNKNOWN_ORDER] += 1
        return
    o = m.orders[i]
    m.now_ns = max(m.now_ns, o.sent_ns)
    if e.state == _WORKING:
        if o.state == _PENDING:
            order_step(m, o, ACCEPT)
            o.active_ns = m.now_ns
        elif o.cancelling == CANCEL_SENT:
            o.cancelling = 0  # it works on: the cancel did not get through
        s.tickets[i] = e.id
    elif e.state == _CANCELLED:
        if o.state == _PENDING:
            order_step(m, o, ACCEPT)
            o.active_ns = m.now_ns
        end_order(m, out, o, CANCEL, _BY_STRATEGY if o.cancelling else _BY_BROKER)
    elif e.state == _REJECTED:
        refused = o.state == _PENDING
        end_order(m, out, o, REFUSE if refused else CANCEL, _BY_BROKER if e.code else _UNSENT)
    else:
        s.violations[V_BAD_ANSWER] += 1


@inlined
def _levels(s, m):
    """The stop and target that the broker holds for a position."""
    e = s.answer
    i = held_as(s, m, e.position)
    if i < 0:
        s.violations[V_UNKNOWN_POSITION] += 1
    elif e.price < 0 or e.target < 0:
        s.violations[V_BAD_ANSWER] += 1
    else:
        m.positions[i].stop = e.price
        m.positions[i].target = e.target
        m.positions[i].armed_ns = m.now_ns


@inlined
def _balance(s, m):
    """The balance as it stands. Money that was put in or taken out is no result: the peak moves
    along."""
    e = s.answer
    if not _bounded(e.balance):
        s.violations[V_BAD_ANSWER] += 1
        return
    moved = e.balance - m.balance
    s.balances += 1
    s.adjusted += moved
    m.peak_equity += moved
    m.balance = e.balance
    m.news = 1


@internal
def mean_basis(s, m):
    """Mean basis at the entries of the oldest open position, price units; 0 where there is none."""
    if m.n_positions == 0:
        return _ZERO
    i = m.position_at[0]
    if m.positions[i].entry_qty == 0:
        return _ZERO
    return divide_half_away(s.positions[i].basis_sum, m.positions[i].entry_qty)


@internal
def settle_answer(s, m, p, out):
    """Tidy up after an answer: ended orders and closed positions leave, and all is known at once.

    An order whose position is gone is not ended here: the broker says what became of it.
    """
    if m.changed or m.news:
        kept = 0
        for k in range(m.n_orders):
            i = m.order_at[k]
            if m.orders[i].state == _PENDING or is_live(m.orders[i].state):
                m.order_at[kept] = i
                kept += 1
            else:
                m.orders[i].id = 0
                s.tickets[i] = 0
        m.n_orders = kept
        drop_closed(m)
        for i in range(POSITIONS):
            if m.positions[i].id == 0:
                s.positions[i].ident = 0
                s.positions[i].basis_sum = 0
                s.positions[i].moved = 0
        m.changed = 0
    if m.news:
        send_report(m, p)
        m.news = 0
    apply_reports(m, NEVER)
    s.known_basis = mean_basis(s, m)


@njit(cache=True, nogil=True)
def live_broker(
    s, m, p, b, out, now, ts, id_, act, order_id, position, state, side, price, target, qty,
    pnl, fee, balance, reason, code,
):  # fmt: skip
    """Fold an answer that became known at engine time ``now`` (ns); then the columns of its row.

    Prices and quantities in units of the log, money at 1e-8.
    """
    e = s.answer
    e.ts = ts
    e.id = id_
    e.act = act
    e.order_id = order_id
    e.position = position
    e.state = state
    e.side = side
    e.price = price
    e.target = target
    e.qty = qty
    e.pnl = pnl
    e.fee = fee
    e.balance = balance
    e.reason = reason
    e.code = code
    e.known = max(now, ts)
    reached = m.now_ns
    rows = out.n_equity
    m.now_ns = max(s.event_ns, ts)
    if e.act == _ORDER:
        _order(s, m, out)
    elif e.act == _FILL:
        _fill(s, m, p, b, out)
    elif e.act == _LEVELS:
        _levels(s, m)
    elif e.act == _BALANCE:
        _balance(s, m)
    elif e.act == _BLOCK:
        s.blocks += 1 - s.blocked
        s.blocked = 1
    elif e.act == _UNBLOCK:
        s.blocked = 0
    else:
        s.violations[V_BAD_ANSWER] += 1
    s.event_ns = m.now_ns
    settle_answer(s, m, p, out)
    m.now_ns = max(reached, m.now_ns)
    for r in range(rows, out.n_equity):
        out.equity[r].ts_ns = max(out.equity[r].ts_ns, reached)
    if e.act == _UNBLOCK:
        send_what_waited(s, m, p, b, out, max(now, m.now_ns))
