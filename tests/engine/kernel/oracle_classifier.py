"""The classifiers, plainly: what every source's own reference says, added up in Fractions."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, ClassVar

from data.events import Kind
from tests.engine.kernel.oracle import Oracle, S, Trade
from tests.engine.kernel.oracle_absorption import MOST_KEPT

ONE = 10**9
WEIGHTS = [Fraction(w, 100) for w in (30, 25, 20, 15, 10, 0, 0, 0)]
SAID = ("absorption", "delta_divergence", "sweep", "cvd_divergence", "vwap_deviation", "pressure",
        "cvd_trend", "diagonal")  # fmt: skip


def close(have: Any, want: Fraction | float, slack: int = 2) -> None:
    assert abs(int(have) - round(float(want) * ONE)) <= slack, (int(have), float(want))


def signed(oracle: Any) -> float | None:
    """direction * strength of another oracle's word; None where it may not speak."""
    if hasattr(oracle, "want"):  # of the VWAP and of the book
        if oracle.want is None or (len(oracle.want) == 4 and not oracle.want[0]):
            return None
        if len(oracle.want) == 3:
            return float(oracle.want[0] * oracle.want[1])
        return float(oracle.want[1] * math.erf(abs(oracle.want[2]) / math.sqrt(2)))
    word = oracle.said if hasattr(oracle, "said") else oracle.signal
    strength = word.strength / ONE if isinstance(word.strength, int) else word.strength
    return float(word.direction * strength) if word.ready else None


class Confluence(Oracle):
    """Evidence from the other oracles; what follows, from the evidence that was taken in."""

    def __init__(self, market: Any) -> None:
        super().__init__(market)
        self.seed = getattr(market, "seed_confluence", False)
        self.heard: dict[str, float | None] = {}
        self.loose = False
        self.net = 0

    def boundary(self, now: int) -> None:
        self.heard = {name: signed(self.market.oracle(name)) for name in SAID}
        self.loose = self.market.oracle("absorption").said.value >= MOST_KEPT
        buy, sell, *_ = self.market.oracle("windows").sums[3]
        self.net = buy - sell

    def check(self, s: Any) -> None:
        if not self.heard:
            return
        evidence = [Fraction(int(x), ONE) for x in s["evidence_fp9"]]
        for k, said in enumerate(self.heard.values()):
            assert (int(s["missing"]) >> k & 1) == (said is None), SAID[k]
            if not (self.loose and k == 0):
                assert math.isclose(evidence[k], said or 0.0, rel_tol=1e-6, abs_tol=3e-8), SAID[k]
        present = [w for k, w in enumerate(WEIGHTS) if not int(s["missing"]) >> k & 1]
        close(s["coverage_fp9"], sum(present))
        if self.seed:
            self.check_seed(s, evidence)
        else:
            self.check_signed(s, evidence, sum(present, Fraction(0)))
        assert [int(s[n]) for n in ("fitted", "probability_fp9", "lower_fp9", "logit_fp9")] == [
            0
        ] * 4

    def check_seed(self, s: Any, evidence: list[Fraction]) -> None:
        scores = [w * abs(x) for w, x in zip(WEIGHTS, evidence, strict=True)]
        close(s["score_fp9"], 100 * sum(scores), 300)
        assert int(s["side"]) == (self.net > 0) - (self.net < 0)
        assert int(s["signal"]["ready"]) == 1
        assert int(s["meets"]) == (int(s["score_fp9"]) >= 75 * ONE)

    def check_signed(self, s: Any, evidence: list[Fraction], present: Fraction) -> None:
        speaks = present >= Fraction(7, 10)
        assert int(s["signal"]["ready"]) == speaks
        up, down = (
            sum((w * max(way * x, 0) for w, x in zip(WEIGHTS, evidence, strict=True)), Fraction(0))
            for way in (1, -1)
        )
        if not speaks or up == down:
            assert [int(s[n]) for n in ("side", "score_fp9", "meets")] == [0, 0, 0]
            return
        if abs(up - down) > Fraction(4, ONE):
            assert int(s["side"]) == (1 if up > down else -1)
        close(s["for_fp9"], max(up, down) / present)
        close(s["against_fp9"], min(up, down) / present)
        close(s["score_fp9"], abs(up - down) / present, 4)
        assert int(s["meets"]) == (4 * int(s["score_fp9"]) >= 3 * ONE)


def balance(a: float, b: float) -> Fraction:
    return Fraction(a - b, a + b) if a + b else Fraction(0)


