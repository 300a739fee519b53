"""What one process lowered links in another: the same fold, and nothing of the kernel compiled."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from numba.core import types
from numba.np.numpy_support import from_dtype

from engine.kernel.ewma import ewma_update
from engine.runtime.lowered import Lowered, is_covered, is_data, symbol_digest
from tests.engine.driving import alone, fold_events
from tests.engine.tapes import market

ROOT = Path(__file__).parents[3]
FOLD = """
import json
from numba.core import event
from tests.engine.driving import alone, fold_events
from tests.engine.tapes import market
compiled = []
class Ear(event.Listener):
    def on_start(self, one):
        compiled.append(one.data["dispatcher"].py_func.__module__)
    def on_end(self, one):
        pass
with event.install_listener("numba:compile", Ear()):
    digests = fold_events(alone("sides"), market(1, 60)).digests
print(json.dumps([digests, sum(name.startswith("engine.kernel.") for name in compiled)]))
"""
RECORD = np.dtype([("x", "i8"), ("y", "f8", (3,))], align=True)


def fold_elsewhere(cache: Path) -> Any:
    done = subprocess.run(
        [sys.executable, "-c", FOLD], cwd=ROOT, capture_output=True, text=True, encoding="utf-8",
        env={**os.environ, "PYTHONPATH": str(ROOT), "OFS_CACHE": str(cache)}, timeout=280,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def forget_folds(cache: Path) -> Path:
    """Leave nothing but what was lowered; its folder."""
    (generation,) = (cache / "jit").iterdir()
    for folder in generation.iterdir():
        if folder.name != "lowered":
            shutil.rmtree(folder)
    return generation / "lowered"


def test_a_second_process_compiles_nothing_of_the_kernel_but_what_is_damaged(
    tmp_path: Path,
) -> None:
    want = list(fold_events(alone("sides"), market(1, 60)).digests)
    folded, kernel = fold_elsewhere(tmp_path)
    assert folded == want
    assert kernel > 10, "a cold one compiles it"
    files = sorted(forget_folds(tmp_path).iterdir())
    assert len(files) > 15
    for n, file in enumerate(files[::4]):
        content = file.read_bytes()
        damaged = (content[:-7], b"", content[:60] + b"\0" + content[61:])
        file.write_bytes(damaged[n % 3])
    folded, damaged_kernel = fold_elsewhere(tmp_path)
    assert folded == want
    assert 0 < damaged_kernel < kernel
    forget_folds(tmp_path)
    assert fold_elsewhere(tmp_path) == [want, 0], "what was damaged is whole again"


def test_only_text_that_the_folder_or_the_name_covers_is_kept() -> None:
    assert is_covered("engine.kernel.flow.flow_trades")
    assert is_covered("ofs_fold_x_1234._trades")
    assert not is_covered("tests.engine.probes.flow")
    assert not is_covered("numba.np.arrayobj.f")
    assert not is_covered("engine.kernel.x.f.<locals>.g")


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (types.int64, True),
        (types.boolean, True),
        (types.none, True),
        (from_dtype(RECORD), True),
        (types.Array(from_dtype(RECORD), 1, "C"), True),
        (types.UniTuple(types.float64, 3), True),
        (types.Tuple((types.int64, types.unicode_type)), False),
        (types.NamedUniTuple(types.int64, 1, namedtuple("Odd", "x")), False),
        (types.Dispatcher(ewma_update), False),
        (types.IntegerLiteral(3), False),
        (types.Omitted(3), False),
        (types.pyobject, False),
    ],
)
def test_data_is_what_has_one_text_everywhere(kind: Any, data: bool) -> None:
    assert is_data(kind) is data


def test_a_symbol_tells_functions_and_types_apart() -> None:
    other = np.dtype([("x", "i8"), ("y", "f8", (4,))], align=True)
    kinds = [from_dtype(RECORD), from_dtype(other), types.int64, types.int32]
    names = {symbol_digest(name, (kind,)) for name in ("a.f", "a.g") for kind in kinds}
    assert len(names) == 8
    assert symbol_digest("a.f", (types.int64, types.int32)) not in names
    assert symbol_digest("a.f", (from_dtype(RECORD),)) in names


def test_a_function_that_stands_for_another_has_no_key(tmp_path: Path) -> None:
    store = Lowered(tmp_path)
    args = (types.int64,)
    assert store.key(ewma_update.py_func, args)
    assert store.key(ewma_update.py_func, (types.Dispatcher(ewma_update),)) == ""

    @numba.njit
    def made_here(x):
        return x

    assert store.key(made_here.py_func, args) == ""

    def ewma_update_too(x):
        return x

    ewma_update_too.__module__ = ewma_update.py_func.__module__
    ewma_update_too.__qualname__ = ewma_update_too.__name__ = ewma_update.py_func.__name__
    assert store.key(ewma_update_too, args) == ""
