"""What would break on Windows, found by reading the source tree; each test lists every offender.

The suite is not run there, so these rules stand in for it: text is read and written with a named
encoding, what only POSIX has stands behind a question for it, and nothing is renamed over a file
without patience. A place that is guarded says so near by: an ``if`` on ``os.name`` or
``sys.platform``, a ``skipif``, an ``importorskip``, a ``hasattr``.
"""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from functools import cache
from pathlib import Path, PurePosixPath

import pytest

from tests.test_tidy import FLOORS, ROOT, imports, nodes, place, sources, tree

GUARD = re.compile(r"\bos\.name\b|\bsys\.platform\b|\bskipif\b|\bimportorskip\b|\bhasattr\b")
ONLY_POSIX = {
    "os": {"kill", "killpg", "setsid", "fork", "forkpty", "getuid", "geteuid", "getgid", "sysconf",
           "fdatasync", "mkfifo", "openpty", "wait", "waitpid", "WIFSIGNALED", "statvfs", "nice"},
    "signal": {"SIGKILL", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGPIPE", "SIGXFSZ", "alarm",
               "setitimer", "pthread_kill"},
    "time": {"clock_gettime", "tzset", "CLOCK_BOOTTIME"},
    "socket": {"AF_UNIX", "socketpair"},
    "asyncio": {"add_signal_handler"},
}  # fmt: skip
POSIX_MODULES = {"fcntl", "resource", "pty", "termios", "pwd", "grp", "tty"}
POSIX_KEYWORDS = {"preexec_fn", "start_new_session", "pass_fds", "process_group"}
POSIX_PLACES = re.compile(r"^/(?:proc|dev|tmp|etc|var|bin|usr)(?:/|$)")
DEVICES = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?", re.IGNORECASE)
PATH_MAX = 140
"""Longest path of the repository, in letters: a clone lies some way down on a disk."""


@cache
def calls(path: Path) -> tuple[ast.Call, ...]:
    return tuple(node for node in nodes(path) if isinstance(node, ast.Call))


def keywords(call: ast.Call) -> set[str]:
    return {k.arg for k in call.keywords if k.arg is not None}


def called(call: ast.Call) -> str:
    function = call.func
    if isinstance(function, ast.Attribute):
        return f".{function.attr}"
    return function.id if isinstance(function, ast.Name) else ""


def is_true(call: ast.Call, name: str) -> bool:
    return any(
        k.arg == name and isinstance(k.value, ast.Constant) and k.value.value is True
        for k in call.keywords
    )


def opens_text(call: ast.Call) -> bool:
    """``open`` of a file with a mode that is spelled out and is one of text."""
    if called(call) not in ("open", ".open"):
        return False
    at = 1 if called(call) == "open" else 0
    given = [k.value for k in call.keywords if k.arg == "mode"] or call.args[at : at + 1]
    mode = given[0].value if given and isinstance(given[0], ast.Constant) else None
    if called(call) == "open":
        return not isinstance(mode, str) or "b" not in mode
    return isinstance(mode, str) and re.fullmatch(r"[rwxa]\+?t?", mode) is not None


def test_text_is_read_and_written_with_a_named_encoding() -> None:
    wrong = []
    for path in sources():
        for call in calls(path):
            text = called(call) in (".read_text", ".write_text") or opens_text(call)
            positional = called(call) == ".read_text" and call.args
            if text and "encoding" not in keywords(call) and not positional:
                wrong.append(f"{place(path, call.lineno)} {called(call)}() names no encoding")
    assert not wrong, "\n".join(wrong)


def test_what_a_process_says_is_read_with_a_named_encoding() -> None:
    wrong = [
        f"{place(path, call.lineno)} text=True names no encoding"
        for path in sources()
        for call in calls(path)
        if is_true(call, "text") and "encoding" not in keywords(call)
    ]
    assert not wrong, "\n".join(wrong)


def test_no_shell_is_asked() -> None:
    wrong = [
        f"{place(path, call.lineno)} uses a shell"
        for path in sources()
        for call in calls(path)
        if is_true(call, "shell") or ast.unparse(call.func) in ("os.system", "os.popen")
    ]
    assert not wrong, "\n".join(wrong)


