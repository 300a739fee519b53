"""The classifier: golden vectors of the seed, what must hold of the signed form, calibration."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.errors import ConfigError
from data.events import Kind
from engine.classifier import WEIGHTS, classify, weigh
from engine.kernel.confluence import (
    CONFLUENCE_STATE,
    KNOTS_MAX,
    SOURCES,
    N,
    calibrated,
    confluence_boundary,
    confluence_pays,
    needed_probability,
)
from engine.kernel.signals import SIGNAL_STATE
from engine.kernel.windows import WINDOWS_STATE
from engine.runtime.parameters import build, settle, table
from tests.engine.driving import SCALES, fold_events, probe
from tests.engine.kernel.test_handlers import follow, market_of
from tests.engine.tapes import Event, market, mirrored

ONE = 10**9
FIVE = SOURCES[:5]
Heard = list[float | None]
"""s_i by source; None where it is not ready."""


def settled(**changes: str) -> Any:
    c = probe("confluence")
    given_ = {f"confluence.{k}": v for k, v in changes.items()}
    return build(c, settle(c, given_), SCALES)["confluence"]


STANDARD, SEED = settled(), settled(mode="seed")


def said(heard: Heard, p: Any = None, net: int = 0, before: Any = None) -> Any:
    """The classifier's record after the sources said ``heard`` (the rest is not ready)."""
    signals = np.zeros(N, SIGNAL_STATE)
    for g, x in zip(signals, heard, strict=False):
        if x is not None:
            g["ready"], g["direction"] = 1, (x > 0) - (x < 0)
            g["strength_fp9"] = round(abs(x) * ONE)
    windows = np.zeros(1, WINDOWS_STATE)
    windows["buy"][0, 3], windows["sell"][0, 3] = max(net, 0), max(-net, 0)
    s = np.zeros(1, CONFLUENCE_STATE) if before is None else before
    rows = [signals[k] for k in range(N)]
    confluence_boundary(s[0], (STANDARD if p is None else p)[0], windows[0], ONE, *rows)
    return s[0]


def padded(heard: Heard) -> Heard:
    """The last three, which weigh nothing, ready and silent."""
    return [*heard, *[0.0] * (N - len(heard))]


# the seed's golden vectors


def test_the_example_of_the_plan_is_86() -> None:
    signals = {"absorption": True, "delta_divergence": 0.8, "liquidity_sweep": True,
               "cvd_divergence": {"strength": 0.6, "direction": -1}, "vwap_deviation": 0.7,
               }  # fmt: skip
    found = classify(signals)
    assert found["probability"] == pytest.approx(86.0, abs=1e-9)
    assert found["total_score"] == pytest.approx(0.86)
    assert found["pattern_type"] == "absorption" and found["meets_threshold"]
    assert found["threshold"] == 75.0
    assert list(found["signal_scores"]) == list(FIVE)
    assert list(found["signal_scores"].values()) == pytest.approx([0.3, 0.2, 0.2, 0.09, 0.07])
    assert set(found) == {"probability", "pattern_type", "signal_scores", "total_score",
                          "meets_threshold", "threshold"}  # fmt: skip
    assert int(said(padded([1.0, 0.8, 1.0, -0.6, 0.7]), SEED)["score_fp9"]) == 86 * ONE


@pytest.mark.parametrize("names", [(0, 1, 2), (0, 2, 3, 4)])
def test_what_adds_up_to_75_passes(names: tuple[int, ...]) -> None:
    found = classify({FIVE[k]: True for k in names})
    assert found["probability"] == 75.0 and found["meets_threshold"]
    s = said([1.0 if k in names else 0.0 for k in range(N)], SEED)
    assert (int(s["score_fp9"]), int(s["meets"])) == (75 * ONE, 1)


