"""Tests of the strategy in burst.py: it trades, it repeats itself, it does not look ahead.

Run it with ``python -m pytest test_burst.py``. The market is the replay that comes with ofs, six
hours of a synthetic BTCUSDT; give ``fold`` a ``log=`` to test over your own data. The first run
compiles for some seconds, the next ones do not.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from engine.runtime.strategy_file import load_file
from engine.runtime.trial import Trial, fold

STRATEGY = load_file(Path(__file__).with_name("burst.py"), "burst")


@cache
def whole() -> Trial:
    """The strategy over the whole replay."""
    return fold(STRATEGY)


def test_it_decides_and_trades() -> None:
    """A rule that never acts over six hours is a rule that was written wrongly."""
    trial = whole()
    assert len(trial.decisions) > 1000
    assert len(trial.orders) > 0, "no order: are the gates too strict? see `blocked` of a decision"
    assert len(trial.fills) > 0, "orders, but no fill: look at the reason of the orders"
    assert not trial.violations, "the engine refused something"


def test_two_folds_give_one_digest() -> None:
    """The same log gives the same records to the last digit."""
    assert fold(STRATEGY).digest == whole().digest


def test_the_cut_of_the_data_does_not_matter() -> None:
    """Live, events come one by one; here in pieces of 1,000 rows instead of 32,768."""
    assert fold(STRATEGY, chunk_rows=1_000).digest == whole().digest


def test_it_does_not_look_ahead() -> None:
    """Over the first half alone every decision is what it was with the second half in sight."""
    half_ns = (whole().from_ns + whole().to_ns) // 2
    first = fold(STRATEGY, to_ns=half_ns)
    n = len(first.decisions)
    assert n > 500
    assert np.array_equal(first.decisions, whole().decisions[:n])


def test_a_parameter_changes_what_is_done() -> None:
    """What is set reaches the compiled code: asked for a million trades, it stays out."""
    never = fold(STRATEGY, settings={"min_trades": "1000000"})
    assert len(never.orders) == 0