class Microstructure(Oracle):
    """Lists of steps; every component from its words."""

    WEIGHTS: ClassVar[list[Fraction]] = [Fraction(w, 100) for w in (20, 25, 15, 15, 25)]

    def __init__(self, market: Any) -> None:
        super().__init__(market)
        self.step: list[int] = []
        self.close: int | None = None
        self.ranges: list[int] = []
        self.sums: list[int] = []
        self.before = self.dirty = 0
        self.first = self.hole = 0
        self.parts: dict[int, float] = {}
        self.momentum = 0.0
        self.scores: tuple[float, float] | None = None

    def trade(self, t: Trade) -> None:
        self.first = self.first or t[0]
        self.step.append(t[1])

    def gap(self, stream: int, start: int, end: int) -> None:
        if stream == Kind.TRADE:
            self.dirty, self.step = 1, []
            self.hole = max(self.hole, end)

    def end_step(self, now: int) -> None:
        if self.dirty or now - self.before != self.market.step:
            self.close, self.ranges, self.sums = None, [], []
        elif self.close is not None:
            prices = [*self.step, self.close]
            self.ranges.append(max(prices) - min(prices))
            if len(self.ranges) >= 14:
                self.sums.append(sum(self.ranges[-14:]))
        self.close = self.step[-1] if self.step else self.close
        self.before, self.dirty, self.step = now, 0, []

    def run(self, now: int) -> float:
        """Seconds before ``now`` that lean one way, up to three."""
        trades = self.market.oracle("windows").trades
        ways = []
        for back in (1, 2, 3):
            at = [t for t in trades if t[0] == now // S - back]
            buy, sell = (sum(q for _, q, side in at if side == d) for d in (1, -1))
            lean = balance(buy, sell)
            ways.append(0 if abs(lean) <= Fraction(1, 5) else 1 if lean > 0 else -1)
        run = 0
        while run < 3 and ways[run] and ways[run] == ways[0]:
            run += 1
        return ways[0] * run / 3

    def look(self, now: int) -> None:
        book, walls = self.market.oracle("book"), self.market.oracle("walls")
        self.parts, self.momentum = {}, 0.0
        since = now - 15 * S
        if self.first and since >= self.first and since >= self.hole:
            sums = self.market.oracle("windows").sums[:3]
            self.parts[1] = float(sum((balance(b, s) for b, s, *_ in sums), Fraction(0)) / 3)
            self.momentum = self.run(now)
        if not book.want["stale"]:
            self.parts[0] = float(balance(sum(book.last["bid_qty"][:5]),
                                          sum(book.last["ask_qty"][:5])))  # fmt: skip
            live = [sum(k[0] == side for k in walls.walls) for side in (1, -1)]
            self.parts[2] = float(balance(*live))
        if self.sums and self.close:
            self.parts[4] = min(1.0, float(Fraction(self.sums[-1], 14 * self.close)) / 0.0012)
            if len(self.sums) >= 60:
                most = max(self.sums[-300:])
                at = self.sums[-1] / most if most else 0.0
                self.parts[3] = max(0.0, 1 - ((at - 0.5) / 0.2) ** 2) if most else 0.0

    def boundary(self, now: int) -> None:
        self.end_step(now)
        self.look(now)
        state, walls = self.market.oracle("market_state"), self.market.oracle("walls")
        known = sum(self.WEIGHTS[k] for k in self.parts)
        self.scores = None
        if known < Fraction(7, 10) or state.state == "STALE":
            return
        left = {"NORMAL": 1.0, "COOLDOWN": 0.6}.get(state.state, 0.0)
        if state.state == "PUMP":
            return  # who is banned is asked by hand, in test_microstructure
        halves = []
        for side in (1, -1):
            total = 0.0
            for k, part in self.parts.items():
                x = part if k > 2 else max(side * part, 0.0)
                if k == 1:
                    x = (x + max(side * self.momentum, 0.0)) / 2
                total += float(self.WEIGHTS[k] / known) * x
            with_it = 1.0 if side * state.way >= 0 else 0.5
            total -= (walls.score / 1000) ** 1.5 + 0.8 * with_it * state.pump**1.3
            halves.append(100 * left * min(1.0, max(0.0, total)))
        self.scores = (halves[0], halves[1])

    def check(self, s: Any) -> None:
        if not self.market.boundaries:
            return
        assert [k for k in range(5) if int(s["known"]) >> k & 1] == sorted(self.parts)
        for k, want in self.parts.items():
            close(s["parts_fp9"][k], want, 3)
        close(s["momentum_fp9"], self.momentum)
        if int(s["factor_long_fp9"]) != int(s["factor_short_fp9"]):
            return
        have = [int(s[f"score_{half}_fp9"]) for half in ("long", "short")]
        if self.scores is None:
            assert have == [0, 0]
            return
        for x, want in zip(have, self.scores, strict=True):
            assert abs(x / ONE - want) < 1e-5, (x, want)
        assert int(s["level"]) == (0 if max(have) < 50 * ONE else 1 if max(have) < 75 * ONE else 2)


CLASSIFIER: dict[str, type[Oracle]] = {"confluence": Confluence, "microstructure": Microstructure}
"""Oracles of this file by handler; they stand last, for they ask the others."""
