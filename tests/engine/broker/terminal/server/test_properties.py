"""Whatever is asked, quoted and broken: the server's books stay whole."""

from __future__ import annotations

import random
from typing import Any

import pytest

from engine.broker.terminal.server.faults import KINDS
from engine.broker.terminal.server.sim import SimServer
from engine.broker.terminal.server.specs import AccountSpec, spec_of
from engine.broker.terminal.server.state import Deal
from engine.broker.terminal.server.words import DealType, Margin
from tests.engine.broker.terminal.server.made import EMPTY, NOON_NS, NS, books_hold

SYMBOLS = ("EURUSD", "XAUUSD", "USDJPY")
PRICE = {"EURUSD": (1.1, 1e-4), "XAUUSD": (2400.0, 0.5), "USDJPY": (150.0, 0.02)}
STEPS = 120


def walk(luck: random.Random) -> list[tuple[int, str, float, float]]:
    """Quotes of all symbols, about twice a second."""
    rows, level = [], {s: PRICE[s][0] for s in SYMBOLS}
    for k in range(4 * STEPS):
        symbol = luck.choice(SYMBOLS)
        step = PRICE[symbol][1]
        level[symbol] += luck.gauss(0, 3 * step)
        bid = round(level[symbol], 5)
        rows.append((NOON_NS + k * NS // 2, symbol, bid, round(bid + step, 5)))
    return rows


def request(luck: random.Random, made: SimServer) -> dict[str, Any]:
    """A request that mostly makes sense."""
    ledger = made.ledger
    symbol = luck.choice(SYMBOLS)
    quotes, spec = made.market.quotes[symbol], made.market.specs[symbol]
    price, step = spec.price(quotes.bid or 1), PRICE[symbol][1]
    asked = {**EMPTY, "symbol": symbol, "magic": luck.randrange(3),
             "volume": round(luck.choice((0.01, 0.03, 0.1, 0.5)), 2),
             "type_filling": luck.choice((0, 1, 1))}  # fmt: skip
    held = luck.choice(list(ledger.positions.values()) or [None])
    known = luck.choice([*ledger.orders, *ledger.past, 1])
    act = luck.choice(("open", "open", "close", "close", "levels", "wait", "change", "by"))

    def near(steps: float) -> float:
        return round(price + luck.uniform(-steps, steps) * step, spec.digits)

    if act == "open":
        asked |= {"action": 1, "type": luck.randrange(2)}
        if luck.random() < 0.5:
            asked |= {"sl": near(20), "tp": near(20)}
    elif act in ("close", "levels", "by") and held is not None:
        asked |= {"symbol": held.symbol, "position": held.ticket}
        if act == "levels":
            other = made.market.specs[held.symbol].price(made.market.quotes[held.symbol].bid)
            asked |= {"action": 6, "sl": round(other * luck.uniform(0.99, 1.01), 5)}
        elif act == "by":
            asked |= {"action": 10, "position_by": luck.choice(list(ledger.positions))}
        else:
            part = luck.choice((1.0, 0.5))
            volume = max(0.01, round(held.volume / 1e8 * part, 2))
            asked |= {"action": 1, "type": int(held.buy), "volume": volume}
    elif act == "wait":
        asked |= {"action": 5, "type": luck.randrange(2, 8), "price": near(20),
                  "stoplimit": near(20), "type_filling": 2,
                  "type_time": luck.choice((0, 1))}  # fmt: skip
    else:
        asked |= {"action": luck.choice((7, 8)), "order": known, "price": near(20)}
    return asked


def look(made: SimServer) -> None:
    """What must hold at every moment."""
    books_hold(made)
    ledger = made.ledger
    assert not set(ledger.orders) & set(ledger.past)
    tickets = [d.ticket for d in ledger.deals]
    assert tickets == sorted(set(tickets))
    for order in [*ledger.orders.values(), *ledger.past.values()]:
        assert 0 <= order.volume <= order.initial
    for held in ledger.positions.values():
        assert held.volume == abs(net_of(ledger.deals, held.ident))
        assert (net_of(ledger.deals, held.ident) > 0) == held.buy
    if not ledger.account.hedging:
        assert len({p.symbol for p in ledger.positions.values()}) == len(ledger.positions)
    assert ledger.margin() >= 0


def net_of(deals: list[Deal], ident: int) -> int:
    """Volume that the deals of a position leave."""
    net = 0
    for d in deals:
        if d.position == ident:
            # both deals of a close-by reduce their own position
            net += d.volume if d.type == DealType.BUY else -d.volume
    return net


@pytest.mark.parametrize("seed", range(12))
def test_books_stay_whole(seed: int) -> None:
    luck = random.Random(seed)
    account = AccountSpec(
        balance=luck.choice((500.0, 10_000.0)),
        margin_mode=luck.choice((Margin.HEDGING, Margin.NETTING)),
        lag_s=luck.choice((0.0, 0.7)),
        rates=(("JPY", 1 / 150),),
    )
    specs = [
        spec_of(s, commission=luck.choice((0.0, 3.5)), swap_long=-2.0, hours="always")
        for s in SYMBOLS
    ]
    made = SimServer("new-york", specs, account, start_ns=NOON_NS, quotes=walk(luck))
    made.advance(NOON_NS + 5 * NS)
    for kind in luck.sample(sorted(KINDS), 6):
        made.fault(kind, share=0.03)
    for _ in range(STEPS):
        if made.call("order_send", {"request": request(luck, made)}).fault is not None:
            made.call("initialize", {})
        made.advance(made.now_ns + luck.randrange(2 * NS))
        look(made)
    assert made.calls["order_send"] == STEPS
    made.plan = type(made.plan)(type(made.plan.script)(), made.now_ns)
    made.advance(made.now_ns + 600 * NS)
    made.call("initialize", {})
    seen = {p["ticket"] for p in made.call("positions_get", {}).value}
    assert seen == set(made.ledger.positions)
    assert {o["ticket"] for o in made.call("orders_get", {}).value} == set(made.ledger.orders)
    window = {"date_from": 0, "date_to": 2**31 - 1}
    assert len(made.call("history_deals_get", window).value) == len(made.ledger.deals)


def test_the_same_calls_give_the_same_answers() -> None:
    def run() -> tuple[Any, ...]:
        luck = random.Random(5)
        made = SimServer("eet", [spec_of(s) for s in SYMBOLS], AccountSpec(), start_ns=NOON_NS,
                         quotes=walk(luck))  # fmt: skip
        made.fault("lost_answer", share=0.2)
        made.fault("partial", 0.5, share=0.2)
        for _ in range(STEPS):
            made.advance(made.now_ns + NS)
            made.call("order_send", {"request": request(luck, made)})
        return made.facts(), tuple(made.ledger.deals)

    assert run() == run()
