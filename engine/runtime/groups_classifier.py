"""Settings of the classifiers: what a source weighs, what a model was fitted to, what is asked.

Owns the groups ``confluence`` and ``microstructure`` of :data:`engine.runtime.parameters.GROUPS`
and the check that a model makes sense. Names of sources and their order are those of the kernel. A
fitted model is nothing but these settings (``ofs calibrate`` writes them to a file), so a manifest
that holds the settings holds the model. It refuses to know how a model is fitted.
"""

from __future__ import annotations

import numpy as np

from data.errors import ConfigError
from engine.kernel.confluence import KNOTS_MAX, SOURCES
from engine.runtime.strategy import Param

WEIGHTS = dict(zip(SOURCES, ("0.30", "0.25", "0.20", "0.15", "0.10", "0", "0", "0"), strict=True))
"""What each source weighs unless told otherwise: the five of the seed plan, no others."""


def _model() -> tuple[Param, ...]:
    """The settings that a fitted model fills."""
    betas = tuple(
        Param(
            f"beta_{source}",
            "ratio",
            "0",
            f"model: log-odds of a full {source} on our side",
            column=f"beta_fp9[{n}]",
        )
        for n, source in enumerate(SOURCES)
    )
    knots = tuple(
        Param(f"knot_{field}_{n}", "ratio", "0", doc, low=low, high=high,
              column=f"knot_{field}_fp9[{n}]")
        for n in range(KNOTS_MAX)
        for field, doc, low, high in (
            ("x", f"calibrator: log-odds at knot {n}", None, None),
            ("p", f"calibrator: probability at knot {n}", 0, 1),
            ("low", f"calibrator: its lower bound at knot {n}", 0, 1),
        )
    )  # fmt: skip
    return (
        Param("fitted", "flag", "false", "the model below was fitted (false: a score, no more)"),
        Param("intercept", "ratio", "0", "model: log-odds with nothing said"),
        *betas,
        Param("knots", "count", "0", "calibrator: knots in use", low=0, high=KNOTS_MAX),
        *knots,
    )


CLASSIFIER: dict[str, tuple[Param, ...]] = {
    "confluence": (
        Param("mode", "choice", "standard", "how sources are added up", ("standard", "seed")),
        Param("threshold", "ratio", "0.75", "least score of a pattern", low=0, high=1),
        Param("gamma", "ratio", "1", "standard: what the other side takes off", low=0, high=10),
        Param("coverage", "ratio", "0.7", "standard: least share of sources heard", low=0, high=1),
        *(
            Param(
                f"weight_{source}",
                "ratio",
                weight,
                f"weight of {source}",
                low=0,
                high=1000,
                column=f"weight_fp9[{n}]",
            )
            for n, (source, weight) in enumerate(WEIGHTS.items())
        ),
        *_model(),
    ),
}
"""Settings by group; knots count from 0 and lie in ascending order of their x."""


def check_model(record: np.ndarray) -> None:
    """ConfigError unless ``record`` (shape (1,), params of ``confluence``) holds a model, or none.

    A calibrator is a function of ascending log-odds whose probability never falls and whose lower
    bound never lies above it; a model that is fitted has at least one knot.
    """
    count = int(record["knots"][0])
    if record["fitted"][0] and not count:
        raise ConfigError(
            "a fitted model needs its calibrator",
            where="--set confluence.fitted",
            why="confluence.knots is 0",
            do="set the knots too, or take the settings of a model file whole",
        )
    x, p, low = (record[f"knot_{field}_fp9"][0].tolist() for field in ("x", "p", "low"))
    for n in range(count):
        wrong = ""
        if n and x[n] <= x[n - 1]:
            wrong = f"knot_x_{n} is not above knot_x_{n - 1}"
        elif n and p[n] < p[n - 1]:
            wrong = f"knot_p_{n} is below knot_p_{n - 1}"
        elif low[n] > p[n]:
            wrong = f"knot_low_{n} is above knot_p_{n}"
        if wrong:
            raise ConfigError(
                "the calibrator of confluence is no calibrator",
                where=f"--set confluence.knot_x_{n}",
                why=wrong,
                do="let x ascend, p never fall, and low lie at or below p",
            )
