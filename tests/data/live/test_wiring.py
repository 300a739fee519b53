"""Which session a recording goes on with, and what becomes of the others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from data.enums import Kind
from data.errors import UsageError
from data.live.endpoint import Endpoint
from data.live.reopen import reopen
from data.live.session_folder import SessionFolder, find_session
from data.live.wiring import Ask, kinds_of, named_session, recording_session
from data.log import LogStore
from tests.data.live.frames import BTC
from tests.data.live.test_recorder import ListFeed, begin, market

ASK = Ask(
    "binance-um", ("BTCUSDT",), (Kind.TRADE, Kind.DEPTH),
    Endpoint.of("ws://127.0.0.1:1,http://127.0.0.1:1"),
)  # fmt: skip


def killed(log: Path, folder: SessionFolder) -> None:
    """A recording that died with events in its journal."""
    recorder = begin(log, ListFeed(market(100)), session=folder.id)
    recorder.step(0)
    recorder.opened.close(clean=False)


def test_the_same_recording_goes_on(tmp_path: Path) -> None:
    log, runs = tmp_path / "log", tmp_path / "runs"
    first = recording_session(runs, log, ASK, new=False)
    killed(log, first)
    assert recording_session(runs, log, ASK, new=False).id == first.id
    again = reopen(log, first.id, [BTC])
    assert again.last_seq == 133
    again.close(clean=True)


def test_another_recording_seals_what_was_left(tmp_path: Path) -> None:
    log, runs = tmp_path / "log", tmp_path / "runs"
    first = recording_session(runs, log, ASK, new=False)
    killed(log, first)
    other = recording_session(runs, log, replace(ASK, kinds=(Kind.TRADE,)), new=False)
    assert other.id != first.id
    assert find_session(runs, first.id).ended
    assert {(s.kind, s.rows) for s in LogStore(log).series()} == {
        (Kind.TRADE, 100), (Kind.DEPTH, 33),
    }  # fmt: skip
    assert not list(log.glob("_live/*/*.wal"))
    third = recording_session(runs, log, ASK, new=True)
    assert third.id not in (first.id, other.id)


def test_a_session_that_is_over_does_not_go_on(tmp_path: Path) -> None:
    folder = recording_session(tmp_path / "runs", tmp_path / "log", ASK, new=False)
    assert named_session(folder.path, ASK).id == folder.id
    with pytest.raises(UsageError, match="other symbols"):
        named_session(folder.path, replace(ASK, symbols=("ETHUSDT",)))
    folder.end("its time was over")
    with pytest.raises(UsageError, match="is over"):
        named_session(folder.path, ASK)


def test_streams_are_named_or_all_that_there_are() -> None:
    assert Kind.MARK in kinds_of("binance-um", ())
    assert Kind.MARK not in kinds_of("binance-spot", ())
    assert kinds_of("binance-um", ("depth", "trade")) == (Kind.DEPTH, Kind.TRADE)
    with pytest.raises(UsageError, match="lack trade"):
        kinds_of("binance-um", ("depth",))
    with pytest.raises(UsageError, match="no stream of mark"):
        kinds_of("binance-spot", ("trade", "mark"))
