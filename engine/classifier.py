"""The classifier for whoever calls it by hand: plain Python over whatever is known of the signals.

Owns two functions that a user of the library, a notebook or a golden vector can call without a
fold: :func:`classify`, the weighted confluence of the seed plan with everything that it accepts,
and :func:`weigh`, the signed one. In a fold the same two are compiled: see
``engine.kernel.confluence``, whose numbers they must give. They refuse to call a weight a
probability that was calibrated: what the seed calls so is a sum of weights in percent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np

WEIGHTS: dict[str, float] = {
    "absorption": 0.30,
    "delta_divergence": 0.25,
    "liquidity_sweep": 0.20,
    "cvd_divergence": 0.15,
    "vwap_deviation": 0.10,
}
"""Weights of the seed plan, in the order that decides between equals."""
UNKNOWN = "unknown"


def _strength(signal: Any) -> float:
    """Strength in [0, 1] that the seed reads off one signal; NaN stays NaN, fault and all."""
    if isinstance(signal, (bool, np.bool_)):
        return 1.0 if signal else 0.0
    if isinstance(signal, Mapping):
        signal = signal.get("strength")
    if isinstance(signal, Real):
        return min(max(float(signal), 0.0), 1.0)
    return 0.0


def classify(
    signals: Mapping[str, Any],
    weights: Mapping[str, float] | None = None,
    threshold: float = 0.75,
) -> dict[str, Any]:
    """Weighted confluence as the seed plan states it (reference "orderflow" 11.6).

    ``signals`` by name: a bool (all of the weight, or none), a number (clipped to [0, 1]), a record
    with a ``strength`` (clipped; no direction is read); anything else, and what is missing, is 0.
    ``weights`` replace the five whole; ``threshold`` is a share of 1. Returns ``probability`` (in
    percent, at most 100; a sum of weights, calibrated to nothing), ``pattern_type`` (the first
    signal of the largest weighted score, "unknown" where that is 0), ``signal_scores`` (strength
    times weight by name), ``total_score`` (their sum), ``meets_threshold``, ``threshold`` (in
    percent). Bulls and bears add up, and a NaN strength makes all of it NaN, as in the seed;
    :func:`weigh` does neither.
    """
    given = WEIGHTS if weights is None else weights
    scores = {name: _strength(signals.get(name)) * weight for name, weight in given.items()}
    total = float(sum(scores.values()))
    probability = min(100.0 * total, 100.0)
    best = max(scores, key=lambda name: scores[name], default=UNKNOWN)
    return {
        "probability": probability,
        "pattern_type": best if scores.get(best, 0.0) > 0.0 else UNKNOWN,
        "signal_scores": scores,
        "total_score": total,
        "meets_threshold": round(probability, 9) >= round(100.0 * threshold, 9),
        "threshold": 100.0 * threshold,
    }


def _signed(signal: Any) -> float | None:
    """s in [-1, 1] of one signal; None where nothing, or no number, is said."""
    if isinstance(signal, Mapping):
        if not signal.get("ready", True):
            return None
        direction, strength = signal.get("direction"), signal.get("strength")
        if not (isinstance(direction, Real) and isinstance(strength, Real)):
            return None
        if not float(direction):
            return 0.0
        signal = math.copysign(min(max(float(strength), 0.0), 1.0), float(direction))
        if math.isnan(float(direction)) or math.isnan(float(strength)):
            return None
    if isinstance(signal, (bool, np.bool_)) or not isinstance(signal, Real):
        return None
    value = float(signal)
    return None if math.isnan(value) else min(max(value, -1.0), 1.0)


def weigh(
    signals: Mapping[str, Any],
    weights: Mapping[str, float] | None = None,
    threshold: float = 0.75,
    gamma: float = 1.0,
    coverage: float = 0.7,
) -> dict[str, Any]:
    """Weighted confluence of signed evidence (reference "orderflow" 6.4).

    ``signals`` by name: a number in [-1, 1] (direction times strength, clipped) or a record with
    ``direction`` and ``strength`` and maybe ``ready``. A bool has no side and a NaN is no number:
    both are missing, and so is what is not there. Missing is not zero: its weight is left out, and
    when less than ``coverage`` of all weight is left, ``side`` is 0 and ``ready`` false. Returns
    ``side`` (-1, 0, +1), ``score`` in [0, 1] (the larger share of weight less ``gamma`` times the
    smaller), ``evidence_for``, ``evidence_against``, ``coverage``, ``missing`` (names),
    ``signal_scores``, ``pattern_type``, ``meets_threshold``, ``threshold``, ``ready``.
    """
    given = WEIGHTS if weights is None else weights
    said = {name: _signed(signals.get(name)) for name in given}
    heard = {name: s for name, s in said.items() if s is not None}
    total, present = sum(given.values()), sum(given[name] for name in heard)
    share = present / total if total > 0.0 else 0.0
    ready = present > 0.0 and round(share, 9) >= coverage
    scores = {name: given[name] * s / present for name, s in heard.items()} if ready else {}
    up = round(sum(x for x in scores.values() if x > 0.0), 9)
    down = round(-sum(x for x in scores.values() if x < 0.0), 9)
    side = (up > down) - (up < down)
    score = min(max(max(up, down) - gamma * min(up, down), 0.0), 1.0) if side else 0.0
    best = max(scores, key=lambda name: side * scores[name], default=UNKNOWN)
    return {
        "ready": ready,
        "side": side,
        "score": round(score, 9),
        "evidence_for": max(up, down),
        "evidence_against": min(up, down),
        "coverage": share,
        "missing": [name for name in given if name not in heard],
        "pattern_type": best if side and side * scores[best] > 0.0 else UNKNOWN,
        "signal_scores": scores,
        "meets_threshold": side != 0 and round(score, 9) >= round(threshold, 9),
        "threshold": threshold,
    }
