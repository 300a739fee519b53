"""scalper_seed: the scalper on the formulas of the seed documents, faults and stubs included.

Owns the settings that make it so. It is there to be compared with: `ofs diff` of its run and one of
``scalper`` shows where the two part.
"""

from __future__ import annotations

from dataclasses import replace

from strategies.scalper import STRATEGY as SCALPER

STRATEGY = replace(
    SCALPER,
    name="scalper_seed",
    doc="The scalper on the formulas of the seed documents, to compare with.",
    overrides=(
        ("absorption.mode", "seed"),
        ("delta_divergence.mode", "seed"),
        ("cvd_divergence.mode", "seed"),
        ("cvd_trend.mode", "seed"),
        ("pressure.mode", "seed"),
        ("walls.mode", "seed"),
        ("confluence.mode", "seed"),
        ("microstructure.mode", "seed"),
        ("exits.preset", "seed"),
        ("flip.mode", "seed"),
        ("risk.min_rr", "0"),
    ),
)
"""The strategy as the engine takes it."""
