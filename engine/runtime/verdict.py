"""The verdict on a paper session: gate by gate, a figure against its limit, pass or fail.

Owns the gates and the words in which each is judged. What must hold: nothing is judged without
figures (a gate whose figures are missing fails, and says what is missing); a gate that is not asked
for is named as such; the verdict passes only if every gate that is asked for passes.

It refuses to know where the figures come from: :mod:`engine.runtime.verdict_facts` gathers them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from data.times import format_utc
from data.units import NS_OF, format_size
from engine.report.formulas import mean_interval
from engine.report.resample import LEAST, mean_by_blocks
from engine.runtime.paper_sections import GATE_NAMES, Gates
from engine.runtime.verdict_holes import Hole, Missing, missing_of

DAY_NS = NS_OF["d"]
GROWTH_READINGS = 20
"""Readings from which the growth of memory is told."""
PASS, FAIL, OFF = "pass", "fail", "off"


@dataclass(frozen=True, slots=True)
class Readings:
    """What the monitor wrote, in order of time; arrays of one length.

    ``ts_ns`` int64 ns UTC of the session's clock, ``start`` int64 which process of the session
    read it (1 is the first); the others float64: ``cpu`` a share of one core, ``memory`` bytes
    resident, ``disk_free`` bytes.
    """

    ts_ns: np.ndarray
    start: np.ndarray
    cpu: np.ndarray
    memory: np.ndarray
    disk_free: np.ndarray


@dataclass(frozen=True, slots=True)
class Lag:
    """How late ``count`` things were, ms; ``of`` says what was timed and where that was read."""

    count: int
    p50_ms: float
    p99_ms: float
    of: str


@dataclass(frozen=True, slots=True)
class Parity:
    """Whether the fold of the session's own log gives what the live process wrote."""

    run: str
    ok: bool
    decisions: int
    text: str


@dataclass(frozen=True, slots=True)
class Trading:
    """What was traded over all symbols.

    ``bp`` float64[trips]: net result over entry notional of each round trip in order of time, basis
    points; ``net`` its money; ``slippage_bp`` of what was traded, None where no touch was known;
    ``fill_ms`` float64: order to first fill of market orders.
    """

    bp: np.ndarray
    net: np.ndarray
    currency: str
    orders: int
    rejected: int
    fills: int
    unknown_fills: int
    slippage_bp: float | None
    fill_ms: np.ndarray


@dataclass(frozen=True, slots=True)
class Place:
    """Where the session's net result falls among backtests: ``share`` 0 to 1, None if unknown.

    ``windows`` results of backtests over as much time; ``of`` says which; ``why`` why there is no
    share.
    """

    of: str
    result: float
    share: float | None = None
    windows: int = 0
    independent: float = 0.0
    low: float = 0.0
    median: float = 0.0
    high: float = 0.0
    why: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a verdict is made of. Times ns UTC of the session's clock; lags by gate."""

    session: str
    venue: str
    symbols: tuple[str, ...]
    strategy: str
    phase: str
    starts: int
    served: bool
    from_ns: int
    to_ns: int
    holes: tuple[Hole, ...]
    readings: Readings | None
    lags: Mapping[str, Lag]
    parity: tuple[Parity, ...]
    trading: Trading
    place: Place | None
    notes: tuple[str, ...] = ()

    @property
    def length_ns(self) -> int:
        """Market time that the session lasted."""
        return max(0, self.to_ns - self.from_ns)


