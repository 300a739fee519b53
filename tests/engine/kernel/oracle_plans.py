"""Metrics and plans, plainly: a dict of numbers, and each condition asked one by one."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from data.events import Kind
from engine.kernel.metrics import METRICS, SOURCES
from tests.engine.kernel.oracle import Event, Oracle, S, Trade
from tests.engine.kernel.oracle_blocks import OrderBlock

DAY = 86_400
OPS: dict[int, Any] = {
    0: lambda v, a, b: v >= a, 1: lambda v, a, b: v <= a, 2: lambda v, a, b: a <= v <= b,
    3: lambda v, a, b: v == a, 4: lambda v, a, b: v != a,
}  # fmt: skip


class Metrics(Oracle):
    """What the core, windows, flow and book know, by name; a name that is not there is unknown."""

    def __init__(self, market: Any) -> None:
        super().__init__(market)
        self.price = 0
        self.first: int | None = None
        self.hole = 0
        self.numbers: dict[str, int] = {}

    def trade(self, t: Trade) -> None:
        self.first = t[0] if self.first is None else self.first
        self.price = t[1]

    def gap(self, stream: int, start: int, end: int) -> None:
        if stream == Kind.TRADE:
            self.hole = max(self.hole, end)

    def boundary(self, now: int) -> None:
        day, second = divmod(now // S, DAY)
        self.numbers = {"time_of_day": second, "weekday": (day + 3) % 7}
        if self.price:
            self.numbers["price"] = self.price
        have = self.market.oracles
        if "windows" in have:
            self.windows(now, have["windows"].sums)
        if "flow" in have and have["flow"].trades and not have["flow"].approximate:
            self.numbers["cvd"] = sum(q * side for _, _, q, side in have["flow"].trades)
        if "book" in have:
            self.book(have["book"])

    def windows(self, now: int, sums: list[tuple[int, ...]]) -> None:
        def whole(span: int) -> bool:
            return self.first is not None and now - span * S >= max(self.first, self.hole)

        if whole(30):
            self.numbers["delta_30s"] = sums[3][0] - sums[3][1]
        if whole(60):
            self.numbers["volume_60s"] = sums[4][0] + sums[4][1]
        if whole(300):
            buy, sell = sums[5][:2]
            ratio = Fraction(buy, sell) if sell else Fraction(999 if buy else 1)
            score = Fraction(100 * abs(buy - sell), buy + sell) if buy + sell else Fraction(0)
            self.numbers |= {
                "delta_300s": buy - sell, "volume_300s": buy + sell,
                "aggressor_ratio": round(ratio * 10**9), "imbalance_score": round(score * 10**9),
            }  # fmt: skip

    def book(self, book: Any) -> None:
        e: Event | None = book.last
        if e is None or book.want["stale"]:
            return
        bid, ask = e["bid_price"][0], e["ask_price"][0]
        self.numbers |= {
            "bid": bid, "ask": ask, "spread": ask - bid,
            "book_imbalance": book.want["imbalance5_fp9"],
            "book_share": round(book.want["bid_share"] * 1e9),
        }  # fmt: skip

    def check(self, s: Any) -> None:
        ours = {"price", "time_of_day", "weekday", *SOURCES["windows"], *SOURCES["flow"],
                *SOURCES["book"]}  # fmt: skip
        filled = {name for h in self.market.oracles for name in SOURCES.get(h, ())}
        for n, (name, _) in enumerate(METRICS):
            known = int(s["known"][n])
            if name in ours:
                assert known == (name in self.numbers), name
                if known:
                    assert abs(int(s["value"][n]) - self.numbers[name]) <= 1, name
            elif name not in filled:
                assert known == 0, name


class Plans(Oracle):
    """``market.plans``: dicts of id, order_flow, from_ns, expiry_ns and conditions (name, op, a, b)
    on the numbers of :class:`Metrics`; none where there are none.
    """

    def __init__(self, market: Any) -> None:
        super().__init__(market)
        self.plans = [{**p, "status": 1, "at": 0} for p in getattr(market, "plans", ())]
        self.met = 0

    def boundary(self, now: int) -> None:
        numbers = self.market.oracle("metrics").numbers
        for p in self.plans:
            if p["status"] != 1:
                continue
            if p["expiry_ns"] and now >= p["expiry_ns"]:
                p["status"] = 4
            elif now >= p["from_ns"] and (p["order_flow"] or now % (30 * S) == 0):
                told = [
                    OPS[op](numbers[name], a, b) if name in numbers else None
                    for name, op, a, b in p["conditions"]
                ]
                p |= {"at": now, "told": told}
                self.met += all(told)

    def check(self, s: Any) -> None:
        assert int(s["met"]) == self.met
        slots = {int(x["id"]): x for x in s["slots"] if int(x["id"])}
        assert set(slots) <= {p["id"] for p in self.plans}
        for p in self.plans if slots else ():
            x = slots[p["id"]]
            assert (int(x["status"]), int(x["at_ns"])) == (p["status"], p["at"])
            bits = {True: 0, False: 0, None: 0}
            for n, verdict in enumerate(p.get("told", ())):
                bits[verdict] |= 1 << n
            assert [int(x[f]) for f in ("passed", "failed", "unknown")] == list(bits.values())


PLANNED: dict[str, type[Oracle]] = {
    "order_block": OrderBlock, "metrics": Metrics, "plans": Plans,
}  # fmt: skip
