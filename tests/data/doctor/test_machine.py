"""Python, packages, open files, the terminal; each made wrong for real."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from data.doctor import machine
from data.doctor.lines import Status
from tests.cli.run import environment

ASK = """
import json, sys
from data.doctor import machine
line = getattr(machine, sys.argv[1])()
print(json.dumps([line.status, line.fact, line.mend]))
"""


def elsewhere(function: str, folder: Path, prefix: str = "") -> tuple[str, str, str]:
    """A check in a process of its own, with ``folder`` in front of everything installed."""
    env = environment(folder)
    env["PYTHONPATH"] = f"{folder}{os.pathsep}{env['PYTHONPATH']}"
    done = subprocess.run(
        [sys.executable, "-c", prefix + ASK, function], env=env, cwd=folder, capture_output=True,
        text=True, encoding="utf-8", check=True,
    )  # fmt: skip
    status, fact, mend = json.loads(done.stdout)
    return status, fact, mend


def pretend(folder: Path, name: str, version: str, *needs: str) -> None:
    """A distribution of that version, as importlib.metadata sees it."""
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir()
    text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    text += "".join(f"Requires-Dist: {need}\n" for need in needs)
    (info / "METADATA").write_text(text, encoding="utf-8")


def test_this_machine_is_fit() -> None:
    for line in (machine.python(), machine.packages(), machine.open_files(1)):
        assert line.status == Status.OK, line
    assert set(machine.packages().numbers) == set(machine.PACKAGES)


def test_a_python_that_is_not_supported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.python_version", lambda: "3.99.1")
    line = machine.python()
    assert (
        line.status == Status.FAIL and "3.99.1" in line.fact and "virtual environment" in line.mend
    )


def test_a_package_that_is_too_old_or_too_new_for_another(tmp_path: Path) -> None:
    pretend(tmp_path, "duckdb", "0.1")
    pretend(tmp_path, "numpy", "99.0")
    status, fact, mend = elsewhere("packages", tmp_path)
    assert status == "fail"
    assert "duckdb 0.1 is not >=" in fact and "(ofs)" in fact
    assert "numpy 99.0 is not" in fact and "(numba)" in fact, "numba bounds numpy from above"
    assert "pip install" in mend and '"duckdb>=' in mend and "<" in mend


def test_a_package_that_cannot_be_loaded(tmp_path: Path) -> None:
    (tmp_path / "duckdb.py").write_text("raise ImportError('wrong ELF class')", encoding="utf-8")
    status, fact, mend = elsewhere("packages", tmp_path)
    assert status == "fail" and "duckdb cannot be loaded: wrong ELF class" in fact
    assert "--force-reinstall duckdb" in mend


def test_a_package_that_takes_the_process_down(tmp_path: Path) -> None:
    (tmp_path / "pyarrow.py").write_text("import os; os._exit(9)", encoding="utf-8")
    status, fact, _ = elsewhere("packages", tmp_path)
    assert status == "fail" and "pyarrow cannot be loaded: the process ended with 9" in fact


def test_a_package_that_is_missing() -> None:
    line = machine.packages(["numpy", "no-such-package"])
    assert line.status == Status.FAIL and "no-such-package is not installed" in line.fact
    assert "pip install no-such-package" in line.mend


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit to set")
def test_few_open_files(tmp_path: Path) -> None:
    limit = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({0}, {0}))\n"
    status, fact, mend = elsewhere("open_files", tmp_path, limit.format(512))
    assert (status, fact) == ("warn", "only up to 512 at once") and "ulimit -n" in mend
    assert elsewhere("open_files", tmp_path, limit.format(64))[0] == "fail"


@pytest.mark.parametrize("encoding", ["utf-8", "UTF8", "cp65001"])
def test_a_terminal_that_can_show_all_letters(encoding: str) -> None:
    assert machine.terminal(Named(encoding)).status == Status.OK


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", ""])
def test_a_terminal_that_cannot(encoding: str) -> None:
    line = machine.terminal(Named(encoding))
    assert line.status == Status.WARN and "PYTHONUTF8=1" in line.mend


class Named(io.StringIO):
    """A stream that names its encoding."""

    def __init__(self, encoding: str) -> None:
        super().__init__()
        self._name = encoding

    @property
    def encoding(self) -> Any:
        return self._name
