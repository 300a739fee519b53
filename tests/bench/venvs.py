"""Virtual environments of the peers: one each, built once, reused, never the one of ofs.

Owns the search for a fitting interpreter and the installation by pip (wheels only, nothing is
compiled). Must hold: an environment counts as built only once its `ready.json` is written, which
happens last. Refuses to guess: what cannot be had raises `UnavailableError` saying by what.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

READY = "ready.json"


class UnavailableError(Exception):
    """A peer that cannot be had here; the text says why."""


@dataclass(frozen=True)
class Environment:
    """What a peer needs: pip requirements, and Python from `low` up to and with `high`."""

    name: str
    requirements: tuple[str, ...]
    low: tuple[int, int]
    high: tuple[int, int]

    def folder(self, root: Path) -> Path:
        """Where it lives below `root`; other requirements live elsewhere."""
        key = hashlib.sha256("\n".join(self.requirements).encode()).hexdigest()[:8]
        return root / f"{self.name}-{key}"


def _version_of(executable: str) -> tuple[int, int] | None:
    """(major, minor) that an interpreter reports of itself, or None when it does not run."""
    code = "import sys; print(*sys.version_info[:2])"
    try:
        out = subprocess.run(
            [executable, "-c", code], capture_output=True, text=True, encoding="utf-8", timeout=60
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    parts = out.stdout.split()
    return (int(parts[0]), int(parts[1])) if out.returncode == 0 and len(parts) == 2 else None


def _candidates(low: tuple[int, int], high: tuple[int, int]) -> Iterator[str]:
    """Interpreters worth asking: this one, those on the path, pyenv's, uv's, the py launcher's."""
    yield sys.executable
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for minor in range(low[1], high[1] + 1):
        name = f"{low[0]}.{minor}"
        found = shutil.which(f"python{name}")
        if found:
            yield found
        yield from (str(p) for p in sorted(pyenv.glob(f"{name}.*/bin/python")))
        for query in (["uv", "python", "find", name], ["py", f"-{name}", "-c", _PRINT_EXECUTABLE]):
            if shutil.which(query[0]):
                answer = subprocess.run(
                    query, capture_output=True, text=True, encoding="utf-8", check=False
                )
                if answer.returncode == 0:
                    yield answer.stdout.strip()


_PRINT_EXECUTABLE = "import sys; print(sys.executable)"


def interpreter(low: tuple[int, int], high: tuple[int, int]) -> str:
    """Path of a Python within [low, high].

    Raises:
        UnavailableError: none was found.
    """
    for executable in _candidates(low, high):
        version = _version_of(executable)
        if version is not None and low <= version <= high:
            return executable
    bounds = " to ".join(f"{major}.{minor}" for major, minor in (low, high))
    raise UnavailableError(f"needs Python {bounds}; none found on the path, in pyenv or in uv")


def python_in(folder: Path) -> Path:
    """The interpreter of a virtual environment."""
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _pip_error(text: str) -> str:
    """The last line in which pip says what went wrong."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors or lines or ["pip said nothing"])[-1]


def _run(command: list[str], what: str) -> str:
    """Run a step of the installation and return its stdout."""
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)
    if done.returncode != 0:
        raise UnavailableError(f"{what}: {_pip_error(done.stderr or done.stdout)}")
    return done.stdout


def ensure(environment: Environment, root: Path) -> Path:
    """Interpreter of the peer's environment below `root`, which is built when it is not there.

    Raises:
        UnavailableError: no interpreter, or pip could not install the requirements.
    """
    folder = environment.folder(root)
    python = python_in(folder)
    if (folder / READY).exists() and python.exists():
        return python
    shutil.rmtree(folder, ignore_errors=True)
    base = interpreter(environment.low, environment.high)
    print(f"building the environment of {environment.name} ...", file=sys.stderr, flush=True)
    _run([base, "-m", "venv", str(folder)], "venv")
    pip = [str(python), "-m", "pip", "--disable-pip-version-check"]
    install = [*pip, "install", "--quiet", "--only-binary", ":all:", *environment.requirements]
    _run(install, f"pip install {' '.join(environment.requirements)}")
    frozen = _run([*pip, "list", "--format", "freeze"], "pip list").split()
    ready = {"requirements": environment.requirements, "python": base, "installed": frozen}
    (folder / READY).write_text(json.dumps(ready, indent=1) + "\n", encoding="utf-8")
    return python
