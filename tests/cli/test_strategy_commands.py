"""``ofs strategy list``, ``show`` and ``new``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from data import errors
from strategies import names


def test_list_names_what_backtest_takes(run: Any, tmp_path: Path) -> None:
    assert run("strategy", "new", "mine").code == 0
    rows = run("strategy", "list", "--json").json()["strategies"]
    *listed, own = [row["strategy"] for row in rows]
    assert own == "mine.py:mine"
    assert set(listed) == set(names())
    assert rows[-1]["source"] == str(tmp_path / "mine.py") and rows[0]["doc"].endswith(".")
    text = run("strategy", "list").out.splitlines()
    assert text[1].startswith("delta_flip  ") and text[-1].startswith("mine.py:mine  ")
    shown = run("strategy", "show", rows[-1]["strategy"], "--json").json()
    assert shown["name"] == "mine"


def test_show_tells_all_that_can_be_set(run: Any) -> None:
    facts = run("strategy", "show", "delta_flip", "--json").json()
    assert facts["schema"] == 1 and len(facts["source_sha256"]) == 64
    assert facts["handlers"][0] == "sides", "what the named handlers need is told too"
    assert {"gates", "detectors", "doc", "source"} <= facts.keys()
    one = next(p for p in facts["parameters"] if p["key"] == "entry_z")
    assert (one["default"], one["kind"], one["low"]) == ("2.0", "ratio", 0.1)
    text = run("strategy", "show", "delta_flip").out
    for p in facts["parameters"]:
        assert f"\n{p['key']} " in text and p["meaning"] in text
    settings = {row["key"] for row in run("backtest", "--settings", "--json").json()}
    assert {p["key"] for p in facts["parameters"]} <= settings


def test_new_says_what_to_do_next(run: Any, tmp_path: Path) -> None:
    result = run("strategy", "new", "mine", "--dir", "lab")
    assert result.out.splitlines() == ["lab/mine.py", "lab/test_mine.py"]
    assert "ofs backtest --strategy lab/mine.py:mine" in result.err
    assert (tmp_path / "lab" / "test_mine.py").is_file()
    again = run("strategy", "new", "mine", "--dir", "lab")
    assert again.code == errors.EXIT_USAGE and again.out == ""
    assert "is there already" in again.err and "--force" in again.err
    assert run("strategy", "new", "mine", "--dir", "lab", "--force").code == 0


def test_wrong_names_are_usage_errors(run: Any) -> None:
    for words in (("show", "delta_flop"), ("new", "class"), ("show", "gone.py:X"), ("nwe", "x")):
        result = run("strategy", *words)
        assert (result.code, result.out) == (errors.EXIT_USAGE, ""), words
    assert "delta_flip" in run("strategy", "show", "delta_flop").err


def test_a_folder_that_cannot_be_made_is_explained(run: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    result = run("strategy", "new", "mine", "--dir", "file/under")
    assert result.code == errors.EXIT_DATA and result.err.startswith("error: ")