class Guarded(ast.NodeVisitor):
    """Finds what only POSIX has, and whether a question for it stands around the place."""

    def __init__(self, path: Path) -> None:
        self.wrong: list[str] = []
        self._path = path
        self._lines = path.read_text(encoding="utf-8").splitlines()
        self._inside: list[bool] = []
        marks = [n for n in tree(path).body if isinstance(n, ast.Assign)]
        self._module = any(self._guards(n) for n in marks if "pytestmark" in ast.unparse(n.targets))

    def _guards(self, node: ast.AST) -> bool:
        first, last = getattr(node, "lineno", 1), getattr(node, "end_lineno", None)
        return GUARD.search("\n".join(self._lines[first - 1 : last])) is not None

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        for decorator in node.decorator_list:
            self.visit(decorator)  # evaluated when the module is imported: only an `if` guards it
        asked = self._module or self._guards(node) or any(map(self._guards, node.decorator_list))
        self._inside.append(asked)
        for child in (*node.args.defaults, *node.body):
            self.visit(child)
        self._inside.pop()

    def visit_If(self, node: ast.If) -> None:
        self._block(node, self._guards(node.test))

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self._block(node, self._guards(node.test))

    def _block(self, node: ast.AST, asked: bool) -> None:
        self._inside.append(asked)
        self.generic_visit(node)
        self._inside.pop()

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if isinstance(node.value, ast.Name) and node.attr in ONLY_POSIX.get(node.value.id, ()):
            self._found(node, f"{node.value.id}.{node.attr}")
        self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            if alias.name in POSIX_MODULES:
                self._found(node, f"import {alias.name}")

    def visit_keyword(self, node: ast.keyword) -> None:
        if node.arg in POSIX_KEYWORDS:
            self._found(node.value, str(node.arg))
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        if called(node) == ".send_signal":  # Windows knows no signals; Popen.kill() is portable
            self._found(node, "send_signal")
        first = node.args[0] if called(node) == "Path" and node.args else None
        if isinstance(first, ast.Constant) and POSIX_PLACES.match(str(first.value)):
            self._found(node, f"{first.value!r}")
        self.generic_visit(node)

    def _found(self, node: ast.AST, what: str) -> None:
        if not any(self._inside):
            self.wrong.append(f"{place(self._path, getattr(node, 'lineno', 0))} {what}")


def test_what_only_posix_has_stands_behind_a_question_for_it() -> None:
    wrong = []
    for path in sources():
        found = Guarded(path)
        found.visit(tree(path))
        wrong += found.wrong
    assert not wrong, "\n".join(wrong)


def within_patience(path: Path) -> set[int]:
    """Identities of all nodes that stand inside a call of ``patiently``."""
    patient = [c for c in calls(path) if called(c) in ("patiently", ".patiently")]
    return {id(inner) for call in patient for inner in ast.walk(call)}


def test_a_file_is_replaced_with_patience() -> None:
    """On Windows it fails while somebody reads the old file; ``Path.rename`` never replaces."""
    wrong = []
    for path in sources(*FLOORS):
        patient = within_patience(path)
        for call in calls(path):
            renames = called(call) == ".rename" and len(call.args) == 1 and not call.keywords
            replaces = called(call) == ".replace" and len(call.args) == 1 and not call.keywords
            if (renames or replaces) and id(call) not in patient:
                wrong.append(f"{place(path, call.lineno)} {called(call)}() without patiently()")
    assert not wrong, "\n".join(wrong)


def test_time_zones_come_with_the_package() -> None:
    """Windows has none for zoneinfo: whoever imports it needs the package tzdata there."""
    users = [p for p in sources(*FLOORS) for _, name in imports(p) if name.startswith("zoneinfo")]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert not users or any(need.startswith("tzdata") for need in project["dependencies"])


def committed() -> list[PurePosixPath]:
    if not (ROOT / ".git").exists():
        pytest.skip("no clone: which files are committed cannot be asked")
    done = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, encoding="utf-8",
        check=True,
    )  # fmt: skip
    return [PurePosixPath(name) for name in done.stdout.split("\0") if name]


def test_every_name_can_stand_on_a_disk_of_windows() -> None:
    wrong: list[str] = []
    seen: dict[str, PurePosixPath] = {}
    for path in committed():
        for part in path.parts:
            if re.search(r'[<>:"\\|?*\x00-\x1f]', part) or part.endswith((".", " ")):
                wrong.append(f"{path}: a letter that Windows forbids")
            if DEVICES.fullmatch(part):
                wrong.append(f"{path}: the name of a device")
        if len(str(path)) > PATH_MAX:
            wrong.append(f"{path}: longer than {PATH_MAX} letters")
        other = seen.setdefault(str(path).lower(), path)
        if other != path:
            wrong.append(f"{path} and {other} differ by case alone")
    assert not wrong, "\n".join(wrong)


def test_line_ends_are_the_same_in_every_clone() -> None:
    text = (ROOT / ".gitattributes").read_text(encoding="utf-8")
    assert "* text=auto eol=lf" in text.splitlines()


def test_a_rule_finds_what_it_is_for(tmp_path: Path) -> None:
    """Each trap once, guarded once."""
    source = (
        "import os, signal, sys\nimport fcntl\n"
        "X = signal.SIGKILL\n"
        "def bad():\n    os.kill(1, 9)\n    Path('/proc/self')\n    run(preexec_fn=f)\n"
        "def good():\n    if os.name != 'nt':\n        os.kill(1, 9)\n"
        "Y = signal.SIGKILL if hasattr(signal, 'SIGKILL') else None\n"
        "@pytest.mark.skipif(os.name == 'nt', reason='x')\n"
        "@pytest.mark.parametrize('n', [signal.SIGXFSZ])\n"
        "def test():\n    os.fork()\n"
    )
    file = ROOT / "tests" / "a_trap.py"
    path = tmp_path / "a_trap.py"
    path.write_text(source, encoding="utf-8")
    found = Guarded.__new__(Guarded)
    found.wrong, found._path, found._lines, found._inside = [], file, source.splitlines(), []
    found._module = False
    found.visit(ast.parse(source))
    assert [line.split(":")[1] for line in found.wrong] == [
        "2 import fcntl", "3 signal.SIGKILL", "5 os.kill", "6 '/proc/self'", "7 preexec_fn",
        "13 signal.SIGXFSZ",
    ]  # fmt: skip
