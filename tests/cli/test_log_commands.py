"""``ofs log ls``, ``cat`` and ``sides`` over a small log, and their mistakes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data import errors
from data.events import Kind, Scales
from data.live.clock import SessionClock
from data.live.inlet import Inlet
from data.live.recorder import Recorder
from data.live.reopen import reopen
from data.log import LogStore
from tests.data.live.frames import BTC
from tests.data.live.test_recorder import ListFeed, market
from tests.data.make_log import T, make_log, trades
from tests.shared import shared_data


@pytest.fixture
def log(tmp_path: Path) -> Path:
    make_log(tmp_path / "log")
    return tmp_path / "log"


def test_ls_lists_series(run: Any, log: Path) -> None:
    rows = run("log", "ls", "--log", log, "--json").json()
    assert [(r["venue"], r["symbol"], r["kind"], r["files"], r["rows"]) for r in rows] == [
        ("binance-um", "BTCUSDT", "trade", 3, 150),
        ("binance-um", "BTCUSDT", "depth", 3, 150),
        ("bybit", "XAUT", "trade", 3, 150),
    ]
    assert rows[0]["from"] == "2024-08-09T00:00:00.000Z"
    assert rows[0]["to"] == "2024-08-11T00:00:49.000Z" and rows[0]["gaps"] == 0
    text = run("log", "ls", "--log", log, "--symbol", "btcusdt", "--kinds", "depth").out
    assert len(text.splitlines()) == 2 and "depth" in text


def test_ls_of_nothing(run: Any, log: Path) -> None:
    assert run("log", "ls", "--log", log, "--symbol", "NONE", "--json").json() == []
    result = run("log", "ls", "--log", log, "--symbol", "NONE")
    assert (result.code, result.out) == (0, "") and "holds nothing" in result.err


def test_ls_tells_what_is_in_a_journal_yet(run: Any, tmp_path: Path) -> None:
    opened = reopen(tmp_path / "log", "20261121T120000-record", [BTC])
    inlet = Inlet([BTC], SessionClock())
    recorder = Recorder(opened, ListFeed(market(60)), inlet, inlet.clock)
    assert "note:" not in run("log", "ls", "--log", tmp_path / "log").err
    for _ in range(5):
        recorder.step(0)
    opened.close(clean=False)
    result = run("log", "ls", "--log", tmp_path / "log")
    assert (result.code, result.out) == (0, "") and "holds nothing" in result.err
    assert "note: what 20261121T120000-record recorded last is in its journal" in result.err


def test_ls_names_a_damaged_file_and_lists_the_rest(run: Any, log: Path) -> None:
    file = next(log.glob("kind=depth/**/*.parquet"))
    file.write_bytes(b"")
    result = run("log", "ls", "--log", log, "--json")
    assert result.code == errors.EXIT_DATA and str(file) in result.err
    assert [row["kind"] for row in result.json()] == ["trade", "depth", "trade"]


def test_cat_merges_the_kinds_in_total_order(run: Any, log: Path) -> None:
    words = ("log", "cat", "--log", log, "--symbol", "BTCUSDT", "--venue", "binance-um")
    events = run(*words, "--json").json()
    assert len(events) == 300
    assert [e["time"] for e in events] == sorted(e["time"] for e in events)
    assert [e["kind"] for e in events[:4]] == ["trade", "depth", "trade", "depth"]
    assert events[0]["price"] == 60000.0 and events[0]["qty"] == 0.001
    assert events[1]["bid_price"][:2] == [59999.9, 59999.8]
    lines = run(*words, "--jsonl", "--limit", "7").out.splitlines()
    assert [json.loads(line) for line in lines] == events[:7]
    text = run(*words, "--limit", "2").out.splitlines()
    assert text[0] == "2024-08-09T00:00:00.000Z  trade        sell    0.001 @ 60000  id 1"
    assert "0.01 @ 59999.9 | 0.011 @ 60000.1  5x5 levels" in text[1]


def test_cat_of_a_range_and_of_kinds(run: Any, log: Path) -> None:
    words = ("log", "cat", "--log", log, "--symbol", "BTCUSDT", "--kinds", "trade")
    events = run(*words, "--from", "2024-08-10T00:00:03", "--to", "2024-08-10T00:00:05", "--json")
    assert [e["id"] for e in events.json()] == [54, 55]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["cat"], 2, "2 series fit"),
        (["cat", "--symbol", "BTCUSD"], 4, "did you mean BTCUSDT?"),
        (["cat", "--symbol", "BTCUSDT", "--kinds", "trades"], 2, "did you mean trade?"),
        (["cat", "--symbol", "BTCUSDT", "--from", "noon"], 2, "2024-08-08T23:54:15"),
        (["cat", "--symbol", "BTCUSDT", "--from", "2024-08-10", "--to", "2024-08-10"], 2, "empty"),
        (["cat", "--symbol", "BTCUSDT", "--from", "2030-01-01"], 4, "in the range"),
        (["cat", "--symbol", "BTCUSDT", "--json", "--jsonl"], 2, "exclude each other"),
        (["cat", "--symbol", "BTCUSDT", "--limit", "0"], 2, "--limit"),
        (["sides", "--symbol", "NONE"], 4, "holds nothing for"),
        (["sides", "--quote-age", "-1"], 2, "--quote-age"),
        (["ls", "--kinds", "x"], 2, "the kinds are gap"),
    ],
)
def test_mistakes(words: list[str], code: int, said: str, run: Any, log: Path) -> None:
    result = run("log", *words, "--log", log)
    assert result.code == code and said in result.err, result.err
    assert result.out == "" and "Traceback" not in result.err


@pytest.mark.parametrize("name", ["ls", "check", "gaps", "cat", "sides"])
def test_a_log_that_is_not_there(name: str, run: Any, tmp_path: Path) -> None:
    result = run("log", name, "--log", tmp_path / "typo")
    assert result.code == errors.EXIT_DATA
    assert str(tmp_path / "typo") in result.err and not (tmp_path / "typo").exists()


def test_sides_judges_every_rule(run: Any, log: Path) -> None:
    facts = run("log", "sides", "--log", log, "--symbol", "BTCUSDT", "--json").json()
    assert (facts["trades"], facts["unflagged"], facts["quotes"]) == (150, 0, 150)
    rules = {rule["rule"]: rule for rule in facts["rules"]}
    assert list(rules) == ["tick", "quote", "lee_ready", "ladder"]
    assert rules["tick"]["agrees"] == rules["tick"]["agreed"] / rules["tick"]["decided"]
    assert rules["tick"]["found"] == rules["tick"]["agreed"] / 150
    text = run("log", "sides", "--log", log, "--symbol", "BTCUSDT")
    assert "150 flagged trades" in text.err and "lee_ready" in text.out


def test_a_damaged_file_is_named(run: Any, log: Path) -> None:
    file = next(log.glob("kind=trade/venue=binance-um/**/*.parquet"))
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes(bytes(content))
    result = run("log", "cat", "--log", log, "--symbol", "BTCUSDT")
    assert result.code == errors.EXIT_DATA and str(file) in result.err
    assert len(run("log", "cat", "--log", log, "--symbol", "XAUT", "--json").json()) == 150


def holed(folder: Path) -> Path:
    """A log of 20 trades in which the ids 8 and 9 are missing and 100 seconds pass."""
    rows = trades(T, 20)
    keep = np.ones(20, bool)
    keep[7:9] = False
    rows["ts_ns"][9:] += 100 * 10**9
    store = LogStore(folder, create=True)
    with store.transaction() as change:
        columns = {name: values[keep] for name, values in rows.items()}
        change.merge(Kind.TRADE, "binance-spot", "ABC", columns, Scales(1, 3))
    return folder


def test_a_whole_log_has_nothing_to_find(run: Any, log: Path) -> None:
    words = ("--log", log, "--symbol", "XAUT", "--hole", "100000")
    for name in ("check", "gaps"):
        facts = run("log", name, *words, "--json")
        assert (facts.code, facts.json()["ok"], facts.json()["findings"]) == (0, True, [])
        text = run("log", name, *words)
        assert (text.code, text.out) == (0, "") and "150 rows: nothing found" in text.err


def test_gaps_by_id_and_by_time(run: Any, tmp_path: Path) -> None:
    log = holed(tmp_path / "log")
    result = run("log", "gaps", "--log", log, "--json")
    assert result.code == errors.EXIT_FINDING and not result.json()["ok"]
    found = {f["check"]: f for f in result.json()["findings"]}
    assert set(found) == {"id_hole", "time_hole"}
    hole = found["id_hole"]
    assert (hole["from_id"], hole["to_id"], hole["count"]) == (7, 10, 2)
    assert (hole["from"], hole["to"]) == ("2024-08-09T00:00:06.000Z", "2024-08-09T00:01:49.000Z")
    text = run("log", "gaps", "--log", log)
    assert text.code == errors.EXIT_FINDING and len(text.out.splitlines()) == 3
    assert "2 found" in text.err
    quiet = run("log", "gaps", "--log", log, "--hole", "1000", "--json").json()["findings"]
    assert [f["check"] for f in quiet] == ["id_hole"]


def test_check_can_be_asked_for_some_checks(run: Any, tmp_path: Path) -> None:
    log = holed(tmp_path / "log")
    assert run("log", "check", "--log", log, "--only", "crossed,off_grid").code == 0
    assert run("log", "check", "--log", log, "--only", "id_hole").code == errors.EXIT_FINDING
    grid = run("log", "check", "--log", log, "--only", "off_grid", "--tick", "0.2", "--json")
    assert grid.code == errors.EXIT_FINDING and grid.json()["findings"][0]["check"] == "off_grid"


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty"])
def test_check_finds_a_damaged_file_and_examines_the_rest(
    damage: str, run: Any, tmp_path: Path
) -> None:
    log = holed(tmp_path / "log")
    make_log(log, days=1)
    file = next(log.glob("kind=trade/venue=bybit/**/*.parquet"))
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    changed = {"truncate": content[:-7], "flip": content, "empty": b""}[damage]
    file.write_bytes(bytes(changed))
    result = run("log", "check", "--log", log, "--json")
    assert result.code == errors.EXIT_FINDING
    found = {f["check"]: f for f in result.json()["findings"]}
    assert found["corrupt_file"]["symbol"] == "XAUT" and str(file) in found["corrupt_file"]["text"]
    assert found["id_hole"]["symbol"] == "ABC"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["check", "--only", "id_holes"], 2, "did you mean id_hole?"),
        (["check", "--only", "zzz"], 2, "the checks are corrupt_file"),
        (["check", "--only", ","], 2, "no check is named"),
        (["check", "--tick", "0.1"], 2, "2 series fit"),
        (["check", "--hole", "0"], 2, "--hole"),
        (["check", "--symbol", "BTCUST"], 4, "did you mean BTCUSDT?"),
        (["gaps", "--venue", "zzz"], 4, "ofs log ls"),
        (["gaps", "--from", "2024-08-10", "--to", "2024-08-09"], 2, "the range is empty"),
    ],
)
def test_mistakes_of_check_and_gaps(
    words: list[str], code: int, said: str, run: Any, log: Path
) -> None:
    result = run("log", *words, "--log", log)
    assert result.code == code and said in result.err, result.err
    assert result.out == ""


def test_a_real_recording_has_exactly_its_gaps(run: Any, tmp_path: Path) -> None:
    files = sorted(shared_data("binance-spot").glob("LTCUSDT_2025-06-21_*h_trades.csv"))
    named = ("--venue", "binance-spot", "--symbol", "LTCUSDT")
    assert run("import", "--log", tmp_path / "log", *named, *files).code == 0
    found = run("log", "gaps", "--log", tmp_path / "log", "--json").json()["findings"]
    holes = [f["count"] for f in found if f["check"] == "id_hole"]
    assert (len(holes), sum(holes), max(holes)) == (16, 168, 117)
    again = run("import", "--log", tmp_path / "log", *named, *files, "--json")
    assert again.code == 0
    sql = "SELECT count(*) AS n, sum(qty) FILTER (side = 'BUY') AS bought FROM trades"
    rows = run("query", "--log", tmp_path / "log", "--json", sql).json()
    assert rows[0]["n"] == 53_325 and round(rows[0]["bought"], 3) == 111_776.466
