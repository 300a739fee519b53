"""burst: go with one-sided flow while price is on the same side of the session's VWAP.

The rule, in words. Every 5 seconds look at who took liquidity in the last 30 seconds. When buyers
took clearly more than sellers (or the other way round), enough was traded to mean something, and
price stands on the buyers' (sellers') side of the VWAP, enter at market with a stop and a target.
Leave when the flow has turned against the position, or after some minutes.

Read this file from top to bottom; then change the rule. Prove each change:

    python -m pytest test_burst.py
    ofs backtest --strategy burst.py:burst
    ofs query "SELECT blocked, count(*) FROM decisions GROUP BY ALL ORDER BY 2 DESC"

HOW A STRATEGY WORKS. The log of events is folded into one state record, ``s``. *Handlers* do that:
small compiled functions that each keep one idea up to date (``flow``: delta and CVD; ``windows``:
sums over the last 1 to 300 seconds; ``vwap``; ``book``; ``candles``; ``footprint``). A strategy
names the handlers that it needs, and only those are compiled in. On a grid of market time (every
5 seconds, setting ``decision.step``) the engine calls ``decide`` once, before the event that
reaches the boundary is folded.

WHAT ``decide`` MAY READ: the state ``s`` (what the handlers know by now), the account as it may
know it (``s.known``: a fill shows here only after the latency of its report), its own parameters
(``p.strategy``), its own memory (``s.strategy``) and the time of the boundary (``now_ns``).

WHAT IT MUST NOT DO: read a clock, a file, a random number or a global that changes; it would then
not give the same decisions over the same log, and ``ofs verify`` would say so. It must not reach
into ``s.sim``: that is the exchange's side, with orders that fill in the future. It sends nothing
itself either: it writes *intents*, and the engine turns them into orders after the set latency.

MORE THAN FLOW. Detectors are handlers, too (``absorption``, ``sweep``, ``cvd_divergence`` and more:
``ofs strategy show scalper``): name one in ``handlers`` and read ``s.absorption.signal``, its
``ready`` (0 or 1), ``direction`` (-1, 0, +1) and ``strength_fp9``. Who wants neither to place stops
nor to size, guard and leave positions by hand names the handler ``desk`` and calls
``desk_decide`` of ``engine.kernel.desk``, as ``scalper`` does: it trades the classifier and plans.

NUMBERS are integers: times in nanoseconds UTC, prices and quantities scaled by a power of ten that
the log knows, ratios at 1e-9 (names that end in ``_fp9``). Sums are then exact on every machine.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.kernel.core import Q_WARMING, qty_of, window_ready
from engine.kernel.intents import enter_market, exit_market
from engine.kernel.numbers import fp9
from engine.kernel.outputs import SIGNALS_MAX
from engine.kernel.vwap import vwap_z
from engine.kernel.windows import SPANS_S
from engine.runtime.strategy import Param, Strategy

SPANS_NS = np.array(SPANS_S, dtype=np.int64) * 1_000_000_000

# A gate is a question that must be answered with yes before an entry. Each has a bit in the
# decision's `gates` (asked and passed) or `blocked` (asked and refused), so that afterwards you can
# ask in SQL which gate kept you out. At most 63.
GATES = ("window", "volume", "flow", "vwap", "idle")
G_WINDOW, G_VOLUME, G_FLOW, G_VWAP, G_IDLE = (1 << n for n in range(len(GATES)))

# A detector is what speaks in a signal record: its number here, its name in DETECTORS.
DETECTORS = ("flow",)
D_FLOW = 0

# Why a position was left (data.enums.ExitReason): FLIP, TIME. Stops and targets are the broker's.
BY_FLIP, BY_TIME = 1, 4
ENTER_LONG, ENTER_SHORT, EXIT = 1, 2, 3

# The strategy's own memory, part of the state: fixed size, integers, zero at the start. There is no
# other place to remember anything in; a Python global would be frozen into the compiled code.
STATE = np.dtype([("entered_ns", "i8")], align=True)


@njit(cache=True, nogil=True)
def passes(d, bit, yes):
    """Note in the decision ``d`` that the gate ``bit`` was asked, and whether it passed."""
    if yes:
        d.gates |= bit
    else:
        d.blocked |= bit
    return yes


@njit(cache=True, nogil=True)
def speak(o, d, share, threshold):
    """Write a signal record: which way the flow leans, how strongly, and the numbers behind it."""
    if abs(share) < threshold or o.n_signals >= SIGNALS_MAX:
        return
    r = o.signals[o.n_signals]
    r.ts_ns = d.ts_ns
    r.decision_id = d.id
    r.detector = D_FLOW
    r.direction = 1 if share > 0.0 else -1
    r.strength_fp9 = fp9(abs(share))
    r.value_fp9 = fp9(share)
    r.threshold_fp9 = fp9(threshold)
    o.n_signals += 1


@njit(cache=True, nogil=True)
def flow_share(s, p):
    """(buy - sell) / (buy + sell) of the window, in [-1, 1]; 0 when nothing was traded."""
    w = p.strategy.window
    both = s.windows.buy[w] + s.windows.sell[w]
    if both == 0:
        return 0.0
    return float(s.windows.buy[w] - s.windows.sell[w]) / float(both)


@njit(cache=True, nogil=True)
def leave(s, p, share, now_ns):
    """In a position: exit when the flow leans the other way, or when the time is up."""
    d = s.core.decision
    side = 1.0 if s.known.qty > 0 else -1.0
    reason = 0
    if side * share <= -float(p.strategy.exit_share_fp9) * 1e-9:
        reason = BY_FLIP
    elif now_ns - s.known.open_ns >= p.strategy.max_hold_ns:
        reason = BY_TIME
    # while an order is on its way the position is about to end: do not ask twice
    if reason != 0 and s.known.open_orders == 0:
        d.action = EXIT
        d.exit_reason = reason
        exit_market(s.intents, s.known.qty, reason)


@njit(cache=True, nogil=True)
def enter(s, p, direction, now_ns):
    """Enter at market. Stop and target rest at the broker, as shares of the last price."""
    d = s.core.decision
    qty = qty_of(p.core, p.strategy.notional_money, d.price)
    if qty <= 0:
        return
    away = max(np.int64(1), np.int64(float(d.price) * float(p.strategy.stop_fp9) * 1e-9))
    goal = max(np.int64(1), np.int64(float(d.price) * float(p.strategy.target_fp9) * 1e-9))
    d.action = ENTER_LONG if direction > 0 else ENTER_SHORT
    s.strategy.entered_ns = now_ns
    enter_market(s.intents, direction, qty, d.price - direction * away, d.price + direction * goal)


@njit(cache=True, nogil=True)
def seek(s, p, share, ready, now_ns):
    """Flat: ask every gate, also after one refused, so that the record shows all answers."""
    d = s.core.decision
    w = p.strategy.window
    threshold = float(p.strategy.enter_share_fp9) * 1e-9
    direction = 0
    if abs(share) >= threshold:
        direction = 1 if share > 0.0 else -1
    d.direction = direction
    ok = passes(d, G_WINDOW, ready)
    ok &= passes(d, G_VOLUME, s.windows.buys[w] + s.windows.sells[w] >= p.strategy.min_trades)
    ok &= passes(d, G_FLOW, direction != 0)
    ok &= passes(d, G_VWAP, direction * vwap_z(s.vwap.session, d.price) > 0.0)
    waited = now_ns - s.strategy.entered_ns >= p.strategy.pause_ns
    ok &= passes(d, G_IDLE, s.known.open_orders == 0 and waited)
    if ok:
        enter(s, p, direction, now_ns)


@njit(cache=True, nogil=True)
def decide(s, p, o, now_ns, grid_s):
    """One decision at the boundary ``now_ns`` (ns UTC); the engine stores ``s.core.decision``.

    The engine has already filled in its time, price, CVD and position; what is set here (delta,
    score, direction, action, gates) is what you will see of it in ``ofs query``.
    """
    d = s.core.decision
    w = p.strategy.window
    # A window that reaches back before the first trade, or across a gap of the log, is not ready:
    # never trade on half a window.
    ready = window_ready(s.core, now_ns, SPANS_NS[w])
    if not ready:
        d.quality |= Q_WARMING
    share = flow_share(s, p) if ready else 0.0
    d.delta = s.windows.buy[w] - s.windows.sell[w]
    d.score_fp9 = fp9(abs(share))
    speak(o, d, share, float(p.strategy.enter_share_fp9) * 1e-9)
    if s.known.qty != 0:
        leave(s, p, share, now_ns)
    else:
        seek(s, p, share, ready, now_ns)


# What the engine takes. Each Param becomes an int64 field of p.strategy: its name and the suffix of
# its kind (ratio: _fp9, duration: _ns, money: _money, count and choice: none). Change one for a run
# with `--set enter_share=0.5`.
burst = Strategy(
    name="burst",
    doc="Go with one-sided flow while price is on the same side of the session's VWAP.",
    handlers=("flow", "windows", "vwap"),
    params=(
        Param("window", "choice", "30s", "window that is read", tuple(f"{x}s" for x in SPANS_S)),
        Param("enter_share", "ratio", "0.4", "lean of the flow that enters", low=0, high=1),
        Param("exit_share", "ratio", "0.2", "lean against us that leaves", low=0, high=1),
        Param("min_trades", "count", "50", "trades in the window that mean something", low=1),
        Param("notional", "money", "1000", "size of an entry in account currency", low=0),
        Param("stop", "ratio", "0.002", "stop, as a share of price", low=0.00001, high=0.5),
        Param("target", "ratio", "0.004", "target, as a share of price", low=0.00001, high=0.5),
        Param("max_hold", "duration", "10m", "longest time in a position"),
        Param("pause", "duration", "2m", "from one entry to the next"),
    ),
    state=STATE,
    decide=decide,
    gates=GATES,
    detectors=DETECTORS,
)
