"""The exits once more, slowly: Fractions and plain attributes, written from their description."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from engine.kernel.exits_state import EXITS_PARAMS

G = 10**9
NUDGE = Fraction(1, 10**6)
"""What the compiled code allows its floats to be off by before it rounds."""


@dataclass
class Terms:
    """What the venue asks for; money is price times quantity here."""

    step: int = 1
    qty_step: int = 1
    qty_min: int = 1
    taker_ppb: int = 400_000
    fee: int = 0

    def side(self, price: int) -> Fraction:
        return Fraction(price * self.taker_ppb, G) + self.fee

    def up(self, price: Fraction) -> int:
        return math.ceil(price / self.step) * self.step

    def down(self, price: Fraction) -> int:
        return math.floor(price / self.step) * self.step


@dataclass
class Moment:
    """What is known at one decision."""

    now: int
    bid: int
    ask: int
    delta: int = 0
    z: float = 0.0
    ready: int = 1
    atr: float = 0.0
    vix: int = 0
    qty: int = 0


@dataclass
class Asked:
    rule: str = "none"
    stop: int = 0
    part: int = 0


@dataclass
class Follower:
    """One position, from its opening to its end."""

    p: dict[str, int]
    terms: Terms
    direction: int
    entry: int
    qty: int
    first_stop: int
    target: int
    atr_entry: float
    budget: int
    entry_delta: int
    window: int
    flip_mode: str
    opened: int
    k: Fraction = Fraction(1, 2)
    h: Fraction = Fraction(4)
    stop: int = field(init=False)
    moved: bool = field(init=False, default=False)
    parted: bool = field(init=False, default=False)
    widened: bool = field(init=False, default=False)
    exiting: bool = field(init=False, default=False)
    cusum: int = field(init=False, default=0)
    zs: list[tuple[int, float]] = field(init=False, default_factory=list)
    marks: list[int] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.stop = self.first_stop
        gap = self.direction * (self.entry - self.first_stop)
        self.r = gap if self.first_stop and gap > 0 else 0

    def share(self, name: str) -> Fraction:
        return Fraction(self.p[name + "_fp9"], G)

    def decide(self, m: Moment) -> Asked:
        mark = m.bid if self.direction > 0 else m.ask
        self.marks.append(mark)
        self.zs.append((m.ready, m.z))
        flips = self.flips(m)
        check = self.p["check_ns"]
        if self.exiting or (check and m.now % check):
            return Asked()
        if flips:
            self.exiting = True
            return Asked("flip")
        for rule in (self.breakeven, self.partial, self.volatility, self.trail):
            found = rule(m, mark)
            if found is not None:
                return found
        if self.p["hold_ns"] and m.now - self.opened >= self.p["hold_ns"]:
            self.exiting = True
            return Asked("time")
        if self.momentum(mark):
            self.exiting = True
            return Asked("momentum")
        return Asked()

    def flips(self, m: Moment) -> bool:
        if not m.ready:
            return False
        if self.flip_mode == "seed":
            if self.direction * self.entry_delta <= 0:
                return False
            return self.direction * m.delta <= -0.8 * abs(self.entry_delta)
        if m.now % self.window == 0:
            x = round(self.direction * m.z * G)
            self.cusum = max(0, self.cusum - x - int(self.k * G))
        return self.cusum > self.h * G

    def reached(self, name: str, mark: int) -> bool:
        by, at = self.p[name + "_by"], self.share(name + "_at")
        gain = self.direction * (mark - self.entry)
        if gain <= 0:
            return False
        if by == 1:
            return self.r > 0 and gain >= at * self.r
        if by == 2:
            way = self.direction * (self.target - self.entry)
            return self.target > 0 and way > 0 and gain >= at * way
        if by == 3:
            net = gain - self.terms.side(self.entry) - self.terms.side(mark)
            return self.r > 0 and round(net / self.r * G) >= self.p[name + "_at_fp9"]
        return by == 4 and gain >= at * self.entry

    def favours(self, stop: int) -> bool:
        return self.stop == 0 or self.direction * (stop - self.stop) > 0

    def least(self, m: Moment) -> int:
        return max(3 * self.terms.step, m.ask - m.bid)

    def breakeven(self, m: Moment, mark: int) -> Asked | None:
        if self.moved or not self.reached("breakeven", mark):
            return None
        price = break_even(
            self.terms, self.direction, self.entry, m.ask - m.bid,
            bool(self.p["breakeven_fees"]), self.share("breakeven_extra"),
        )  # fmt: skip
        if self.direction * (mark - price) < self.least(m):
            return None
        self.moved = True
        if not self.favours(price):
            return None
        self.stop = price
        return Asked("breakeven", price)

    def partial(self, m: Moment, mark: int) -> Asked | None:
        if self.parted or not self.reached("partial", mark):
            return None
        part = math.floor(m.qty * self.share("partial_share"))
        part -= part % self.terms.qty_step
        if part < self.terms.qty_min or m.qty - part < self.terms.qty_min:
            return None
        self.parted = True
        return Asked("partial", 0, part)

    def volatility(self, m: Moment, mark: int) -> Asked | None:
        first = self.stop == self.first_stop and self.stop > 0
        if not self.p["widen"] or self.widened or self.moved or not first:
            return None
        by = Fraction(1)
        if self.p["widen_ratio_fp9"] and m.atr and self.atr_entry:
            ratio = Fraction(round(m.atr / (round(self.atr_entry * G) * 1e-9) * G), G)
            by = ratio if ratio >= self.share("widen_ratio") else by
        if self.p["widen_vix_fp9"] and m.vix > self.p["widen_vix_fp9"]:
            by = max(by, 1 + Fraction((m.vix - self.p["widen_vix_fp9"]) // 10, G))
        by = min(by, self.share("widen_most"))
        if by <= 1:
            return None
        away = by * self.r
        if self.p["widen_base"]:
            away = by * Fraction(m.atr) * self.share("widen_atr")
        away = min(away, self.bears(m.qty))
        price = self.entry - self.direction * away
        if price <= 0:
            return None
        stop = self.round(price, up=self.direction > 0)
        if self.direction * (self.stop - stop) <= 0:
            return None
        self.widened, self.stop = True, stop
        return Asked("volatility", stop)

    def round(self, price: Fraction, *, up: bool) -> int:
        return self.terms.up(price - NUDGE) if up else self.terms.down(price + NUDGE)

    def bears(self, qty: int) -> Fraction:
        """Distance at which ``qty`` loses the budget: away + fee(entry) + fee(exit) = budget."""
        room = Fraction(self.budget, qty) - 2 * self.terms.side(self.entry)
        away = room / (1 - self.direction * Fraction(self.terms.taker_ppb, G))
        return max(Fraction(0), away - Fraction(2, 10**6))

    def trail(self, m: Moment, mark: int) -> Asked | None:
        if not self.p["trail_fp9"] or not m.atr or not (self.p["trail_from"] or self.moved):
            return None
        away = max(Fraction(m.atr) * self.share("trail"), Fraction(self.least(m)))
        price = mark - self.direction * away
        stop = self.round(price, up=self.direction < 0)
        step = mark * self.share("trail_step")
        if stop <= 0 or not self.favours(stop):
            return None
        if self.stop and self.direction * (stop - self.stop) < step:
            return None
        self.stop = stop
        return Asked("trail", stop)

    def momentum(self, mark: int) -> bool:
        n = self.p["momentum_n"]
        if self.p["momentum"] == 1:
            last = self.zs[-n:]
            against = [
                r and round(self.direction * z * G) <= -self.p["momentum_z_fp9"] for r, z in last
            ]
            return len(last) == n and all(against)
        if self.p["momentum"] != 2 or len(self.marks) <= n:
            return False
        before = self.marks[-1 - n]
        lost = self.direction * (before - mark)
        return lost > 0 and lost >= before * self.share("momentum_move")


def break_even(
    terms: Terms, direction: int, entry: int, spread: int, fees: bool, extra: Fraction
) -> int:
    """The first price on the grid that pays, by trying one step after the other."""
    price = terms.down(Fraction(entry)) if direction > 0 else terms.up(Fraction(entry))
    while True:
        cost = Fraction(spread, 2) + entry * extra
        if fees:
            cost += terms.side(entry) + terms.side(price)
        if direction * (price - entry) >= cost:
            return price
        price += direction * terms.step


def settings(**changes: Any) -> dict[str, int]:
    """The fields of EXITS_PARAMS, everything off."""
    names = EXITS_PARAMS.names or ()
    return dict.fromkeys(names, 0) | {"momentum_n": 1} | changes
