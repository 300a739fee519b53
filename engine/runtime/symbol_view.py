"""What is shown of one symbol: read off its fold's state, its last records and its plans.

Owns :func:`symbol_view`. Whatever a handler of the fold keeps is shown; what no handler knows is
left out (None or empty), so every strategy has a picture. The charts of delta, CVD and imbalance
are read off the rings of the windows, so they are whole again right after a restart. What must
hold: nothing is written to the state, and a picture costs well under a millisecond.

It refuses to know when it is asked, and whether what it shows is synced.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from data.enums import Action, ExitReason, Lifecycle, MarketState
from data.events import FP9, MONEY_SCALE, NS, Scales
from engine.kernel.metrics import METRICS
from engine.kernel.risk import BASIS_GUARD, BY_BASIS, BY_OPERATOR, REFUSALS
from engine.kernel.signals import SIGNAL_STATE
from engine.plans.compile import Compiled
from engine.plans.explain import LEVELS, Explained, in_unit
from engine.runtime.compose import Composition
from engine.runtime.fold import Fold
from engine.runtime.plan_explain import plans_in
from engine.runtime.recent import Recent
from engine.runtime.replay import quote_currency
from engine.runtime.shown import QUALITY, named_bits
from engine.runtime.strategy import Strategy
from engine.runtime.symbol_chart import chart_of
from engine.runtime.view import (
    AccountView,
    DecisionView,
    PlanView,
    PositionView,
    SignalView,
    SymbolView,
    TradeView,
)

_MONEY = 10**MONEY_SCALE
_SIDE = {1: "long", -1: "short"}
TRADES_SHOWN = 20
ALIKE = {"liquidity_sweep": "sweep", "exhaustion": "auction"}
"""Detectors of a strategy that are a handler under another name."""
HALTS = ("daily_loss", "drawdown", "cooldown", "kill", BASIS_GUARD)
"""Guards that forbid any entry while they last; names of bits of ``decision.refused``."""


@dataclass(frozen=True)
class Shown:
    """What stays the same about a symbol while a session runs; ``recent`` goes on by itself.

    ``currency`` is that of the account at a broker; empty: the symbol's.
    """

    venue: str
    symbol: str
    scales: Scales
    strategy: Strategy
    recent: Recent = field(default_factory=Recent)
    plans: Sequence[Compiled] = ()
    currency: str = ""


def symbol_view(fold: Fold, of: Shown) -> SymbolView:
    """The picture of one symbol as ``fold`` stands now."""
    state, core = fold.state, fold.state["core"][0]
    at = _Reader(fold, of.scales)
    values = at.metrics()
    price = at.price(int(core["last_price"]))
    positions = tuple(_positions(at, of.symbol))
    bid, ask = at.touch()
    return SymbolView(
        venue=of.venue,
        symbol=of.symbol,
        now_ns=int(core["now_ns"]),
        events=int(core["events"].sum()),
        price=price,
        bid=bid,
        ask=ask,
        price_decimals=of.scales.price,
        qty_decimals=of.scales.qty,
        **at.flow(),
        chart=chart_of(fold, of.scales, of.recent.rows["decision"]),
        regimes=at.regimes(),
        market_state=_enum(MarketState, state["market_state"]["state"][0])
        if at.has("market_state")
        else "",
        **_lifecycle(at, bool(positions)),
        paused=bool(core["paused"]),
        signals=tuple(_signals(at, of)),
        plans=tuple(_plan(x, of.plans) for x in _plans(at, of)),
        decision=_decision(core["decision"], fold.composition) if core["decisions"] else None,
        positions=positions,
        account=_account(at, of, positions),
        trades=tuple(_trades(of)),
        metrics=values,
        counts=dict(of.recent.counts),
    )


def _enum(kind: Any, number: Any) -> str:
    return str(kind(int(number)).name).lower()


class _Reader:
    """Reads the state of a fold in the units that people read."""

    def __init__(self, fold: Fold, scales: Scales) -> None:
        self.fold = fold
        self.state = fold.state
        self.scales = scales
        self.names = tuple(h.name for h in fold.composition.handlers)
        self._price, self._qty = 10**scales.price, 10**scales.qty

    def has(self, handler: str) -> bool:
        return handler in self.names

    def price(self, number: int) -> float | None:
        return number / self._price if number > 0 else None

    def qty(self, number: int) -> float:
        return number / self._qty

    def touch(self) -> tuple[float | None, float | None]:
        """Best bid and ask: of the quotes, else of the book; None without either."""
        sides = self.state["sides"][0]
        bid, ask = int(sides["bid"]), int(sides["ask"])
        if (bid <= 0 or ask <= 0) and self.has("book"):
            book = self.state["book"][0]
            bid, ask = int(book["bid_price"][0]), int(book["ask_price"][0])
        return self.price(bid), self.price(ask)

    def exit_touch(self) -> tuple[float | None, float | None]:
        """Best bid and ask that an exit meets: of the venue that executes, where it is another."""
        if not (self.fold.composition.live and self.fold.params["live"]["apart"][0]):
            return self.touch()
        bid, ask = self.state["sim"]["quote_price"][0].tolist()
        return self.price(int(bid)), self.price(int(ask))

    def flow(self) -> dict[str, Any]:
        """Delta, CVD and the two imbalances, as far as a handler keeps them."""
        found: dict[str, Any] = {}
        if self.has("windows"):
            buy, sell = (self.state["windows"][x][0] for x in ("buy", "sell"))
            found["delta_30s"] = self.qty(int(buy[3] - sell[3]))
            found["delta_300s"] = self.qty(int(buy[5] - sell[5]))
            total = int(buy[4] + sell[4])
            found["imbalance"] = int(buy[4] - sell[4]) / total if total else 0.0
        if self.has("flow"):
            flow = self.state["flow"][0]
            found["cvd"] = self.qty(int(flow["cvd"]))
            found["cvd_approximate"] = bool(flow["approximate"])
        if self.has("book"):
            book = self.state["book"][0]
            fresh = int(book["snapshots"]) > 0 and not int(book["stale"])
            found["book_imbalance"] = int(book["imbalance5_fp9"]) / FP9 if fresh else None
        return found

    def metrics(self) -> dict[str, str]:
        """What plans can ask about and is known, as text."""
        if not self.has("metrics"):
            return {}
        known, value = (self.state["metrics"][x][0].tolist() for x in ("known", "value"))
        return {
            name: in_unit(name, unit, value[n], self.scales)
            for n, (name, unit) in enumerate(METRICS)
            if known[n]
        }

    def regimes(self) -> dict[str, str]:
        """The four regimes that are ready, by name."""
        if not self.has("regime"):
            return {}
        found = {}
        for name in ("volatility", "trend", "volume", "book"):
            level = self.state["regime"][name][0]
            names, first = LEVELS[f"{name}_regime"]
            if level["ready"]:
                found[name] = names[int(level["level"]) - first]
        return found


def _lifecycle(at: _Reader, holds: bool) -> dict[str, Any]:
    """Where the trade stands; a strategy without that handler is told by its account."""
    if at.has("lifecycle"):
        x = at.state["lifecycle"][0]
        return {
            "lifecycle": _enum(Lifecycle, x["state"]),
            "lifecycle_since_ns": int(x["since_ns"]),
        }
    core, known = at.state["core"][0], at.state["known"][0]
    state = Lifecycle.SCANNING
    if core["paused"]:
        state = Lifecycle.PAUSED
    elif holds:
        state = Lifecycle.IN_POSITION
    elif known["open_orders"]:
        state = Lifecycle.POSITION_ENTRY
    elif not core["decisions"] or core["decision"]["quality"]:
        state = Lifecycle.IDLE
    return {"lifecycle": state.name.lower()}


# --- signals and plans -------------------------------------------------------------------------


def _signals(at: _Reader, of: Shown) -> Iterable[SignalView]:
    """Every handler that keeps a signal, then the strategy's own detectors as last recorded."""
    seen = set()
    for name in at.names:
        fields: Any = at.fold.composition.state[name].fields or {}
        for part in (x for x, (kind, *_) in fields.items() if kind == SIGNAL_STATE):
            shown = name if part == "signal" else part
            seen.add(shown)
            yield _signal(shown, at.state[name][part][0])
    last = int(at.state["core"]["decision"]["id"][0])
    spoke = {int(r["detector"]): r for r in of.recent.rows["signal"] if r["decision_id"] == last}
    for n, name in enumerate(of.strategy.detectors):
        if ALIKE.get(name, name) not in seen:
            r = spoke.get(n)
            yield _recorded(name, r) if r is not None else SignalView(name, True, 0, 0.0, 0.0, 0.0)


