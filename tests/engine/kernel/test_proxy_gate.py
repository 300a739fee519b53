"""What a source cannot know is not said: the table, its completeness, and end to end."""

from __future__ import annotations

import numpy as np
import pytest

from data.events import Kind
from engine.kernel.handlers_detectors import DETECTORS
from engine.kernel.proxy_gate import (
    ABSORPTION,
    CLAIM_NAMES,
    CLAIMS,
    DIVERGENCE,
    FLIP,
    GATED,
    ROWS,
    SOURCE_NAMES,
    SOURCES,
    TREND,
    ZONED,
    may_signal,
    side_conf,
    source_quality,
)
from engine.kernel.signals import SIGNAL_STATE
from engine.kernel.zones import ZONES_STATE
from engine.runtime import compose_proxy
from engine.runtime.compose import compose
from strategies.watch_proxy import DETECTORS as NAMES
from strategies.watch_proxy import STRATEGY
from tests.engine.driving import Result, fold_events, whole
from tests.engine.tapes import MINUTE, START, Author, Event, S
from tests.engine.tapes_proxy import bars, quotes

SPOKEN = {"impact.length": "30", "impact.warm": "10", "proxy.warm": "20", "tape.least": "1",
          "diagonal.stack": "1", "absorption.flow_z": "0.2", "absorption.shortfall": "0.1",
          "absorption.least": "-9", "absorption.most": "9", "delta_divergence.z_alpha": "0.3",
          "delta_divergence.price_z": "0", "cvd_divergence.z_alpha": "0.1",
          "cvd_divergence.price_z": "0", "proxy.memory": "10m"}  # fmt: skip
"""Settings with which every detector is quick to speak where it may."""


def claims(source: str) -> set[str]:
    number = SOURCE_NAMES.index(source)
    return {CLAIM_NAMES[w] for w in range(CLAIMS) if may_signal(number, w)}


def test_the_table_is_the_ladder_of_the_reference() -> None:
    every = set(CLAIM_NAMES)
    assert claims("flag") == claims("quote_rule") == claims("tick_rule") == every
    assert claims("bvc_1s") == every - {"absorption", "rows", "prints"}
    for source in ("bvc_5s", "bvc_15s", "bvc_bar"):
        assert claims(source) == {"price", "book", "trend"}
    assert claims("none") == {"price", "book"}
    for what in (DIVERGENCE, FLIP, ABSORPTION, ROWS):
        assert not may_signal(SOURCE_NAMES.index("bvc_bar"), what)
    assert may_signal(SOURCE_NAMES.index("bvc_bar"), TREND)


def test_who_knows_less_is_trusted_less() -> None:
    conf = [int(side_conf(x)) for x in range(1, SOURCES)]
    assert conf == sorted(conf, reverse=True) and conf[0] == 10**9 and conf[-1] == 0
    quality = [int(source_quality(x)) for x in range(1, SOURCES)]
    assert quality == sorted(quality, reverse=True)
    assert int(source_quality(0)) == 0


@pytest.mark.parametrize("h", DETECTORS, ids=lambda h: h.name)
def test_every_signal_of_a_detector_is_in_the_table(h: object) -> None:
    """A detector that is added must say what it claims, or it would speak where it may not."""
    state = h.state  # type: ignore[attr-defined]
    name = h.name  # type: ignore[attr-defined]
    have = {f for f in state.names if state[f] == SIGNAL_STATE}
    assert have == {field for field, _ in GATED.get(name, ())}
    assert ("zones" in state.names and state["zones"] == ZONES_STATE) == (name in ZONED)


def test_the_gate_follows_the_detectors_of_the_fold() -> None:
    lines = "\n".join(compose_proxy.gate(compose(STRATEGY).handlers))
    assert "signal_unready(s.absorption.signal)" in lines
    assert "gate_zones(s.diagonal.zones)" in lines
    assert "s.auction" not in lines and "s.vwap_deviation" not in lines


