"""``ofs record`` in the test's process: what it refuses, and what it leaves alone then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from data.errors import EXIT_DATA, EXIT_USAGE, LockedError
from data.live.reopen import left_behind, live_folder, reopen
from data.live.session_folder import FACTS, SessionFolder
from data.live.wiring import series_facts
from tests.data.live.frames import BTC
from tests.data.live.scripted import ScriptedVenue
from tests.data.live.test_instruments import um

WORDS = ("record", "--venue", "binance-um", "--symbol", "BTCUSDT", "--streams", "trade,depth")


@pytest.mark.parametrize("known", [[], series_facts([BTC])], ids=["asked", "known"])
def test_a_second_recording_touches_nothing_of_the_first(
    tmp_path: Path, run: Any, known: list[Any]
) -> None:
    log, runs = tmp_path / "log", tmp_path / "runs"
    facts = {"log": str(log.resolve()), "venue": "binance-um", "symbols": ["BTCUSDT"],
             "streams": ["trade", "depth"], "series": known}  # fmt: skip
    first = SessionFolder.create(runs, "record", "", facts)
    opened = reopen(log, first.id, [BTC])
    try:
        file = first.path / FACTS
        before = file.read_bytes(), file.stat().st_ino, file.stat().st_mtime_ns
        with ScriptedVenue([], pages=um).up() as venue:
            address = f"{venue.ws},{venue.rest}"
            done = run(*WORDS, "--log", log, "--runs", runs, "--endpoint", address)
        assert done.code == EXIT_DATA, done.err
        assert "another process records into this log" in done.err
        assert (file.read_bytes(), file.stat().st_ino, file.stat().st_mtime_ns) == before
        assert [p.name for p in live_folder(log).iterdir() if p.is_dir()] == [first.id]
    finally:
        opened.close(clean=True)


def test_an_unknown_venue_or_symbol_is_said_whole(tmp_path: Path, run: Any) -> None:
    unknown = run(*WORDS[:2], "binance-uk", *WORDS[3:])
    assert unknown.code == EXIT_USAGE
    for part in ("where: --venue", "why: ", "did you mean binance-um?"):
        assert part in unknown.err, unknown.err
    with ScriptedVenue([], pages=um).up() as venue:
        address = f"{venue.ws},{venue.rest}"
        done = run(*WORDS[:4], "BTCUSDD", "--log", tmp_path / "log", "--endpoint", address)
    assert done.code == EXIT_USAGE
    for part in ("where: --symbol", "why: ", "did you mean BTCUSDT"):
        assert part in done.err, done.err


def test_a_recording_that_could_not_begin_leaves_no_session(tmp_path: Path, run: Any) -> None:
    """The newest one is what `last` means, and a typing mistake is no session."""
    log, runs = tmp_path / "log", tmp_path / "runs"
    with ScriptedVenue([], pages=um).up() as venue:
        address = f"{venue.ws},{venue.rest}"
        words = ("--log", log, "--runs", runs, "--endpoint", address)
        assert run(*WORDS[:4], "BTCUSDD", *words).code == EXIT_USAGE
        assert not list(runs.glob("_sessions/*")) and not log.exists()
        SessionFolder.create(runs, "record", "kept", {"log": str(log.resolve())})
        assert run(*WORDS[:4], "BTCUSDD", *words).code == EXIT_USAGE
    assert [p.name[15:] for p in runs.glob("_sessions/*")] == ["-record-kept"]


def test_a_log_that_is_locked_gets_no_journal_of_a_session_that_was_refused(
    tmp_path: Path,
) -> None:
    opened = reopen(tmp_path, "20261121T120000-record", [BTC])
    with pytest.raises(LockedError):
        reopen(tmp_path, "20261121T130000-record", [BTC])
    assert left_behind(tmp_path) == ["20261121T120000-record"]
    opened.close(clean=True)