@dataclass(frozen=True, slots=True)
class Finding:
    """One gate: ``status`` pass, fail or off; ``values`` are its figures as numbers."""

    gate: str
    status: str
    figure: str
    limit: str
    why: str = ""
    values: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict on a session."""

    facts: Facts
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """True when every gate that is asked for passes, and at least one is asked for."""
        asked = [f for f in self.findings if f.status != OFF]
        return bool(asked) and all(f.status == PASS for f in asked)

    def as_json(self) -> dict[str, Any]:
        """The object of ``--json``."""
        f = self.facts
        return {
            "schema": 1,
            "verdict": "PASS" if self.passed else "FAIL",
            "session": f.session,
            "venue": f.venue,
            "symbols": list(f.symbols),
            "strategy": f.strategy,
            "phase": f.phase,
            "starts": f.starts,
            "served": f.served,
            "from": format_utc(f.from_ns),
            "to": format_utc(f.to_ns),
            "days": f.length_ns / DAY_NS,
            "gates": [asdict(finding) for finding in self.findings],
            "notes": list(f.notes),
        }


def judge(facts: Facts, gates: Gates) -> Judgement:
    """Every gate in the order of GATE_NAMES."""
    missing = missing_of(facts.holes, facts.from_ns, facts.to_ns)
    court = _Court(facts, gates, missing)
    return Judgement(facts, tuple(court.finding(name) for name in GATE_NAMES))


class _Court:
    def __init__(self, facts: Facts, gates: Gates, missing: Missing) -> None:
        self.f = facts
        self.g = gates
        self.missing = missing
        self.gates: dict[str, Callable[[str], Finding]] = {
            "uptime": self.uptime, "gaps": self.gaps, "filled": self.filled,
            "venue_lag": self.venue_lag, "lag": self.lag, "decision_lag": self.decision_lag,
            "cpu": self.cpu, "memory": self.memory, "disk": self.disk, "parity": self.parity,
            "trades": self.trades, "slippage": self.slippage, "rejects": self.rejects,
            "fill_latency": self.fill_latency, "expectancy": self.expectancy, "place": self.place,
        }  # fmt: skip
        assert tuple(self.gates) == GATE_NAMES

    def finding(self, name: str) -> Finding:
        """One gate, unless it is not asked for."""
        if name in self.g.off:
            return Finding(name, OFF, "", "", "gates.off names it")
        return self.gates[name](name)

    # --- was it there ------------------------------------------------------------------------

    def uptime(self, name: str) -> Finding:
        days, share = self.f.length_ns / DAY_NS, self.missing.up
        short = days < self.g.days_min
        m = self.missing
        why = f"{_time(m.down_ns)} down in {m.downs} interruptions, {self.f.starts} starts"
        if short:
            why = f"it is too short to judge by; {why}"
        return _found(
            name,
            not short and share >= self.g.uptime_min,
            f"{_share(share)} of {_time(self.f.length_ns)}",
            f">= {_share(self.g.uptime_min)} of >= {self.g.days_min:g} days",
            why,
            {"share": share, "days": days, "down_s": self.missing.down_ns / 1e9},
        )

    def gaps(self, name: str) -> Finding:
        worst = max(self.missing.shares, key=lambda s: s.share, default=None)
        share = worst.share if worst else 0.0
        named = ", ".join(f"{n} {reason}" for reason, n in sorted(self.missing.reasons.items()))
        return _found(
            name,
            share <= self.g.gap_share_max,
            _share(share) + (f" of {worst.symbol} {worst.stream}" if worst else ""),
            f"<= {_share(self.g.gap_share_max)}",
            f"{self.missing.holes} holes: {named}" if named else "no hole was recorded",
            {
                "share": share,
                "holes": self.missing.holes,
                "reasons": dict(self.missing.reasons),
                "streams": {f"{s.symbol} {s.stream}": s.share for s in self.missing.shares},
            },
        )

    def filled(self, name: str) -> Finding:
        holes, filled = self.missing.trade_holes, self.missing.trade_filled
        share = filled / holes if holes else 1.0
        return _found(
            name,
            share >= self.g.filled_min,
            f"{filled} of {holes} holes in trades" if holes else "no hole in trades",
            f">= {_share(self.g.filled_min)}",
            "" if share >= self.g.filled_min else "'ofs log fill' fetches what a venue still has",
            {"share": share, "holes": holes, "filled": filled},
        )

    # --- was it quick and frugal --------------------------------------------------------------

    def venue_lag(self, name: str) -> Finding:
        if self.f.served:
            return Finding(name, OFF, "", "", "a served venue plays the past: it has no lag")
        return self._lag(name, None, self.g.venue_lag_p99_ms_max)

    def lag(self, name: str) -> Finding:
        return self._lag(name, self.g.lag_p50_ms_max, self.g.lag_p99_ms_max)

    def decision_lag(self, name: str) -> Finding:
        return self._lag(name, None, self.g.decision_p99_ms_max)

    def _lag(self, name: str, p50_max: float | None, p99_max: float) -> Finding:
        """One kind of lateness against the most of its 99th percentile, and of its median."""
        lag = self.f.lags.get(name)
        if lag is None or not lag.count:
            return _unknown(name, "the session kept no such times")
        ok, limit = lag.p99_ms <= p99_max, f"p99 <= {p99_max:g} ms"
        if p50_max is not None:
            ok, limit = ok and lag.p50_ms <= p50_max, f"p50 <= {p50_max:g} ms, {limit}"
        values = {"p50_ms": lag.p50_ms, "p99_ms": lag.p99_ms, "count": lag.count}
        figure = f"p50 {lag.p50_ms:.3g} ms, p99 {lag.p99_ms:.3g} ms"
        return _found(name, ok, figure, limit, lag.of, values)

    def cpu(self, name: str) -> Finding:
        r = self.f.readings
        if r is None:
            return _unknown(name, "the monitor wrote no reading")
        mean = float(r.cpu.mean())
        return _found(name, mean <= self.g.cpu_max, f"{mean:.3g} of a core",
                      f"<= {self.g.cpu_max:g}", f"highest reading {float(r.cpu.max()):.3g}",
                      {"mean": mean, "max": float(r.cpu.max())})  # fmt: skip

    def memory(self, name: str) -> Finding:
        r = self.f.readings
        if r is None:
            return _unknown(name, "the monitor wrote no reading")
        longest = np.bincount(r.start).argmax()
        one = r.memory[r.start == longest]
        most, growth = float(r.memory.max()), growth_of(one)
        why = f"{len(one)} readings of one process show warm-up only, no growth"
        if len(one) >= GROWTH_READINGS:
            why = "of the process with most readings: the last tenth of them over the second tenth"
        ok = most <= self.g.memory_bytes_max and growth <= self.g.memory_growth_max
        return _found(
            name,
            ok,
            f"{format_size(int(most))}, grew {growth:+.1%}",
            f"<= {format_size(self.g.memory_bytes_max)}, <= {self.g.memory_growth_max:+.1%}",
            why,
            {"max_bytes": most, "growth": growth},
        )

    def disk(self, name: str) -> Finding:
        r = self.f.readings
        if r is None:
            return _unknown(name, "the monitor wrote no reading")
        least = float(r.disk_free.min())
        return _found(name, least >= self.g.disk_free_bytes_min,
                      f"{format_size(int(least))} free at least",
                      f">= {format_size(self.g.disk_free_bytes_min)}", "",
                      {"least_free_bytes": least})  # fmt: skip

    # --- is it what it says -------------------------------------------------------------------

    def parity(self, name: str) -> Finding:
        runs = self.f.parity
        if not runs:
            return _unknown(name, "the session has published no run yet")
        wrong = [p for p in runs if not p.ok]
        decisions = sum(p.decisions for p in runs)
        return _found(
            name,
            not wrong,
            f"{len(runs) - len(wrong)} of {len(runs)} runs, {decisions:,} decisions",
            "every decision and digest",
            "; ".join(f"{p.run}: {p.text}" for p in wrong),
            {"runs": len(runs), "same": len(runs) - len(wrong), "decisions": decisions},
        )

    # --- how did it trade ---------------------------------------------------------------------

    def trades(self, name: str) -> Finding:
        n = len(self.f.trading.bp)
        return _found(name, n >= self.g.trades_min, f"{n} closed positions",
                      f">= {self.g.trades_min}", "", {"trades": n})  # fmt: skip

    def slippage(self, name: str) -> Finding:
        t = self.f.trading
        if t.slippage_bp is None:
            return _unknown(name, "nothing was filled" if not t.fills else "no touch was known")
        why = f"{t.unknown_fills} of {t.fills} fills had no known touch" if t.unknown_fills else ""
        return _found(name, t.slippage_bp <= self.g.slippage_bp_max, f"{t.slippage_bp:.3f} bp",
                      f"<= {self.g.slippage_bp_max:g} bp", why,
                      {"bp": t.slippage_bp, "fills": t.fills})  # fmt: skip

    def rejects(self, name: str) -> Finding:
        t = self.f.trading
        if not t.orders:
            return _unknown(name, "no order was sent")
        share = t.rejected / t.orders
        return _found(name, share <= self.g.rejects_max, f"{t.rejected} of {t.orders} orders",
                      f"<= {_share(self.g.rejects_max)}", "",
                      {"share": share, "orders": t.orders, "rejected": t.rejected})  # fmt: skip

    def fill_latency(self, name: str) -> Finding:
        x = self.f.trading.fill_ms
        if not len(x):
            return _unknown(name, "no market order was filled")
        p50, p99 = (float(np.quantile(x, q)) for q in (0.5, 0.99))
        return _found(name, p99 <= self.g.fill_p99_ms_max, f"p50 {p50:.3g} ms, p99 {p99:.3g} ms",
                      f"p99 <= {self.g.fill_p99_ms_max:g} ms", f"{len(x)} market orders",
                      {"p50_ms": p50, "p99_ms": p99, "orders": len(x)})  # fmt: skip

    def expectancy(self, name: str) -> Finding:
        x = self.f.trading.bp
        by_t, by_blocks = mean_interval(x), mean_by_blocks(x)
        if by_t is None or by_blocks is None:
            return _unknown(
                name, f"{len(x)} closed positions are too few; {LEAST} give an interval"
            )
        low, high = min(by_t[0], by_blocks[0]), max(by_t[1], by_blocks[1])
        mean = float(x.mean())
        return _found(
            name,
            low >= self.g.expectancy_bp_min,
            f"{mean:.3f} bp a trade, 95 % [{low:.3f}, {high:.3f}]",
            f"lower end >= {self.g.expectancy_bp_min:g} bp",
            "the wider of Student's t and a block bootstrap; "
            f"net {float(self.f.trading.net.sum()):,.2f} {self.f.trading.currency}",
            {"bp": mean, "low_bp": low, "high_bp": high, "trades": len(x)},
        )

    def place(self, name: str) -> Finding:
        p = self.f.place
        if p is None or p.share is None:
            return _unknown(name, p.why if p is not None else "no backtest was made")
        return _found(
            name,
            self.g.place_min <= p.share <= self.g.place_max,
            f"percentile {100 * p.share:.1f} of {p.windows}",
            f"{100 * self.g.place_min:g} to {100 * self.g.place_max:g}",
            f"net {p.result:,.2f}; {p.of}: 5 % {p.low:,.2f}, median {p.median:,.2f}, "
            f"95 % {p.high:,.2f}",
            {
                "share": p.share, "windows": p.windows, "independent": p.independent,
                "result": p.result, "low": p.low, "median": p.median, "high": p.high,
            },
        )  # fmt: skip


def _found(
    name: str, ok: bool, figure: str, limit: str, why: str, values: dict[str, Any]
) -> Finding:
    return Finding(name, PASS if ok else FAIL, figure, limit, why, values)


def _unknown(name: str, why: str) -> Finding:
    """What cannot be judged has not passed."""
    return Finding(name, FAIL, "cannot be judged", "", why)


def _share(share: float) -> str:
    """A share in per cent, to five digits."""
    return f"{100 * share:.5g} %"


def _time(ns: int) -> str:
    """A length of time for a person: the two largest units of it."""
    if ns < NS_OF["m"]:
        return f"{ns / 1e9:.3g} s"
    minutes, seconds = divmod(round(ns / 1e9), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"


def growth_of(memory: np.ndarray) -> float:
    """Growth (a share) after warm-up: median of the last tenth over that of the second tenth.

    0 for fewer than GROWTH_READINGS, which show warm-up only.
    """
    if len(memory) < GROWTH_READINGS:
        return 0.0
    tenth = len(memory) // 10
    first = float(np.median(memory[tenth : 2 * tenth]))
    return float(np.median(memory[-tenth:])) / first - 1 if first > 0 else 0.0
