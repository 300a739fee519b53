"""Real quotes of OANDA from the zip to the table of signals, and the flow computed again."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from strategies.watch_proxy import DETECTORS, GATES
from tests.e2e.support import User, new_user
from tests.shared import shared_data

ZIPS = {
    "XAUUSD": "quotes/cfd/oanda/tick/xauusd/20140506_quote.zip",
    "EURUSD": "quotes/forex/oanda/tick/eurusd/20140506_quote.zip",
}
RANGE = ("--venue", "oanda", "--from", "2014-05-06", "--to", "2014-05-06T06:00")
FREE = {"vwap_deviation", "cvd_trend", "proxy_metrics"}
MUTE = {"absorption", "diagonal", "tape", "prints"}


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> User:
    made = new_user(tmp_path_factory.mktemp("watch_proxy"))
    for path in ZIPS.values():
        assert made.ofs("import", shared_data(path)).code == 0
    return made


def watch(user: User, symbol: str, *more: str) -> dict[str, Any]:
    done = user.ofs("backtest", "--strategy", "watch_proxy", "--symbol", symbol, *RANGE, *more,
                    "--json")  # fmt: skip
    assert done.code == 0, done.err
    assert "bars stand for the flow" in done.err
    facts: dict[str, Any] = done.json()
    return facts


@pytest.fixture(scope="module")
def runs(user: User) -> dict[str, dict[str, Any]]:
    # six quiet hours: at the default surprise a divergence may well not come
    eager = ("--set", "delta_divergence.z_alpha=1.645")
    return {symbol: watch(user, symbol, *eager) for symbol in ZIPS}


def spoke(user: User, run: str) -> set[str]:
    rows = user.sql(f"SELECT DISTINCT detector AS d FROM signals WHERE run = '{run}'")
    return {DETECTORS[int(row["d"])] for row in rows}


def bulk_cvd(quotes: list[dict[str, Any]], until_s: int) -> int:
    """CVD of one-second bulk volume classification in lots of a thousandth of an update."""
    seconds: dict[int, tuple[int, int]] = {}
    for q in quotes:
        n = seconds.get(q["second"], (0, 0))[0]
        seconds[q["second"]] = (n + 1, q["mid2"])
    cvd, n, volume, squares = 0, 0, 0.0, 0.0
    base: tuple[int, int] | None = None
    for second in sorted(seconds):
        if second >= until_s:
            break
        count, mid2 = seconds[second]
        v = 1000 * count
        known = base is not None and second - base[0] <= 300
        change = mid2 - base[1] if known and base else 0
        if change and n >= 60 and squares:
            tail = round(0.5 * math.erfc(abs(change) / math.sqrt(squares / volume) / math.sqrt(2))
                         * 1e9)  # fmt: skip
            less = v * tail // 10**9
            cvd += (v - 2 * less) * (1 if change > 0 else -1)
        if known:
            n += 1
            weight = 1 / min(n, 3600)
            volume += weight * (v - volume)
            squares += weight * (v * change * change - squares)
        base = (second, mid2)
    return cvd


@pytest.mark.parametrize("symbol", ZIPS)
def test_cvd_is_what_the_quotes_give(user: User, runs: dict[str, Any], symbol: str) -> None:
    run = runs[symbol]["run"]
    last = user.sql(
        "SELECT epoch_ns(time) // 1000000000 AS second, cvd FROM decisions"
        f" WHERE run = '{run}' ORDER BY time DESC LIMIT 1"
    )[0]
    scale = 10 ** int(
        json.loads((user.runs / run / "manifest.json").read_text(encoding="utf-8"))["qty_scale"]
    )
    quotes = user.sql(
        "SELECT epoch_ns(time) // 1000000000 AS second,"
        " CAST(round((bid + ask) * 100000) AS BIGINT) AS mid2 FROM quotes"
        f" WHERE symbol = '{symbol}' AND time < '2014-05-06T06:00' ORDER BY time, id"
    )
    want = bulk_cvd(quotes, int(last["second"]))
    assert abs(want) > 10_000
    assert float(last["cvd"]) * scale == pytest.approx(want, abs=50)


@pytest.mark.parametrize("symbol", ZIPS)
def test_only_what_the_source_knows_is_said(user: User, runs: dict[str, Any], symbol: str) -> None:
    facts = runs[symbol]
    assert facts["trades"] == facts["orders"] == 0 and facts["quotes"] > 2_000
    assert facts["decisions"] in range(4_300, 4_321)
    said = spoke(user, facts["run"])
    assert said >= FREE
    assert not said & MUTE
    assert said & {"delta_divergence", "cvd_divergence"}
    gates = user.sql(
        f"SELECT gates, count(*) AS n FROM decisions WHERE run = '{facts['run']}' GROUP BY 1"
    )
    by_proxy = 1 << GATES.index("by_proxy")
    proxied = sum(row["n"] for row in gates if int(row["gates"]) & by_proxy)
    assert proxied > 0.95 * facts["decisions"]


def test_coarser_bars_say_less_and_an_open_gate_more(user: User, runs: dict[str, Any]) -> None:
    coarse = watch(user, "XAUUSD", "--set", "proxy.horizon=15s")
    assert spoke(user, coarse["run"]) == FREE
    open_ = watch(user, "XAUUSD", "--set", "proxy.gate=false")
    assert spoke(user, open_["run"]) & MUTE
    assert not spoke(user, runs["XAUUSD"]["run"]) & MUTE


def test_the_run_verifies(user: User, runs: dict[str, Any]) -> None:
    assert user.json("verify", runs["EURUSD"]["run"])["ok"]
