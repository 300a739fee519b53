"""The list of figures of a run: values by hand, what is missing and why, and where it is kept."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.errors import CorruptFileError, DataError
from data.query import Database
from data.runs import STATISTIC_COLUMNS, Run, find_run, flat
from engine.report.returns import DAY_NS, MINUTE_NS
from engine.report.statistics import (
    MEANINGS,
    facts,
    headline,
    statistics_of,
    summarise,
)
from engine.report.tables import Statistic, read_statistics, write_statistics
from tests.data.make_runs import T, make_run

CENT = 10**6
UNIT = 10**8
BALANCE = {"sim.balance": "1000"}


def rows_of(levels: list[float], step_ns: int = MINUTE_NS) -> list[dict[str, int]]:
    """Equity samples, the first one step after T."""
    return [
        {"ts_ns": T + (k + 1) * step_ns, "equity": round(v * UNIT), "balance": 1000 * UNIT}
        for k, v in enumerate(levels)
    ]


def trip(k: int, net: float, opened_s: int, held_s: int, notional: float = 100) -> dict[str, int]:
    """A closed position."""
    opened = T + opened_s * 10**9
    return {
        "ts_ns": opened, "id": k, "side": 1, "entry_notional": round(notional * UNIT),
        "net_pnl": round(net * UNIT), "closed_ns": opened + held_s * 10**9,
    }  # fmt: skip


def run_of(folder: Path, name: str = "one", **tables: list[dict[str, int]]) -> Run:
    changes: dict[str, Any] = {"params": BALANCE, "to": "2025-01-01"}
    make_run(folder, name, tables, **changes)
    return find_run(folder, name)


def by_name(found: list[Statistic]) -> dict[str, Statistic]:
    return {s.name: s for s in found}


def values(run: Run) -> dict[str, float | None]:
    return {s.name: s.value for s in summarise(run)}


# --- by hand -------------------------------------------------------------------------------------


def test_round_trips_by_hand(tmp_path: Path) -> None:
    """Nets 3, -1, 2, -2, -1 on notionals of 100; 10 + 20 + 30 s (10 of them twice) of 300."""
    trips = [trip(1, 3, 0, 10), trip(2, -1, 60, 20), trip(3, 2, 70, 30), trip(4, -2, 200, 0),
             trip(5, -1, 200, 0), {"ts_ns": T + 270 * 10**9, "id": 6}]  # fmt: skip
    v = values(run_of(tmp_path, equity=rows_of([1000] * 5), position=trips))
    assert (v["round_trips"], v["open_positions"]) == (5, 1)
    assert v["win_rate"] == 0.4
    assert v["profit_factor"] == pytest.approx(5 / 4)
    assert v["expectancy"] == pytest.approx(0.2)
    assert v["expectancy_bp"] == pytest.approx(20)
    assert (v["average_win"], v["average_loss"]) == pytest.approx((2.5, -4 / 3))
    assert v["payoff"] == pytest.approx(2.5 / (4 / 3))
    assert (v["largest_win"], v["largest_loss"]) == (3, -2)
    assert v["average_hold_s"] == pytest.approx(12)
    assert v["days"] == pytest.approx(6 / 1440)  # a sample stands for the minute before it
    assert v["exposure"] == pytest.approx((10 + 40 + 90) / 360)
    assert v["trades_a_day"] == pytest.approx(5 / (6 / 1440))


def test_costs_and_results_by_hand(tmp_path: Path) -> None:
    """Prices at 1e-1, quantities at 1e-3: bought 2 at 10.1, sold 2 at 10.4, fees of .01 each."""
    order = {"ts_ns": T, "bid": 99, "ask": 101}
    fill = {"ts_ns": T, "qty": 2000, "fee": CENT}
    run = run_of(
        tmp_path,
        equity=rows_of([1000, 1000.58]),
        order=[{**order, "id": 1}, {**order, "id": 2, "bid": 105, "ask": 107}],
        fill=[
            {**fill, "order_id": 1, "side": 1, "price": 101, "bid": 99, "ask": 101},
            {**fill, "order_id": 2, "side": -1, "price": 104, "bid": 104, "ask": 106,
             "pnl": 60 * CENT},
        ],
    )  # fmt: skip
    v = values(run)
    assert (v["gross_pnl"], v["net_pnl"]) == pytest.approx((0.60, 0.58))
    assert v["cost_fees"] == pytest.approx(0.02)
    assert v["cost_spread"] == pytest.approx(0.4)
    assert v["cost_slippage"] == pytest.approx(0.2)
    assert v["cost_delay"] == pytest.approx(0.2)
    assert v["cost_total"] == pytest.approx(0.62)
    assert v["gross_at_mid"] == pytest.approx(2 * (10.6 - 10.0))
    assert v["traded"] == pytest.approx(2 * 10.1 + 2 * 10.4)
    assert v["cost_bp"] == pytest.approx(0.62 / 41 * 1e4)
    assert v["total_return"] == pytest.approx(0.00058)
    assert v["turnover"] == pytest.approx(41 / 1000 / (3 / 1440))


def test_a_sharpe_ratio_by_hand(tmp_path: Path) -> None:
    """Days of +2 % and -1 % in turn: mean .005, deviation .015 sqrt(60/59), no skew, kurtosis 1."""
    levels = 1000 * np.cumprod([1.02, 0.99] * 30)
    s = by_name(summarise(run_of(tmp_path, equity=rows_of([float(v) for v in levels], DAY_NS))))
    year, sharpe = 365.25, 0.005 / (0.015 * math.sqrt(60 / 59))
    assert (s["period_s"].value, s["periods"].value) == (86_400, 60)
    assert s["sharpe"].value == pytest.approx(sharpe * math.sqrt(year), rel=1e-6)
    error = math.sqrt(1 / 59 * year)
    assert s["sharpe"].low == pytest.approx(sharpe * math.sqrt(year) - 1.959964 * error, rel=1e-6)
    assert s["volatility"].value == pytest.approx(0.015 * math.sqrt(60 / 59 * year), rel=1e-6)
    assert s["sortino"].value == pytest.approx(
        0.005 / math.sqrt(0.5e-4) * math.sqrt(year), rel=1e-6
    )
    assert s["kurtosis"].value == pytest.approx(1, abs=1e-4)
    assert s["annual_return"].value == pytest.approx((1.02 * 0.99) ** (year / 2) - 1, rel=1e-6)
    assert s["annual_return"].low < s["annual_return"].value < s["annual_return"].high
    assert s["psr"].value == s["dsr"].value == pytest.approx(0.995, abs=0.001)
    assert s["max_drawdown_share"].value == pytest.approx(0.01)
    assert not any(s[n].note for n in ("sharpe", "volatility", "sortino", "annual_return"))


# --- what is missing, and why --------------------------------------------------------------------


def test_an_empty_run_says_why_it_has_no_figures(tmp_path: Path) -> None:
    s = by_name(summarise(run_of(tmp_path)))
    assert list(s) == list(MEANINGS)
    missing = {name: f.note for name, f in s.items() if f.value is None}
    assert missing["sharpe"] == "0 minutes of returns are too few; 30 are needed"
    assert missing["win_rate"] == "no position was closed"
    assert missing["max_drawdown"] == "the run holds no sample of the account"
    assert missing["cost_bp"] == "nothing was traded"
    assert s["net_pnl"].value == s["cost_total"].value == s["round_trips"].value == 0


def test_a_run_that_never_traded_has_no_ratio(tmp_path: Path) -> None:
    s = by_name(summarise(run_of(tmp_path, equity=rows_of([1000] * 100))))
    assert s["sharpe"].value is s["volatility"].value is s["dsr"].value is None
    assert s["sharpe"].note == "the equity never moved"
    assert s["total_return"].value == 0 and s["exposure"].value == 0


def test_six_hours_say_nothing_of_a_year(tmp_path: Path) -> None:
    r = np.random.default_rng(5)
    levels = 1000 * np.cumprod(1 + r.normal(1e-5, 1e-4, 360))
    s = by_name(summarise(run_of(tmp_path, equity=rows_of([float(v) for v in levels]))))
    assert s["annual_return"].value is None
    assert s["annual_return"].note == "0.25 days do not say what a year brings; 30 days are needed"
    assert s["sharpe"].low < s["sharpe"].value < s["sharpe"].high
    assert s["sharpe"].high - s["sharpe"].low > 100
    assert s["sharpe"].note.startswith("from 360 minutes, stretched to a year")


def test_a_loser_has_no_track_record_and_one_side_has_no_factor(tmp_path: Path) -> None:
    levels = [1000 - 0.01 * k - 0.005 * (k % 2) for k in range(60)]
    trips = [trip(k, -1, k, 1) for k in range(12)]
    s = by_name(summarise(run_of(tmp_path, equity=rows_of(levels), position=trips)))
    assert s["min_track_days"].note.startswith("the Sharpe ratio is not above 0")
    assert s["profit_factor"].note == s["average_win"].note == "no round trip gained"
    assert (s["win_rate"].value, s["win_rate"].low) == (0, 0) and s["win_rate"].high > 0.2


def test_few_round_trips_have_no_interval_of_the_profit_factor(tmp_path: Path) -> None:
    trips = [trip(k, 1 if k % 2 else -1, k, 1) for k in range(9)]
    s = by_name(summarise(run_of(tmp_path, position=trips)))["profit_factor"]
    assert s.value == pytest.approx(4 / 5) and s.low is s.high is None
    assert s.note == "from 9 round trips: too few for an interval"


def test_an_old_run_without_touches_has_fees_but_no_other_costs(tmp_path: Path) -> None:
    fill = {"ts_ns": T, "order_id": 1, "side": 1, "price": 100, "qty": 10, "fee": CENT}
    make_run(tmp_path, "old", {"fill": [fill], "order": [{"ts_ns": T, "id": 1}]}, schema=1)
    s = by_name(summarise(find_run(tmp_path, "old")))
    assert s["cost_fees"].value == 0.01
    assert s["cost_spread"].value is s["gross_at_mid"].value is None
    assert "before they were recorded" in s["cost_spread"].note


def test_fills_without_a_touch_are_counted(tmp_path: Path) -> None:
    fill = {"ts_ns": T, "side": 1, "price": 101, "qty": 1000, "bid": 99, "ask": 101}
    run = run_of(
        tmp_path,
        order=[{"ts_ns": T, "id": 1, "bid": 99, "ask": 101}, {"ts_ns": T, "id": 2}],
        fill=[{**fill, "order_id": 1}, {**fill, "order_id": 2}],
    )
    s = by_name(summarise(run))["cost_spread"]
    assert s.value == pytest.approx(0.1)
    assert s.note == "1 of 2 fills had no known touch and count 0"


def test_a_missing_or_damaged_table_is_named(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    run.file("fills").write_bytes(b"PAR1 no more")
    with pytest.raises(CorruptFileError, match="cannot be read") as error:
        summarise(run)
    assert error.value.where == str(run.file("fills"))
    run.file("fills").unlink()
    with pytest.raises(DataError, match="missing"):
        summarise(run)


money = st.integers(-(10**6), 10**6).map(lambda v: v / 100)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(st.floats(-2000, 3000), max_size=70),
    st.lists(st.tuples(money, st.integers(0, 5000), st.integers(0, 900)), max_size=15),
    st.randoms(use_true_random=False),
)
def test_every_figure_is_finite_or_says_why_and_rows_may_come_in_any_order(
    tmp_path_factory: pytest.TempPathFactory, levels, trips, random
) -> None:
    folder = tmp_path_factory.mktemp("runs")
    rows = [trip(k, *t) for k, t in enumerate(trips)]
    shuffled = random.sample(rows, len(rows))
    a = summarise(run_of(folder, "a", equity=rows_of(levels), position=rows))
    b = summarise(run_of(folder, "b", equity=rows_of(levels), position=shuffled))
    for one, two in zip(a, b, strict=True):
        assert (one.name, one.note, one.unit) == (two.name, two.note, two.unit)
        for x, y in zip(
            (one.value, one.low, one.high), (two.value, two.low, two.high), strict=True
        ):
            assert x == pytest.approx(y)
            assert x is None or math.isfinite(x)
        if one.value is None:
            assert one.note and one.low is one.high is None
        if one.low is not None:
            assert one.low <= one.value <= one.high


# --- trials --------------------------------------------------------------------------------------


def test_more_trials_deflate_and_a_given_number_is_asked_anew(tmp_path: Path) -> None:
    levels = [float(v) for v in 1000 * np.cumprod([1.02, 0.99] * 30)]
    run = run_of(tmp_path, equity=rows_of(levels, DAY_NS))
    write_statistics(run.folder, summarise(run))
    one, many = by_name(statistics_of(run)), by_name(statistics_of(run, trials=50))
    assert (one["trials"].value, many["trials"].value) == (1, 50)
    assert one["trials"].note == "counted among the runs in the folder of this run"
    assert many["trials"].note == "as given"
    assert many["psr"].value == one["psr"].value == one["dsr"].value > many["dsr"].value
    assert many["sharpe_luck"].value == pytest.approx(2.2763 * math.sqrt(365.25 / 59), rel=1e-4)


def test_trials_made_since_are_told_but_do_not_change_what_is_on_file(tmp_path: Path) -> None:
    run = run_of(tmp_path, equity=rows_of([1000.0, 1001.0] * 30))
    write_statistics(run.folder, summarise(run))
    for k in range(3):
        make_run(tmp_path, f"other{k}", params={"window_s": k}, to="2025-01-01")
    found = statistics_of(run)
    late = "of the time of the run; 4 trials were made by now, --trials 4 counts them"
    assert {s.name for s in found if s.note == late} == {"trials", "sharpe_luck", "dsr"}
    assert [s.value for s in found] == [s.value for s in read_statistics(run) or []]
    assert by_name(statistics_of(run, trials=4))["trials"].value == 4


# --- where they are kept -------------------------------------------------------------------------


def test_the_file_holds_what_was_computed(tmp_path: Path) -> None:
    run = run_of(tmp_path, equity=rows_of([1000, 1010, 990]), position=[trip(1, 3, 0, 10)])
    assert read_statistics(run) is None
    figures = summarise(run)
    write_statistics(run.folder, figures)
    assert read_statistics(run) == figures == statistics_of(run)
    schema = pq.read_schema(run.file("statistics"))
    assert schema.names == [name for name, _, _ in STATISTIC_COLUMNS]


def test_facts_are_the_figures_by_name_with_the_run(tmp_path: Path) -> None:
    run = run_of(tmp_path, position=[trip(1, 3, 0, 10)])
    found = facts(run)
    assert (found["schema"], found["run"], found["symbol"]) == (1, "one", "BTCUSDT")
    assert list(found["statistics"]) == list(MEANINGS)
    assert found["statistics"]["net_pnl"]["unit"] == "USDT"
    assert set(found["statistics"]["sharpe"]) == {"value", "low", "high", "unit", "note", "doc"}


def test_a_damaged_file_of_statistics_is_named(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    run.file("statistics").write_bytes(b"no parquet")
    with pytest.raises(CorruptFileError) as error:
        statistics_of(run)
    assert error.value.where == str(run.file("statistics"))


def test_the_view_has_every_run_that_has_a_file(tmp_path: Path) -> None:
    first, _ = run_of(tmp_path, "first"), run_of(tmp_path, "without")
    write_statistics(first.folder, summarise(first))
    with Database(None, tmp_path) as database:
        (rows,) = (
            batch.to_pylist()
            for batch in database.ask("SELECT * FROM statistics ORDER BY name")
            if batch.num_rows
        )
    assert {row["run"] for row in rows} == {"first"}
    assert {row["name"]: row["value"] for row in rows} == values(first)
    assert {row["symbol"] for row in rows} == {"BTCUSDT"}


def test_a_damaged_file_fails_its_own_question_alone(tmp_path: Path) -> None:
    run = run_of(tmp_path, fill=[{"ts_ns": T, "id": 1}])
    run.file("statistics").write_bytes(b"no parquet")
    with Database(None, tmp_path) as database:
        assert sum(b.num_rows for b in database.ask("SELECT * FROM fills")) == 1
        with pytest.raises(CorruptFileError):
            list(database.ask("SELECT * FROM statistics"))


def test_the_manifest_repeats_the_headline(tmp_path: Path) -> None:
    run = run_of(tmp_path, equity=rows_of([1000.0, 1001.0] * 30), position=[trip(1, 3, 0, 10)])
    figures = summarise(run)
    s = by_name(figures)
    made = make_run(tmp_path, "two", statistics=headline(figures))
    row = flat(find_run(tmp_path, made.name))
    assert (row["sharpe"], row["sharpe_low"]) == (s["sharpe"].value, s["sharpe"].low)
    assert row["win_rate"] == 1 and row["profit_factor"] is None
