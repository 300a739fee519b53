"""The start: help that loads nothing, a cold start that says so, a warm one that compiles nothing.

No time is asserted here: seconds belong to the machine. They are printed (``pytest -s``), and what
makes them short is asserted instead.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from data.jitcache import cache_dir, cache_key
from tests.cli.run import environment
from tests.e2e.support import CAMPAIGN, User, new_user

HEAVY = ("numba", "numpy", "pyarrow", "duckdb", "pandas", "llvmlite", "rich", "msgspec")

COMPILED = (".nbi", ".nbc")


@pytest.mark.parametrize(
    "words",
    [["--help"], ["backtest", "--help"], ["log", "--help"], ["query", "--help"], ["--version"]],
    ids=" ".join,
)
def test_help_loads_nothing_heavy(words: list[str], tmp_path: Path) -> None:
    code = (
        "import sys; from cli.main import run; code = run(sys.argv[1:]);"
        f"print([m for m in {HEAVY!r} if m in sys.modules], code, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env=environment(tmp_path),
        check=True,
    )
    assert done.stderr == "[] 0\n"
    assert done.stdout


def compiled(folder: Path) -> dict[str, int]:
    """Every file of compiled code below ``folder`` with the time of its last change."""
    return {
        p.relative_to(folder).as_posix(): p.stat().st_mtime_ns
        for p in folder.rglob("*")
        if p.suffix in COMPILED
    }


@pytest.fixture(scope="module")
def cold(tmp_path_factory: pytest.TempPathFactory) -> tuple[User, Path, Any, str]:
    """A first start without a compiled fold: the user, the cache, its facts and its talk.

    By default what other folds have lowered is there, which is a fifth of the compile to wait for.
    """
    user = new_user(tmp_path_factory.mktemp("cold"))
    cache = user.home / "cache"
    lowered = cache_dir() / "lowered"
    if lowered.is_dir() and not CAMPAIGN:
        shutil.copytree(lowered, cache / "jit" / cache_key() / "lowered")
    done = user.ofs("backtest", "--json", OFS_CACHE=str(cache))
    assert done.code == 0, done.err
    return user, cache, done.json(), done.err


def test_a_cold_start_says_that_it_compiles(cold: tuple[User, Path, Any, str]) -> None:
    _, cache, facts, talk = cold
    print(f"\ncold: first event after {facts['first_event_s']} s")
    assert talk.splitlines().count("compiling…") == 1
    assert compiled(cache)


def test_a_second_start_compiles_nothing(cold: tuple[User, Path, Any, str]) -> None:
    user, cache, first, _ = cold
    before = compiled(cache)
    done = user.ofs("backtest", "--json", OFS_CACHE=str(cache))
    facts = done.json()
    print(f"\nwarm: first event after {facts['first_event_s']} s")
    assert "compiling" not in done.err
    assert compiled(cache) == before
    assert facts["digest"] == first["digest"]
    assert facts["state_digest"] == first["state_digest"]
    if facts["first_event_s"] is not None:  # known on Linux
        assert 0 < facts["first_event_s"] < first["first_event_s"]


def test_verify_and_another_range_use_the_same_code(cold: tuple[User, Path, Any, str]) -> None:
    user, cache, first, _ = cold
    before = compiled(cache)
    assert user.ofs("verify", first["run"], OFS_CACHE=str(cache)).code == 0
    words = ("backtest", "btc_flow", "--to", "2026-01-05T12:30", "--set", "entry_z=1")
    assert "compiling" not in user.ofs(*words, OFS_CACHE=str(cache)).err
    assert compiled(cache) == before
