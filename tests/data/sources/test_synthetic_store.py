"""Synthetic markets in the log: what is written is what was generated."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data.errors import DataError
from data.events import Kind
from data.log import LogReader, LogStore
from data.sources.synthetic import (
    VENUE,
    Label,
    MarketSpec,
    decode_labels,
    encode_labels,
    label_path,
    write_market,
)
from tests.data.sources.synthetic_markets import NS, market

SPEC = MarketSpec(
    seed=21,
    start_ns=1_767_569_400 * NS,  # 23:30, so that the market has two dates
    duration_s=3_600,
    rate_per_s=8.0,
    patterns=("absorption",),
    every_s=900,
)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[LogStore, list[Label]]:
    store = LogStore(str(tmp_path_factory.mktemp("market") / "log"), create=True)
    return store, write_market(store, SPEC)


def test_the_log_holds_the_market(written: tuple[LogStore, list[Label]]) -> None:
    store, labels = written
    want = market(SPEC)
    assert labels == want.labels
    kinds = {
        Kind.TRADE: ("ts_ns", "id", "price", "qty", "side"),
        Kind.DEPTH: ("ts_ns", "bid_price", "bid_qty", "ask_price", "ask_qty"),
        Kind.BAR: ("ts_ns", "open", "close", "volume"),
    }
    parts: dict[tuple[Kind, str], list[np.ndarray]] = {}
    for batch in LogReader(store, VENUE, SPEC.symbol, kinds):
        for kind, columns in batch.columns.items():
            for name in kinds[kind]:
                parts.setdefault((kind, name), []).append(columns[name].copy())
    tables = {Kind.TRADE: want.trades, Kind.DEPTH: want.depth, Kind.BAR: want.bars}
    for (kind, name), got in parts.items():
        column = tables[kind][name]
        column = column[0] if isinstance(column, tuple) else column
        np.testing.assert_array_equal(np.concatenate(got), column, err_msg=f"{kind} {name}")
    assert len(parts) == sum(len(v) for v in kinds.values())


def test_two_dates_are_two_partitions_without_gaps(written: tuple[LogStore, list[Label]]) -> None:
    entries = written[0].catalogue().entries
    trades = [e for e in entries if e.kind == Kind.TRADE]
    assert [e.date for e in trades] == ["2026-01-04", "2026-01-05"]
    assert sum(e.gaps for e in entries) == 0


def test_labels_stand_beside_the_log(written: tuple[LogStore, list[Label]]) -> None:
    store, labels = written
    body = store.storage.read_bytes(label_path(SPEC))
    assert decode_labels(body) == (SPEC, labels)
    assert encode_labels(SPEC, labels) == body


def test_the_same_market_twice_changes_nothing(written: tuple[LogStore, list[Label]]) -> None:
    store, labels = written
    before = store.catalogue().entries
    assert write_market(store, SPEC) == labels
    assert store.catalogue().entries == before


@pytest.mark.parametrize("change", [{"seed": 22}, {"null": True}, {"rate_per_s": 9.0}])
def test_another_market_in_its_place_is_refused(
    written: tuple[LogStore, list[Label]], change: dict
) -> None:
    with pytest.raises(DataError, match="another market"):
        write_market(written[0], replace(SPEC, **change))


def test_a_market_after_it_and_one_beside_it_are_welcome(
    written: tuple[LogStore, list[Label]],
) -> None:
    store, _ = written
    write_market(store, replace(SPEC, seed=23, start_ns=SPEC.end_ns, duration_s=60))
    write_market(store, replace(SPEC, symbol="NULLUSDT", null=True, duration_s=960))
    assert {e.symbol for e in store.catalogue().entries} == {"BTCUSDT", "NULLUSDT"}


def ofs(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cli.main", *words],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={**os.environ, "NO_COLOR": "1"},
        check=False,
    )


def test_the_command_writes_and_reports(tmp_path: Path) -> None:
    log = str(tmp_path / "log")
    words = ("synth", "--log", log, "--seed", "3", "--days", "0.01", "--rate", "5")
    done = ofs(*words, "--pattern", "flow_flip", "--every", "600", "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["venue"], said["symbol"], said["from"][:10]) == (VENUE, "BTCUSDT", "2026-01-05")
    held = {e.kind.name.lower(): e.rows for e in LogStore(log).catalogue().entries}
    assert said["rows"] == held
    assert [x["type"] for x in said["labels"]] == ["flow_flip"]
    assert (tmp_path / "log" / said["labels_path"]).is_file()
    text = ofs(*words, "--pattern", "flow_flip", "--every", "600")
    assert text.returncode == 0
    assert "flow_flip" in text.stdout


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("--pattern", "wedge"), 3, "patterns"),
        (("--days", "0"), 3, "duration_s"),
        (("--rate", "much"), 2, "--rate"),
        (("--from", "2026-01-05T00:00:30"), 3, "start_ns"),
    ],
)
def test_a_wrong_option_is_named(tmp_path: Path, words: tuple, code: int, says: str) -> None:
    done = ofs("synth", "--log", str(tmp_path / "log"), *words)
    assert done.returncode == code, done.stderr
    assert says in done.stderr
    assert done.stdout == ""
    assert not (tmp_path / "log").exists()