def test_six_of_32_pass_and_none_without_absorption() -> None:
    passed = []
    for bits in itertools.product((False, True), repeat=5):
        found = classify(dict(zip(FIVE, bits, strict=True)))
        s = said(padded([float(b) for b in bits]), SEED)
        assert int(s["meets"]) == found["meets_threshold"]
        assert int(s["score_fp9"]) == round(found["probability"] * ONE)
        passed += [bits] * found["meets_threshold"]
    assert len(passed) == 6
    assert all(bits[0] for bits in passed)
    assert classify(dict.fromkeys(FIVE[1:], True))["probability"] == pytest.approx(70.0)


def test_in_the_seed_bulls_and_bears_add_up_and_in_standard_they_do_not() -> None:
    heard: Heard = padded([1.0, 0.8, 1.0, -0.9, 0.0])
    s = said(heard, SEED)
    assert (int(s["score_fp9"]), int(s["meets"]), int(s["against_fp9"])) == (83_500_000_000, 1, 0)
    s = said(heard)
    assert (int(s["side"]), int(s["score_fp9"]), int(s["meets"])) == (1, 565_000_000, 0)
    s = said([-1.0, *heard[1:]])
    assert (int(s["side"]), int(s["score_fp9"])) == (-1, 35_000_000)


@pytest.mark.parametrize(
    ("signal", "score"),
    [
        (True, 0.3), (False, 0.0), (np.True_, 0.3), (0.5, 0.15), (7, 0.3), (-2.0, 0.0),
        (np.float32(0.5), 0.15), ({"strength": 0.5}, 0.15), ({"strength": 9, "direction": -1}, 0.3),
        ({"direction": 1}, 0.0), ({"strength": "0.5"}, 0.0), ("yes", 0.0), (None, 0.0), ([1], 0.0),
    ],
)  # fmt: skip
def test_whatever_a_signal_is(signal: Any, score: float) -> None:
    found = classify({"absorption": signal})
    assert found["total_score"] == pytest.approx(score)
    assert found["pattern_type"] == ("absorption" if score else "unknown")


def test_given_weights_replace_the_five_whole() -> None:
    found = classify({"absorption": True, "tape": 0.5}, weights={"tape": 1.6}, threshold=0.8)
    assert found["signal_scores"] == {"tape": 0.8} and found["pattern_type"] == "tape"
    assert (found["probability"], found["meets_threshold"], found["threshold"]) == (
        80.0,
        True,
        80.0,
    )
    assert classify({"tape": True}, weights={"tape": 1.6})["probability"] == 100.0, "at most 100"
    assert classify({}, weights={})["pattern_type"] == "unknown"


def test_the_first_of_equals_is_the_pattern() -> None:
    assert classify({"liquidity_sweep": 0.5, "vwap_deviation": True})["pattern_type"] == FIVE[2]
    assert int(said(padded([0.0, 0.0, -0.5, 0.0, 1.0]), SEED)["dominant"]) == 2
    assert int(said(padded([0.0] * 5), SEED)["dominant"]) == -1


def test_nan_passes_through_the_seed_and_is_missing_from_the_signed_form() -> None:
    found = classify({"absorption": math.nan, "liquidity_sweep": True})
    assert math.isnan(found["probability"]) and not found["meets_threshold"]
    signed = weigh({"absorption": math.nan, "delta_divergence": 1.0, "liquidity_sweep": 1.0,
                    "cvd_divergence": {"direction": 1, "strength": math.nan},
                    "vwap_deviation": 1.0}, coverage=0.5)  # fmt: skip
    assert signed["missing"] == ["absorption", "cvd_divergence"]
    assert signed["score"] == 1.0 and signed["coverage"] == pytest.approx(0.55)


def test_the_seed_has_the_side_of_the_flow_and_misses_nobody() -> None:
    for net in (-5, 0, 5):
        s = said([1.0, None, None, None, None], SEED, net)
        assert (int(s["side"]), int(s["score_fp9"])) == ((net > 0) - (net < 0), 30 * ONE)
        assert (int(s["signal"]["ready"]), int(s["coverage_fp9"])) == (1, 300_000_000)
        assert int(s["missing"]) == 0b11111110