def quoted(minutes: int = 100) -> list[Event]:
    a = Author(11)
    quotes(a, 60 * minutes, 4, 12)
    a.now = (a.now // (5 * S) + 1) * 5 * S
    a.add(Kind.CLOCK)
    return a.events


def barred(minutes: int = 240) -> list[Event]:
    a = Author(12)
    bars(a, minutes)
    for e in a.events:
        e["trades"] = 60 + e["trades"]
        a.now = e["ts_ns"]
    return a.events


def said(run: Result, since_ns: int = 0) -> set[str]:
    rows = run.sink.rows("signal")
    return {NAMES[x] for x in rows["detector"][rows["ts_ns"] >= since_ns].tolist()}


@pytest.fixture(scope="module")
def runs() -> dict[str, Result]:
    c, open_ = whole(STRATEGY), {**SPOKEN, "proxy.gate": "false"}
    by_quote, by_bar = quoted(), barred()
    return {
        "quotes": fold_events(c, by_quote, SPOKEN),
        "quotes open": fold_events(c, by_quote, open_),
        "coarse": fold_events(c, by_quote, {**SPOKEN, "proxy.horizon": "15s"}),
        "bars": fold_events(c, by_bar, SPOKEN),
        "bars open": fold_events(c, by_bar, open_),
    }


def test_one_second_of_quotes_may_diverge_but_not_absorb(runs: dict[str, Result]) -> None:
    mute = {"absorption", "diagonal", "tape", "prints"}
    assert said(runs["quotes open"]) >= {"absorption", "diagonal"}, "they would speak"
    assert not said(runs["quotes"]) & mute
    assert {"delta_divergence", "cvd_divergence", "cvd_trend", "vwap_deviation"} <= said(
        runs["quotes"]
    )


def test_coarse_quotes_and_bars_may_only_tell_the_trend(runs: dict[str, Result]) -> None:
    free = {"cvd_trend", "vwap_deviation", "proxy_metrics"}
    assert said(runs["bars open"]) >= {"delta_divergence"}, "they would speak"
    for name in ("coarse", "bars"):
        assert said(runs[name]) <= free
        assert "cvd_trend" in said(runs[name])


def test_silence_reaches_the_state_and_the_zones(runs: dict[str, Result]) -> None:
    shut, open_ = runs["quotes"].fold.state, runs["quotes open"].fold.state
    for name in ("absorption", "diagonal"):
        assert int(shut[name]["signal"]["ready"][0]) == 0
        assert int(shut[name]["zones"]["n"][0]) == 0
        assert int(open_[name]["zones"]["added"][0]) > 0
    assert int(shut["proxy"]["side_source"][0]) == SOURCE_NAMES.index("bvc_1s")
    assert int(runs["bars"].fold.state["proxy"]["data_quality"][0]) == 1, "limited"


def test_real_trades_open_the_gate_when_the_memory_is_over() -> None:
    events = quoted(12)
    a = Author(4)
    a.now = events[-1]["ts_ns"]
    for n in range(60 * 40):
        a.now += S // 2
        a.trade(side=1 if (n // 90) % 2 else -1, qty=a.r.randint(1, 90))
    run = fold_events(whole(STRATEGY), [*events, *a.events], SPOKEN)
    turn = events[-1]["ts_ns"]
    rows = run.sink.rows("signal")
    early = rows[rows["ts_ns"] < turn + 10 * MINUTE]
    assert not {NAMES[x] for x in early["detector"].tolist()} & {"absorption", "diagonal"}
    assert said(run, turn + 10 * MINUTE) & {"absorption", "diagonal", "prints", "tape"}
    assert int(run.fold.state["proxy"]["data_quality"][0]) >= 2
    assert a.events[0]["kind"] == Kind.TRADE and a.events[0]["ts_ns"] > START


def test_quality_falls_with_the_minutes_that_are_missing() -> None:
    a = Author(6)
    seen: list[int] = []
    for share in (60, 40, 10):
        events: list[Event] = []
        a.events = events
        a.now = START + (100 - share) * 60 * MINUTE
        for minute in range(60):
            if minute * share // 60 != (minute - 1) * share // 60 or not minute:
                quotes(a, 5)
            a.now = (a.now // MINUTE + 1) * MINUTE
        run = fold_events(whole(STRATEGY), events, {"proxy.window": "1h"})
        seen.append(int(run.fold.state["proxy"]["data_quality"][0]))
    assert seen == [2, 1, 0], "proxy, limited, unavailable"
    assert np.all(np.diff(seen) < 0)
