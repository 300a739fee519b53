"""Settings of the desk: whose ideas are traded, and where stops and targets of its own stand.

Owns the group ``desk``. It refuses to know how text is read.
"""

from __future__ import annotations

from engine.kernel.windows import SPANS_S
from engine.runtime.strategy import Param

_IDEAS = (
    Param("source", "choice", "both", "whose ideas: plans first, then the classifier",
          ("both", "plans", "classifier")),
    Param("window", "choice", "30s", "window whose delta the exits read",
          tuple(f"{x}s" for x in SPANS_S)),
    Param("memory", "count", "240", "windows that the usual size of that delta remembers", low=2),
    Param("warmup", "count", "20", "windows before anything is looked for", low=2),
    Param("second", "choice", "off", "the classifier's idea also needs this level of the"
          " microstructure score of its side", ("off", "watch", "arm")),
    Param("unfitted", "choice", "trade", "a score without a fitted model", ("trade", "refuse")),
)  # fmt: skip

_PLACES = (
    Param("stop", "choice", "atr", "stop by", ("atr", "share", "structure")),
    Param("stop_atr", "ratio", "4", "stop by atr: so many ATR away", low=0.1),
    Param("stop_share", "ratio", "0.0015", "stop by share: of the price", low=0, high=1),
    Param("stop_buffer", "ratio", "0.25", "stop by structure: so many ATR beyond it", low=0),
    Param("target", "choice", "r", "target by", ("r", "atr", "share", "none")),
    Param("target_r", "ratio", "1.5", "target by r: so many distances of the stop", low=0.1),
    Param("target_atr", "ratio", "6", "target by atr: so many ATR away", low=0.1),
    Param("target_share", "ratio", "0.003", "target by share: of the price", low=0, high=1),
    Param("entry", "choice", "market", "take, or rest at the near touch", ("market", "limit")),
)

DESK: dict[str, tuple[Param, ...]] = {"desk": (*_IDEAS, *_PLACES)}
"""Settings by group."""
