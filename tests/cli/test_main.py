"""The front door: what it imports, how it answers mistakes, and every exit code."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from cli import common, main
from data import errors
from tests.cli.run import command, environment, ofs

HEAVY = ("numba", "numpy", "pyarrow", "duckdb", "pandas", "rich", "websockets")


@pytest.mark.parametrize("words", [["--help"], ["log", "--help"], ["--version"], ["runs"]])
def test_light_commands_import_nothing_heavy(words: list[str], tmp_path: Path) -> None:
    code = (
        "import sys\nfrom cli.main import main\n"
        f"try:\n    main({words!r})\nexcept SystemExit as leaving:\n    assert not leaving.code\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    )
    assert done.stderr.splitlines()[-1] == "[]"


def test_help_names_commands_and_exit_codes(tmp_path: Path) -> None:
    result = ofs("--help", home=tmp_path, fresh=True)
    assert result.code == 0 and not result.err
    for name in main.COMMANDS:
        assert f"\n  {name} " in result.out
    for code, meaning in common.EXIT_MEANING.items():
        assert f"{code}  {meaning}\n" in result.out


def test_named_alone_a_group_shows_its_help(tmp_path: Path) -> None:
    assert ofs(home=tmp_path, fresh=True).out == ofs("--help", home=tmp_path).out
    assert "cat " in ofs("log", home=tmp_path).out


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["qurey", "SELECT 1"], "did you mean query?"),
        (["log", "chek"], "did you mean check?"),
        (["zzz"], "the commands are backtest, "),
        (["--jsn"], "did you mean --json"),
        (["runs", "--lmit", "3"], "did you mean --limit?"),
        (["runs", "--limit", "0"], "--limit"),
        (["runs", "extra"], "unexpected extra argument"),
        (["query", "--csv", "--json", "SELECT 1"], "exclude each other"),
        (["query"], "no question"),
        (["query", "--list", "SELECT 1"], "--list answers no question"),
    ],
)
def test_a_wrong_word_is_a_usage_error(words: list[str], expected: str, tmp_path: Path) -> None:
    result = ofs(*words, home=tmp_path)
    assert result.code == errors.EXIT_USAGE
    assert result.out == ""
    assert result.err.startswith("error: ") and expected in result.err
    assert "Traceback" not in result.err


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Adds a command ``fake`` that does what the given function does."""

    def add(act: Callable[[], Any]) -> None:
        def body(app: common.App) -> Any:
            return act()

        module = types.ModuleType("fake_command")
        module.command = common.command("fake", examples=())(body)  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "fake_command", module)
        monkeypatch.setitem(main.ofs.lazy, "fake", ("fake_command", "A command for a test."))

    return add


def raising(error: BaseException) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


KINDS = [
    (errors.UsageError, 2),
    (errors.ConfigError, 3),
    (errors.DataError, 4),
    (errors.CorruptFileError, 4),
    (errors.LockedError, 4),
    (errors.NetworkError, 5),
    (errors.RiskHaltError, 6),
]


@pytest.mark.parametrize(("kind", "code"), KINDS)
def test_every_foreseen_failure_has_its_code(
    kind: type[errors.OfsError], code: int, fake: Any, capsys: Any
) -> None:
    fake(raising(kind("it broke", where="here", why="because", do="mend it")))
    assert main.run(["fake"]) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "error: it broke\n  where: here\n  why: because\n  do: mend it\n"


def test_every_exit_code_has_a_meaning_and_every_class_one_of_them() -> None:
    subclasses = [errors.OfsError, *errors.OfsError.__subclasses__()]
    assert {kind.exit_code for kind in subclasses} <= set(common.EXIT_MEANING)
    named = {v for k, v in vars(errors).items() if k.startswith("EXIT_")}
    assert named == set(common.EXIT_MEANING)


def test_a_returned_number_is_the_exit_code(fake: Any) -> None:
    fake(lambda: errors.EXIT_FINDING)
    assert main.run(["fake"]) == 1
    fake(lambda: None)
    assert main.run(["fake"]) == 0


@pytest.mark.parametrize("error", [ValueError("no such\nthing"), EOFError("end"), KeyError("x")])
def test_an_unforeseen_failure_is_a_bug_in_one_line(
    error: Exception, fake: Any, capsys: Any
) -> None:
    fake(raising(error))
    assert main.run(["fake"]) == errors.EXIT_BUG
    said = capsys.readouterr().err
    assert said.startswith(f"bug: {type(error).__name__}: ") and said.count("\n") == 1
    assert "--debug" in said and " at common.py:" in said


