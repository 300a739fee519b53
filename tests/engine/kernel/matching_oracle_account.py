"""The account half of the slow reference broker: market view, money, positions, rows, reports."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor
from types import SimpleNamespace as Box

from data.events import ExitReason, Liquidity, OrderReason, OrderState

BUY, SELL = 1, -1
PPB = 10**9


def half_away(x: Fraction) -> int:
    return floor(x + Fraction(1, 2)) if x >= 0 else -floor(-x + Fraction(1, 2))


class OracleAccount:
    """What the market shows, what the account holds, and the rows that say so."""

    def __init__(self, **params: int) -> None:
        self.p = Box(**params)
        self.now = 0
        self.balance = self.peak = self.p.start_balance
        self.orders: list[Box] = []
        self.positions: list[Box] = []
        self.requests: list[Box] = []
        self.reports: list[Box] = []
        self.book: Box | None = None
        self.quote_: Box | None = None
        self.last: Box | None = None
        self.last_trade_ns = self.last_book_ns = self.last_quote_ns = 0
        self.ids = Box(order=0, fill=0, position=0)
        self.closed = self.ended = self.submitted = 0
        self.exit = Box(reason=0, ns=0)
        self.rows: dict[str, list[tuple[int, ...]]] = {
            k: [] for k in ("orders", "fills", "positions", "equity")
        }
        self.known = Box(qty=0, entry_price=0, open_ns=0, position_id=0, balance=self.balance,
                         closed=0, exit_reason=0, exit_ns=0, ended=0)  # fmt: skip
        self.news = False
        self.cause = (0, 0, 0)
        self.inside_bar: tuple[int, int] | None = None

    # --- what the market shows ------------------------------------------------------------------

    def source(self) -> str:
        if self.book and self.now - self.book.ns <= self.p.stale_ns:
            return "book"
        if self.quote_ and self.now - self.quote_.ns <= self.p.stale_ns:
            return "quote"
        recent = self.last and (
            not self.p.price_stale_ns or self.now - self.last.ns <= self.p.price_stale_ns
        )
        return "last" if recent else "nothing"

    def levels(self, taker: int) -> list[list[int]]:
        return self.book.asks if taker > 0 else self.book.bids

    def newer_quote(self, taker: int) -> int:
        """Price of a quote that is newer than the book and fresh, 0 where there is none."""
        q, b = self.quote_, self.book
        if q and q.ns > b.ns and self.now - q.ns <= self.p.stale_ns:
            return (q.ask if taker > 0 else q.bid)[0]
        return 0

    def worst(self, taker: int, *prices: int) -> int:
        real = [p for p in prices if p]
        return max(real) if taker > 0 else min(real)

    def touch(self, taker: int) -> int:
        source = self.source()
        if source == "book":
            levels = self.levels(taker)
            return self.worst(taker, levels[0][0], self.newer_quote(taker)) if levels else 0
        if source == "quote":
            return (self.quote_.ask if taker > 0 else self.quote_.bid)[0]
        return max(1, self.last.price + taker * self.p.half_spread) if source == "last" else 0

    def touches(self) -> tuple[int, int]:
        """(bid, ask) for the rows: what takers would meet, or what is assumed inside a bar."""
        return self.inside_bar or (self.touch(SELL), self.touch(BUY))

    def cannot_take(self, taker: int) -> int:
        source = self.source()
        if source == "nothing":
            return OrderReason.NO_PRICE
        empty = source == "book" and not any(q > u for _, q, u in self.levels(taker))
        return OrderReason.NO_LIQUIDITY if empty else 0

    # --- money and positions--------------------------------------------------------------------

    def money(self, product: int) -> int:
        return half_away(Fraction(product * self.p.mul, self.p.div))

    def share(self, money: int, ppb: int) -> int:
        return half_away(Fraction(money * ppb, PPB))

    def fee(self, price: int, qty: int, liquidity: int) -> int:
        ppb = self.p.maker_ppb if liquidity == Liquidity.MAKER else self.p.taker_ppb
        per_unit = half_away(Fraction(qty * self.p.fee_unit, self.p.qty_unit))
        return self.share(self.money(price * qty), ppb) + per_unit

    def equity(self) -> int:
        total = self.balance
        for w in self.positions:
            price = self.touch(-w.side) or (self.last.price if self.last else 0)
            if w.qty and price:
                total += self.money(w.side * (price * w.qty - w.cost))
        return total

    def margin_bears(self, price: int, qty: int, freed: int) -> bool:
        needed = self.share(self.money(price * qty), self.p.margin_ppb)
        used = sum(w.margin for w in self.positions)
        return self.p.margin_ppb == 0 or used - freed + needed <= self.equity()

    def closable(self, o: Box) -> list[Box]:
        if self.p.hedging and not o.reduce_only:
            return []
        return [w for w in self.positions
                if w.qty and w.side == -o.side and o.named in (0, w.id)]  # fmt: skip

    def closable_qty(self, o: Box) -> int:
        return sum(w.qty for w in self.closable(o))

    def execute(
        self, o: Box, qty: int, price: int, liquidity: int, why: int, ahead: int
    ) -> tuple[int, int]:
        """(quantity filled, OrderReason when the account refused the rest)."""
        left = qty
        about = (price, liquidity, why, ahead)
        for w in self.closable(o):
            part = min(left, w.qty)
            if part:
                self.close_part(o, w, part, about)
                left -= part
        if not left or o.reduce_only:
            return qty - left, 0
        if liquidity == Liquidity.MAKER and not self.margin_bears(price, left, 0):
            return qty - left, OrderReason.MARGIN
        own = [w for w in self.positions if w.qty and w.side == o.side]
        if self.p.hedging:
            own = [w for w in own if w.entry_order_id == o.id]
        if not own:
            if sum(1 for w in self.positions if w.qty) == 16:
                return qty - left, OrderReason.NO_SLOT
            self.ids.position += 1
            own = [Box(id=self.ids.position, side=o.side, qty=0, peak=0, cost=0, margin=0, stop=0,
                       target=0, armed_ns=0, triggered=0, open_ns=self.now, closed_ns=0, pnl=0,
                       fees=0, entry=0, exit=0, entry_qty=0, exit_qty=0, entry_order_id=o.id,
                       exit_order_id=0, exit_reason=0)]  # fmt: skip
            self.positions.append(own[0])
        self.open_part(o, own[0], left, about)
        return qty, 0

    def open_part(self, o: Box, w: Box, qty: int, about: tuple[int, int, int, int]) -> None:
        price = about[0]
        w.qty += qty
        w.peak = max(w.peak, w.qty)
        w.cost += price * qty
        w.entry_qty += qty
        w.entry += self.money(price * qty)
        w.margin += self.share(self.money(price * qty), self.p.margin_ppb)
        if o.stop and o.stop != w.stop:
            w.stop, w.armed_ns = o.stop, self.now
        if o.target and o.target != w.target:
            w.target, w.armed_ns = o.target, self.now
        self.book_fill(o, w, qty, 0, about)

    def close_part(self, o: Box, w: Box, qty: int, about: tuple[int, int, int, int]) -> None:
        price = about[0]
        exact = Fraction(w.cost * qty, w.qty)
        cost = ceil(exact) if w.side > 0 else floor(exact)
        w.margin -= floor(Fraction(w.margin * qty, w.qty))
        w.qty -= qty
        w.cost -= cost
        w.exit_qty += qty
        w.exit += self.money(price * qty)
        w.exit_order_id = o.id
        reverses = o.left > qty and not o.reduce_only
        w.exit_reason = o.exit_reason or (ExitReason.REVERSE if reverses else ExitReason.STRATEGY)
        self.book_fill(o, w, qty, self.money(w.side * (price * qty - cost)), about)
        if not w.qty:
            w.closed_ns = self.now
            self.closed += 1
            self.exit = Box(reason=w.exit_reason, ns=self.now)
            self.write_position(w)
            self.sample(self.now)

    def book_fill(
        self, o: Box, w: Box, qty: int, pnl: int, about: tuple[int, int, int, int]
    ) -> None:
        price, liquidity, why, ahead = about
        fee = self.fee(price, qty, liquidity)
        self.ids.fill += 1
        self.rows["fills"].append((
            self.now, self.ids.fill, o.id, w.id, o.side, price, qty, fee, pnl, int(liquidity),
            int(why), int(self.cause[0]), self.cause[1], self.cause[2], ahead,
            self.p.order_latency_ns if o.ours else 0, self.now + self.p.response_latency_ns,
            10 + self.p.queue_model, *self.touches(),
        ))  # fmt: skip
        w.fees += fee
        w.pnl += pnl
        self.balance += pnl - fee
        self.news = True
        o.position_id = w.id
        o.left -= qty
        o.done_ns = self.now
        o.state = OrderState.PARTIAL
        if not o.left:
            self.end_order(o, OrderState.FILLED, o.reason)

    def end_order(self, o: Box, state: int, reason: int) -> None:
        o.state, o.reason, o.done_ns = state, reason, self.now
        if o.ours:
            self.ended += 1
            self.news = True
        self.write_order(o)

    # --- rows and reports --------------------------------------------------------------------

    def write_order(self, o: Box) -> None:
        self.rows["orders"].append((
            o.sent_ns, o.id, o.decision_id, o.position_id, int(o.kind), o.side, o.qty, o.price,
            int(o.state), int(o.reason), o.qty - o.left, o.active_ns, o.done_ns,
            *o.touches,
        ))  # fmt: skip

    def write_position(self, w: Box) -> None:
        ended = w.closed_ns > 0
        self.rows["positions"].append((
            w.open_ns, w.id, w.side, w.peak, w.entry, w.exit, w.entry_qty, w.exit_qty, w.pnl,
            w.fees, w.pnl - w.fees, int(w.exit_reason) if ended else 0, w.closed_ns,
            w.entry_order_id, w.exit_order_id if ended else 0,
        ))  # fmt: skip

    def sample(self, now: int) -> None:
        equity = self.equity()
        self.peak = max(self.peak, equity)
        self.rows["equity"].append((
            now, self.balance, equity, sum(w.margin for w in self.positions),
            sum(w.side * w.qty for w in self.positions), self.peak - equity,
        ))  # fmt: skip

    def end(self) -> None:
        """What follows an event or a request: idle reducers end, the gone leave, a report goes."""
        terminal = (OrderState.FILLED, OrderState.CANCELLED, OrderState.REJECTED)
        for o in self.live():
            if o.reduce_only and not self.closable(o):
                self.end_order(o, OrderState.CANCELLED, OrderReason.POSITION_CLOSED)
        self.orders = [o for o in self.orders if o.state not in terminal]
        self.positions = [w for w in self.positions if w.qty]
        if self.news:
            self.report()
        self.news = False

    def report(self) -> None:
        view = Box(qty=sum(w.side * w.qty for w in self.positions), entry_price=0, open_ns=0,
                   position_id=0, balance=self.balance, closed=self.closed,
                   exit_reason=self.exit.reason, exit_ns=self.exit.ns,
                   ended=self.ended)  # fmt: skip
        if self.positions:
            w = self.positions[0]
            average = Fraction(w.cost, w.qty)
            view.entry_price = ceil(average) if w.side > 0 else floor(average)
            view.open_ns, view.position_id = w.open_ns, w.id
        view.known_ns = self.now + self.p.response_latency_ns
        self.reports.append(view)

    def learn(self, now: int) -> None:
        while self.reports and self.reports[0].known_ns <= now:
            self.known = self.reports.pop(0)

    def view(self) -> tuple[int, ...]:
        """What a strategy may read, in the order of the kernel's state."""
        k = self.known
        return (k.qty, k.entry_price, k.open_ns, k.position_id, self.submitted - k.ended, k.balance,
                k.closed, int(k.exit_reason), k.exit_ns)  # fmt: skip
