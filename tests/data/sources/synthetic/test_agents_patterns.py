"""Planted mechanisms show in plain sums over their labels, and their null twins lack them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from data.events import NS
from data.sources.synthetic.agents import PATTERN_KINDS
from data.sources.synthetic.agents_spec import LENGTHS
from tests.data.sources.synthetic.agent_markets import planted

PUSH_NS = 150 * NS


@pytest.mark.parametrize("kind", PATTERN_KINDS)
def test_labels_say_what_the_calendar_planted(kind: str) -> None:
    labels = planted(kind).labels
    assert len(labels) == 8 and {x.type for x in labels} == {kind}
    assert {x.direction for x in labels} == {1, -1}
    for x in labels:
        low, high = LENGTHS[kind]
        assert low <= (x.end_ns - x.start_ns) / NS <= high
        assert 1.0 <= x.strength <= 2.0
    for before, after in pairwise(labels):
        assert before.settle_ns < after.start_ns


def test_absorption_takes_heavy_flow_at_one_price_and_then_turns() -> None:
    m, null = planted("absorption"), planted("absorption", null=True)
    typical = np.std(m.minutes[0])
    turned = []
    for x, twin in zip(m.labels, null.labels, strict=True):
        d, a, b = x.direction, x.start_ns, x.end_ns
        pressed = -d * m.flow(a, b) / ((b - a) / (60 * NS))
        assert pressed > 0.7 * typical
        assert m.flow(a, b) == pytest.approx(null.flow(a, b), rel=0.1)
        assert abs(m.mid(b) - m.mid(a)) < 0.4 * abs(null.mid(b) - null.mid(a))
        i, j = np.searchsorted(m.trades["ts_ns"], [a + 10 * NS, b])
        mine = m.trades["side"][i:j] == -d
        at_level = m.trades["price"][i:j] == x.level
        qty = m.trades["qty"][i:j]
        assert qty[mine & at_level].sum() > 0.45 * qty[mine].sum()
        prices, where = np.unique(m.trades["price"][i:j][mine], return_inverse=True)
        assert prices[np.argmax(np.bincount(where, qty[mine]))] == x.level
        beyond = (m.trades["price"][i:j] - x.level) * -d > 0
        assert not beyond[: np.searchsorted(m.trades["ts_ns"][i:j], b - 2 * NS)].any()
        turned.append(d * (m.mid(x.settle_ns) - m.mid(b)))
        near = abs(twin.level / m.spec.tick_units - null.mid(twin.start_ns + NS))
        assert near <= 2 * m.spec.spread_ticks + 2  # where nobody stood
    assert np.mean(np.array(turned) > 0) >= 0.8


def test_delta_divergence_walks_the_price_against_the_takers() -> None:
    m, null = planted("delta_divergence"), planted("delta_divergence", null=True)
    later, followed = [], []
    for x in m.labels:
        d, a, b = x.direction, x.start_ns, x.end_ns
        assert d * m.flow(a, b) > 0 and d * null.flow(a, b) > 0
        assert d * (m.mid(b) - m.mid(a)) < -3 * m.spec.spread_ticks
        followed.append(d * (null.mid(b) - null.mid(a)))
        later.append(d * (m.mid(x.settle_ns) - m.mid(b)))
    assert np.mean(np.array(later) > 0) >= 0.8
    assert np.mean(np.array(followed) > 0) >= 0.8 and np.median(followed) > 20


def test_cvd_divergence_makes_a_second_extreme_without_flow() -> None:
    m, null = planted("cvd_divergence"), planted("cvd_divergence", null=True)
    for x in m.labels:
        side, a, second = -x.direction, x.start_ns, x.onset_ns
        assert (second - a - PUSH_NS) / NS >= 600
        for market, with_flow in ((m, False), (null, True)):
            first, _ = market.extreme(a, second, side)
            last, when = market.extreme(second, x.end_ns, side)
            assert side * (last - first) > 0
            made = side * market.flow(a, a + PUSH_NS)
            now = side * market.flow(a, when if not with_flow else x.end_ns)
            assert made > 0 and (now > made if with_flow else now < 0.8 * made)


def test_a_sweep_runs_through_its_level_and_comes_back() -> None:
    m, null = planted("liquidity_sweep"), planted("liquidity_sweep", null=True)
    calm = []
    for x in m.labels:
        d, run = x.direction, x.onset_ns + 6 * NS
        level = x.level / m.spec.tick_units
        before, _ = m.extreme(x.start_ns - 200 * NS, x.start_ns, -d)
        assert -d * (level - before) > -0.01  # at the recent extreme, or beyond it
        beyond, _ = m.extreme(x.onset_ns, run, -d)
        assert -d * (beyond - level) > 3
        assert d * (m.mid(x.end_ns) - level) > 0
        assert -d * m.flow(x.onset_ns, run) > 30
        calm.append(-d * null.flow(x.onset_ns, run))
    assert np.median(calm) < 15


def test_flow_flip_changes_hands_at_its_onset() -> None:
    m, null = planted("flow_flip"), planted("flow_flip", null=True)
    for x in m.labels:
        d = x.direction
        assert d * m.flow(x.start_ns, x.onset_ns) < 0 < d * m.flow(x.onset_ns, x.end_ns)
        assert d * (m.mid(x.end_ns) - m.mid(x.onset_ns)) > 0
        assert d * null.flow(x.onset_ns, x.end_ns) < 0


def test_a_stronger_pattern_has_more_takers() -> None:
    share = []
    for strength in (0.5, 2.0):
        m = planted("flow_flip", strength=strength)
        flow = [m.flow(x.onset_ns, x.end_ns) * x.direction for x in m.labels]
        share.append(np.sum(flow))
    assert share[1] > 2 * share[0]
