"""The short form of the bench: three seeds of short markets, and what must hold of its rows."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from data.events import Kind
from data.log import LogStore
from data.sources.importer import import_paths
from engine.measure import bench
from engine.measure.detectors import FLIP, PLANTED, SEED_SETTINGS, WITH_SEED, refused, without_truth
from engine.measure.listen import SOURCES, Listener, merged, through
from engine.measure.markets import BASE, GENERATORS, PLAIN, VARIATIONS, WARM_S, flow_market
from engine.measure.recordings import listen_all
from strategies.watch import STRATEGY
from strategies.watch_proxy import STRATEGY as PROXY
from tests.shared import shared_data

HOURS = 9
LISTENER = Listener(STRATEGY, PROXY)
SHORT = bench.Request(seeds=3, generators=("flow",), sources=("flag",), sweep=False, hours=HOURS)
Rows = dict[tuple[str, str], dict[str, Any]]


@cache
def short() -> Rows:
    return {(r["detector"], r["mode"]): r for r in bench.measure(LISTENER, SHORT)}


def test_a_row_for_every_detector_and_mode() -> None:
    want = {(d.name, m) for d in PLANTED for m in d.modes} | {(FLIP, m) for m in SHORT.modes}
    for name in without_truth(STRATEGY.detectors):
        want |= {(name, m) for m in SHORT.modes if m == "standard" or name in WITH_SEED}
    assert set(short()) == want
    assert {r["seeds"] for r in short().values()} == {3}


def test_a_figure_lies_in_its_interval() -> None:
    for row in short().values():
        for name in ("precision", "recall", "auc", "false_alarm_rate", "direction_accuracy"):
            if row[name] is not None:
                assert 0.0 <= row[f"{name}_low"] <= row[name] + 1e-9
                assert row[name] - 1e-9 <= row[f"{name}_high"] <= 1.0


@pytest.mark.parametrize("name", ["delta_divergence", "absorption"])
def test_the_standard_form_finds_what_is_planted(name: str) -> None:
    """On few patterns, so with room: precision .8, recall .4, nearly no alarms on nulls."""
    row = short()[name, "standard"]
    assert row["base_rate"] == pytest.approx(0.05, abs=0.02)
    assert row["precision"] >= 0.8 and row["recall"] >= 0.4
    assert row["direction_accuracy"] >= 0.95
    assert row["false_alarm_rate"] <= 0.04
    assert row["auc"] > 0.85


def test_the_seeds_forms_do_no_better_than_chance() -> None:
    """Reference 6.2: AUC .47 to .68. The divergence of deltas fires always, absorption never."""
    delta = short()["delta_divergence", "seed"]
    assert delta["false_alarm_rate"] > 0.95 and delta["precision"] < 0.05
    assert short()["absorption", "seed"]["recall"] == 0.0
    cvd = short()["cvd_divergence", "seed"]
    assert cvd["false_alarm_rate"] > 0.2 and cvd["precision"] < 0.3


def test_a_flip_is_found_and_the_cusum_leaves_a_flow_that_goes_on_alone() -> None:
    assert short()[FLIP, "standard"]["false_alarm_rate"] <= short()[FLIP, "seed"][
        "false_alarm_rate"]  # fmt: skip
    assert short()[FLIP, "standard"]["recall"] > 0.3


def test_the_same_job_gives_the_same_pieces() -> None:
    job = bench.Job("flow", "delta_divergence", BASE, 2)
    one, two = (bench.run(LISTENER, SHORT, job) for _ in range(2))
    assert bench.rows(one) == bench.rows(two)
    for a, b in zip(one, two, strict=True):
        assert a.key == b.key and a.open_null.tobytes() == b.open_null.tobytes()


def test_bars_may_not_claim_what_they_cannot_know() -> None:
    request = bench.Request(seeds=1, generators=("flow",), sources=("bar_proxy",), hours=HOURS)
    for kind in ("delta_divergence", "flow_flip", PLAIN):
        for row in bench.rows(bench.run(LISTENER, request, bench.Job("flow", kind, BASE, 1))):
            assert row["refused"] == refused(row["detector"], "bar_proxy"), row["detector"]
            if row["refused"]:
                assert row["events"] == 0
    assert refused("absorption", "bar_proxy") and refused(FLIP, "bar_proxy")
    assert refused("prints", "bar_proxy") and not refused("cvd_trend", "bar_proxy")
    assert not any(refused(d.name, "tick_rule") for d in PLANTED)


def test_thresholds_come_from_the_other_generator() -> None:
    pieces = [
        p
        for generator in GENERATORS
        for p in bench.run(LISTENER, SHORT, bench.Job(generator, "delta_divergence", BASE, 1))
    ]
    rows = {(r["generator"], r["mode"]): r for r in bench.rows(pieces)}
    for own, other in (("flow", "agents"), ("agents", "flow")):
        mine = [p for p in pieces if p.key[3] == other and p.key[1] == "standard"]
        limit = bench.threshold(mine)
        assert limit is not None
        assert rows[own, "standard"]["calibrated_threshold"] == round(limit, 3)
        assert rows[own, "seed"]["calibrated_threshold"] is None
    assert rows["flow", "standard"]["calibrated_threshold"] != (
        rows["agents", "standard"]["calibrated_threshold"])  # fmt: skip


def test_every_market_and_its_twin_share_their_times() -> None:
    for generator, make in GENERATORS.items():
        one, two = (make("absorption", 1, BASE, null, HOURS) for null in (False, True))
        assert (one.generator, one.twin, two.twin) == (generator, False, True)
        assert [x.start_ns for x in one.labels] == [x.start_ns for x in two.labels]
        assert one.labels and one.labels[0].start_ns >= one.start_ns
        assert one.end_ns - one.start_ns == (HOURS * 3_600 - WARM_S) * 10**9
        assert Kind.DEPTH in one.columns and Kind.BAR in one.columns
    assert Kind.DEPTH not in flow_market("cvd_divergence", 1, BASE, False, HOURS).columns


def test_the_sweep_varies_both_generators() -> None:
    assert len({v.name for v in VARIATIONS}) == len(VARIATIONS) == 8
    assert all(v.flow and v.agents for v in VARIATIONS)
    request = bench.Request(seeds=20)
    names = [j.variation.name for j in bench.jobs(request)]
    assert names.count("base") == 20 * 6 * 2
    assert request.jobs == len(names) == 240 + 8 * bench.SWEEP_SEEDS * 5 * 2


def test_kinds_are_merged_by_time() -> None:
    m = flow_market("absorption", 1, BASE, False, HOURS)
    for source in SOURCES:
        seen = through(m.columns, source)
        kind, stop = merged(seen, (Kind.BAR, Kind.TRADE, Kind.DEPTH))
        at = dict.fromkeys(seen, 0)
        last = 0
        for k, s in zip(kind, stop, strict=True):
            ts = seen[Kind(int(k))]["ts_ns"][at[Kind(int(k))] : s]
            assert len(ts) and last <= ts[0]
            last, at[Kind(int(k))] = int(ts[-1]), int(s)
        assert at == {k: len(c["ts_ns"]) for k, c in seen.items()}


def test_the_tick_rule_sees_no_flag_and_flags_stay_as_they_are() -> None:
    m = flow_market("cvd_divergence", 1, BASE, False, HOURS)
    before = m.columns[Kind.TRADE]["side"].copy()
    assert not through(m.columns, "tick_rule")[Kind.TRADE]["side"].any()
    np.testing.assert_array_equal(m.columns[Kind.TRADE]["side"], before)
    a, b = (LISTENER.listen(m.columns, m.scales, {}, s) for s in ("flag", "tick_rule"))
    assert a.signals.tobytes() != b.signals.tobytes()


def test_recordings_have_rows_without_truth(tmp_path: Any) -> None:
    """Twelve hours of LTCUSDT trades: how often each detector spoke, in both modes."""
    files = sorted(shared_data("binance-spot").glob("LTCUSDT_2025-06-21_*h_trades.csv"))
    store = LogStore(tmp_path / "log", create=True)
    import_paths(store, files)
    rows = listen_all(store, LISTENER, ("seed", "standard"), ("flag", "tick_rule"))
    assert {r["generator"] for r in rows} == {"recording:binance-spot/LTCUSDT"}
    by = {(r["detector"], r["mode"], r["side_source"]): r for r in rows}
    assert by["delta_divergence", "seed", "flag"]["events_per_hour"] > 1
    assert all(r["precision"] is None and 11 < r["hours"] < 12 for r in rows)
    settings = {r["mode"] for r in rows}
    assert settings == {"seed", "standard"} and SEED_SETTINGS
    assert set(bench.NOTHING) <= set(rows[0])
