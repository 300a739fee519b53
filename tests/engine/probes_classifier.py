"""Probes of the classifiers: everything that they say at a boundary (see ``probes``)."""

from __future__ import annotations

from numba import njit


@njit(cache=True, nogil=True)
def confluence(s, p, o, now, grid):
    d = s.core.decision
    c = s.confluence
    d.direction = c.side
    d.score_fp9 = c.score_fp9
    d.probability_fp9 = c.probability_fp9
    d.needed_fp9 = c.lower_fp9
    d.delta = c.meets + 3 * c.missing + 1000 * c.dominant + 7000 * c.signal.ready
    d.entry_delta = c.for_fp9 + 3 * c.against_fp9
    d.delta_z_fp9 = c.logit_fp9 + c.signal.value_fp9 + c.signal.fired
    d.book_fp9 = c.coverage_fp9 + c.signal.direction
    for k in range(8):
        d.flip_fp9 += (k + 1) * c.evidence_fp9[k] + (k + 11) * c.scores_fp9[k]


@njit(cache=True, nogil=True)
def microstructure(s, p, o, now, grid):
    d = s.core.decision
    m = s.microstructure
    d.direction = m.side
    d.score_fp9 = m.score_long_fp9
    d.probability_fp9 = m.score_short_fp9
    d.delta = m.level + 3 * m.known + 1000 * m.signal.direction + 3000 * m.signal.ready
    d.entry_delta = m.momentum_fp9 + m.coverage_fp9
    d.delta_z_fp9 = m.spoof_fp9 + 3 * m.pump_long_fp9 + 5 * m.pump_short_fp9
    d.book_fp9 = m.factor_long_fp9 + 3 * m.factor_short_fp9 + 5 * m.range_sum + m.signal.fired
    for k in range(5):
        d.flip_fp9 += (k + 1) * m.parts_fp9[k]


PROBES = {"confluence": confluence, "microstructure": microstructure}
