"""A position followed by the compiled exits, decision by decision, with a broker that obeys."""

from __future__ import annotations

from typing import Any

import numpy as np

from data.events import DECISION_DTYPE
from engine.kernel import core, exits, flip, intents
from engine.kernel.exits_state import EXITS_PARAMS, EXITS_STATE
from engine.runtime.plain import field_records
from tests.engine.kernel.oracle_exits import Asked, Follower, Moment, Terms

import numba  # isort: skip

G = 10**9


def records(dtype: np.dtype) -> Any:
    array = np.zeros(1, dtype=dtype)
    return field_records(array) if numba.config.DISABLE_JIT else array


def core_params(terms: Terms) -> Any:
    """CORE_PARAMS whose money is price times quantity."""
    p = records(core.CORE_PARAMS)
    for name, value in (
        ("money_mul", 1), ("money_div", 1), ("qty_unit", 1), ("price_step", terms.step),
        ("qty_step", terms.qty_step), ("qty_min", terms.qty_min),
        ("taker_ppb", terms.taker_ppb), ("fee_unit", terms.fee),
    ):  # fmt: skip
        p[name] = value
    return p


class Desk:
    """State and parameters of one follower; ``decide`` gives what was asked, and obeys it."""

    def __init__(self, f: Follower) -> None:
        self.core = core_params(f.terms)
        self.s, self.flip, self.known = (
            records(d) for d in (EXITS_STATE, flip.FLIP_STATE, core.KNOWN)
        )
        self.p, self.flip_p = records(EXITS_PARAMS), records(flip.FLIP_PARAMS)
        self.intents, self.d = records(intents.INTENTS), records(DECISION_DTYPE)
        for name, value in f.p.items():
            self.p[name] = value
        self.flip_p["mode"] = {"seed": flip.SEED, "cusum": flip.CUSUM}[f.flip_mode]
        self.flip_p["share_fp9"] = 800_000_000
        self.flip_p["k_fp9"], self.flip_p["h_fp9"] = int(f.k * G), int(f.h * G)
        exits.exits_expect(
            self.s[0], self.flip_p[0], f.entry_delta, f.window, f.first_stop, f.target,
            f.atr_entry, f.budget,
        )  # fmt: skip
        self.know(f.direction * f.qty, f.entry, f.opened)
        assert self.follow() == 1

    def know(self, qty: int, price: int, opened: int) -> None:
        self.known["qty"], self.known["entry_price"] = qty, price
        self.known["open_ns"], self.known["position_id"] = opened, 1

    def follow(self) -> int:
        return int(exits.exits_follow(self.s[0], self.flip[0], self.core[0], self.known[0]))

    def decide(self, m: Moment, *, fills: bool = True) -> Asked:
        self.follow()
        self.intents["n"] = 0
        self.d[:] = 0
        rule = exits.exits_manage(
            self.s[0], self.p[0], self.flip[0], self.flip_p[0], self.core[0], self.intents[0],
            self.d[0], self.known[0], m.now, m.ready, m.delta, m.z, m.bid, m.ask, m.atr, m.vix,
        )  # fmt: skip
        found = Asked(exits.RULES[int(rule)], int(self.d["stop"][0]), int(self.d["qty"][0]))
        self.check(found)
        if fills and found.part:
            self.known["qty"] -= np.sign(self.known["qty"]) * found.part
        return found

    def check(self, found: Asked) -> None:
        """At most one intent, and it says what the decision says."""
        n, item = int(self.intents["n"][0]), self.intents["items"][0, 0]
        assert n == (found.rule != "none")
        if not n:
            return
        side = 1 if int(self.known["qty"][0]) > 0 else -1
        action = int(item["action"])
        assert action == int(self.d["action"][0])
        if action == 5:
            assert int(item["stop"]) == found.stop > 0, "a stop is never taken away"
        else:
            assert int(item["side"]) == -side
            whole = abs(int(self.known["qty"][0]))
            assert 0 < int(item["qty"]) <= whole
            assert (int(item["qty"]) == whole) == (action == 3)
            assert int(item["exit_reason"]) == int(self.d["exit_reason"][0]) > 0