def _signal(name: str, g: Any) -> SignalView:
    return SignalView(
        name, bool(g["ready"]), int(g["direction"]), int(g["strength_fp9"]) / FP9,
        int(g["value_fp9"]) / FP9, int(g["threshold_fp9"]) / FP9, int(g["fired_ns"]),
    )  # fmt: skip


def _recorded(name: str, r: Any) -> SignalView:
    return SignalView(
        name, True, int(r["direction"]), int(r["strength_fp9"]) / FP9,
        int(r["value_fp9"]) / FP9, int(r["threshold_fp9"]) / FP9, int(r["ts_ns"]),
    )  # fmt: skip


def _plans(at: _Reader, of: Shown) -> list[Explained]:
    return plans_in(at.fold, of.plans, at.scales) if at.has("plans") else []


def _plan(x: Explained, plans: Sequence[Compiled]) -> PlanView:
    """A plan with the conditions that it waits for."""
    sides = {c.plan.id: int(c.plan.direction) for c in plans}
    waits = [
        f"{line.condition or line.metric}: {line.metric} {line.value}, wants {line.bound}"
        for line in x.lines
        if line.verdict != "passed"
    ]
    passed = len(x.lines) - len(waits)
    side = _SIDE.get(sides.get(x.id, 0), "")
    return PlanView(
        x.id, x.name, x.status, side, x.met, x.at_ns, passed, len(x.lines),
        tuple(waits) if x.status == "pending" else (),
    )  # fmt: skip


