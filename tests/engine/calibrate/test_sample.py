"""A sample is what the detectors said in a fold, no more and no less."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from data.log import LogStore
from engine.calibrate.sample import SAMPLER, features_hash, look_back_ns, take_sample
from engine.kernel.confluence import SOURCES
from engine.runtime.compose import compose
from engine.runtime.parameters import settle
from engine.runtime.replay import Request
from engine.runtime.trial import fold
from strategies import get
from tests.cli import world

SETTINGS = {"impact.warm": "60"}
HOURS = 3_600 * 10**9


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    world.make_planted(folder)
    return folder / "planted"


def test_a_sample_is_what_watch_writes_down(log: Path) -> None:
    watch = get("watch")
    seen = fold(watch, log=log, settings=SETTINGS)
    made = take_sample(LogStore(log), Request(SAMPLER, "sampler", settings=SETTINGS))
    assert made.used == SOURCES and made.decisions == len(seen.decisions)
    names = ["sweep" if n == "liquidity_sweep" else n for n in SOURCES]
    for i, name in enumerate(names):
        rows = seen.signals[seen.signals["detector"] == watch.detectors.index(name)]
        said = dict(zip(rows["ts_ns"].tolist(), (rows["direction"] * rows["strength_fp9"] / 1e9),
                        strict=True))  # fmt: skip
        assert made.spoke[i] == len(said)
        want = [said.get(t, 0.0) for t in made.ts_ns.tolist()]
        assert made.scores[:, i].tolist() == want, name
    assert (made.scores != 0).any(axis=1).all()
    at = np.searchsorted(seen.decisions["ts_ns"], made.ts_ns)
    assert made.price.tolist() == seen.decisions["price"][at].tolist()
    assert (made.atr > 0).all() and (made.spread > 0).mean() > 0.9
    assert made.ts_ns.min() >= seen.from_ns + HOURS, "nobody speaks before all are warm"


def test_a_later_event_changes_no_earlier_sample(log: Path) -> None:
    whole = take_sample(LogStore(log), Request(SAMPLER, "sampler", settings=SETTINGS))
    cut_ns = int(whole.ts_ns[len(whole.ts_ns) // 2])
    short = take_sample(LogStore(log), Request(SAMPLER, "sampler", to_ns=cut_ns, settings=SETTINGS))
    n = len(short.ts_ns)
    assert n > 200 and short.ts_ns.tolist() == whole.ts_ns[:n].tolist()
    assert np.array_equal(short.scores, whole.scores[:n])
    assert np.array_equal(short.atr, whole.atr[:n])


def test_sources_that_are_not_asked_for_are_silent(log: Path) -> None:
    made = take_sample(LogStore(log), Request(SAMPLER, "sampler"), ("pressure", "cvd_trend"))
    other = [i for i, n in enumerate(SOURCES) if n not in ("pressure", "cvd_trend")]
    assert made.used == ("pressure", "cvd_trend")
    assert not made.scores[:, other].any() and made.ready[other].any()


def test_how_far_features_look_back() -> None:
    settings = settle(compose(SAMPLER), {})
    day = 86_400 * 10**9
    assert look_back_ns(settings) == day + 300 * 10**9
    settings["session.length"] = "1h"
    assert look_back_ns(settings) == (346 * 60 + 300) * 10**9
    settings["pressure.length"] = "9000"
    assert look_back_ns(settings) == (45_000 + 300) * 10**9


def test_the_hash_of_the_features_is_of_their_code() -> None:
    assert features_hash() == features_hash() and len(features_hash()) == 64
