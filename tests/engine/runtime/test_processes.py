"""One digest in every process: JIT on and off, every hash seed, lean and plain compiles."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.engine.digests import digests
from tests.engine.driving import alone, fold_events
from tests.engine.tapes import fixed

ROOT = Path(__file__).parents[3]


def elsewhere(module: str, *words: str, **environment: str) -> Any:
    """What ``python -m module`` prints in a process of its own, as JSON."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    done = subprocess.run(
        [sys.executable, "-m", module, *words], env=env, cwd=ROOT, capture_output=True, text=True,
        encoding="utf-8", timeout=560, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def here() -> dict[str, list[str]]:
    return json.loads(json.dumps(digests()))


def test_plain_python_gives_the_same(here: dict[str, list[str]]) -> None:
    assert elsewhere("tests.engine.digests", NUMBA_DISABLE_JIT="1") == here


@pytest.mark.parametrize("seed", ["0", "1", "random"])
def test_hash_seeds_change_nothing(here: dict[str, list[str]], seed: str) -> None:
    assert elsewhere("tests.engine.digests", PYTHONHASHSEED=seed) == here


def test_stepping_is_folding(here: dict[str, list[str]]) -> None:
    assert here["delta_flip stepped"] == here["delta_flip"]


def test_a_plain_compile_gives_the_same(tmp_path: Path) -> None:
    """numba's ordinary compile, in a cache of its own, of one small composition."""
    found = elsewhere("tests.engine.plain_compile", "flow", OFS_CACHE=str(tmp_path))
    assert found["lean"] is False
    want = fold_events(alone("flow"), fixed(4, 24)[:400]).digests
    assert found["digests"] == list(want)
