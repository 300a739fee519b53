"""Planted patterns: twins differ only where planted, and labels tell the truth.

Each kind is checked by measuring its mechanism in trades and books, against its twin; no detector
of the engine is involved.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from data.sources.synthetic import PATTERN_KINDS, Label
from tests.data.sources.synthetic_markets import NS, Market, planted


@dataclass(frozen=True)
class Window:
    """What one pattern's time shows in one market; prices in ticks, flows in lots."""

    label: Label
    volume: tuple[float, float]
    delta: tuple[float, float]
    """Before and after the onset."""

    mid: np.ndarray
    onset: int
    tape_s: np.ndarray
    cvd: np.ndarray

    @property
    def move(self) -> float:
        return float(self.mid[-1] - self.mid[0])

    @property
    def range(self) -> float:
        return float(self.mid.max() - self.mid.min())

    def imbalance(self, part: slice = slice(None)) -> float:
        """Delta over volume."""
        return float(np.sum(self.delta[part]) / max(1.0, np.sum(self.volume[part])))


def window(m: Market, label: Label) -> Window:
    t = m.trades
    a, o, b = np.searchsorted(t["ts_ns"], [label.start_ns, label.onset_ns, label.end_ns])
    x, z, y = np.searchsorted(m.depth["ts_ns"], [label.start_ns, label.onset_ns, label.end_ns])
    signed = t["side"].astype(float) * t["qty"]
    return Window(
        label,
        (float(t["qty"][a:o].sum()), float(t["qty"][o:b].sum())),
        (float(signed[a:o].sum()), float(signed[o:b].sum())),
        m.mid[x:y],
        int(z - x),
        (t["ts_ns"][a:b] - label.start_ns) / NS,
        np.cumsum(signed[a:b]),
    )


def absorbed(w: Window, other: Window) -> bool:
    """Much net aggression against the label's direction, and the price stays."""
    pressed = -w.label.direction * w.imbalance() > 0.15
    return pressed and w.range < 0.35 * other.range


def delta_diverged(w: Window, _: Window) -> bool:
    """The price goes one way, the aggressors the other."""
    d = w.label.direction
    return d * w.move < 0 and d * w.imbalance() > 0.1


def cvd_diverged(w: Window, _: Window) -> bool:
    """A further extreme of the price, and not of CVD."""
    d = -w.label.direction
    half = len(w.mid) // 2
    first = int(np.searchsorted(w.tape_s, 0.36 * 240))
    further = (d * w.mid[w.onset :]).max() > (d * w.mid[:half]).max()
    return bool(further and d * (w.cvd[-1] - w.cvd[first]) < 0)


def swept(w: Window, _: Window) -> bool:
    """Through the level by more than a spread, and back behind it."""
    beyond = -w.label.direction * (w.mid - w.label.level)
    return bool(beyond[w.onset :].max() > 5 and beyond[-1] < 0)


def flipped(w: Window, _: Window) -> bool:
    """One side dominates before the onset, the other after it."""
    d = w.label.direction
    return d * w.imbalance(slice(0, 1)) < -0.1 and d * w.imbalance(slice(1, 2)) > 0.1


CHECKS = {
    "absorption": absorbed,
    "delta_divergence": delta_diverged,
    "cvd_divergence": cvd_diverged,
    "liquidity_sweep": swept,
    "flow_flip": flipped,
}


def pairs(kind: str) -> list[tuple[Window, Window]]:
    """Windows of all labels of ``kind``: in the market, and in its twin."""
    one, two = planted(), planted(null=True)
    return [(window(one, a), window(two, a)) for a in one.labels if a.type == kind]


def outside(m: Market, ts_ns: np.ndarray) -> np.ndarray:
    """Mask of the times that no pattern touches."""
    keep = np.ones(len(ts_ns), bool)
    for label in m.labels:
        keep &= ~((ts_ns >= label.start_ns) & (ts_ns < label.settle_ns))
    return keep