def _decision(d: Any, c: Composition) -> DecisionView:
    probability = int(d["probability_fp9"])
    return DecisionView(
        int(d["id"]),
        int(d["ts_ns"]),
        _enum(Action, d["action"]),
        int(d["direction"]),
        int(d["score_fp9"]) / FP9,
        probability / FP9 if probability else None,
        tuple(named_bits(int(d["gates"]), c.strategy.gates)),
        tuple(named_bits(int(d["blocked"]), c.strategy.gates)),
        tuple(named_bits(int(d["refused"]), c.refusals or REFUSALS)),
        tuple(named_bits(int(d["quality"]), QUALITY)),
    )


# --- money -------------------------------------------------------------------------------------


def _positions(at: _Reader, symbol: str) -> Iterable[PositionView]:
    """Positions in the matching engine, valued at what their exit would meet."""
    if not at.fold.composition.account:
        return
    sim = at.state["sim"][0]
    bid, ask = at.exit_touch()
    last = at.price(int(sim["last_price"]))
    for k in range(int(sim["n_positions"])):
        w = sim["positions"][int(sim["position_at"][k])]
        qty, side = int(w["qty"]), int(w["side"])
        if qty <= 0:
            continue
        price = (bid if side > 0 else ask) or last or 0.0
        entry = int(w["cost"]) / qty / 10**at.scales.price
        worth = side * (price - entry) * at.qty(qty) * _value_of_point(at)
        stop, target = (at.price(int(w[x])) or 0.0 for x in ("stop", "target"))
        yield PositionView(
            symbol, int(w["id"]), _SIDE[side], at.qty(qty), entry, stop, target,
            int(w["open_ns"]), worth, int(w["fees"]) / _MONEY,
        )  # fmt: skip