@pytest.mark.parametrize("words", [["fake", "--debug"], ["--debug", "fake"]])
def test_debug_shows_the_traceback(words: list[str], fake: Any, capsys: Any) -> None:
    fake(raising(ValueError("no")))
    assert main.run(words) == errors.EXIT_BUG
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_the_operating_system_may_refuse(fake: Any, capsys: Any) -> None:
    fake(raising(OSError(28, "No space left on device", "x.parquet")))
    assert main.run(["fake"]) == errors.EXIT_DATA
    said = capsys.readouterr().err
    assert "No space left on device" in said and "where: x.parquet" in said


def test_an_interrupt_ends_with_one_line(fake: Any, capsys: Any) -> None:
    fake(raising(KeyboardInterrupt()))
    assert main.run(["fake"]) == errors.EXIT_INTERRUPT
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.skipif(os.name == "nt", reason="Windows knows no SIGTERM to a process")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_a_heavy_question(number: signal.Signals, tmp_path: Path) -> None:
    heavy = "SELECT count(*) FROM range(100000000) a, range(1000) b WHERE (a.range*b.range)%7=3"
    process = subprocess.Popen(
        command("query", "EXPLAIN ANALYZE " + heavy),
        env=environment(tmp_path),
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=2.5)  # it is long inside DuckDB by now
    process.send_signal(number)
    try:
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert (process.returncode, out) == (errors.EXIT_INTERRUPT, "")
    assert err == "interrupted; nothing half-written was kept\n"


@pytest.mark.skipif(os.name == "nt", reason="a shell pipe of POSIX")
def test_a_reader_that_goes_away_is_no_failure(tmp_path: Path) -> None:
    process = subprocess.Popen(
        command("query", "--csv", "SELECT * FROM range(10000000)"),
        env=environment(tmp_path),
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    assert process.stdout is not None and process.stderr is not None
    assert process.stdout.readline() == "range\n"
    process.stdout.close()
    err = process.stderr.read()
    assert (process.wait(timeout=30), err) == (0, "")


def options_of(*words: str) -> common.App:
    """The App that a command line gives."""
    seen: list[common.App] = []

    def body(app: common.App) -> None:
        seen.append(app)

    module = types.ModuleType("fake_command")
    module.command = common.command("fake", examples=())(body)  # type: ignore[attr-defined]
    sys.modules["fake_command"] = module
    main.ofs.lazy["fake"] = ("fake_command", "A command for a test.")
    try:
        assert main.run(list(words)) == 0
    finally:
        del main.ofs.lazy["fake"], sys.modules["fake_command"]
    return seen[0]


def test_where_a_setting_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OFS_LOG", "OFS_RUNS", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    default = options_of("fake")
    assert default.log.endswith("log") and not default.log_named and default.color
    assert default.runs.name == "runs" and not default.runs_named and default.show_progress
    monkeypatch.setenv("OFS_LOG", "env-log")
    monkeypatch.setenv("OFS_RUNS", "env-runs")
    monkeypatch.setenv("NO_COLOR", "1")
    env = options_of("fake")
    assert (env.log, str(env.runs), env.color) == ("env-log", "env-runs", False)
    assert env.log_named and env.runs_named
    before = options_of("--log", "a", "--json", "--no-progress", "fake")
    assert (before.log, before.json, before.show_progress) == ("a", True, False)
    assert options_of("--log", "a", "fake", "--log", "b").log == "b"


def test_help_of_a_command_ends_with_examples_and_exit_codes(tmp_path: Path) -> None:
    out = ofs("runs", "-h", home=tmp_path).out
    assert "\nExamples:\n  ofs runs\n" in out
    assert "\nExit codes:\n    0  ok\n    2  the command line is wrong\n" in out


def test_times_on_the_command_line() -> None:
    convert = common.TIME.convert
    assert convert("1970-01-02", None, None) == 86_400 * 10**9
    with pytest.raises(click.BadParameter, match="write it as 2024-08-08"):
        convert("yesterday", None, None)


@pytest.mark.parametrize(
    ("words", "place", "offered"), [("ofs q", 1, "plain,query"), ("ofs log c", 2, "plain,check")]
)
def test_the_shell_is_offered_commands(
    words: str, place: int, offered: str, tmp_path: Path
) -> None:
    env = {"_OFS_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(place)}
    result = ofs(home=tmp_path, **env)
    assert (result.code, result.err) == (0, "") and offered in result.out.splitlines()


def test_a_finished_command_waits_for_no_thread_and_loses_no_word(tmp_path: Path) -> None:
    code = (
        "import atexit, sys, threading, time\nfrom cli import main\n"
        "def work(words):\n"
        "    threading.Thread(target=time.sleep, args=(600,)).start()\n"
        "    sys.stdout.write('x' * 100_000)\n"
        "    atexit.register(lambda: sys.stderr.write('tidied'))\n"
        "    return 1\n"
        "main.run = work\nmain.entry()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert (done.returncode, len(done.stdout), done.stderr) == (1, 100_000, "tidied")
