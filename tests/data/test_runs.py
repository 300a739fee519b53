"""The folder of runs: what counts as a run, and one bad manifest does not hide the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from data.errors import DataError, UsageError
from data.runs import RUN_COLUMNS, find_run, flat, list_runs
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
    (tmp_path / "file").write_text("x", encoding="utf-8")
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
    (folder / "manifest.json").write_text('{"created": "long ago", "result": 5}', encoding="utf-8")
    row = flat(list_runs(tmp_path)[0][0])
    assert row["run"] == "r" and row["params"] == "{}"
    assert row["time"] is None and row["net_pnl"] is None and row["events"] is None


def test_a_run_is_found_by_id_prefix_last_and_path(tmp_path: Path) -> None:
    for n, run in enumerate(("20260101T000000-a", "20260101T000000-a-2", "20260201T000000-b")):
        make_run(tmp_path, run, created=f"2026-01-0{n + 1}T00:00:00+00:00")
    assert find_run(tmp_path, "20260101T000000-a").id == "20260101T000000-a"
    assert find_run(tmp_path, "202602").id == find_run(tmp_path, "last").id == "20260201T000000-b"
    assert find_run(tmp_path / "x", str(tmp_path / "20260201T000000-b")).id == "20260201T000000-b"


def test_a_run_that_is_not_there_or_not_one(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no run 'last'"):
        find_run(tmp_path, "last")
    make_run(tmp_path, "20260101T000000-a")
    make_run(tmp_path, "20260101T000000-b")
    with pytest.raises(UsageError, match="the beginning of 2 runs"):
        find_run(tmp_path, "2026")
    with pytest.raises(DataError) as caught:
        find_run(tmp_path, "20260101T000000-c")
    assert caught.value.do.startswith("did you mean 20260101T000000-")
    (tmp_path / "20260101T000000-a" / "manifest.json").write_text("{", encoding="utf-8")
    with pytest.raises(DataError) as caught:
        find_run(tmp_path, "20260101T000000-a")
    assert "manifest.json" in caught.value.why
