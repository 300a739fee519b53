"""What a calibration leaves behind: the model file, its picture, and the facts for ``--json``.

Owns their order on disk: the picture first, then the model, each whole or not at all, so that a
model is never without the picture of its fit. It refuses to know a clock; ``created`` is given.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from engine.calibrate.calibration import Calibration
from engine.calibrate.model import SCHEMA, render, write_whole
from engine.calibrate.picture import reliability_svg


def write_model(made: Calibration, path: Path, picture: Path, created: str) -> dict[str, Any]:
    """Write ``made`` to ``path`` and its diagram to ``picture``; returns all facts of it.

    DataError where a file cannot be written.
    """
    text, digest = render(made.model, created)
    content = text.encode()
    write_whole(picture, svg(made).encode())
    write_whole(path, content)
    m = made.model
    return {
        "schema": SCHEMA,
        "file": str(path),
        "picture": str(picture),
        "created": created,
        "digest": digest,
        "sha256": hashlib.sha256(content).hexdigest(),
        "model": {"intercept": m.intercept, "beta": m.beta, "x": m.x, "p": m.p, "p_low": m.low},
        **m.facts,
        "notes": list(made.notes),
    }


def svg(made: Calibration) -> str:
    """The reliability diagram of ``made``, figures in words above it."""
    found, where = made.fit.figures, made.model.facts["provenance"]
    sold = found.traded
    took = f"traded {sold.rows:,}" if sold.precision is None else (
        f"traded {sold.rows:,}, {sold.precision:.1%} won, {sold.expectancy_bp:+.2f} bp each"
    )  # fmt: skip
    return reliability_svg(
        f"{where['venue']} {where['symbol']}, {where['from'][:10]} to {where['to'][:10]}",
        found.bins,
        found.base_rate,
        (
            f"out of fold: Brier skill {found.brier_skill:+.2%}, ECE {found.ece:.3f}, "
            f"{found.rows:,} rows worth {found.events:.0f} events",
            f"calibrator {made.model.facts['method']}; {took}",
        ),
    )
