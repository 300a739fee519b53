"""What the tab key offers, and the scripts that ask for it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.run import command, environment, ofs

HEAVY = ("numba", "numpy", "pyarrow", "duckdb", "pandas", "rich")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user with a log of three series and two runs, as names of folders."""
    home = tmp_path_factory.mktemp("home")
    for log, place in (
        ("log", "kind=trade/venue=binance-um/symbol=BTCUSDT"),
        ("log", "kind=bar/venue=okx/symbol=LTCUSDT"),
        ("other", "kind=trade/venue=bybit/symbol=ETHUSDT"),
    ):
        (home / log / place / "date=2024-08-08").mkdir(parents=True)
    for run in ("20240101T000000-delta_flip", "20240202T000000-mine", ".half"):
        (home / "runs" / run).mkdir(parents=True)
        (home / "runs" / run / "manifest.json").write_text("{}", encoding="utf-8")
    session = home / "runs" / "_sessions" / "20261121T120000-paper-scalper"
    session.mkdir(parents=True)
    (session / "session.json").write_text("{}", encoding="utf-8")
    (home / "lab").mkdir()
    (home / "my_rule.py").write_text("my_rule = Strategy(\n", encoding="utf-8")
    (home / "test_my_rule.py").write_text("x = Strategy()\n", encoding="utf-8")
    two = "one: S = rt.Strategy('1')\ntwo=Strategy()\nthree = StrategyX()\n    four = Strategy()\n"
    (home / "lab" / "two.py").write_text(two, encoding="utf-8")
    (home / "ofs.toml").write_text('log = "log"\nruns = "runs"\n', encoding="utf-8")
    return home


def offered(line: str, home: Path, **env: str) -> list[str]:
    """The words that bash would show for ``line``, whose last word is being written."""
    place = str(len(line.split(" ")) - 1)
    words = {"_OFS_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": place}
    done = ofs(home=home, **words, **env)
    assert (done.code, done.err) == (0, ""), done
    return [text.removeprefix("plain,") for text in done.out.split()]


OFFERS = [
    ("ofs log ls --symbol ", ["BTCUSDT", "LTCUSDT"]),
    ("ofs log ls --symbol b", ["BTCUSDT"]),
    ("ofs log ls --venue okx --symbol ", ["LTCUSDT"]),
    ("ofs log ls --log other --symbol ", ["ETHUSDT"]),
    ("ofs --log other log ls --symbol ", ["ETHUSDT"]),
    ("ofs log ls --venue o", ["okx"]),
    ("ofs import --venue bi", ["binance-spot", "binance-um"]),
    ("ofs log cat --kinds tr", ["trade"]),
    ("ofs log cat --kinds trade,de", ["trade,depth"]),
    ("ofs log cat --kinds trade,tr", []),
    ("ofs verify ", ["20240101T000000-delta_flip", "20240202T000000-mine", "last"]),
    ("ofs verify 202402", ["20240202T000000-mine"]),
    ("ofs backtest --strategy d", ["delta_flip"]),
    ("ofs backtest b", ["btc_flow"]),
    ("ofs completion z", ["zsh"]),
    ("ofs diff last 202402", ["20240202T000000-mine"]),
    ("ofs diff 202401", ["20240101T000000-delta_flip"]),
    ("ofs verify run.z", ["file,run.z"]),
    ("ofs strategy show de", ["delta_flip"]),
    ("ofs strategy show my", ["my_rule.py:my_rule"]),
    ("ofs backtest --strategy lab/", ["lab/two.py:one", "lab/two.py:two"]),
    ("ofs backtest --strategy nowhere/x", ["file,nowhere/x"]),
    ("ofs fetch BTCUSDT --venue byb", ["bybit", "bybit-spot"]),
    ("ofs fetch L", ["LTCUSDT"]),
    ("ofs fetch LTCUSDT b", ["BTCUSDT"]),
    ("ofs sandbox --clock n", ["new-york"]),
    ("ofs sandbox --faults fau", ["file,fau"]),
    ("ofs paper run --endpoint sand", ["file,sand"]),
    ("ofs fetch EURUSD --venue m", ["mt5"]),
    ("ofs fetch EURUSD --venue mt5 --clock e", ["eet"]),
    ("ofs record --venue mt5 --terminal term", ["file,term"]),
    ("ofs record --session 2026", ["20261121T120000-paper-scalper"]),
    ("ofs config show fe", ["fetch"]),
    ("ofs config show log.p", ["log.prune"]),
    ("ofs config show se", ["serve", "set"]),
    ("ofs config s", ["show", "schema"]),
]


@pytest.mark.parametrize(("line", "words"), OFFERS, ids=[o[0] for o in OFFERS])
def test_the_tab_key_offers(line: str, words: list[str], home: Path) -> None:
    assert offered(line, home) == words


def test_wrong_settings_do_not_stop_the_tab_key(home: Path) -> None:
    assert offered("ofs log ls --symbol E", home, OFS_LOG="other") == ["ETHUSDT"]
    assert offered("ofs log ls --symbol E", home, OFS_CONFIG="none.toml") == []
    assert offered("ofs log ls --symbol E", home, OFS_LOG="s3://bucket/x") == []


def test_the_tab_key_imports_nothing_heavy(home: Path) -> None:
    code = (
        "import sys; from cli.main import run; run([]);"
        f"print([m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)"
    )
    for line in ("ofs log ls --symbol B", "ofs verify 2", "ofs backtest --strategy d"):
        place = str(len(line.split(" ")) - 1)
        words = {"_OFS_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": place}
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=environment(home, **words),
            cwd=home,
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=True,
        )
        assert done.stderr == "[]\n" and done.stdout


@pytest.mark.parametrize(
    ("shell", "sign"),
    [("bash", "complete -o nosort -F"), ("zsh", "#compdef ofs"), ("fish", "complete --no-files")],
)
def test_the_script_of_a_shell(shell: str, sign: str, tmp_path: Path) -> None:
    done = ofs("completion", shell, home=tmp_path)
    assert (done.code, done.err) == (0, "")
    assert sign in done.out and f"_OFS_COMPLETE={shell}_complete" in done.out


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
def test_bash_completes_with_the_script(home: Path) -> None:
    """The script is sourced and its function called as bash calls it for a tab."""
    program = home / "bin" / "ofs"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {" ".join(command())} "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    script = (
        'eval "$(ofs completion bash)"; compopt() { :; };'
        "COMP_WORDS=(ofs log ls --symbol L); COMP_CWORD=4; _ofs_completion ofs;"
        'echo "${COMPREPLY[@]}"'
    )
    path = os.pathsep.join((str(program.parent), os.environ["PATH"]))
    done = subprocess.run(
        ["bash", "-c", script],
        env=environment(home, PATH=path),
        cwd=home,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    )
    assert done.stdout == "LTCUSDT\n", done.stderr


def test_an_unknown_shell_is_a_usage_error(tmp_path: Path) -> None:
    done = ofs("completion", "tcsh", home=tmp_path)
    assert done.code == 2 and "'bash', 'zsh', 'fish'" in done.err
