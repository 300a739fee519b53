"""numba's cache is keyed by the sources: an edit of a callee in another file is seen at once.

numba itself does not notice such an edit, so this runs a copy of the source tree, edits a constant
in ``engine/kernel/numbers.py`` (called from compiled functions of other files), and edits it back.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
PACKAGES = ("data", "engine", "strategies", "cli", "replays", "tests")
SEE_COLD = """
import json
from engine.runtime import fold
from tests.engine.driving import alone, fold_events
from tests.engine.tapes import market
cold = []
fold.load_module(alone("vwap"), lambda: cold.append(1))
print(json.dumps([fold_events(alone("vwap"), market(1, 60)).digest, bool(cold)]))
"""
BACKTEST = """
import json, sys
from pathlib import Path
from tests.engine.runtime.make_run import make_log, make_run
place = Path(sys.argv[1])
store = make_log(place / "log") if not (place / "log").exists() else None
from data.log import LogStore
print(json.dumps([make_run(LogStore(place / "log"), place / "log", place / "runs")["digest"], 0]))
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    copy = tmp_path / "tree"
    for name in PACKAGES:
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def run(tree: Path, script: str, *words: str) -> Any:
    env = {**os.environ, "PYTHONPATH": str(tree), "OFS_CACHE": str(tree.parent / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", script, *words], env=env, cwd=tree, capture_output=True, text=True,
        encoding="utf-8", timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def edit(tree: Path, old: str, new: str) -> None:
    """Same length, same file time: nothing but the content tells that the file has changed."""
    file = tree / "engine" / "kernel" / "numbers.py"
    text, when = file.read_text(encoding="utf-8"), file.stat()
    assert text.count(old) == 1
    assert len(old) == len(new)
    file.write_text(text.replace(old, new), encoding="utf-8")
    os.utime(file, ns=(when.st_atime_ns, when.st_mtime_ns))
    for cached in file.parent.rglob("numbers.*.pyc"):
        cached.unlink()  # that one is Python's own cache, which does go by time and length


def there_and_back(tree: Path, script: str, *words: str) -> None:
    first, _ = run(tree, script, *words)
    edit(tree, "FP9_MAX) * FP9)", "FP9_MAX) * 7e8)")
    second, _ = run(tree, script, *words)
    assert second != first, "the old machine code ran"
    edit(tree, "FP9_MAX) * 7e8)", "FP9_MAX) * FP9)")
    third, cold = run(tree, script, *words)
    assert third == first
    assert not cold, "the first text's code is still there"


def test_an_edit_of_a_callee_is_seen_and_so_is_its_undoing(tree: Path) -> None:
    there_and_back(tree, SEE_COLD)


@pytest.mark.campaign
@pytest.mark.skipif(os.environ.get("OFS_CAMPAIGN") != "1", reason="compiles a whole backtest twice")
def test_a_backtest_sees_an_edit_of_a_callee(tree: Path) -> None:
    there_and_back(tree, BACKTEST, str(tree.parent))


def test_the_key_covers_every_kernel_file(tree: Path) -> None:
    from data.jitcache import source_files, source_hash

    named = {p.relative_to(tree).as_posix() for p in source_files(tree)}
    kernel = {p.relative_to(tree).as_posix() for p in (tree / "engine/kernel").rglob("*.py")}
    assert kernel <= named
    before = source_hash(tree)
    for name in sorted(kernel):
        if (tree / name).stat().st_size:
            (tree / name).write_text(
                (tree / name).read_text(encoding="utf-8") + "# x\n", encoding="utf-8"
            )
            after = source_hash(tree)
            assert after != before, name
            before = after


_DIRECT = "from engine.kernel.numbers import product_fits as fits\nassert fits(1, 1)\n"
_FOLD = (
    "from tests.engine.driving import alone, fold_events\nfrom tests.engine.tapes import market\n"
    "fold_events(alone('sides'), market(2, 20))\n"
)


def test_a_function_in_the_cache_is_whole_after_a_fold_was_compiled_around_it(
    tmp_path: Path,
) -> None:
    """A fold that took it from the cache, half linked, left Python a call into nowhere."""
    for code in (_DIRECT, _DIRECT.splitlines()[0] + "\n" + _FOLD + "assert fits(3, 4)\n"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONPATH": str(ROOT), "OFS_CACHE": str(tmp_path)},
            cwd=ROOT,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=280,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-2000:]
