"""Compiled code is never stale: the cache's folder is named by everything it depends on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from data import jitcache

ROOT = Path(__file__).parents[2]

CALLER = """
from data import jitcache
jitcache.activate()
from numba import njit
from engine.kernel.callee import g

@njit(cache=True)
def f(x):
    return g(x)
"""

CALLEE = """
from numba import njit

@njit(cache=True)
def g(x):
    return x + {number}
"""

RUN = (
    "from engine.kernel.caller import f; from data import jitcache; "
    "print(f(1), sum(f.stats.cache_hits.values()), jitcache.cache_dir())"
)


def make_tree(tmp_path: Path) -> Path:
    """A source tree with a compiled function that calls one in another file."""
    (tmp_path / "data").mkdir()
    for name in ("__init__", "jitcache", "events", "enums"):
        shutil.copy(ROOT / f"data/{name}.py", tmp_path / "data")
    kernel = tmp_path / "engine/kernel"
    kernel.mkdir(parents=True)
    for package in (kernel, kernel.parent):
        (package / "__init__.py").write_text("", encoding="utf-8")
    (kernel / "caller.py").write_text(CALLER, encoding="utf-8")
    (kernel / "callee.py").write_text(CALLEE.format(number=10), encoding="utf-8")
    return tmp_path


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return make_tree(tmp_path)


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree whose function is in its cache."""
    tree = make_tree(tmp_path_factory.mktemp("warm"))
    assert run(tree)[:2] == (11, 0) and run(tree)[:2] == (11, 1)
    return tree


def run(tree: Path, **environment: str) -> tuple[int, int, str]:
    """(result, hits of the disk cache, cache folder) of a fresh process."""
    out = subprocess.run(
        [sys.executable, "-P", "-c", RUN],
        cwd=tree,
        capture_output=True,
        text=True, encoding="utf-8",
        env={**os.environ, "PYTHONPATH": str(tree), "OFS_CACHE": str(tree / "cache"),
             "PYTHONDONTWRITEBYTECODE": "1", **environment},
    )  # fmt: skip
    assert out.returncode == 0, out.stderr
    result, hits, folder = out.stdout.split()
    return int(result), int(hits), folder


def test_an_edited_callee_in_another_file_runs(tree: Path) -> None:
    cold = run(tree)
    warm = run(tree)
    assert (cold[:2], warm[:2]) == ((11, 0), (11, 1))
    assert warm[2] == cold[2]
    (tree / "engine/kernel/callee.py").write_text(CALLEE.format(number=99), encoding="utf-8")
    edited = run(tree)
    assert edited[:2] == (100, 0)
    assert edited[2] != cold[2]
    (tree / "engine/kernel/callee.py").write_text(CALLEE.format(number=10), encoding="utf-8")
    assert run(tree) == warm


def test_the_hash_covers_what_is_compiled_and_nothing_else(tree: Path) -> None:
    before = jitcache.source_hash(tree)
    (tree / "cli.py").write_text("x = 1", encoding="utf-8")
    assert jitcache.source_hash(tree) == before
    path = tree / "data/enums.py"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert jitcache.source_hash(tree) == before  # line ends of another system
    (tree / "engine/kernel/new.py").write_text("", encoding="utf-8")
    added = jitcache.source_hash(tree)
    assert added != before
    (tree / "engine/kernel/new.py").rename(tree / "engine/kernel/newer.py")
    assert jitcache.source_hash(tree) not in (added, before)


def test_the_key_names_versions_and_cpu() -> None:
    assert set(jitcache.versions()) == {
        "python",
        "implementation",
        "numpy",
        "numba",
        "llvmlite",
        "cpu",
    }
    assert all(jitcache.versions().values())
    assert jitcache.cache_key() == jitcache.cache_key()


def test_a_cache_that_cannot_be_written_costs_only_time(tree: Path) -> None:
    (tree / "blocked").write_text("a file, not a folder", encoding="utf-8")
    result, _, folder = run(tree, OFS_CACHE=str(tree / "blocked"))
    assert result == 11
    assert "blocked" not in folder


@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
@pytest.mark.parametrize("damage", [b"", b"garbage\n", None], ids=["empty", "garbage", "half"])
def test_a_damaged_cache_costs_one_compile(warm: Path, suffix: str, damage: bytes | None) -> None:
    files = [p for p in (warm / "cache").rglob("*") if p.suffix == suffix]
    assert len(files) == 2
    for path in files:
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    assert run(warm)[:2] == (11, 0)
    if damage is None:
        assert run(warm)[:2] == (11, 1), "it was written anew"


def test_the_projects_own_sources_are_found() -> None:
    names = {p.relative_to(ROOT).as_posix() for p in jitcache.source_files()}
    assert {"data/events.py", "data/enums.py", "data/log/order.py"} <= names
    assert any(name.startswith("engine/kernel/") for name in names)
    assert any(name.startswith("strategies/") for name in names)
    assert not any(name.startswith(("cli/", "tests/")) for name in names)


def test_two_processes_that_compile_at_once_never_get_each_others_code(tmp_path: Path) -> None:
    """Both read the index before either wrote it: by numba's numbers both would take data file 1,
    and whoever came later would call machine code of another signature."""
    from numba.core import caching

    jitcache.activate()
    make = caching.IndexDataCacheFile
    mine, theirs, reader = (make(str(tmp_path), "f", "stamp") for _ in range(3))
    mine._load_index = theirs._load_index = dict
    keys = ("(int64,)", "(float64,)")
    for first, second in ((0, 1), (1, 0)):
        for path in tmp_path.iterdir():
            path.unlink()
        writers = ((mine, keys[0]), (theirs, keys[1]))
        for n in (first, second):
            writers[n][0].save(writers[n][1], f"code of {writers[n][1]}")
        found = [reader.load(key) for key in keys]
        assert found[second] == f"code of {keys[second]}"
        assert found[first] in (None, f"code of {keys[first]}")
    # a file that was put under the name of another is no code of that other
    reader.save(keys[0], "code of (int64,)")
    reader.save(keys[1], "code of (float64,)")
    names = reader._load_index()
    (tmp_path / names[keys[1]]).write_bytes((tmp_path / names[keys[0]]).read_bytes())
    assert reader.load(keys[1]) is None
    assert reader.load(keys[0]) == "code of (int64,)"
