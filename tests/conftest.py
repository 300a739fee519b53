"""What every test may rely on: an interrupt is heard, processes speak UTF-8, one cache of compiles.

A shell that starts pytest in the background tells it to ignore SIGINT, and every process that a
test starts would inherit that; tests that interrupt a command would then wait for ever.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings
from platformdirs import user_cache_dir

LONG = (
    "engine/runtime/test_processes.py",
    "data/sources/test_import_recordings.py",
    "data/sources/test_importer.py",
    "data/sources/test_fetch.py",
    "test_portable.py",
    "test_tidy.py",
    "data/live/test_fuzz.py",
    "data/live/test_keep.py",
    "cli/test_readme.py",
    "engine/kernel/test_handlers.py",
    "engine/measure/test_bench.py",
    "e2e/test_interrupt.py",
    "e2e/test_verdict.py",
    "campaigns/test_mutations.py",
    "campaigns/test_paper_kills.py",
    "campaigns/test_full_disk.py",
    "e2e/test_damage.py",
    "e2e/test_paper.py",
    "e2e/test_watching.py",
    "engine/runtime/test_cache.py",
    "engine/runtime/test_lowered.py",
    "engine/runtime/test_strategy_file.py",
    "engine/runtime/test_scaffold.py",
    "engine/runtime/test_reference.py",
    "e2e/test_startup.py",
)
"""Files that take longest. A file is run by one worker: the long ones come first, so that no worker
is left with one when the others are done. While one worker compiles the kernel for the first file,
the other has the seven below it, which compile nothing, and finds it compiled."""

if os.name == "nt":
    # Otherwise what a process prints to a pipe is in the code page of the machine.
    os.environ.setdefault("PYTHONUTF8", "1")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first, the others as they come."""
    here = Path(__file__).parent
    rank = {here / name: n for n, name in enumerate(LONG)}
    items.sort(key=lambda item: rank.get(item.path, len(LONG)))


# Compiled code in one folder for the workers and for every process that a test starts, whatever
# home a test gives to a user: the first folder that a process meets stays its folder.
os.environ.setdefault("OFS_CACHE", user_cache_dir("ofs", appauthor=False))

settings.register_profile("ofs", deadline=None)  # a busy machine is not a fault
settings.load_profile("ofs")


def hear_interrupts() -> None:
    """An ignored SIGINT would be ignored by every process that a test starts, too."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_runtest_teardown() -> None:
    """A test that runs the whole of ``main`` leaves what a finished command leaves."""
    hear_interrupts()


hear_interrupts()
