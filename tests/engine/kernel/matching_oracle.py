"""A slow, obvious simulated broker in plain Python: lists, dicts, integers and exact fractions.

Written from the prose of ``engine.broker.simulated``, not from the kernel, and used to judge the
kernel: same tape in, same rows out. Prices, quantities and money are ints in the log's units. It
has the slot limits, but no protection against overflow: tapes keep their numbers small.
"""

from __future__ import annotations

from decimal import Decimal, getcontext
from fractions import Fraction
from itertools import pairwise
from math import floor
from types import SimpleNamespace as Box

from data.events import ExitReason, FillReason, Kind, Liquidity, OrderReason, OrderState, OrderType
from tests.engine.kernel.matching_oracle_account import BUY, PPB, SELL, OracleAccount

getcontext().prec = 50
GTC, IOC, POST_ONLY = 0, 1, 2
MINUTE = 60 * PPB


def chance_behind(model: int, n: int, front: int, back: int) -> Fraction:
    """Chance that a cancellation happened behind us, rounded to 1e-9."""
    if front == 0:
        return Fraction(1)
    if back == 0:
        return Fraction(0)
    if model == 1:
        p = Fraction(back**n, back**n + front**n)
    elif model == 2:
        behind, ahead = Decimal(1 + back).ln(), Decimal(1 + front).ln()
        p = Fraction(behind / (behind + ahead))
    else:
        p = 1 - Fraction(front, front + back) ** n
    return Fraction(round(p * PPB), PPB)


def front_after(model: int, n: int, front: int, before: int, traded: int, total: int) -> int:
    """Quantity ahead once the level shows ``total``."""
    change = before - traded - total
    if model != 0 and change > 0:
        back = max(0, before - traded - front)
        ahead = floor((1 - chance_behind(model, n, front, back)) * change)
        front = front - ahead - max(0, change - ahead - back)
    return max(0, min(front, total))


