"""What ``ofs --help`` costs: at most three times the CPU of importing click, measured in one run.

CPU of child processes, user and system, in medians of processes taken in turn, so that a busy
machine slows both alike. The interpreter's own start is taken off both sides, too: the claim holds
with it and without it.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.run import command, environment

ROUNDS = 15
AT_MOST = 3.0

resource = pytest.importorskip("resource", reason="Windows counts no CPU of children")


def cpu_ms(words: list[str], env: dict[str, str], folder: Path) -> float:
    """CPU milliseconds of one process, user and system."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(words, env=env, cwd=folder, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return 1000.0 * float(seconds)


def test_help_costs_at_most_three_imports_of_click(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    env = environment(tmp_path)
    (tmp_path / "ofs.toml").write_text("[runs]\nlimit = 1\n", encoding="utf-8")
    processes = {
        "python": [sys.executable, "-c", "pass"],
        "click": [sys.executable, "-c", "import click"],
        "help": command("--help"),
    }
    for words in processes.values():  # compiles what is not compiled yet
        cpu_ms(words, env, tmp_path)
    took: dict[str, list[float]] = {name: [] for name in processes}
    for _ in range(ROUNDS):
        for name, words in processes.items():
            took[name].append(cpu_ms(words, env, tmp_path))
    python, click, shown = (statistics.median(took[name]) for name in processes)
    whole, net = shown / click, (shown - python) / max(click - python, 1.0)
    with capsys.disabled():
        print(
            f"\nCPU ms: ofs --help {shown:.0f}, import click {click:.0f}, python {python:.0f}: "
            f"{whole:.2f} times, {net:.2f} times without the interpreter ({os.cpu_count()} cores)"
        )
    assert whole <= AT_MOST and net <= AT_MOST
