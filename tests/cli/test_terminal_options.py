"""``ofs record`` and ``ofs fetch`` of a terminal: what cannot be is said before anything begins."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.cli.run import ofs

RECORD = ("record", "--venue", "mt5", "--symbol", "EURUSD")
FETCH = ("fetch", "EURUSD", "--venue", "mt5", "--from", "2024-06-04")

WRONG = [
    (("record", "--venue", "binance-um", "--symbol", "X", "--terminal", "t.exe"), 2,
     "binance-um is no terminal"),
    (("fetch", "X", "--venue", "bybit", "--from", "2024-06-04", "--clock", "eet"), 2,
     "bybit is no terminal"),
    ((*RECORD, "--streams", "trade"), 2, "mt5 has no stream of trade"),
    ((*RECORD, "--streams", "bar"), 2, "the streams lack quote"),
    ((*RECORD, "--clock", "gmt"), 3, "'gmt' is no rule of a server's clock"),
    ((*RECORD, "--terminal", "a", "--bridge", "127.0.0.1:1"), 5, "bridge to the terminal cannot"),
    ((*RECORD, "--endpoint", "none.json"), 2, "this is no sandbox"),
    ((*RECORD, "--until-end"), 2, "a real venue has no end"),
    ((*FETCH, "--kinds", "trade"), 2, "a terminal has no history of trade"),
    ((*FETCH, "--endpoint", "none.json"), 2, "this is no sandbox"),
    ((*FETCH, "--bridge", "127.0.0.1:1"), 5, "the bridge to the terminal cannot be used"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "code", "said"), WRONG)
def test_what_cannot_be(tmp_path: Path, words: tuple[str, ...], code: int, said: str) -> None:
    done = ofs(*words, home=tmp_path, OFS_BRIDGE_TOKEN="a token that is long enough",
               OFS_LOG=str(tmp_path / "log"), OFS_RUNS=str(tmp_path / "runs"))  # fmt: skip
    assert (done.code, said in done.err) == (code, True), done.err
    assert not (tmp_path / "runs" / "_sessions").exists() or not list(
        (tmp_path / "runs" / "_sessions").iterdir()
    )


def test_a_bridge_needs_its_token(tmp_path: Path) -> None:
    done = ofs(*RECORD, "--bridge", "127.0.0.1:1", home=tmp_path, OFS_LOG=str(tmp_path / "log"))
    assert done.code == 3 and "OFS_BRIDGE_TOKEN" in done.err


@pytest.mark.skipif(sys.platform == "win32", reason="there the package can be there")
def test_elsewhere_than_on_windows_a_bridge_is_needed(tmp_path: Path) -> None:
    done = ofs(*FETCH, home=tmp_path, OFS_LOG=str(tmp_path / "log"))
    assert done.code == 3 and "name a bridge" in done.err