class Oracle(OracleAccount):
    """A broker with one method for each event and request; rows collect in ``rows``."""

    # --- events ------------------------------------------------------------------------------

    def trade(self, ts: int, id_: int, price: int, qty: int, side: int) -> None:
        served = self.run_due(ts)
        self.last = Box(kind=Kind.TRADE, ns=ts, id=id_, price=price)
        self.last_trade_ns = ts
        touched = [o for o in self.live() if o.side * price <= o.side * o.price]
        if not served and not touched and not self.would_exit_on_trade(price):
            return
        self.begin(Kind.TRADE, ts, id_)
        used = 0
        for o in self.live():
            if ts < o.active_ns:
                continue
            if o.side * price < o.side * o.price:
                self.fill_resting(o, o.left, FillReason.TRADE_THROUGH, max(0, o.front))
            elif price == o.price and side == -o.side and o.front >= 0 and ts > o.queue_ns:
                ahead, rest = o.front, qty - used
                o.traded += qty
                o.front = max(0, ahead - rest)
                got = min(max(0, rest - ahead), o.left)
                if got:
                    used += self.fill_resting(o, got, FillReason.QUEUE, ahead)
        for w in list(self.positions):
            if w.qty and ts >= w.armed_ns:
                self.exit_by_sight(w, price, Kind.TRADE)
        self.end()

    def would_exit_on_trade(self, price: int) -> bool:
        """Whether a trade at ``price`` lies where some stop or target (or one triggered) looks."""
        for w in self.positions:
            stop = w.stop and w.side * price <= w.side * w.stop
            target = w.target and w.side * price > w.side * w.target
            if w.triggered or stop or target:
                return True
        return False

    def depth(
        self, ts: int, id_: int, bids: list[tuple[int, int]], asks: list[tuple[int, int]]
    ) -> None:
        self.run_due(ts)
        self.last_book_ns = ts
        self.book = Box(
            ns=ts, id=id_, bids=[[p, q, 0] for p, q in bids], asks=[[p, q, 0] for p, q in asks]
        )
        if bids and asks and bids[0][0] >= asks[0][0]:
            self.book, self.last_book_ns = None, 0
            return
        if not self.orders and not self.positions:
            return
        self.begin(Kind.DEPTH, ts, id_)
        for o in self.live():
            if ts < o.active_ns:
                continue
            shown = sum(
                max(0, q - u) for p, q, u in self.levels(o.side) if o.side * p <= o.side * o.price
            )
            if min(shown, o.left):
                done = self.fill_resting(o, min(shown, o.left), FillReason.BOOK_CROSS, 0)
                self.use_book(o.side, o.price, done)
            if o in self.orders and o.state in (OrderState.WORKING, OrderState.PARTIAL):
                self.see_queue(o, self.level_in_book(o.side, o.price), ts)
        touch = {BUY: bids[0][0] if bids else 0, SELL: asks[0][0] if asks else 0}
        for w in list(self.positions):
            if w.qty and ts >= w.armed_ns:
                self.exit_by_sight(w, touch[w.side], Kind.DEPTH)
        self.end()

    def quote(self, ts: int, id_: int, bid: int, bid_qty: int, ask: int, ask_qty: int) -> None:
        self.run_due(ts)
        self.last_quote_ns = ts
        self.quote_ = Box(ns=ts, id=id_, bid=[bid, bid_qty, 0], ask=[ask, ask_qty, 0])
        if bid <= 0 or ask <= 0 or bid > ask:
            self.quote_, self.last_quote_ns = None, 0
            return
        if not self.orders and not self.positions:
            return
        self.begin(Kind.QUOTE, ts, id_)
        for o in self.live():
            if ts < o.active_ns:
                continue
            other = self.quote_.ask if o.side > 0 else self.quote_.bid
            if o.side * other[0] <= o.side * o.price:
                shown = max(0, other[1] - other[2]) if other[1] else o.left
                if min(shown, o.left):
                    other[2] += self.fill_resting(o, min(shown, o.left), FillReason.BOOK_CROSS, 0)
            if o in self.orders and o.state in (OrderState.WORKING, OrderState.PARTIAL):
                self.see_queue(o, self.level_in_quote(o.side, o.price), ts)
        for w in list(self.positions):
            if w.qty and ts >= w.armed_ns:
                self.exit_by_sight(w, bid if w.side > 0 else ask, Kind.QUOTE)
        self.end()

    def bar(
        self, ts: int, id_: int, open_ns: int, open_: int, high: int, low: int, close: int
    ) -> None:
        self.run_due(ts)
        if max(self.last_trade_ns, self.last_book_ns, self.last_quote_ns) >= max(1, open_ns):
            return
        if self.orders or self.positions:
            self.begin(Kind.BAR, ts, id_)
            self.bar_stops(ts, open_ns, open_, high, low)
            self.inside_bar = (0, 0)
            for w in list(self.positions):
                reach = (high if w.side > 0 else low) if w.armed_ns <= open_ns else close
                if w.qty and w.target and ts >= w.armed_ns and w.side * reach > w.side * w.target:
                    self.close_at(w, w.qty, w.target, FillReason.TARGET_BAR, target=True)
            for o in self.live():
                reach = (low if o.side > 0 else high) if o.active_ns <= open_ns else close
                if ts >= o.active_ns and o.side * reach < o.side * o.price:
                    self.fill_resting(o, o.left, FillReason.LIMIT_BAR, max(0, o.front))
            self.bar_stops(ts, open_ns, open_, high, low)
            self.inside_bar = None
            self.end()
        self.last = Box(kind=Kind.BAR, ns=ts, id=id_, price=close)

    def bar_stops(self, ts: int, open_ns: int, open_: int, high: int, low: int) -> None:
        for w in list(self.positions):
            reach = low if w.side > 0 else high
            hit = w.stop and w.side * reach <= w.side * w.stop
            if not w.qty or ts < w.armed_ns or not (hit or w.triggered):
                continue
            price = open_ if w.triggered else w.stop
            if w.armed_ns <= open_ns and w.side * open_ < w.side * price:
                price = open_
            if not low <= price <= high:
                price = reach
            self.inside_bar = max(1, price - self.p.half_spread), price + self.p.half_spread
            price = max(1, price - w.side * (self.p.half_spread + self.p.slippage))
            out = w.triggered == ExitReason.STOP_OUT
            self.close_at(w, w.qty, price, FillReason.STOP_OUT if out else FillReason.STOP_BAR)

    def clock(self, now: int) -> None:
        self.run_due(now)
        self.now = max(self.now, now)
        self.learn(now)

    def boundary(self, now: int) -> None:
        self.run_due(now)
        self.now = max(self.now, now)
        margin = sum(w.margin for w in self.positions)
        if (
            margin
            and self.p.stop_out_ppb
            and self.equity() < self.share(margin, self.p.stop_out_ppb)
        ):
            for o in self.live():
                self.end_order(o, OrderState.CANCELLED, OrderReason.STOP_OUT)
            for w in self.positions:
                w.triggered = ExitReason.STOP_OUT
        self.begin(Kind.CLOCK, now, 0)
        for w in list(self.positions):
            if w.qty and now >= w.armed_ns:
                self.exit_by_sight(w, 0, Kind.CLOCK)
        self.end()
        self.learn(now)
        if now % MINUTE == 0:
            self.sample(now)

    def finish(self) -> None:
        for o in self.orders:
            self.write_order(o)
        for w in self.positions:
            self.write_position(w)

    # --- requests ----------------------------------------------------------------------------

    def submit(self, now, decision_id, kind, side, qty, price, stop, target, reduce_only, tif,
               exit_reason):  # fmt: skip
        self.now = max(self.now, now)
        self.ids.order += 1
        o = Box(id=self.ids.order, decision_id=decision_id, kind=kind, side=side, qty=qty, left=qty,
                price=price, stop=stop, target=target, reduce_only=reduce_only, tif=tif,
                exit_reason=exit_reason, named=0, ours=False, sent_ns=self.now, active_ns=0,
                done_ns=self.now, position_id=0, state=OrderState.PENDING, front=-1, level=0,
                traded=0, queue_ns=0, cancelling=False, reason=0,
                touches=self.touches())  # fmt: skip
        fault = self.fault(o)
        if fault:
            o.state, o.reason = OrderState.REJECTED, fault
            self.write_order(o)
            return 0
        o.ours = True
        self.submitted += 1
        self.orders.append(o)
        self.request(now, "new", o.id, 0)
        return o.id

    def fault(self, o: Box) -> int:
        p = self.p
        if (
            o.kind not in (OrderType.MARKET, OrderType.LIMIT)
            or o.side not in (BUY, SELL)
            or o.tif not in (0, 1, 2)
        ):
            return OrderReason.BAD_ORDER
        if not max(1, p.qty_min) <= o.qty <= p.qty_max or o.qty % p.qty_step:
            return OrderReason.BAD_QTY
        if (o.kind == OrderType.LIMIT) != (o.price > 0):
            return OrderReason.BAD_PRICE
        if any(x < 0 or x % p.price_step for x in (o.price, o.stop, o.target)):
            return OrderReason.BAD_PRICE
        ladder = [x for x in (o.stop, o.price, o.target) if x][:: o.side]
        if any(a >= b for a, b in pairwise(ladder)):
            return OrderReason.BAD_PRICE
        full = len(self.orders) == 32 or len(self.requests) == 64
        return OrderReason.NO_SLOT if full else 0

    def cancel(self, now: int, order_id: int) -> int:
        self.now = max(self.now, now)
        o = next((o for o in self.orders if o.id == order_id), None)
        if not 1 <= order_id <= self.ids.order or (o and o.cancelling) or len(self.requests) == 64:
            return 0
        if o:
            o.cancelling = True
        self.request(now, "cancel", order_id, 0)
        return 1

    def move_stop(self, now: int, position_id: int, stop: int) -> int:
        self.now = max(self.now, now)
        bad_price = stop < 0 or stop % self.p.price_step
        if not 1 <= position_id <= self.ids.position or bad_price or len(self.requests) == 64:
            return 0
        self.request(now, "move", position_id, stop)
        return 1

    def request(self, now: int, kind: str, id_: int, price: int) -> None:
        due = max(now, self.now) + self.p.order_latency_ns
        self.requests.append(Box(due=due, kind=kind, id=id_, price=price))

    def run_due(self, upto: int) -> bool:
        """Serve what is due; whether there was anything."""
        served = False
        while self.requests and self.requests[0].due <= upto:
            served = True
            r = self.requests.pop(0)
            self.now = max(self.now, r.due)
            if r.kind == "move":
                for w in self.positions:
                    beyond = r.price and w.target and w.side * r.price >= w.side * w.target
                    if w.id == r.id and not beyond:
                        w.stop, w.armed_ns = r.price, self.now
            for o in [o for o in self.orders if o.id == r.id]:
                if r.kind == "new":
                    self.arrive(o)
                elif r.kind == "cancel":
                    self.end_order(o, OrderState.CANCELLED, OrderReason.BY_STRATEGY)
            self.end()
        return served

    # --- arrival -----------------------------------------------------------------------------

    def arrive(self, o: Box) -> None:
        o.active_ns = self.now
        source, touch, market = self.source(), self.touch(o.side), o.kind == OrderType.MARKET
        takes = market or (touch and o.side * touch <= o.side * o.price)
        closes = min(o.qty, self.closable_qty(o))
        if o.reduce_only and not closes:
            refusal = OrderReason.NOTHING_TO_REDUCE
        elif market and self.cannot_take(o.side):
            refusal = self.cannot_take(o.side)
        elif takes and not market and o.tif == POST_ONLY:
            refusal = OrderReason.WOULD_TAKE
        else:
            opens = 0 if o.reduce_only else o.qty - closes
            freed = sum(w.margin for w in self.positions) if closes else 0
            bears = not opens or self.margin_bears(touch if market else o.price, opens, freed)
            refusal = 0 if bears else OrderReason.MARGIN
        if refusal:
            self.end_order(o, OrderState.REJECTED, refusal)
            return
        o.state, o.done_ns = OrderState.WORKING, self.now
        want = min(o.left, self.closable_qty(o)) if o.reduce_only else o.left
        done, why = 0, 0
        if takes:
            reason = self.blame(source)
            done, why = self.take(o, want, o.price, 0, reason)
        if not o.left:
            return
        if not why and o.reduce_only and done == want:
            why = OrderReason.NOTHING_TO_REDUCE
        if not why and (market or o.tif == IOC):
            why = OrderReason.NO_PRICE if source == "nothing" else OrderReason.NO_LIQUIDITY
        if why:
            self.end_order(o, OrderState.CANCELLED, why)
            return
        if source == "book":
            o.front, o.queue_ns = self.level_in_book(o.side, o.price), self.book.ns
        elif source == "quote":
            o.front, o.queue_ns = self.level_in_quote(o.side, o.price), self.quote_.ns
        o.level = max(0, o.front)

    def blame(self, source: str) -> int:
        if source == "book":
            self.cause = (Kind.DEPTH, self.book.ns, self.book.id)
            return FillReason.BOOK_WALK
        if source == "quote":
            self.cause = (Kind.QUOTE, self.quote_.ns, self.quote_.id)
            return FillReason.QUOTE_TOUCH
        self.cause = (self.last.kind, self.last.ns, self.last.id)
        return FillReason.LAST_PRICE

    def take(self, o: Box, want: int, limit: int, bound: int, why: int) -> tuple[int, int]:
        """(quantity taken, OrderReason when the account refused)."""
        t, source, done = o.side, self.source(), 0
        if source != "book":
            price = max(1, self.worst(t, self.touch(t), bound) + t * self.p.slippage)
            if limit and t * price > t * limit:
                price = limit
            return self.execute(o, want, price, Liquidity.TAKER, why, 0)
        for level in self.levels(t):
            part = min(want - done, level[1] - level[2])
            price = self.worst(t, level[0], bound, self.newer_quote(t))
            if limit and t * price > t * limit:
                break
            if part > 0:
                got, refusal = self.execute(o, part, price, Liquidity.TAKER, why, 0)
                level[2] += got
                done += got
                if refusal or got < part:
                    return done, refusal
        return done, 0

    # --- waiting -----------------------------------------------------------------------------

    def live(self) -> list[Box]:
        return [o for o in self.orders if o.state in (OrderState.WORKING, OrderState.PARTIAL)]

    def begin(self, kind: int, ts: int, id_: int) -> None:
        self.now = max(self.now, ts)
        self.cause = (kind, ts, id_)

    def fill_resting(self, o: Box, qty: int, why: int, ahead: int) -> int:
        if o.state not in (OrderState.WORKING, OrderState.PARTIAL):
            return 0
        done, refusal = self.execute(o, qty, o.price, Liquidity.MAKER, why, ahead)
        if done < qty:
            self.end_order(o, OrderState.CANCELLED, refusal or OrderReason.POSITION_CLOSED)
        return done

    def use_book(self, taker: int, limit: int, qty: int) -> None:
        for level in self.levels(taker):
            if taker * level[0] <= taker * limit:
                part = min(qty, max(0, level[1] - level[2]))
                level[2] += part
                qty -= part

    def level_in_book(self, side: int, price: int) -> int:
        own = self.levels(-side)
        if not own or side * price < side * own[-1][0]:
            return -1
        return sum(q for p, q, _ in own if p == price)

    def level_in_quote(self, side: int, price: int) -> int:
        own = self.quote_.bid if side > 0 else self.quote_.ask
        if side * price > side * own[0]:
            return 0
        return own[1] if price == own[0] and own[1] > 0 else -1

    def see_queue(self, o: Box, total: int, ts: int) -> None:
        if total < 0 or ts < o.queue_ns:
            return
        if o.front < 0:
            o.front = total
        else:
            o.front = front_after(
                self.p.queue_model, self.p.queue_power, o.front, o.level, o.traded, total
            )
        o.level, o.traded, o.queue_ns = total, 0, ts

    def exit_by_sight(self, w: Box, seen: int, kind: int) -> None:
        if not w.triggered and w.stop and seen and w.side * seen <= w.side * w.stop:
            w.triggered = ExitReason.STOP
        if w.triggered:
            if self.cannot_take(-w.side):
                return
            if kind == Kind.CLOCK:
                self.blame(self.source())
            out = w.triggered == ExitReason.STOP_OUT
            why = FillReason.STOP_TRADE if kind == Kind.TRADE else FillReason.STOP_BOOK
            o = self.broker_order(w, w.qty, OrderType.MARKET if out else OrderType.STOP)
            _, refusal = self.take(o, w.qty, 0, seen, FillReason.STOP_OUT if out else why)
            if o.left:
                self.end_order(o, OrderState.CANCELLED, refusal or OrderReason.NO_LIQUIDITY)
            return
        reached = w.target and seen and w.side * seen >= w.side * w.target
        if not reached:
            return
        if kind == Kind.TRADE:
            if seen != w.target:
                self.close_at(w, w.qty, w.target, FillReason.TARGET_TRADE, target=True)
            return
        if kind == Kind.DEPTH:
            own = self.levels(-w.side)
            shown = sum(max(0, q - u) for p, q, u in own if w.side * p >= w.side * w.target)
        else:
            level = self.quote_.bid if w.side > 0 else self.quote_.ask
            shown = max(0, level[1] - level[2]) if level[1] else w.qty
        if min(shown, w.qty):
            done = self.close_at(
                w, min(shown, w.qty), w.target, FillReason.TARGET_BOOK, target=True
            )
            if kind == Kind.DEPTH:
                self.use_book(-w.side, w.target, done)
            else:
                level[2] += done

    def broker_order(self, w: Box, qty: int, kind: int) -> Box:
        self.ids.order += 1
        price = {OrderType.STOP: w.stop, OrderType.TARGET: w.target, OrderType.MARKET: 0}[kind]
        reason = {OrderType.STOP: ExitReason.STOP, OrderType.TARGET: ExitReason.TARGET}
        return Box(id=self.ids.order, decision_id=0, kind=kind, side=-w.side, qty=qty, left=qty,
                   price=price, stop=0, target=0, reduce_only=1, tif=0,
                   exit_reason=reason.get(kind, ExitReason.STOP_OUT), named=w.id, ours=False,
                   sent_ns=self.now, active_ns=self.now, done_ns=self.now, position_id=w.id,
                   state=OrderState.WORKING, touches=self.touches(),
                   reason=OrderReason.STOP_OUT if kind == OrderType.MARKET else 0)  # fmt: skip

    def close_at(self, w: Box, qty: int, price: int, why: int, target: bool = False) -> int:
        stop = OrderType.MARKET if w.triggered == ExitReason.STOP_OUT else OrderType.STOP
        o = self.broker_order(w, qty, OrderType.TARGET if target else stop)
        liquidity = Liquidity.MAKER if target else Liquidity.TAKER
        return self.execute(o, qty, price, liquidity, why, 0)[0]
