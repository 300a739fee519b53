"""``ofs runs``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from data import errors
from tests.data.make_runs import make_run


def test_no_runs_yet_is_no_error(run: Any) -> None:
    assert run("runs", "--json").json() == []
    result = run("runs")
    assert (result.code, result.out) == (0, "") and "ofs backtest" in result.err


def test_runs_are_listed_newest_last(run: Any, tmp_path: Path) -> None:
    make_run(tmp_path / "r", "new", created="2026-02-01T00:00:00+00:00")
    make_run(tmp_path / "r", "old", created="2026-01-01T00:00:00+00:00")
    make_run(tmp_path / "r", ".partial-1")
    (tmp_path / "r" / "started").mkdir()
    rows = run("runs", "--runs", tmp_path / "r", "--json").json()
    assert [row["run"] for row in rows] == ["old", "new"]
    assert rows[0]["time"] == "2026-01-01T00:00:00.000Z" and rows[0]["digest"] == "d" * 64
    text = run("runs", "--runs", tmp_path / "r").out.splitlines()
    assert [line.split()[0] for line in text] == ["run", "old", "new"]
    assert run("runs", "--runs", tmp_path / "r", "--limit", "1", "--json").json() == rows[1:]


def test_a_bad_manifest_is_named_and_the_rest_listed(run: Any, tmp_path: Path) -> None:
    make_run(tmp_path / "r", "good")
    (make_run(tmp_path / "r", "bad") / "manifest.json").write_text("[1", encoding="utf-8")
    result = run("runs", "--runs", tmp_path / "r", "--json")
    assert result.code == errors.EXIT_DATA and len(result.json()) == 1
    assert "bad" in result.err and result.err.startswith("error: cannot read ")


def test_a_folder_that_somebody_named_must_be_there(run: Any, tmp_path: Path) -> None:
    result = run("runs", "--runs", tmp_path / "typo")
    assert result.code == errors.EXIT_DATA and str(tmp_path / "typo") in result.err
