"""Which detectors are measured, on which patterns, and which settings open their thresholds.

Owns the table of detectors that have planted truth, and the list of those that have none. ``open``
are the settings under which a detector speaks whatever its main number is, its other gates at their
defaults: that number's distribution is what AUC and calibration are about. ``raw`` opens the other
gates too. It refuses to know what the numbers mean.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from engine.kernel.proxy_gate import FLIP as FLIP_CLAIM
from engine.kernel.proxy_gate import GATED, SOURCE_NAMES, may_signal


@dataclass(frozen=True)
class Detector:
    """One detector with planted truth.

    ``signal`` is its name in the strategy that listens, ``kind`` the pattern planted for it,
    ``setting`` the threshold that calibration is about; ``hold_s`` how long an event of it lasts,
    within which another is no new one.
    """

    name: str
    signal: str
    kind: str
    setting: str
    hold_s: int
    open: dict[str, str] = field(default_factory=dict)
    raw: dict[str, str] = field(default_factory=dict)
    modes: tuple[str, ...] = ("seed", "standard")


_ANY = "-1000"
PLANTED = (
    Detector(
        "absorption",
        "absorption",
        "absorption",
        "absorption.shortfall",
        300,
        {"absorption.shortfall": "0", "absorption.life": "10s"},
        {"absorption.flow_z": "0", "absorption.least": _ANY, "absorption.most": "1000"},
    ),
    Detector(
        "delta_divergence",
        "delta_divergence",
        "delta_divergence",
        "delta_divergence.z_alpha",
        60,
        {"delta_divergence.z_alpha": "0"},
        {"delta_divergence.price_z": _ANY},
    ),
    Detector(
        "cvd_divergence",
        "cvd_divergence",
        "cvd_divergence",
        "cvd_divergence.z_alpha",
        300,
        {"cvd_divergence.z_alpha": "0", "cvd_divergence.ttl": "10s"},
        {"cvd_divergence.price_z": _ANY},
    ),
    Detector(
        "sweep",
        "sweep",
        "liquidity_sweep",
        "sweep.burst",
        300,
        {"sweep.burst": _ANY, "sweep.life": "10s"},
        {"sweep.push": "0", "sweep.turn": "0", "sweep.most": "5", "sweep.reclaim": "0"},
        ("standard",),
    ),
)
"""In the order of the table. Each is judged on markets planted with its kind alone."""

FLIP = "flip"
FLIP_KIND = "flow_flip"

SEED_SETTINGS = {
    f"{group}.mode": "seed"
    for group in (
        "absorption",
        "delta_divergence",
        "cvd_divergence",
        "cvd_trend",
        "pressure",
        "walls",
        "market_state",
    )
}
"""What seed mode sets; the sources of the side stay what they are."""

WITH_SEED = frozenset(key.split(".")[0] for key in SEED_SETTINGS)
"""Detectors that have a seed form; the others are the same in both modes."""


_FIELDS = {
    "exhaustion": ("auction", "signal"),
    "unfinished": ("auction", "unfinished"),
    "prints": ("tape", "prints"),
}
"""Handler and field of the detectors that are not called after their handler."""


def refused(detector: str, source: str) -> bool:
    """True when the kernel's gate forbids ``source`` what ``detector`` claims."""
    if source != "bar_proxy":
        return False
    bars = SOURCE_NAMES.index("bvc_bar")
    if detector == FLIP:
        return not may_signal(bars, FLIP_CLAIM)
    handler, field_name = _FIELDS.get(detector, (detector, "signal"))
    claims = dict(GATED.get(handler, ()))
    return field_name in claims and not may_signal(bars, claims[field_name])


def without_truth(detectors: Iterable[str]) -> tuple[str, ...]:
    """The others of ``detectors``: nothing is planted for them, only their alarms are counted."""
    known = {d.signal for d in PLANTED}
    return tuple(d for d in detectors if d not in known)
