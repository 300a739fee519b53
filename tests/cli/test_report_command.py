"""``ofs report``: where the file goes, what is printed, and what a user is told."""

from __future__ import annotations

import json
import webbrowser
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Ofs
from tests.data.make_runs import T
from tests.engine.report.cases import HOUR, S, log_of, run_of, tables_of, trades


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A folder with one run of three round trips over a log that is there."""
    from data.events import Kind

    log_of(tmp_path / "log", {Kind.TRADE: trades(T, HOUR, S)})
    starts = [T + n * 600 * S for n in (1, 2, 3)]
    run_of(tmp_path / "runs", tmp_path / "log", HOUR, tables_of(starts))
    return tmp_path / "runs"


def test_the_path_is_the_answer(run: Ofs, runs: Path) -> None:
    result = run("report", "last", "--runs", runs)
    assert result.code == 0
    path = Path(result.out.strip())
    assert path == runs / "20261121T000000-case0" / "report.html"
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert "note:" not in result.err


def test_a_run_is_named_as_everywhere(run: Ofs, runs: Path) -> None:
    for name in ("20261121T000000-case0", "2026112", runs / "20261121T000000-case0"):
        assert run("report", name, "--runs", runs).code == 0
    missing = run("report", "2025", "--runs", runs)
    assert missing.code == 4
    assert "there is no run '2025'" in missing.err


def test_the_file_goes_where_it_is_asked_for(run: Ofs, runs: Path, tmp_path: Path) -> None:
    result = run("report", "last", "--runs", runs, "--out", tmp_path / "mine.html")
    assert result.out.strip() == str(tmp_path / "mine.html")
    assert (tmp_path / "mine.html").stat().st_size > 50_000
    assert not list(runs.glob("*/report.html"))
    refused = run("report", "last", "--runs", runs, "--out", tmp_path / "no" / "such" / "x.html")
    assert refused.code == 4
    assert "no" in refused.err
    assert "Traceback" not in refused.err


def test_the_number_of_trials_can_be_given(run: Ofs, runs: Path) -> None:
    def figure(*words: str) -> dict[str, Any]:
        facts = run("report", "last", "--runs", runs, "--json", *words).json()
        found: dict[str, Any] = facts["statistics"]["trials"]
        return found

    assert (figure()["value"], figure("--trials", "50")["value"]) == (1, 50)
    assert figure("--trials", "50")["note"] == "as given"
    assert run("report", "last", "--runs", runs, "--trials", "0").code == 2


def test_json_has_the_figures_of_the_page(run: Ofs, runs: Path) -> None:
    facts = run("report", "last", "--runs", runs, "--json").json()
    assert facts["schema"] == 1
    assert facts["run"] == "20261121T000000-case0"
    assert facts["statistics"]["round_trips"]["value"] == 3
    assert facts["statistics"]["cost_fees"]["value"] == 6
    text = Path(facts["file"]).read_text(encoding="utf-8")
    assert len(text.encode()) == facts["bytes"]
    start = text.index('id="meta">') + len('id="meta">')
    meta = json.loads(text[start : text.index("</script>", start)])
    shown = {row["name"]: row["value"] for part in meta["statistics"] for row in part["rows"]}
    shown |= {row["name"]: row["value"] for row in meta["costs"]}
    for name, figure in facts["statistics"].items():
        if name in shown and figure["value"] is not None:
            assert abs(shown[name]) == abs(figure["value"]), name


def test_what_is_missing_is_said(run: Ofs, tmp_path: Path) -> None:
    run_of(tmp_path / "runs", tmp_path / "nowhere", HOUR, tables_of([T]))
    result = run("report", "last", "--runs", tmp_path / "runs")
    assert result.code == 0
    assert "note: The log of this run cannot be read" in result.err


def test_a_log_that_moved_can_be_named(run: Ofs, runs: Path, tmp_path: Path) -> None:
    (tmp_path / "log").rename(tmp_path / "moved")
    assert "cannot be read" in run("report", "last", "--runs", runs).err
    result = run("report", "last", "--runs", runs, "--log", tmp_path / "moved")
    assert "note:" not in result.err


def test_open_shows_it(run: Ofs, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda url: bool(shown.append(url)))
    result = run("report", "last", "--runs", runs, "--open")
    assert shown == [Path(result.out.strip()).as_uri()]
    assert "open it yourself" in result.err or "yourself" in result.err
