"""A new strategy: the files that a user gets work as they are, and nothing of his is lost."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import strategies
from data.errors import UsageError
from engine.runtime.scaffold import check_name, create
from engine.runtime.trial import fold
from tests.cli.run import environment, ofs


def run_pytest(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "test_tape_lean.py"],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


def test_what_is_generated_works_in_processes_of_its_own(tmp_path: Path) -> None:
    """As a user does it: new, then plain pytest, then a backtest that is verified."""
    made = ofs("strategy", "new", "tape_lean", "--json", home=tmp_path)
    assert made.code == 0, made.err
    assert made.json()["files"] == ["tape_lean.py", "test_tape_lean.py"]
    done = run_pytest(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 passed" in done.stdout
    run = ofs("backtest", "--strategy", "tape_lean.py:tape_lean", "--json", home=tmp_path)
    assert run.code == 0, run.err
    assert run.json()["fills"] > 20 and run.json()["round_trips"] > 10
    verified = ofs("verify", "last", home=tmp_path)
    assert verified.code == 0, verified.out + verified.err
    # and the test can fail: of a rule that never acts it says what to look at
    test = tmp_path / "test_tape_lean.py"
    text = test.read_text(encoding="utf-8")
    never = 'return fold(STRATEGY, settings={"min_trades": "5000000"})'
    test.write_text(text.replace("return fold(STRATEGY)", never), encoding="utf-8")
    done = run_pytest(tmp_path)
    assert done.returncode == 1 and "are the gates too strict" in done.stdout


def test_every_word_of_the_template_is_renamed(tmp_path: Path) -> None:
    for path in create("my_rule", tmp_path / "deep" / "er"):
        text = path.read_text(encoding="utf-8")
        assert "burst" not in text and "my_rule" in text
        assert b"\r" not in path.read_bytes()
        ast.parse(text)
    name = f"{tmp_path / 'deep' / 'er' / 'my_rule.py'}:my_rule"
    assert strategies.get(name).name == "my_rule"


def test_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text("precious", encoding="utf-8")
    with pytest.raises(UsageError, match=r"test_mine\.py is there already") as error:
        create("mine", tmp_path)
    assert "--force" in error.value.do
    assert (tmp_path / "test_mine.py").read_text(encoding="utf-8") == "precious"
    assert not (tmp_path / "mine.py").exists(), "nothing was written at all"
    create("mine", tmp_path, force=True)
    assert "precious" not in (tmp_path / "test_mine.py").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "begin with a letter"),
        ("2fast", "begin with a letter"),
        ("my-rule", "begin with a letter"),
        ("../evil", "begin with a letter"),
        ("größe", "begin with a letter"),
        ("_hidden", "begin with a letter"),
        ("x" * 25, "longer"),
        ("class", "Python language"),
        ("None", "Python language"),
        ("con", "device"),
        ("COM1", "device"),
        ("test_me", "test"),
        ("delta_flip", "exists"),
        ("Delta_Flip", "exists"),
        ("random", "Python itself"),
        ("sum", "Python itself"),
        ("decide", "something else"),
        ("Trial", "something else"),
        ("pandas", "installed package"),
        ("engine", "installed package"),
    ],
)
def test_names_that_cannot_be(name: str, says: str) -> None:
    with pytest.raises(UsageError) as error:
        check_name(name, strategies.names())
    assert says in error.value.why and error.value.do


def test_a_trial_is_what_a_backtest_records(tmp_path: Path) -> None:
    trial = fold(strategies.get("delta_flip"), settings={"entry_z": "2.5"})
    facts = ofs("backtest", "--set", "entry_z=2.5", "--json", home=tmp_path).json()
    assert trial.digest == facts["digest"] and trial.state_digest == facts["state_digest"]
    assert len(trial.decisions) == facts["decisions"] and len(trial.fills) == facts["fills"]