# the signed form

share = st.floats(-1, 1).map(lambda x: round(x, 9))
heards = st.lists(st.one_of(share, share, st.none()), min_size=N, max_size=N)
EXAMPLES = settings(max_examples=300, deadline=None, derandomize=True)
WIDE = settled(**{f"weight_{name}": "0.2" for name in SOURCES}, coverage="0.5", gamma="0.6")
COUNTED = ("score_fp9", "for_fp9", "against_fp9", "coverage_fp9", "missing", "dominant", "meets",
           "logit_fp9", "fitted", "probability_fp9", "lower_fp9")  # fmt: skip


def flipped(heard: Heard) -> Heard:
    return [None if x is None else -x for x in heard]


@EXAMPLES
@given(heards, st.integers(-9, 9), st.booleans())
def test_a_mirror_turns_the_side_and_nothing_else(heard: Heard, net: int, seed: bool) -> None:
    p = SEED if seed else WIDE
    a, b = said(heard, p, net), said(flipped(heard), p, -net)
    assert int(a["side"]) == -int(b["side"])
    assert int(a["signal"]["direction"]) == -int(b["signal"]["direction"])
    assert [int(a[n]) for n in COUNTED] == [int(b[n]) for n in COUNTED]
    sign = 1 if seed else -1
    assert a["scores_fp9"].tolist() == (sign * b["scores_fp9"]).tolist()


def for_side(s: Any, side: int) -> int:
    """Score that counts for ``side``: none where the other leads."""
    return int(s["score_fp9"]) if int(s["side"]) == side else 0


@EXAMPLES
@given(heards, st.integers(0, N - 1), share, st.sampled_from([WIDE, STANDARD]))
def test_more_for_a_side_never_lowers_it_and_less_never_raises_it(
    heard: Heard, k: int, to: float, p: Any
) -> None:
    if heard[k] is None:
        return
    other = [*heard[:k], to, *heard[k + 1 :]]
    low, high = (heard, other) if to >= (heard[k] or 0) else (other, heard)
    a, b = said(low, p), said(high, p)
    assert for_side(a, 1) <= for_side(b, 1)
    assert for_side(a, -1) >= for_side(b, -1)


@EXAMPLES
@given(heards, st.booleans())
def test_the_kernel_says_what_the_plain_form_says(heard: Heard, seed: bool) -> None:
    signals = {name: x for name, x in zip(SOURCES, heard, strict=True) if x is not None}
    if seed:
        s, want = said(heard, SEED, 3), classify({k: abs(x) for k, x in signals.items()})
        assert abs(int(s["score_fp9"]) / ONE - want["probability"]) < 1e-6
        best = int(s["dominant"])
        assert (SOURCES[best] if best >= 0 else "unknown") == want["pattern_type"]
        return
    s, plain = said(heard), weigh(signals)
    assert int(s["signal"]["ready"]) == plain["ready"]
    assert int(s["coverage_fp9"]) == round(plain["coverage"] * ONE)
    if abs(plain["evidence_for"] - plain["evidence_against"]) < 1e-8:
        return
    assert int(s["side"]) == plain["side"]
    for field, name in (
        ("score", "score"),
        ("for", "evidence_for"),
        ("against", "evidence_against"),
    ):
        assert abs(int(s[f"{field}_fp9"]) / ONE - plain[name]) < 1e-8
    missing = [n for k, n in enumerate(SOURCES[:5]) if int(s["missing"]) >> k & 1]
    assert missing == plain["missing"]


def test_missing_is_not_zero() -> None:
    silent = said(padded([0.0, 1.0, 1.0, 1.0, 1.0]))
    missing = said(padded([None, 1.0, 1.0, 1.0, 1.0]))
    assert int(silent["score_fp9"]) == 700_000_000 and int(silent["meets"]) == 0
    assert int(missing["score_fp9"]) == ONE and int(missing["meets"]) == 1
    assert (int(missing["missing"]), int(missing["coverage_fp9"])) == (1, 700_000_000)