def _value_of_point(at: _Reader) -> float:
    """Account currency that one unit of quantity earns when the price moves by 1."""
    core = at.fold.params["core"][0]
    units = 10 ** (at.scales.price + at.scales.qty)
    return units * int(core["money_mul"]) / int(core["money_div"]) / _MONEY


def _account(at: _Reader, of: Shown, positions: tuple[PositionView, ...]) -> AccountView:
    known, totals = at.state["known"][0], of.recent.totals
    balance, start = int(known["balance"]), int(known["balance"])
    if at.fold.composition.account:
        sim = at.state["sim"][0]
        balance, start = int(sim["balance"]), int(at.fold.params["sim"]["start_balance"][0])
    if at.fold.composition.live:  # put in, taken out, or earned in the account's other symbols
        start += int(at.state["live"]["adjusted"][0])
    equity = balance / _MONEY + sum(p.pnl for p in positions)
    peak = int(at.state["sim"]["peak_equity"][0]) / _MONEY if at.fold.composition.account else 0
    return AccountView(
        currency=of.currency or quote_currency(of.symbol),
        balance=balance / _MONEY,
        equity=equity,
        net_pnl=equity - start / _MONEY,
        fees=totals.fees / _MONEY,
        drawdown=max(0.0, peak - equity),
        open_orders=int(known["open_orders"]),
        round_trips=totals.round_trips,
        wins=totals.wins,
        **_guards(at, equity),
    )


def _guards(at: _Reader, equity: float) -> dict[str, Any]:
    """What the risk handler keeps, where the fold has it."""
    if not at.has("risk"):
        return {}
    r, now = at.state["risk"][0], int(at.state["core"]["now_ns"][0])
    standing = {
        "daily_loss": bool(r["daily_halt"]),
        "drawdown": bool(r["drawdown_halt"]),
        "cooldown": now < int(r["pause_until_ns"]),
        "kill": bool(r["kill"]) or bool(r["paused"] & BY_OPERATOR),
        BASIS_GUARD: bool(r["paused"] & BY_BASIS),
    }
    return {
        "day_pnl": equity - int(r["day_equity"]) / _MONEY if r["started"] else None,
        "open_risk": int(r["open_risk"]) / _MONEY,
        "losses_in_row": int(r["losses"]),
        "halts": tuple(name for name in HALTS if standing[name]),
    }


def _trades(of: Shown) -> Iterable[TradeView]:
    """The last round trips, newest first."""
    closed = [r for r in of.recent.rows["position"] if r["closed_ns"]]
    for r in closed[: -TRADES_SHOWN - 1 : -1]:
        entry_qty, exit_qty = int(r["entry_qty"]), int(r["exit_qty"])
        scale = 10**of.scales.qty
        yield TradeView(
            int(r["id"]), _SIDE[int(r["side"])], int(r["qty"]) / scale, int(r["ts_ns"]),
            int(r["closed_ns"]), _mean(r["entry_notional"], entry_qty, scale),
            _mean(r["exit_notional"], exit_qty, scale), int(r["gross_pnl"]) / _MONEY,
            int(r["fees"]) / _MONEY, int(r["net_pnl"]) / _MONEY,
            _enum(ExitReason, r["exit_reason"]),
        )  # fmt: skip


def _mean(notional: Any, qty: int, scale: int) -> float:
    """Price at which ``qty`` changed hands on average, in account currency a unit."""
    return int(notional) / _MONEY * scale / qty if qty else 0.0


def age_s(view: SymbolView, now_ns: int) -> float:
    """How old the last event of a symbol is, seconds of session time."""
    return max(0.0, (now_ns - view.now_ns) / NS) if view.now_ns else 0.0


__all__ = ["Recent", "Shown", "age_s", "symbol_view"]
