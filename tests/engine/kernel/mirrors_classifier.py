"""How the classifiers mirror (see ``test_symmetry``)."""

from __future__ import annotations

from typing import Any

from tests.engine.kernel.mirrors_market import equal, signals


def mirror_confluence(a: Any, b: Any) -> None:
    """Every side turns, every number stands.

    The last source reads rows; rows merged for want of room are cut at other prices when mirrored,
    so it is left out (it weighs nothing).
    """
    signals(a, b, 1)
    equal(a, b, ("side",), -1)
    numbers = ("score_fp9", "meets", "for_fp9", "against_fp9", "coverage_fp9", "dominant")
    equal(a, b, (*numbers, "logit_fp9", "fitted", "probability_fp9", "lower_fp9"))
    for name in ("evidence_fp9", "scores_fp9"):
        assert a[name][:7].tolist() == (-b[name][:7]).tolist(), name
    assert int(a["missing"]) & 127 == int(b["missing"]) & 127


def mirror_microstructure(a: Any, b: Any) -> None:
    """Components turn; the fee edge is a share of the price, which is another when mirrored."""
    equal(a, b, ("known", "range_sum", "sums", "ranges", "range", "coverage_fp9", "spoof_fp9"))
    equal(a, b, ("momentum_fp9",), -1)
    x, y = a["parts_fp9"].tolist(), b["parts_fp9"].tolist()
    assert x[:3] == [-v for v in y[:3]]
    assert x[3] == y[3]
    slack = abs(x[4] - y[4]) * 100 + 100
    for one, other in (("long", "short"), ("short", "long")):
        equal(a, {f"{n}_{one}_fp9": b[f"{n}_{other}_fp9"] for n in ("pump", "factor")},
              (f"pump_{one}_fp9", f"factor_{one}_fp9"))  # fmt: skip
        assert abs(int(a[f"score_{one}_fp9"]) - int(b[f"score_{other}_fp9"])) <= slack


CLASSIFIER_MIRRORS = {"confluence": mirror_confluence, "microstructure": mirror_microstructure}
CLASSIFIER_VOLUMES: dict[str, tuple[str, ...]] = {"confluence": (), "microstructure": ()}
