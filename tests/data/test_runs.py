"""The folder of runs: what counts as a run, and one bad manifest does not hide the others."""

from __future__ import annotations

from pathlib import Path

from data.runs import RUN_COLUMNS, flat, list_runs
from tests.data.make_runs import T, make_run


def test_no_folder_holds_no_runs(tmp_path: Path) -> None:
    assert list_runs(tmp_path / "missing") == ([], [])


def test_runs_come_oldest_first(tmp_path: Path) -> None:
    make_run(tmp_path, "a", created="2026-02-01T00:00:00+00:00")
    make_run(tmp_path, "b", created="2026-01-01T00:00:00+00:00")
    assert [run.id for run in list_runs(tmp_path)[0]] == ["b", "a"]


def test_what_is_still_written_is_no_run(tmp_path: Path) -> None:
    make_run(tmp_path, "whole")
    make_run(tmp_path, ".partial-17")
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    runs, broken = list_runs(tmp_path)
    assert [run.id for run in runs] == ["whole"] and broken == []


def test_a_bad_manifest_is_named_and_hides_nothing(tmp_path: Path) -> None:
    make_run(tmp_path, "good")
    for name, text in (("torn", '{"run": "to'), ("list", "[]"), ("bytes", "\udcff")):
        (tmp_path / name).mkdir()
        content = text.encode("utf-8", "surrogateescape")
        (tmp_path / name / "manifest.json").write_bytes(content)
    runs, broken = list_runs(tmp_path)
    assert [run.id for run in runs] == ["good"]
    assert len(broken) == 3 and all("manifest.json: " in text for text in broken)


def test_a_manifest_becomes_flat_columns(tmp_path: Path) -> None:
    make_run(tmp_path, "r")
    row = flat(list_runs(tmp_path)[0][0])
    assert set(row) == {column.name for column in RUN_COLUMNS}
    assert row["from_time"] == T and row["to_time"] == T + 3600 * 10**9
    assert (row["events"], row["net_pnl"], row["content_hash"]) == (10, 1.5, "abc")
    assert row["params"] == '{"window_s": 60}' and row["ofs_version"] == "0.1.0"


def test_what_a_manifest_lacks_is_none(tmp_path: Path) -> None:
    folder = make_run(tmp_path, "r")
    (folder / "manifest.json").write_text('{"created": "long ago", "result": 5}')
    row = flat(list_runs(tmp_path)[0][0])
    assert row["run"] == "r" and row["params"] == "{}"
    assert row["time"] is None and row["net_pnl"] is None and row["events"] is None
