"""How many strategies were tried before this one was believed: what the deflated Sharpe ratio asks.

Owns the count. A trial is a distinct pair of strategy (its name and its source) and parameters that
was run over the same venue and symbol and over an overlapping range; the run itself is one. All
runs of the folder count, also those made after it, so the count only grows while the folder is
kept: throwing away the failures and keeping the winner is what the figure guards against. Trials
made elsewhere are not known here; ``given`` says how many there were.

The variance of the trials' Sharpe ratios is that of the runs where at least 10 of them have one;
else that of pure chance, 1 / (periods - 1) per period, as if every trial had been worthless.

It refuses to know how the deflated ratio is computed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data.errors import OfsError
from data.runs import Run, list_runs
from data.times import parse_utc

SHARPES_MIN = 10
"""Trials with a Sharpe ratio from which their variance is taken."""


@dataclass(frozen=True, slots=True)
class Trials:
    """How many trials there were, and the variance of their annualised Sharpe ratios or None."""

    count: int
    variance: float | None
    given: bool = False


def trials_of(run: Run, runs: Path, given: int | None = None) -> Trials:
    """The trials that ``run`` is one of, among the runs in the folder ``runs``.

    ``given`` >= 1 takes the place of the count. A manifest that cannot be read counts for nothing.
    """
    sharpes: dict[str, float | None] = {_identity(run.manifest): None}
    span, series = _span(run.manifest), _series(run.manifest)
    for other in list_runs(runs)[0]:
        m = other.manifest
        if _series(m) == series and _overlap(span, _span(m)):
            sharpes.setdefault(_identity(m), None)
            value = _sharpe(m)
            if value is not None:
                sharpes[_identity(m)] = value
    known = [value for value in sharpes.values() if value is not None]
    variance = float(np.var(known, ddof=1)) if len(known) >= SHARPES_MIN else None
    return Trials(given or len(sharpes), variance, given is not None)


def _identity(m: dict[str, Any]) -> str:
    """What makes a trial a trial of its own; where the strategy's file lies does not."""
    name = str(m.get("strategy")).rsplit(":", 1)[-1]
    return json.dumps([name, m.get("strategy_hash"), m.get("params")], sort_keys=True, default=str)


def _series(m: dict[str, Any]) -> tuple[Any, Any]:
    return m.get("venue"), m.get("symbol")


def _span(m: dict[str, Any]) -> tuple[int, int] | None:
    """The range of a manifest, ns UTC; None where it does not say."""
    ends = m.get("from"), m.get("to")
    try:
        first, last = (parse_utc(end) if isinstance(end, str) else int(end or 0) for end in ends)
    except (TypeError, ValueError, OfsError):
        return None
    return first, last


def _overlap(a: tuple[int, int] | None, b: tuple[int, int] | None) -> bool:
    return a is not None and b is not None and a[0] < b[1] and b[0] < a[1]


def _sharpe(m: dict[str, Any]) -> float | None:
    """The annualised Sharpe ratio that a manifest says; None where it says none."""
    said = m.get("statistics")
    value = said.get("sharpe") if isinstance(said, dict) else None
    return float(value) if isinstance(value, (int, float)) else None