def test_it_abstains_below_the_coverage_and_forgets_what_it_said() -> None:
    s = np.zeros(1, CONFLUENCE_STATE)
    said(padded([1.0] * 5), before=s)
    assert (int(s["side"][0]), int(s["signal"]["fired"][0])) == (1, 1)
    said(padded([None, None, 1.0, 1.0, 1.0]), before=s)
    assert [int(s[n][0]) for n in ("side", "score_fp9", "meets", "for_fp9")] == [0] * 4
    assert int(s["coverage_fp9"][0]) == 450_000_000
    assert (int(s["signal"]["ready"][0]), int(s["signal"]["direction"][0])) == (0, 0)
    none = said([None] * N, settled(coverage="0"))
    assert (int(none["side"]), int(none["score_fp9"]), int(none["missing"])) == (0, 0, 255)


def test_equal_sides_have_none() -> None:
    s = said(padded([0.5, -0.6, 0.0, 0.0, 0.0]))
    assert [int(s[n]) for n in ("side", "score_fp9", "dominant", "meets")] == [0, 0, -1, 0]
    assert int(s["for_fp9"]) == int(s["against_fp9"]) == 150_000_000


# the model


def model(knots: list[tuple[float, float, float]], intercept: float = 0.0,
          **betas: float) -> Any:  # fmt: skip
    changes = {"fitted": "true", "intercept": str(intercept), "knots": str(len(knots))}
    changes |= {f"beta_{k}": str(v) for k, v in betas.items()}
    for n, row in enumerate(knots):
        changes |= {f"knot_{c}_{n}": str(v) for c, v in zip(("x", "p", "low"), row, strict=True)}
    return settled(**changes)


KNOTS = [(-2.0, 0.3, 0.2), (0.0, 0.5, 0.35), (1.0, 0.6, 0.55)]


def test_log_odds_and_both_probabilities_by_hand() -> None:
    p = model(KNOTS, -0.4, absorption=2.0, cvd_trend=-0.5)
    s = said([0.6, 0.2, 0.0, 0.0, 0.0, 0.0, 0.8, 0.0], p)
    assert (int(s["side"]), int(s["fitted"])) == (1, 1)
    assert int(s["logit_fp9"]) == 400_000_000
    assert int(s["probability_fp9"]) == 540_000_000
    assert int(s["lower_fp9"]) == 430_000_000
    turned = said([-0.6, -0.2, 0.0, 0.0, 0.0, 0.0, -0.8, 0.0], p)
    assert int(turned["side"]) == -1 and int(turned["logit_fp9"]) == 400_000_000


def test_without_a_model_there_is_no_probability() -> None:
    s = said(padded([1.0] * 5))
    assert int(s["score_fp9"]) == ONE
    assert [int(s[n]) for n in ("fitted", "probability_fp9", "lower_fp9")] == [0, 0, 0]
    assert not confluence_pays(s, np.int64(0))


def test_a_model_asks_for_its_own_sources_too() -> None:
    p = model(KNOTS, absorption=1.0, diagonal=1.0)
    assert int(said(padded([1.0] * 5), p)["fitted"]) == 1
    s = said([*[1.0] * 7, None], p)
    assert (int(s["fitted"]), int(s["side"]), int(s["coverage_fp9"])) == (0, 0, 500_000_000)


knot_lists = st.lists(
    st.tuples(st.integers(-5 * ONE, 5 * ONE), st.integers(0, ONE), st.integers(0, ONE)),
    min_size=1, max_size=KNOTS_MAX, unique_by=lambda k: k[0],
)  # fmt: skip


