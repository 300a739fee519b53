"""Plans of a run: from a file's text into the params of a fold, and into its manifest.

Owns :class:`PlanText`, which travels in a request and in a manifest, so that a run can be folded
again without the file. It refuses to know where the fold's events come from.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data.errors import ConfigError
from data.events import Scales
from data.settings_file import read_text
from engine.plans.compile import Compiled, check_sources, compile_all
from engine.plans.read import WHAT, parse_plans


@dataclass(frozen=True, slots=True)
class PlanText:
    """The text of a file of plans; ``name`` is what messages call it."""

    name: str
    text: str

    @property
    def sha256(self) -> str:
        """Hash of the text, hex."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def text_of_file(path: str | Path) -> PlanText:
    """The plans in ``path``; ConfigError where it cannot be read or a plan in it is wrong."""
    text = read_text(path, WHAT)
    parse_plans(text, str(path)).sound()
    return PlanText(str(path), text)


def load_plans(
    params: np.ndarray, source: PlanText, symbol: str, scales: Scales, strategy: str
) -> list[Compiled]:
    """Put the plans of ``symbol`` into the params record (shape (1,)) of a fold.

    ConfigError where a plan is wrong, or the strategy has no plans or lacks a handler they need.
    """
    have = params.dtype.names or ()
    if "plans" not in have:
        raise ConfigError(
            f"strategy {strategy} takes no plans",
            where="--plans",
            why="its fold has no handler 'plans'",
            do="choose a strategy that has it, e.g. --strategy plan_watch",
        )
    compiled = compile_all(parse_plans(source.text, source.name).sound(), symbol, scales)
    params["plans"]["n"] = len(compiled)
    for k, c in enumerate(compiled):
        params["plans"]["slots"][0, k] = c.record[0]
    return compiled


def check_handlers(compiled: list[Compiled], handlers: tuple[str, ...], strategy: str) -> None:
    """ConfigError for a condition that the fold's ``handlers`` cannot answer."""
    check_sources(compiled, handlers, strategy)


def in_manifest(source: PlanText, compiled: list[Compiled]) -> dict[str, Any]:
    """What a manifest says of the plans: file name, hash, the whole text, ids that took part."""
    return {
        "file": Path(source.name).name,
        "sha256": source.sha256,
        "text": source.text,
        "plans": [c.plan.id for c in compiled],
    }


def from_manifest(manifest: dict[str, Any]) -> PlanText | None:
    """The plans of a recorded run; None where it had none."""
    kept = manifest.get("plans")
    if not isinstance(kept, dict) or not isinstance(kept.get("text"), str):
        return None
    return PlanText(str(kept.get("file", "plans.toml")), kept["text"])
