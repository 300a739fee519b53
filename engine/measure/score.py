"""From counts to figures: precision, recall, direction, delay, false alarms, AUC, and intervals.

Owns :class:`Tally`, what one market and its null twin say about one detector, and
:func:`figures`, which pools the tallies of several seeds. An interval is a bootstrap over seeds
(:data:`DRAWS` resamples, fixed stream, 2.5 to 97.5 %): seeds are what is independent, the patterns
of one market are not. A figure without anything to divide by is None, never 0 or 1. Formulas:
precision TP / (TP + FP), recall TP / labels, F1 their harmonic mean; AUC = P(a planted window's
statistic > a null window's) + half of P(equal); AP the mean precision over the ranks of planted
windows, at the base rate of the market.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

DRAWS = 1_000


@dataclass(frozen=True)
class Tally:
    """Counts of one detector over one market and its null twin.

    ``labels`` planted, ``found`` of them, ``right`` found with the right direction, ``false``
    events of no label; ``delay_s`` summed over the found; ``windows`` of the market;
    ``null_windows``, ``null_alarmed`` of them, ``null_events`` in ``null_hours``. ``auc``, ``ap``
    of this market, weighted by ``auc_n`` and ``ap_n`` (0 where undefined).
    """

    labels: float = 0
    found: float = 0
    right: float = 0
    false: float = 0
    delay_s: float = 0
    windows: float = 0
    null_windows: float = 0
    null_alarmed: float = 0
    null_events: float = 0
    null_hours: float = 0
    auc: float = 0
    auc_n: float = 0
    ap: float = 0
    ap_n: float = 0


def auc(planted: np.ndarray, null: np.ndarray) -> float | None:
    """P(planted > null) + P(equal) / 2 over all pairs; None where a side is empty."""
    if not len(planted) or not len(null):
        return None
    ranked = np.sort(null)
    below = np.searchsorted(ranked, planted, "left")
    equal = np.searchsorted(ranked, planted, "right") - below
    return float((below + equal / 2).sum() / (len(planted) * len(null)))


def average_precision(planted: np.ndarray, others: np.ndarray) -> float | None:
    """Mean over planted windows of the precision at their value; equal values count together."""
    if not len(planted):
        return None
    every = np.sort(np.concatenate([planted, others]))
    mine = np.sort(planted)
    at_least = len(every) - np.searchsorted(every, planted, "left")
    mine_at_least = len(mine) - np.searchsorted(mine, planted, "left")
    return float((mine_at_least / at_least).mean())


def figures(tallies: Sequence[Tally]) -> dict[str, Any]:
    """Pooled figures of several seeds; ``<name>_low`` and ``<name>_high`` bound each."""
    table = np.array([[getattr(t, f.name) for f in fields(Tally)] for t in tallies], np.float64)
    pooled = _ratios(table.sum(axis=0))
    pick = np.random.default_rng(len(tallies)).integers(0, len(tallies), (DRAWS, len(tallies)))
    draws = [_ratios(table[rows].sum(axis=0)) for rows in pick]
    out: dict[str, Any] = {}
    for name, value in pooled.items():
        seen = [x for d in draws if (x := d[name]) is not None]
        out[name] = _rounded(value)
        if name == "base_rate":
            continue
        low, high = np.quantile(seen, (0.025, 0.975)) if seen else (None, None)
        out[f"{name}_low"], out[f"{name}_high"] = _rounded(low), _rounded(high)
    return out


def _ratios(sums: np.ndarray) -> dict[str, float | None]:
    t = Tally(*sums)
    precision = _over(t.found, t.found + t.false)
    recall = _over(t.found, t.labels)
    both = (precision or 0.0) + (recall or 0.0)
    known = precision is not None and recall is not None
    return {
        "precision": precision if t.labels else None,
        "recall": recall,
        "f1": (2 * (precision or 0) * (recall or 0) / both if both else 0.0) if known else None,
        "direction_accuracy": _over(t.right, t.found),
        "auc": _over(t.auc, t.auc_n),
        "ap": _over(t.ap, t.ap_n),
        "base_rate": _over(t.labels, t.windows) if t.labels else None,
        "false_alarm_rate": _over(t.null_alarmed, t.null_windows),
        "false_alarms_per_hour": _over(t.null_events, t.null_hours),
        "delay_s": _over(t.delay_s, t.found),
    }


def _over(a: float, b: float) -> float | None:
    return float(a / b) if b > 0 else None


def _rounded(x: float | None) -> float | None:
    return None if x is None else round(float(x), 4)
