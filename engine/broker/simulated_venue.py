"""A broker in this process: simulated matching behind the same protocol as a real one.

Owns an account over compiled matching (``engine.kernel.matching``) that is told quotes and asked
like any broker: orders, positions and deals have tickets, answers have treatments. What
``engine.broker.simulated`` says of fills holds here word for word.

What must hold: the deals that can be seen add up to the balance; a deal is seen once its report has
had time to travel. It refuses to know where quotes and orders come from. It takes no stop orders
that open: simulated matching has none.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from data import jitcache
from data.enums import ExitReason, FillReason, OrderReason, OrderState, OrderType, Side
from data.events import Scales
from engine.broker.mt5_requests import at_once, unsent, wrong_close, wrong_move, wrong_order
from engine.broker.mt5_symbols import EXECUTION_INSTANT, Symbol
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
from engine.broker.retcodes import words_of
from engine.broker.simulated import SimulatedBroker

DEPOSIT = 1
"""Ticket of the deal that brought the first balance; fills have the tickets after it."""

QUOTES_MOST = 100_000
"""Quotes that are kept to be asked for."""

_REFUSALS = {
    OrderReason.NO_PRICE: (Treatment.FRESH_PRICE, 10021),
    OrderReason.NO_LIQUIDITY: (Treatment.FRESH_PRICE, 10021),
    OrderReason.MARGIN: (Treatment.REFUSE, 10019),
    OrderReason.BAD_QTY: (Treatment.FIX_INPUT, 10014),
    OrderReason.BAD_PRICE: (Treatment.FIX_INPUT, 10015),
    OrderReason.NO_SLOT: (Treatment.REFUSE, 10033),
    OrderReason.OVERFLOW: (Treatment.FIX_INPUT, 10014),
    OrderReason.BAD_ORDER: (Treatment.FIX_INPUT, 10013),
    OrderReason.NOTHING_TO_REDUCE: (Treatment.REREAD, 10036),
}
_SERVER_MADE = {
    FillReason.STOP_TRADE: ExitReason.STOP,
    FillReason.STOP_BOOK: ExitReason.STOP,
    FillReason.STOP_BAR: ExitReason.STOP,
    FillReason.TARGET_TRADE: ExitReason.TARGET,
    FillReason.TARGET_BOOK: ExitReason.TARGET,
    FillReason.TARGET_BAR: ExitReason.TARGET,
    FillReason.STOP_OUT: ExitReason.STOP_OUT,
}
_LIVE = (OrderState.PENDING, OrderState.WORKING, OrderState.PARTIAL)


class SimulatedVenue:
    """An account of one symbol, see :class:`engine.broker.protocol.Broker`.

    ``clock`` gives the time, ns UTC; :meth:`quote` the market. ``assumptions`` are those of
    simulated matching; ``contract`` is the base quantity of a lot.
    """

    name = "simulated"

    def __init__(
        self,
        symbol: str,
        scales: Scales,
        clock: Callable[[], int],
        assumptions: SimulatedBroker | None = None,
        login: int = 1,
        currency: str = "USD",
        contract: int = 1,
    ) -> None:
        jitcache.activate()
        from engine.kernel import matching_door as door
        from engine.kernel.matching import SIM_PARAMS, SIM_STATE, sim_init
        from engine.kernel.outputs import OUT

        self._door = door
        self._clock = clock
        self._login, self._currency = login, currency
        assumed = assumptions or SimulatedBroker()
        self._hedging = assumed.account == "hedging"
        self._state = np.zeros(1, dtype=SIM_STATE)
        self._params = np.zeros(1, dtype=SIM_PARAMS)
        self._params[:] = assumed.record(scales)
        self._output = np.zeros(1, dtype=OUT)
        arrays = (self._state, self._params, self._output)
        self._records = tuple(a.view(np.recarray)[0] for a in arrays)
        sim_init(*self._records[:2])
        self._symbol = _symbol(symbol, scales, self._params[0], contract, currency)
        self._tick = Tick(0, 0, 0)
        self._quotes: deque[Tick] = deque(maxlen=QUOTES_MOST)
        self._quoted = 0
        self._sent: dict[int, NewOrder] = {}
        self._ended: dict[int, OrderFact] = {}
        self._why: dict[int, OrderReason] = {}
        self._sides: dict[int, Side] = {}
        self._magic: dict[int, int] = {}
        start = int(self._params[0]["start_balance"])
        self._deals = [_deposit(start, clock())]
        self._known_ns = [0]

    # --- the market

    def quote(self, ts_ns: int, bid: int, ask: int, bid_qty: int = 0, ask_qty: int = 0) -> None:
        """The market has this best bid and ask, price units; sizes of 0 are not known."""
        self._tick = Tick(ts_ns, bid, ask)
        self._quotes.append(self._tick)
        self._quoted += 1
        self._step(self._door.QUOTE, ts_ns, self._quoted, bid, bid_qty, ask, ask_qty)
        self._step(self._door.BOUNDARY, ts_ns)

    def _step(self, step: int, *args: int) -> int:
        """One step of matching; what it wrote is read at once."""
        a = np.zeros(self._door.ARGUMENTS, dtype=np.int64)
        a[: len(args)] = args
        made = int(self._door.sim_step(*self._records, step, a))
        self._read()
        return made

    def _due(self) -> int:
        """Let happen what is due by now, a stop-out too; now."""
        now = self._clock()
        self._step(self._door.BOUNDARY, now)
        return now

    # --- what matching wrote

    def _read(self) -> None:
        """Take the rows of orders and fills that were written."""
        out = self._output[0]
        for row in out["orders"][: out["n_orders"]]:
            self._read_order(row)
        for row in out["fills"][: out["n_fills"]]:
            self._read_fill(row)
        for name in ("n_orders", "n_fills", "n_positions", "n_equity"):
            out[name] = 0

    def _read_order(self, row: Any) -> None:
        number = int(row["id"])
        self._why[number] = OrderReason(int(row["reason"]))
        self._ended[number] = self._order(row, row["ts_ns"], row["qty"] - row["filled_qty"])

    def _order(self, row: Any, setup_ns: int, left: int) -> OrderFact:
        """An order slot, or its row, which have some names in common."""
        number, position = int(row["id"]), int(row["position_id"])
        sent = self._sent.get(number)
        live = OrderState(int(row["state"])) in _LIVE
        magic = sent.magic if sent is not None else self._magic.get(position, 0)
        kind = OrderType(int(row["type"]))
        return OrderFact(
            ticket=number,
            symbol=self._symbol.name,
            magic=magic,
            comment=sent.comment if sent is not None else "",
            type=kind if sent is not None else OrderType.MARKET,
            side=Side(int(row["side"])),
            qty=int(row["qty"]),
            left=int(left),
            price=int(row["price"]),
            setup_ns=int(setup_ns),
            done_ns=0 if live else max(1, int(row["done_ns"])),
            filled=int(row["state"]) == OrderState.FILLED,
            position=position,
        )

    def _read_fill(self, row: Any) -> None:
        number, position = int(row["order_id"]), int(row["position_id"])
        sent, side = self._sent.get(number), Side(int(row["side"]))
        if position not in self._sides:
            self._sides[position] = side
            self._magic[position] = sent.magic if sent is not None else 0
        made = FillReason(int(row["reason"]))
        ours = sent is not None
        deal = DealFact(
            ticket=DEPOSIT + int(row["id"]),
            order=number,
            position=position,
            symbol=self._symbol.name,
            magic=sent.magic if sent is not None else self._magic[position],
            comment=sent.comment if sent is not None else f"[{made.name.lower()}]",
            side=side,
            qty=int(row["qty"]),
            price=int(row["price"]),
            profit=int(row["pnl"]),
            fee=int(row["fee"]),
            ts_ns=int(row["ts_ns"]),
            reason=ExitReason.OPEN if ours else _SERVER_MADE.get(made, ExitReason.STOP_OUT),
            closes=self._sides[position] != side,
        )
        self._deals.append(deal)
        self._known_ns.append(int(row["known_ns"]))

    # --- what changes something

    def submit(self, order: NewOrder) -> Outcome:
        """See :meth:`Broker.submit`."""
        self._ours(order.symbol)
        now = self._due()
        found = wrong_order(self._symbol, order, self._tick)
        if found is None and order.type is OrderType.STOP:
            found = unsent(Treatment.FIX_INPUT, "simulated matching has no stop orders that open")
        if found is not None:
            return found
        # the ticket is the next one: an order may end within the step that sends it
        self._sent[int(self._state[0]["order_id"]) + 1] = order
        kind = 1 if order.type is OrderType.LIMIT else 0
        number = self._step(
            self._door.SUBMIT, now, 1, kind, int(order.side), order.qty, order.price, order.stop,
            order.target, int(order.position != 0), int(at_once(order)), 0, order.position,
        )  # fmt: skip
        self._due()
        return self._outcome(number or int(self._state[0]["order_id"]))

    def _outcome(self, number: int) -> Outcome:
        """What became of an order that was sent just now."""
        deals = [d for d in self._deals if d.order == number]
        qty = sum(d.qty for d in deals)
        ended = self._ended.get(number)
        if ended is None:
            return Outcome(Treatment.PLACED, 10008, words_of(10008), number)
        if qty == 0:
            treatment, code = _REFUSALS.get(self._why[number], (Treatment.REFUSE, 10006))
            return Outcome(treatment, code, words_of(code), number)
        code = 10009 if ended.filled else 10010
        price = (sum(d.price * d.qty for d in deals) + qty // 2) // qty
        return Outcome(Treatment.DONE, code, words_of(code), number, deals[-1].ticket, qty, price)

    def close(self, position: PositionFact, qty: int, magic: int, comment: str) -> Outcome:
        """See :meth:`Broker.close`."""
        self._due()
        held = self._held(position.symbol, position.ticket)
        if held is None:
            return unsent(Treatment.REREAD, f"there is no position {position.ticket}")
        found = wrong_close(self._symbol, held, qty)
        if found is not None:
            return found
        side = Side.SELL if held.side is Side.BUY else Side.BUY
        return self.submit(
            NewOrder(held.symbol, magic, comment, OrderType.MARKET, side, qty, 0, 0, 0, held.ticket)
        )

    def modify(self, symbol: str, position: int, stop: int, target: int) -> Outcome:
        """See :meth:`Broker.modify`."""
        now = self._due()
        held = self._held(symbol, position)
        if held is None:
            return unsent(Treatment.REREAD, f"there is no position {position}")
        found = wrong_move(self._symbol, held, stop, target, self._tick)
        if found is not None:
            return found
        if target != held.target:
            self._step(self._door.TARGET, position, target)
        if stop != held.stop:
            self._step(self._door.MOVE_STOP, now, position, stop)
            self._due()
        after = self._held(symbol, position)
        stands = after is not None and (after.stop, after.target) == (stop, target)
        code = 10009 if stands else 10008
        return Outcome(Treatment.DONE if stands else Treatment.PLACED, code, words_of(code))

    def cancel(self, symbol: str, order: int) -> Outcome:
        """See :meth:`Broker.cancel`."""
        self._ours(symbol)
        now = self._due()
        if all(o.ticket != order for o in self._working()):
            return unsent(Treatment.REREAD, f"there is no working order {order}")
        self._step(self._door.CANCEL, now, order)
        self._due()
        code = 10009 if order in self._ended else 10008
        treatment = Treatment.DONE if order in self._ended else Treatment.PLACED
        return Outcome(treatment, code, words_of(code), order)

    # --- what there is

    def connect(self) -> Account:
        """See :meth:`Broker.connect`."""
        return self.account()

    def account(self) -> Account:
        """See :meth:`Broker.account`."""
        self._due()
        s = self._state[0]
        balance = int(s["balance"])
        return Account(
            login=self._login,
            server=self.name,
            currency=self._currency,
            hedging=self._hedging,
            real=False,
            balance=balance,
            equity=balance + sum(self._open_result(w) for w in self._slots()),
            margin=int(s["margin"]),
            trade_allowed=True,
        )

    def _open_result(self, w: Any) -> int:
        """What a position would bring at the touch, money; 0 without a quote."""
        side, p = int(w["side"]), self._params[0]
        touch = self._tick.bid if side > 0 else self._tick.ask
        worth = side * (touch * int(w["qty"]) - int(w["cost"]))
        return worth * int(p["mul"]) // int(p["div"]) if touch > 0 else 0

    def instruments(self) -> Sequence[Instrument]:
        """See :meth:`Broker.instruments`."""
        return [self._symbol.instrument]

    def quotes(self, symbol: str, since_ns: int) -> Sequence[Tick]:
        """See :meth:`Broker.quotes`."""
        self._ours(symbol)
        if since_ns == 0:
            return [self._tick]
        return [t for t in self._quotes if t.ts_ns > since_ns]

    def positions(self) -> Sequence[PositionFact]:
        """See :meth:`Broker.positions`."""
        self._due()
        return [self._position(w) for w in self._slots()]

    def _slots(self) -> list[Any]:
        s = self._state[0]
        return [s["positions"][i] for i in s["position_at"][: s["n_positions"]]]

    def _position(self, w: Any) -> PositionFact:
        number, sent = int(w["id"]), self._sent.get(int(w["entry_order_id"]))
        return PositionFact(
            ticket=number,
            ident=number,
            symbol=self._symbol.name,
            magic=self._magic.get(number, 0),
            comment=sent.comment if sent is not None else "",
            side=Side(int(w["side"])),
            qty=int(w["qty"]),
            price=(int(w["cost"]) + int(w["qty"]) // 2) // int(w["qty"]),
            stop=int(w["stop"]),
            target=int(w["target"]),
            open_ns=int(w["open_ns"]),
        )

    def _held(self, symbol: str, position: int) -> PositionFact | None:
        self._ours(symbol)
        return next((p for p in self.positions() if p.ticket == position), None)

    def _working(self) -> list[OrderFact]:
        s = self._state[0]
        slots = [s["orders"][i] for i in s["order_at"][: s["n_orders"]]]
        return [self._order(o, o["sent_ns"], o["left"]) for o in slots]

    def orders(self, since_ns: int) -> Sequence[OrderFact]:
        """See :meth:`Broker.orders`."""
        self._due()
        ended = [o for o in self._ended.values() if o.setup_ns >= since_ns]
        return [*self._working(), *ended]

    def deals(self, since_ns: int) -> Sequence[DealFact]:
        """See :meth:`Broker.deals`."""
        now = self._due()
        seen = zip(self._deals, self._known_ns, strict=True)
        return [d for d, known in seen if known <= now and d.ts_ns >= since_ns]

    def health(self) -> Health:
        """See :meth:`Broker.health`."""
        age = self._clock() - self._tick.ts_ns if self._tick.ts_ns else -1
        return Health(True, True, age, 0, 0, 0)

    def stop(self) -> None:
        """See :meth:`Broker.stop`: there is no link."""

    def _ours(self, symbol: str) -> None:
        if symbol != self._symbol.name:
            raise BrokerError(f"this broker was not made for {symbol}", do="name its own symbol")


def _deposit(amount: int, now_ns: int) -> DealFact:
    """The deal that brought the first balance."""
    return DealFact(
        ticket=DEPOSIT, order=0, position=0, symbol="", magic=0, comment="initial deposit",
        side=Side.UNKNOWN, qty=0, price=0, profit=amount, fee=0, ts_ns=now_ns,
        reason=ExitReason.OPEN, closes=False,
    )  # fmt: skip


def _symbol(name: str, scales: Scales, params: Any, contract: int, currency: str) -> Symbol:
    """The symbol that the assumptions describe."""
    qty_max = int(params["qty_max"])
    step, tick = int(params["qty_step"]), int(params["price_step"])
    instrument = Instrument(
        symbol=name, scales=scales, price_step=tick, qty_step=step,
        qty_min=max(step, int(params["qty_min"])), qty_max=qty_max, qty_limit=0,
        contract=contract * 10**scales.qty, stops_level=0, freeze_level=0, trade_mode="full",
        profit_currency=currency,
    )  # fmt: skip
    size = Decimal(tick).scaleb(-scales.price)
    lots = Decimal(step).scaleb(-scales.qty) / contract
    return Symbol(instrument, size, size, Decimal(contract), lots, EXECUTION_INSTANT, 3)
