"""The figures that a real backtest leaves, against what the engine itself recorded."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import replays
from data.errors import CorruptFileError
from data.log import LogStore
from data.runs import Run, find_run
from engine.report.returns import DAY_NS, Equity, drawdown_of, returns_of
from engine.report.statistics import MEANINGS, headline, summarise
from engine.report.tables import Statistic, columns_of, read_statistics
from engine.runtime.backtest import backtest
from engine.runtime.replay import Request
from engine.runtime.verify import verify
from strategies.delta_flip import STRATEGY


def run_replay(runs: Path, **settings: str) -> Run:
    where = str(replays.path())
    made = backtest(
        LogStore(where), where, Request(STRATEGY, "delta_flip", settings=settings), runs
    )
    return find_run(runs, made["run"])


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("figures")


@pytest.fixture(scope="module")
def run(runs: Path) -> Run:
    return run_replay(runs)


@pytest.fixture(scope="module")
def figures(run: Run) -> dict[str, Statistic]:
    found = read_statistics(run)
    assert found is not None
    assert [s.name for s in found] == list(MEANINGS)
    return {s.name: s for s in found}


def test_the_backtest_writes_what_anybody_computes(run: Run, figures: dict[str, Statistic]) -> None:
    assert summarise(run) == list(figures.values())
    assert run.manifest["statistics"] == headline(list(figures.values()))


@pytest.mark.parametrize("name", ["net_pnl", "gross_pnl", "round_trips", "max_drawdown"])
def test_figures_are_those_of_the_manifest(
    name: str, run: Run, figures: dict[str, Statistic]
) -> None:
    assert figures[name].value == pytest.approx(run.manifest["result"][name])


def test_costs_add_up_to_the_last_unit(run: Run, figures: dict[str, Statistic]) -> None:
    v = {name: round((s.value or 0) * 10**8) for name, s in figures.items()}
    assert v["cost_fees"] + v["cost_spread"] + v["cost_slippage"] == v["cost_total"]
    assert v["net_pnl"] + v["cost_total"] == v["gross_at_mid"]
    assert v["cost_fees"] == round(run.manifest["result"]["fees"] * 10**8)
    assert v["cost_spread"] > 0


def test_every_order_and_fill_of_the_replay_has_a_touch(run: Run) -> None:
    for table in ("order", "fill"):
        c = columns_of(run, table, ("bid", "ask"))
        assert len(c["bid"]) > 10
        assert (c["bid"] > 0).all() and (c["bid"] < c["ask"]).all()


def test_drawdown_is_the_engines_own(run: Run) -> None:
    c = columns_of(run, "equity", ("ts_ns", "equity", "drawdown"))
    start = int(c["equity"][0] + c["drawdown"][0])
    e = Equity(c["ts_ns"], c["equity"], start, int(c["ts_ns"][0]), int(c["ts_ns"][-1]))
    assert drawdown_of(e).money == int(c["drawdown"].max())


def test_a_second_run_with_other_parameters_is_a_second_trial(runs: Path, run: Run) -> None:
    other = read_statistics(run_replay(runs, entry_z="2.5")) or []
    assert {s.name: s.value for s in other}["trials"] == 2
    again = read_statistics(run_replay(runs)) or []
    assert {s.name: s.value for s in again}["trials"] == 2


def test_the_run_verifies_and_damaged_figures_are_named(run: Run) -> None:
    log = LogStore(str(replays.path()))
    assert verify(log, run, STRATEGY).ok
    whole = run.file("statistics").read_bytes()
    run.file("statistics").write_bytes(b"gone bad")
    with pytest.raises(CorruptFileError, match="cannot be read"):
        verify(log, run, STRATEGY)
    run.file("statistics").write_bytes(whole)


def test_it_is_cheap(runs: Path, run: Run) -> None:
    def spent() -> float:
        start = time.process_time()
        summarise(run)
        return time.process_time() - start

    assert min(spent() for _ in range(3)) < 0.05  # 0.003 on an idle machine


def test_a_year_of_minutes_is_cheap_too() -> None:
    r: Any = np.random.default_rng(1)
    ts = np.arange(1, 365 * 1440 + 1) * 60 * 10**9 + 20_000 * DAY_NS
    levels = (10**12 * np.cumprod(1 + r.normal(0, 1e-4, len(ts)))).astype(np.int64)
    e = Equity(ts, levels, 10**12, int(ts[0]), int(ts[-1]))
    start = time.process_time()
    assert returns_of(e).period == "day"
    assert drawdown_of(e).money > 0
    assert time.process_time() - start < 1.0  # 0.08 on an idle machine
