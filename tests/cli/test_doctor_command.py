"""``ofs doctor`` as a user runs it; its checks one by one stand in tests/data/doctor."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

import replays
from data import errors
from data.doctor.venue import ARCHIVE
from tests.cli.run import ofs
from tests.data.doctor.test_venue import serving, silent

LOCAL = ["python", "packages", "terminal", "open files", "settings", "cache", "runs folder",
         "log folder", "disk", "log", "writer"]  # fmt: skip


def by_name(result: Any) -> dict[str, dict[str, Any]]:
    return {line["check"]: line for line in result.json()["lines"]}


def test_a_machine_without_a_log_is_fine(tmp_path: Path) -> None:
    result = ofs("doctor", "--offline", "--warm", "--json", home=tmp_path)
    assert result.code == 0, result.out
    assert "leaked" not in result.err, "libraries go quietly, whatever was loaded"
    facts = result.json()
    assert facts["schema"] == 1 and facts["ok"] is True and facts["offline"] is True
    assert [line["check"] for line in facts["lines"]] == [*LOCAL, "compile", "warm"]
    assert sum(facts["counts"].values()) == len(facts["lines"]) and facts["counts"]["fail"] == 0
    warm = by_name(result)["warm"]
    assert warm["status"] == "ok" and warm["numbers"]["seconds"] > 0
    assert warm["numbers"]["strategy"] == "delta_flip"
    log = by_name(result)["log"]
    assert log["status"] == "warn" and log["fact"].startswith("there is none yet at ")
    assert "ofs import" in log["mend"]
    assert not (tmp_path / "data" / "ofs").exists(), "asking makes nothing"
    assert "the network was not asked" in result.err


def test_an_option_without_a_default_is_no_address() -> None:
    from cli.doctor import _setting
    from cli.main import ofs as root

    with root.make_context("ofs", ["doctor", "--offline"]):
        assert _setting("fetch", "endpoint") in (None, ARCHIVE.url)


def test_several_strategies_are_warmed_in_turn(tmp_path: Path) -> None:
    words = ("--strategy", "delta_flip", "--strategy", "typo", "--strategy", "scalper")
    result = ofs("doctor", "--offline", "--warm", *words, "--json", home=tmp_path)
    assert result.code == errors.EXIT_FINDING
    found = [line for line in result.json()["lines"] if line["check"] == "warm"]
    assert [line["status"] for line in found] == ["ok", "fail", "ok"]
    assert [line["numbers"].get("strategy") for line in found] == ["delta_flip", None, "scalper"]


def test_text_has_a_line_a_check_and_every_complaint_its_mend(run: Any) -> None:
    result = run("doctor", "--offline")
    assert result.code == 0
    lines = result.out.splitlines()
    heads = [line for line in lines if not line.startswith(" ")]
    assert [line[6:19].strip() for line in heads] == [*LOCAL, "compile"]
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        assert line.startswith(("ok  ", "warn", "fail", "     ")), line
        if line.startswith(("warn", "fail")):
            assert following.strip().startswith("do: ")


def test_a_broken_log_and_broken_folders_fail(run: Any, tmp_path: Path) -> None:
    root = Path(shutil.copytree(replays.path(), tmp_path / "log"))
    file = next(root.glob("kind=depth/**/*.parquet"))
    file.write_bytes(file.read_bytes()[:-9])
    (tmp_path / "runs").write_text("", encoding="utf-8")
    result = run("doctor", "--offline", "--json", "--log", root, "--runs", tmp_path / "runs")
    assert result.code == errors.EXIT_FINDING and result.json()["ok"] is False
    lines = by_name(result)
    assert lines["log"]["status"] == "fail" and "kind=depth" in lines["log"]["fact"]
    assert lines["runs folder"]["status"] == "fail" and "--runs" in lines["runs folder"]["mend"]
    assert lines["compile"]["status"] == "ok", "the others are asked all the same"


def test_a_damaged_catalogue_is_a_line(run: Any, tmp_path: Path) -> None:
    root = Path(shutil.copytree(replays.path(), tmp_path / "log"))
    (root / "catalogue.parquet").write_bytes(b"no parquet")
    result = run("doctor", "--offline", "--json", "--log", root)
    line = by_name(result)["log"]
    assert result.code == 1 and line["status"] == "fail" and "made again" in line["mend"]


def test_wrong_settings_are_a_line_and_do_not_stop_it(run: Any, tmp_path: Path) -> None:
    (tmp_path / "ofs.toml").write_text("[fetch]\nvenu = 'x'\n", encoding="utf-8")
    result = run("doctor", "--offline", "--json")
    line = by_name(result)["settings"]
    assert result.code == 1 and line["status"] == "fail"
    assert "ofs.toml:2" in line["fact"] and "ofs config check" in line["mend"]


@pytest.mark.parametrize(("status", "code"), [(200, 0), (451, 1)])
def test_the_network_is_asked_where_it_is_told(run: Any, status: int, code: int) -> None:
    with serving(status=status) as url:
        result = run("doctor", "--json", "--endpoint", url, "--clock", url)
    endpoint = by_name(result)["endpoint"]
    assert (result.code, endpoint["numbers"]["status"]) == (code, status)
    if status == 451:
        assert "geoblock" in endpoint["fact"] and endpoint["mend"]
    else:
        assert by_name(result)["clock"]["status"] == "ok"


def test_a_wrong_clock_and_a_host_that_stalls(run: Any) -> None:
    with serving(ahead_s=30.0) as right, silent() as stalled:
        result = run(
            "doctor", "--json", "--endpoint", stalled, "--clock", right, "--timeout", "300ms"
        )
    lines = by_name(result)
    assert result.code == 1
    assert lines["clock"]["status"] == "fail" and lines["clock"]["numbers"]["offset_ms"] > 29_000
    assert lines["endpoint"]["status"] == "fail" and "--offline" in lines["endpoint"]["mend"]


def test_the_archive_and_the_strategy_of_the_settings(run: Any, tmp_path: Path) -> None:
    with serving(status=451) as url:
        text = f"[fetch]\nendpoint = '{url}'\n[backtest]\nstrategy = 'no_such'\n"
        (tmp_path / "ofs.toml").write_text(text, encoding="utf-8")
        result = run("doctor", "--json", "--warm", "--clock", url, "--timeout", "500ms")
    archive = next(x for x in result.json()["lines"] if x["numbers"].get("url") == url)
    assert archive["status"] == "fail" and "geoblock" in archive["fact"]
    assert "no_such" in by_name(result)["warm"]["fact"]


def test_an_address_that_is_none(run: Any) -> None:
    result = run("doctor", "--json", "--endpoint", "nonsense", "--clock", "ftp://x")
    lines = by_name(result)
    assert result.code == 1
    for name in ("endpoint", "clock"):
        assert lines[name]["status"] == "fail" and "http" in lines[name]["mend"]


def test_what_is_no_strategy_cannot_be_compiled_ahead(run: Any) -> None:
    result = run("doctor", "--offline", "--warm", "--strategy", "delta_flop", "--json")
    line = by_name(result)["warm"]
    assert result.code == 1 and line["status"] == "fail" and "delta_flip" in line["mend"]
