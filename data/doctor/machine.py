"""Checks of the machine: Python, packages, open files, the terminal.

Owns what "supported" means here: the bounds of the installed package's own metadata, so that they
stand in one place (``pyproject.toml``). It refuses to know the disk and the network.
"""

from __future__ import annotations

import json
import locale
import platform
import subprocess
import sys
from collections.abc import Iterable
from importlib import metadata
from typing import Any, TextIO

from data.doctor.lines import Line, Status

PACKAGES = ("numba", "llvmlite", "numpy", "pyarrow", "duckdb")
"""What compiled code and the log stand on; each is imported."""

OPEN_FILES_WARN = 1024
OPEN_FILES_FAIL = 128

LOAD_S = 60.0

_LOAD = """
import importlib, json, sys
wrong = {}
for name in sys.argv[1:]:
    print(name, file=sys.stderr, flush=True)
    try:
        importlib.import_module(name)
    except Exception as error:
        wrong[name] = (str(error).splitlines() or [type(error).__name__])[0]
print(json.dumps(wrong))
"""
"""Loads packages in a process of its own: a library that crashes must not end the doctor."""

_ASKING = ("ofs", "numba", "pyarrow", "duckdb", "pandas")
"""Packages whose requirements bound those above."""


def python() -> Line:
    """The version of Python against what the package supports."""
    from packaging.specifiers import SpecifierSet

    have = platform.python_version()
    wanted = metadata.metadata("ofs")["Requires-Python"] or ""
    numbers = {"python": have, "supported": wanted, "executable": sys.executable}
    fact = f"{platform.python_implementation()} {have}, {platform.machine()}, {sys.executable}"
    if platform.python_implementation() != "CPython":
        mend = "use CPython: numba compiles for no other"
        return Line("python", Status.FAIL, fact, mend, numbers)
    if not SpecifierSet(wanted).contains(have, prereleases=True):
        mend = f"make a virtual environment with a Python {wanted} and install ofs there"
        return Line("python", Status.FAIL, f"{fact}: not {wanted}", mend, numbers)
    return Line("python", Status.OK, fact, numbers=numbers)


def packages(names: Iterable[str] = PACKAGES) -> Line:
    """Versions of the compiled libraries against what ofs, and they themselves, ask for."""
    wrong: list[str] = []
    cures: list[str] = []
    have: dict[str, Any] = {}
    for name in names:
        try:
            have[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            wrong.append(f"{name} is not installed")
            cures.append(name)
            continue
        bounds = _bounds(name)
        misfits = [
            f"{name} {have[name]} is not {s} ({by})" for by, s in bounds if have[name] not in s
        ]
        wrong += misfits
        cures += [f'"{name}{",".join(str(s) for _, s in bounds)}"'] if misfits else []
    for name, why in loaded(have).items():
        wrong.append(f"{name} cannot be loaded: {why}")
        cures.append(f"--force-reinstall {name}")
    fact = ", ".join(f"{name} {version}" for name, version in have.items())
    if not wrong:
        return Line("packages", Status.OK, fact, numbers=have)
    mend = f"{sys.executable} -m pip install {' '.join(dict.fromkeys(cures))}"
    return Line("packages", Status.FAIL, "; ".join(wrong), mend, have)


def loaded(names: Iterable[str]) -> dict[str, str]:
    """Why each of the packages that cannot be imported cannot; empty when all can."""
    command = [sys.executable, "-c", _LOAD, *names]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, encoding="utf-8", timeout=LOAD_S, check=False
        )
    except subprocess.TimeoutExpired:
        return {"one of them": f"it takes more than {LOAD_S:g} s"}
    if done.returncode == 0:
        return dict(json.loads(done.stdout))
    tried = [line for line in done.stderr.splitlines() if line in set(names)]
    last = tried[-1] if tried else "python"
    return {last: f"the process ended with {done.returncode}"}


def _bounds(name: str) -> list[tuple[str, Any]]:
    """(who asks, what it asks) of every requirement on ``name`` that holds on this machine."""
    from packaging.requirements import Requirement

    found = []
    for asker in _ASKING:
        try:
            needs = [Requirement(text) for text in metadata.requires(asker) or ()]
        except metadata.PackageNotFoundError:
            continue  # not installed: reported by name if it matters, and asks for nothing
        for need in needs:
            holds = need.marker is None or need.marker.evaluate({"extra": ""})
            if need.name == name and holds and need.specifier:
                need.specifier.prereleases = True
                found.append((asker, need.specifier))
    return found


def open_files(warn: int = OPEN_FILES_WARN, fail: int = OPEN_FILES_FAIL) -> Line:
    """How many files this process may hold open."""
    name = "open files"
    if sys.platform == "win32":
        # A limit of the C runtime only (8,192 at most); Python and Arrow open handles, not those.
        return Line(name, Status.OK, "Windows sets no limit that matters here")
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = soft == resource.RLIM_INFINITY
    numbers = {"soft": -1 if unlimited else soft, "hard": hard}
    fact = "no limit" if unlimited else f"up to {soft:,} at once"
    if unlimited or soft >= warn:
        return Line(name, Status.OK, fact, numbers=numbers)
    status = Status.FAIL if soft < fail else Status.WARN
    mend = f"ulimit -n {max(warn, 4096)} in the shell before ofs is started"
    return Line(name, status, f"only {fact}", mend, numbers)


def terminal(out: TextIO | None = None) -> Line:
    """Whether what is printed can be UTF-8, and what file names are encoded as."""
    out = out or sys.stdout
    encoding = (getattr(out, "encoding", None) or "none").lower()
    names = sys.getfilesystemencoding().lower()
    numbers = {
        "output": encoding,
        "file_names": names,
        "locale": locale.getpreferredencoding(False).lower(),
        "terminal": out.isatty(),
    }
    kind = "a terminal" if out.isatty() else "no terminal (plain text, no colour)"
    fact = f"{kind}, output {encoding}, file names {names}"
    if _is_utf8(encoding) and _is_utf8(names):
        return Line("terminal", Status.OK, fact, numbers=numbers)
    mend = "set PYTHONUTF8=1 in the environment (on Unix also a UTF-8 locale, e.g. LANG=C.UTF-8)"
    return Line("terminal", Status.WARN, f"{fact}: other letters are escaped", mend, numbers)


def _is_utf8(encoding: str) -> bool:
    return encoding.replace("-", "").replace("_", "") in ("utf8", "utf8sig", "cp65001")
