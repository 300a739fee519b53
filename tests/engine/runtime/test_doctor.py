"""The compiler is proved on this machine; a wrong one would be found."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

import strategies
from data.doctor.lines import Status
from engine.kernel.flow import flow_trades
from engine.runtime.doctor import compiles, tape, warm
from tests.cli.run import ROOT, environment


def test_the_compiler_of_this_machine_is_right() -> None:
    line = compiles()
    assert line.status == Status.OK and line.numbers["differences"] == []
    assert line.numbers["seconds"] > 0


def test_a_compiler_that_is_wrong_is_found() -> None:
    """What is compiled here leaves out one trade, and adds VWAP in another order of operations."""

    def drops_one(s: Any, qty: Any, side: Any, i: Any, j: Any) -> None:
        for k in range(i, j - 1):
            s.cvd += qty[k] * np.int64(side[k])

    def sums_otherwise(v: Any, price: Any, qty: Any, i: Any, j: Any) -> None:
        for k in range(i, j):
            v.origin = price[0]
            v.mean = (v.mean * v.weight + float(price[k] - v.origin) * float(qty[k])) / (
                v.weight + float(qty[k])
            )
            v.weight += float(qty[k])

    line = compiles(lambda handler: drops_one if handler is flow_trades else sums_otherwise)
    assert line.status == Status.FAIL and "reinstall" in line.mend
    found = line.numbers["differences"]
    assert any("flow_trades cvd" in text for text in found), found
    assert any("vwap_trades mean" in text for text in found), "the last bit of a float counts"


def test_the_tape_has_every_side_and_moves() -> None:
    price, qty, side = tape()
    assert set(side.tolist()) == {-1, 0, 1} and (qty > 0).all() and (price > 0).all()
    assert len(np.unique(price)) > 20


def test_the_compiler_switched_off_is_a_warning(tmp_path: Path) -> None:
    code = "from engine.runtime.doctor import compiles; x = compiles(); print(x.status, x.mend)"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(tmp_path, NUMBA_DISABLE_JIT="1"), cwd=ROOT,
        capture_output=True, text=True, encoding="utf-8", check=True,
    )  # fmt: skip
    assert done.stdout.startswith("warn ") and "NUMBA_DISABLE_JIT" in done.stdout


def test_warm_compiles_once() -> None:
    said: list[str] = []
    strategy = strategies.get("delta_flip")
    first = warm(strategy, "delta_flip", lambda: said.append("compiling"))
    again = warm(strategy, "delta_flip", lambda: said.append("again"))
    assert first.numbers["cold"] == (said == ["compiling"])
    assert again.status == Status.OK and again.numbers["cold"] is False
    assert "was compiled already" in again.fact and "again" not in said
