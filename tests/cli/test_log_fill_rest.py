"""``ofs log fill --source rest``: the command asks the venue that it is told to ask."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Ofs
from tests.data.live.test_rest_fill import Venue, log_without


def test_the_venue_fills_what_the_log_lacks(run: Ofs, tmp_path: Path) -> None:
    log_without(tmp_path / "log", range(100, 103), range(300, 304))
    words = ("log", "fill", "--log", "log", "--source", "rest")
    with Venue().up() as endpoint:
        line = tmp_path / "served.json"
        line.write_text(f'{{"ws":"ws://127.0.0.1:9","rest":"{endpoint.rest}"}}\n', encoding="utf-8")
        dry = run(*words, "--dry-run", "--endpoint", endpoint.rest)
        assert dry.code == 1 and "2 holes found" in dry.err
        done = run(*words, "--json", "--endpoint", str(line))
        assert done.code == 0, done.err
        assert (done.json()["whole"], done.json()["added"]) == (True, 7)
        assert run(*words, "--endpoint", endpoint.rest).code == 0


def test_an_address_must_be_one_and_auto_takes_none(run: Ofs, tmp_path: Path) -> None:
    log_without(tmp_path / "log", range(100, 103))
    words = ("log", "fill", "--log", "log", "--source")
    assert run(*words, "rest", "--endpoint", "nowhere.json").code == 2
    two = run(*words, "auto", "--endpoint", "http://127.0.0.1:9")
    assert two.code == 2 and "two sources" in two.err
