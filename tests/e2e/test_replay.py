"""The embedded replay: without a network, from an installed wheel, and always the same result."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

import replays
from tests.cli.run import ROOT, environment
from tests.e2e.golden import platform_name, result
from tests.e2e.support import CAMPAIGN, User

GOLDEN = replays.manifest()["golden"]

HOUR = ("btc_flow", "--to", "2026-01-05T13:00")
"""A part of the replay that holds entries and exits and is short enough for plain Python."""

NO_NETWORK = """
import sys

def refuse(event, args):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        raise PermissionError(f"this machine has no network: {event} {args[1:]}")

sys.addaudithook(refuse)
"""


@pytest.fixture(scope="session")
def offline(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which every attempt to reach a network fails."""
    folder = tmp_path_factory.mktemp("offline")
    (folder / "sitecustomize.py").write_text(NO_NETWORK, encoding="utf-8")
    nowhere = "http://127.0.0.1:9"
    env = {
        "PYTHONPATH": os.pathsep.join((str(folder), str(ROOT))),
        **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), nowhere),
    }
    tried = subprocess.run(
        [sys.executable, "-c", "import socket; socket.create_connection(('127.0.0.1', 9))"],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert "this machine has no network" in tried.stderr
    return env


def expect_golden(facts: dict[str, Any]) -> None:
    """The run decided and kept what ``replay.json`` says; see tests.e2e.golden if it was meant."""
    assert facts["digest"] == GOLDEN["digest"]
    assert {k: facts[f"{k}s"] for k in ("decision", "order", "fill")} == {
        k: GOLDEN["rows"][k] for k in ("decision", "order", "fill")
    }
    assert facts["round_trips"] == GOLDEN["round_trips"]
    assert round(facts["net_pnl"] * 1e8) == GOLDEN["net_pnl_1e8"]
    if GOLDEN["state_on"] == platform_name():
        assert facts["state_digest"] == GOLDEN["state_digest"]


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, offline: dict[str, str]) -> dict[str, Any]:
    """What ``ofs backtest`` says to someone who has nothing, and no network."""
    user = User(tmp_path_factory.mktemp("first"))
    done = user.ofs("backtest", "--json", **offline, OFS_LOG="", OFS_RUNS="")
    assert done.code == 0, done.err
    return dict(done.json())


def test_the_first_command_works_without_data_and_without_a_network(first: dict[str, Any]) -> None:
    rows = replays.manifest()["rows"]
    assert (first["trades"], first["depth"], first["bars"]) == (
        rows["trade"],
        rows["depth"],
        rows["bar"],
    )
    assert first["round_trips"] >= 20
    expect_golden(first)


def test_the_same_command_leaves_the_same_result_under_another_hash_seed(
    user: User, first: dict[str, Any]
) -> None:
    for seed in ("0", "1"):
        again = user.json("backtest", PYTHONHASHSEED=seed)
        assert (again["digest"], again["state_digest"]) == (
            first["digest"],
            first["state_digest"],
        ), seed


@pytest.mark.parametrize("chunk_rows", [997, 1 << 20])
def test_the_size_of_chunks_changes_nothing(chunk_rows: int) -> None:
    made = result(replays.path(), chunk_rows=chunk_rows)
    assert made["digest"] == GOLDEN["digest"]
    if GOLDEN["state_on"] == platform_name():
        assert made["state_digest"] == GOLDEN["state_digest"]


def test_plain_python_decides_what_compiled_code_decides(user: User) -> None:
    compiled = user.json("backtest", *HOUR)
    plain = user.json("backtest", *HOUR, NUMBA_DISABLE_JIT="1")
    assert compiled["fills"] >= 4
    measured = {"run", "wall_s", "cpu_s", "events_per_cpu_s", "peak_rss_mb", "first_event_s"}
    assert {k: v for k, v in plain.items() if k not in measured} == {
        k: v for k, v in compiled.items() if k not in measured
    }


@pytest.mark.campaign
@pytest.mark.skipif(not CAMPAIGN, reason="two minutes of plain Python: OFS_CAMPAIGN=1")
def test_plain_python_gives_the_golden_result(user: User) -> None:
    assert result(replays.path())["digest"] == GOLDEN["digest"]
    with user.start("backtest", "--json", NUMBA_DISABLE_JIT="1") as slow:
        out, err = slow.communicate(timeout=280)
    assert slow.returncode == 0, err
    assert GOLDEN["digest"] in out


def build_wheel(folder: Path) -> Path:
    """A wheel of the checkout, built from a copy; pip fetches setuptools for that."""
    source = folder / "source"
    shutil.copytree(
        ROOT,
        source,
        ignore=shutil.ignore_patterns(".*", "build", "*.egg-info", "__pycache__", "tests"),
    )
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--no-deps", "-q",
         "-w", str(folder), str(source)],
        check=True,
    )  # fmt: skip
    (wheel,) = folder.glob("ofs-*.whl")
    return wheel


def venv_with(wheel: Path, folder: Path) -> Path:
    """A fresh environment with the wheel; its ``ofs``. The libraries are those of this one."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    scripts = Path(sysconfig.get_path("scripts", "venv", vars={"base": str(folder)}))
    python = scripts / Path(sys.executable).name
    subprocess.run(
        [str(python), "-m", "pip", "install", "-q", "--no-deps", "--no-index", str(wheel)],
        check=True,
    )
    found = subprocess.run(
        [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        check=True,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    libraries = Path(found.stdout.strip()) / "libraries_of_the_tests.pth"
    libraries.write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return next(p for p in scripts.iterdir() if p.stem == "ofs")


@pytest.mark.campaign
@pytest.mark.skipif(not CAMPAIGN, reason="builds a wheel and compiles cold: OFS_CAMPAIGN=1")
def test_an_installed_wheel_gives_the_golden_result(
    tmp_path: Path, user: User, offline: dict[str, str]
) -> None:
    program = venv_with(build_wheel(tmp_path), tmp_path / "venv")
    env = environment(user.home, **offline)
    env["PYTHONPATH"] = offline["PYTHONPATH"].split(os.pathsep)[0]  # not the checkout
    done = subprocess.run(
        [str(program), "backtest", "--json"],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env=env,
        cwd=user.home,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    expect_golden(json.loads(done.stdout))
    (manifest,) = user.home.rglob("manifest.json")
    ran = json.loads(manifest.read_text(encoding="utf-8"))["log"]["path"]
    assert Path(ran).is_relative_to(tmp_path / "venv")