def test_labels_of_twins_differ_in_the_twin_flag_only() -> None:
    one, two = planted(), planted(null=True)
    assert len(one.labels) == 60
    assert {x.type for x in one.labels} == set(PATTERN_KINDS)
    assert {x.direction for x in one.labels} == {-1, 1}
    for a, b in zip(one.labels, two.labels, strict=True):
        assert (a.twin, b.twin) == (False, True)
        assert {**a.to_dict(), "twin": True} == b.to_dict()


def test_labels_are_in_order_apart_and_within_the_market() -> None:
    m = planted()
    last = m.spec.start_ns
    for x in m.labels:
        assert last <= x.start_ns <= x.onset_ns < x.end_ns < x.settle_ns <= m.spec.end_ns
        assert 1.0 <= x.strength <= 2.0
        last = x.settle_ns


def test_outside_the_patterns_twins_have_the_same_trades() -> None:
    one, two = planted(), planted(null=True)
    a, b = (outside(m, m.trades["ts_ns"]) for m in (one, two))
    assert 0.2 < a.mean() < 0.8
    for name in ("ts_ns", "price", "qty", "side"):
        np.testing.assert_array_equal(one.trades[name][a], two.trades[name][b], err_msg=name)


def test_outside_the_patterns_twins_have_the_same_books() -> None:
    one, two = planted(), planted(null=True)
    keep = outside(one, one.depth["ts_ns"])
    for name in ("bid_price", "bid_qty", "ask_price", "ask_qty"):
        np.testing.assert_array_equal(one.levels(name)[keep], two.levels(name)[keep], err_msg=name)


def test_inside_every_pattern_twins_differ() -> None:
    one, two = planted(), planted(null=True)
    for x in one.labels:
        a, b = (window(m, x) for m in (one, two))
        assert len(a.cvd) != len(b.cvd) or not np.array_equal(a.cvd, b.cvd) or a.move != b.move, x


@pytest.mark.parametrize("kind", PATTERN_KINDS)
def test_the_mechanism_is_there_and_its_twin_lacks_it(kind: str) -> None:
    found = pairs(kind)
    assert len(found) >= 10
    check = CHECKS[kind]
    there = np.mean([check(a, b) for a, b in found])
    in_twin = np.mean([check(b, a) for a, b in found])
    assert there >= 0.85, (kind, there)
    assert in_twin <= 0.25, (kind, in_twin)


def test_an_absorber_holds_its_price_until_the_end() -> None:
    m = planted()
    shares = []
    for x in [x for x in m.labels if x.type == "absorption"]:
        a, b = np.searchsorted(m.trades["ts_ns"], [x.start_ns + 1, x.end_ns])
        price, side, qty = (m.trades[n][a:b] for n in ("price", "side", "qty"))
        pressing = side == -x.direction
        assert (x.direction * (price[pressing] - x.level)).min() >= 0, "traded through the absorber"
        shares.append(qty[pressing & (price == x.level)].sum() / qty[pressing].sum())
    assert np.mean(shares) > 0.8
    assert min(shares) > 0.5


def test_absorbed_orders_are_the_orders_of_the_twin() -> None:
    """Same aggression, another price: what the passive side does is the only difference."""
    for a, b in pairs("absorption"):
        assert abs(a.imbalance() - b.imbalance()) < 0.08
        assert abs(sum(a.volume) - sum(b.volume)) < 0.25 * sum(b.volume)


def test_a_cvd_divergence_and_its_twin_have_the_same_price_path() -> None:
    for a, b in pairs("cvd_divergence"):
        assert np.abs(a.mid - b.mid).mean() < 0.15 * max(a.range, 100.0)


def test_a_flip_and_its_twin_are_the_same_until_the_onset() -> None:
    for a, b in pairs("flow_flip"):
        assert a.delta[0] == b.delta[0]
        np.testing.assert_array_equal(a.mid[: a.onset], b.mid[: b.onset])


def test_strength_decides_how_strong_a_pattern_is() -> None:
    found = [(a.label.strength, abs(a.imbalance())) for a, _ in pairs("absorption")]
    found.sort()
    half = len(found) // 2
    assert np.mean([v for _, v in found[half:]]) > np.mean([v for _, v in found[:half]])
