"""proxy_scalper: the scalper on instruments without prints (gold, FX), whose flow comes by proxy.

Owns the settings that such flow asks for. Quotes (an MT5 tick, a broker's bid and ask) become
pseudo trades inside the fold, and what their source cannot know is not said: absorption never,
divergence only where quotes of one second speak. The weight of absorption goes to the trend of the
flow, and the touch is that of the quotes. Plans may ask for the seed's proxy conditions
(``cvd_rising``, ``aggressor_ratio``, ``imbalance_score``).
"""

from __future__ import annotations

from dataclasses import replace

from numba import njit

from engine.kernel.desk import desk_decide
from engine.kernel.signals import signal_write
from strategies.scalper import DETECTORS as SCALPED
from strategies.scalper import HANDLERS, signals
from strategies.scalper import STRATEGY as SCALPER

DETECTORS = (*SCALPED, "proxy_metrics")
"""Names of the detectors in the manifest; a signal's ``detector`` is the place in this list."""
_PROXY = len(SCALPED)


@njit(cache=True, nogil=True)
def decide(s, p, o, now_ns, grid_s):
    """One decision at boundary ``now_ns`` (ns UTC)."""
    desk_decide(s, p, now_ns)
    signals(s, s.core.decision, o)
    signal_write(o, s.core.decision, _PROXY, s.proxy_metrics.signal)


STRATEGY = replace(
    SCALPER,
    name="proxy_scalper",
    doc="The scalper for gold and FX: flow by proxy from quotes, or from bars.",
    handlers=(*HANDLERS, "proxy", "proxy_metrics"),
    decide=decide,
    detectors=DETECTORS,
    overrides=(
        ("confluence.threshold", "0.2"),
        ("confluence.weight_absorption", "0"),
        ("confluence.weight_cvd_trend", "0.3"),
        ("flip.mode", "cusum"),
        # brokers send a quote when it changes: half a minute of silence is nothing on FX
        ("market_state.stale", "30s"),
        ("risk.stale", "30s"),
        ("risk.latency", "30s"),
        # 3 USD a side and 100,000 USD, as commission accounts ask
        ("sim.taker_fee", "0.00003"),
        ("sim.maker_fee", "0.00003"),
        ("sim.stale", "30s"),
    ),
)
"""The strategy as the engine takes it."""