@EXAMPLES
@given(knot_lists, st.lists(st.integers(-6 * ONE, 6 * ONE), min_size=2, max_size=2))
def test_the_calibrator_is_monotone_and_bounded(knots: list[Any], asked: list[int]) -> None:
    x = np.zeros(KNOTS_MAX, np.int64)
    y = np.zeros(KNOTS_MAX, np.int64)
    n = len(knots)
    x[:n], y[:n] = sorted(k[0] for k in knots), sorted(k[1] for k in knots)
    a, b = (int(calibrated(np.int64(v), x, y, n)) for v in sorted(asked))
    assert y[0] <= a <= b <= y[n - 1]
    assert abs(a - np.interp(min(asked), x[:n], y[:n])) <= 1
    assert [int(calibrated(x[k], x, y, n)) for k in range(n)] == y[:n].tolist()
    assert int(calibrated(x[0], x, y, 0)) == 0


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"fitted": "true"}, "knots is 0"),
        ({"knots": "2"}, "knot_x_1 is not above knot_x_0"),
        ({"knots": "2", "knot_x_1": "1", "knot_p_0": "0.2"}, "knot_p_1 is below knot_p_0"),
        ({"knots": "1", "knot_low_0": "0.2"}, "knot_low_0 is above knot_p_0"),
    ],
)
def test_what_is_no_calibrator_is_refused(changes: dict[str, str], why: str) -> None:
    with pytest.raises(ConfigError) as error:
        settled(**changes)
    assert why in str(error.value.why)


def test_the_settings_that_a_model_file_fills() -> None:
    keys = set(table(probe("confluence")))
    want = {f"confluence.beta_{name}" for name in SOURCES}
    want |= {f"confluence.knot_{c}_{n}" for c in ("x", "p", "low") for n in range(KNOTS_MAX)}
    assert want | {"confluence.fitted", "confluence.intercept", "confluence.knots"} <= keys
    assert {name: float(settle(probe("confluence"), {})[f"confluence.weight_{name}"])
            for name in FIVE} == WEIGHTS  # fmt: skip


def test_break_even() -> None:
    """(SL + c) / (TP + SL): a random barrier's win rate without cost; 75 % for 3 against 1."""
    assert int(needed_probability(30, 10, 0)) == 750_000_000
    assert int(needed_probability(10, 20, 0)) == round(ONE / 3)
    assert int(needed_probability(10, 20, 5)) == 500_000_000
    assert int(needed_probability(10, 20, 40)) > ONE, "no probability pays that cost"
    assert int(needed_probability(0, 20, 0)) == int(needed_probability(10, 0, 0)) == ONE
    s = said(padded([1.0] * 5), model([(0.0, 0.7, 0.6)]))
    assert [confluence_pays(s, np.int64(n)) for n in (599_999_999, 600_000_000)] == [True, False]


# in a fold


@pytest.mark.parametrize("seed", [3, 9])
def test_seed_mode_agrees_with_its_oracle(seed: int) -> None:
    events = market(seed, 500)
    follow("confluence", events, market_of("confluence", seed_confluence=True),
           confluence__mode="seed")  # fmt: skip


def scores(events: list[Event]) -> np.ndarray:
    """(boundary, side, score) of every decision."""
    quick = {"confluence.coverage": "0.2", "sweep.history": "10", "absorption.flow_z": "0.5",
             "absorption.shortfall": "0.5", "vwap_deviation.bars": "5",
             "vwap_deviation.warmup": "2m"}  # fmt: skip
    done = fold_events(probe("confluence"), events, quick)
    rows = done.sink.rows("decision")
    return np.stack([rows["ts_ns"], rows["direction"], rows["score_fp9"]], axis=1)


def test_it_speaks_on_a_market_and_the_mirrored_market_speaks_against_it() -> None:
    events = [e for e in market(5, 1500) if e["kind"] != Kind.GAP]
    a, b = scores(events), scores(mirrored(events, 10**6))
    assert (a[:, 2] > 0).sum() > 20
    assert {*a[:, 1].tolist(), *b[:, 1].tolist()} == {-1, 0, 1}
    assert a[:, 1].tolist() == (-b[:, 1]).tolist()
    assert a[:, 2].tolist() == b[:, 2].tolist()
