"""The modules that the contract holds for, and the facts that it holds them to."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
from pathlib import Path
from typing import Any

import pytest

from engine.broker import terminal

HERE = Path(__file__).parent
FACTS: dict[str, Any] = json.loads((HERE / "facts.json").read_text(encoding="utf-8"))
"""What the real module is, in short: constants, functions, structs, dtypes, request fields."""

REAL = "MetaTrader5"
REAL_TERMINAL = "OFS_REAL_TERMINAL"
"""Environment: path of a real terminal's program that the read-only part may connect to."""


def real_is_there() -> bool:
    """Whether the real module can be imported: Windows, or Python under Wine."""
    return importlib.util.find_spec(REAL) is not None


def modules() -> list[Any]:
    """Parameters: the stand-in, and the real module where it is installed."""
    real = [pytest.param(REAL, id="real")] if real_is_there() else []
    return [pytest.param("engine.broker.terminal", id="stand-in"), *real]


def load(name: str) -> Any:
    """The module, not connected."""
    module = importlib.import_module(name)
    module.shutdown()
    return module


def is_real(module: Any) -> bool:
    return module is not terminal


def real_terminal() -> str:
    """Path of the terminal that the real module may read from; skips without one."""
    path = os.environ.get(REAL_TERMINAL)
    if not path:
        pytest.skip(f"no real terminal named: set {REAL_TERMINAL} to its program")
    return path


def reference(name: str) -> Path:
    """A file of the reference beside the repository; skips, naming it, where it is absent."""
    shared = os.environ.get("OFS_SHARED_DATA")
    root = Path(shared).parent if shared else Path(__file__).parents[5] / "shared"
    path = root / "reference" / name
    if not path.exists():
        pytest.skip(f"reference not present: {path}")
    return path
