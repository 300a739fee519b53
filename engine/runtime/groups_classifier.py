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
from engine.kernel.microstructure import COMPONENTS
from engine.runtime.strategy import Param

WEIGHTS = dict(zip(SOURCES, ("0.30", "0.25", "0.20", "0.15", "0.10", "0", "0", "0"), strict=True))
"""What each source weighs unless told otherwise: the five of the seed plan, no others."""

PARTS = dict(zip(COMPONENTS, ("0.20", "0.25", "0.15", "0.15", "0.25"), strict=True))
"""What each component of the microstructure score weighs unless told otherwise."""


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
    "microstructure": (
        Param(
            "mode",
            "choice",
            "standard",
            "standard, seed (three of its inputs are not fed), seed_fed (two of them are)",
            ("standard", "seed", "seed_fed"),
        ),
        Param("watch", "ratio", "50", "score of 100 that is worth watching", low=0, high=100),
        Param("arm", "ratio", "75", "score of 100 that is worth an order", low=0, high=100),
        Param("coverage", "ratio", "0.7", "standard: least share of weight known", low=0, high=1),
        *(
            Param(
                f"weight_{part}",
                "ratio",
                weight,
                f"weight of {part}",
                low=0,
                high=1000,
                column=f"weight_fp9[{n}]",
            )
            for n, (part, weight) in enumerate(PARTS.items())
        ),
        Param("momentum", "ratio", "0.5", "share of flow that is its momentum", low=0, high=1),
        Param("lean", "ratio", "0.2", "a second leans: |delta| over volume above", low=0, high=1),
        Param("streak", "count", "3", "leaning seconds that are full momentum", low=1, high=60),
        Param("calm", "ratio", "0.3", "volatility, share of its largest: too calm below", low=0),
        Param("wild", "ratio", "0.7", "volatility: too wild above", high=1),
        Param("fee", "ratio", "0.0004", "fee of one side, share of notional", low=0),
        Param("slippage", "ratio", "0.0001", "slippage, share of notional", low=0),
        Param("buffer", "ratio", "0.0003", "what must be left over, share of notional", low=0),
        Param("spoof", "ratio", "1", "weight of spoof ** 1.5", low=0, high=10),
        Param("pump", "ratio", "0.8", "weight of pump ** 1.3", low=0, high=10),
        Param("pumped", "ratio", "0.5", "share left in PUMP against its run", low=0, high=1),
        Param("cooldown", "ratio", "0.6", "share left in COOLDOWN", low=0, high=1),
    ),
}
"""Settings by group; knots count from 0 and lie in ascending order of their x."""


def check_parabola(record: np.ndarray) -> None:
    """ConfigError unless ``record`` (shape (1,), of ``microstructure``) has a parabola of width."""
    if record["wild_fp9"][0] <= record["calm_fp9"][0]:
        raise ConfigError(
            "microstructure.wild must be above microstructure.calm",
            where="--set microstructure.wild",
            do="the defaults are 0.7 and 0.3",
        )


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


def check_classifiers(params: np.ndarray) -> None:
    """ConfigError unless the settings of the classifiers in ``params`` (shape (1,)) make sense."""
    names = params.dtype.names or ()
    if "confluence" in names:
        check_model(params["confluence"])
    if "microstructure" in names:
        check_parabola(params["microstructure"])
