"""``ofs import`` of tables: brokers' exports, mappings, and files that explain themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Ofs
from tests.data.sources.exports import bars, minutes, terminal_bars
from tests.shared import shared_data

TABLE = "when;pair;px;size;taker\n" + "".join(
    f"{1704164645123 + i};LTC/USDT;60,{10 + i};1,5;{'Buy' if i % 3 else 'Sell'}\n" for i in range(9)
)


def export(folder: Path, first: str, last: str, clock: str | int = "new-york") -> Path:
    path = folder / "EURUSD_M1_202401020000_202401312359.csv"
    text = terminal_bars(bars(list(minutes(first, last))), clock)
    path.write_bytes(text.encode("utf-16"))
    return path


def test_what_was_assumed_of_the_clock_is_said(run: Ofs, tmp_path: Path) -> None:
    path = export(tmp_path, "2024-07-05T12:00", "2024-07-08T03:00")
    told = run("import", path, "--log", "log")
    assert told.code == 0, told.err
    assert "mt5 EURUSD (symbol by its name, interval by its name)" in told.err
    assert "broker's clock new-york (America/New_York +7 h), estimated: seen from" in told.err
    shown = run("log", "cat", "--log", "log", "--limit", "1")
    assert shown.out.startswith("2024-07-05T12:01:00.000Z  bar")
    again = run("import", path, "--log", "log", "--json").json()
    assert (again["totals"]["added"], again["totals"]["duplicates"]) == (0, 900)
    assert "estimated" in again["files"][0]["notes"][0]


def test_what_cannot_be_known_ends_with_2(run: Ofs, tmp_path: Path) -> None:
    path = export(tmp_path, "2024-07-02T06:00", "2024-07-02T08:00", 3)
    told = run("import", path, "--log", "log")
    assert told.code == 2
    assert "--broker-offset" in told.err and "Traceback" not in told.err
    assert run("import", path, "--log", "log", "--broker-offset", "Athens").code == 2
    assert run("import", path, "--log", "log", "--broker-offset", "+03:00").code == 0
    shown = run("log", "cat", "--log", "log", "--limit", "1")
    assert shown.out.startswith("2024-07-02T06:01:00.000Z  bar")


def test_a_draft_goes_through_a_file_and_imports(run: Ofs, tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text(TABLE, encoding="utf-8")
    told = run("import", "--explain", "mine.csv")
    assert told.code == 0
    assert told.out.startswith("# Mapping of mine.csv")
    assert "2024-01-02T03:04:05.123Z  trade        sell    1.5 @ 60.1" in told.err
    assert not (tmp_path / "home").exists(), "explaining makes no log"
    (tmp_path / "mine.toml").write_text(told.out, encoding="utf-8")
    done = run("import", "mine.csv", "--mapping", "mine.toml", "--venue", "mine", "--log", "log")
    assert done.code == 0, done.err
    question = "SELECT symbol, side, count(*) AS n FROM trades GROUP BY ALL ORDER BY side"
    asked = run("query", "--log", "log", "--json", question)
    assert [(r["symbol"], r["side"], r["n"]) for r in asked.json()] == [
        ("LTCUSDT", "BUY", 6), ("LTCUSDT", "SELL", 3),
    ]  # fmt: skip


def test_a_slip_in_a_mapping_names_its_line(run: Ofs, tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text(TABLE, encoding="utf-8")
    text = run("import", "--explain", "mine.csv").out.replace('price = "px"', 'prise = "px"')
    (tmp_path / "mine.toml").write_text(text, encoding="utf-8")
    told = run("import", "mine.csv", "--mapping", "mine.toml", "--log", "log")
    line = text[: text.index("prise")].count("\n") + 1
    assert told.code == 3
    assert f"mine.toml:{line}" in told.err and "did you mean price?" in told.err
    assert run("import", "mine.csv", "--mapping", "no.toml", "--log", "log").code == 2


def test_explaining_a_known_format(run: Ofs, tmp_path: Path) -> None:
    path = export(tmp_path, "2024-07-05T12:00", "2024-07-08T03:00")
    told = run("import", "--explain", path)
    assert told.code == 0
    assert "MetaTrader terminal export, bars, mt5 EURUSD" in told.out
    assert "2024-07-05T12:01:00.000Z  bar          60 s" in told.out
    facts = run("import", "--explain", path, "--json").json()
    assert facts["facts"]["interval"] == "1m" and facts["mapping"] is None
    assert run("import", "--explain", path, path).code == 2
    assert run("import", "--explain", "no.csv").code == 2
    (tmp_path / "note.txt").write_text("hello\n", encoding="utf-8")
    assert run("import", "--explain", "note.txt").code == 4


def test_a_table_nobody_knows_points_to_the_draft(run: Ofs, tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text(TABLE, encoding="utf-8")
    told = run("import", "mine.csv", "--log", "log")
    assert told.code == 4 and "--explain" in told.err


def test_a_slip_of_a_venue_is_caught(run: Ofs, tmp_path: Path) -> None:
    path = export(tmp_path, "2024-07-02T06:00", "2024-07-02T08:00", 3)
    for venue in ("binance-umm", "My Venue", "UM"):
        told = run("import", path, "--venue", venue, "--broker-offset", "+03:00", "--log", "log")
        assert told.code == 2, venue
    told = run("import", path, "--venue", "icmarkets", "--broker-offset", "+03:00", "--log", "log")
    assert told.code == 0 and "icmarkets EURUSD" in told.err


@pytest.mark.timeout(120)
def test_a_market_of_quotes_from_file_to_backtest(run: Ofs) -> None:
    day = shared_data("quotes/cfd/oanda/tick/xauusd/20140504_quote.zip")
    told = run("import", day, "--log", "log")
    assert told.code == 0 and "quote 9,889" in told.out
    asked = run(
        "query", "--log", "log", "--json", "SELECT count(*) AS n, min(bid) AS low FROM quotes"
    )
    assert asked.json()[0]["n"] == 9_889
    shown = run(
        "log", "cat", "--log", "log", "--venue", "oanda", "--symbol", "XAUUSD", "--limit", "1"
    )
    assert shown.out.startswith("2014-05-04T22:00:00.579427Z  quote")
    words = ("--venue", "oanda", "--symbol", "XAUUSD", "--log", "log", "--runs", "runs")
    done = run("backtest", *words)
    assert done.code == 0 and "no trades of oanda XAUUSD" in done.err
