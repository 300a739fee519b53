"""The mapping file: what it takes, and how it says what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from data.errors import ConfigError, UsageError
from data.events import Kind
from data.sources.mapping import Mapping
from data.sources.mapping_toml import load, parse, resolve

LINES = [b"when;Pair;Px;Size;Taker", b"1704164645123;BTC/USDT;43000,5;0,01;Buy"]
TRADES = """\
kind = "trade"
venue = "mine"
symbol = "btcusdt"

[file]
separator = ";"
decimal = ","

[time]
column = "when"
unit = "ms"

[columns]
price = "Px"
qty = 4
side = "Taker"
"""


def mapping(text: str, lines: list[bytes] = LINES) -> Mapping:
    return resolve(parse(text, "m.toml"), lines)


def test_titles_and_numbers_become_places() -> None:
    found = mapping(TRADES)
    assert (found.kind, found.separator, found.decimal) == (Kind.TRADE, ";", ",")
    assert found.roles == {"price": (2,), "qty": (3,), "side": (4,)}
    assert (found.time.columns, found.time.unit, found.header_lines) == ((0,), "ms", 1)
    assert (found.sides["buy"], found.sides["s"]) == (1, -1)
    assert (found.columns, found.least) == (5, 5)
    file = parse(TRADES)
    assert (file.venue, file.symbol) == ("mine", "BTCUSDT")


def test_every_key_has_its_effect() -> None:
    text = """
kind = "bar"
venue = "x"
symbol = "Y"
interval = "5m"
[file]
separator = "tab"
header = false
skip = 2
[time]
column = [1, 2]
order = "dmy"
zone = "+02:00"
marks = "close"
[columns]
open = 3
high = 4
low = 5
close = 6
[scale]
price = 5
[round]
qty = 2
"""
    found = mapping(text, [b"#", b"#", b"31.12.2023\t10:00\t1\t2\t1\t2"])
    assert (found.interval_ns, found.close_time, found.header_lines) == (300 * 10**9, True, 2)
    assert (found.time.order, found.time.zone.shift_s, found.separator) == ("dmy", 7200, "\t")
    assert (found.shift, found.places) == ({"price": 5}, {"qty": 2})
    ticks = TRADES.replace('unit = "ms"', 'unit = "ms"\nsince = "2014-05-01"')
    assert mapping(ticks).time.base_ns == 1_398_902_400_000_000_000


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ('kind = "trade"', 'kind = "trades"', 1, "did you mean trade?"),
        ('venue = "mine"', 'vneue = "mine"', 2, "did you mean venue?"),
        ("[columns]", "[colums]", 13, "did you mean columns?"),
        ('price = "Px"', 'prize = "Px"', 14, "did you mean price?"),
        ('price = "Px"', 'price = "Pxx"', 14, "did you mean Px?"),
        ('price = "Px"', 'price = "nothing"', 14, "the titles are when, Pair, Px"),
        ("qty = 4", "qty = 40", 15, "the file has 5 columns"),
        ("qty = 4", "bid = 4", 15, "did you mean id?"),
        ('qty = 4\n', "", 13, 'write below [columns]: qty = "'),
        ('column = "when"', "", 9, "write below [time]: column"),
        ('unit = "ms"', 'unit = "msec"', 11, "one of text, s, ms, us, ns"),
        ('unit = "ms"', 'zone = "Europe/Athen"', 11, "did you mean Europe/Athens?"),
        ('unit = "ms"', 'marks = "start"', 11, '"open" or "close"'),
        ('unit = "ms"', 'since = "noon"', 11, "a date such as"),
        ('separator = ";"', 'separator = "ab"', 6, "one sign"),
        ('separator = ";"', "skip = -1", 6, "a whole number"),
        ('separator = ";"', "header = 1", 6, "true or false"),
        ('separator = ";"', 'interval = "1m"', 6, "known here are separator"),
        ('side = "Taker"', 'side = ["Taker", "Px"]', 16, "side takes one column"),
        ('side = "Taker"', 'side = "Taker"\n[side]\nbuy = "b"', 18, "a list of words"),
        ('side = "Taker"', 'side = "Taker"\n[side]\nbuy = ["b"]\nsell = ["B"]', 17, "both sides"),
        ('side = "Taker"', 'side = "Taker"\n[scale]\nprice = "4"', 18, "a whole number"),
        ('symbol = "btcusdt"', "symbol = 5", 3, "a text"),
        ('symbol = "btcusdt"', 'columns = "x"', 3, "[columns]"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_line(old: str, new: str, line: int, says: str) -> None:
    assert old in TRADES
    text = TRADES.replace(old, new)
    if old == 'symbol = "btcusdt"' and "columns" in new:
        text = text.replace("[columns]", "[xcolumns]")
    with pytest.raises(ConfigError) as error:
        mapping(text)
    assert error.value.exit_code == 3
    assert f"m.toml:{line}\n" in str(error.value) + "\n"
    assert says in str(error.value)


def test_bars_need_an_interval_and_books_as_many_prices_as_sizes() -> None:
    bars = 'kind = "bar"\n[time]\ncolumn = 1\n[columns]\nopen = 2\nhigh = 3\nlow = 4\nclose = 5\n'
    lines = [b"t,o,h,l,c", b"1,2,3,4,5"]
    with pytest.raises(ConfigError, match="interval is missing"):
        mapping(bars, lines)
    with pytest.raises(ConfigError, match="interval cannot be 'x'"):
        mapping('interval = "x"\n' + bars, lines)
    depth = (
        'kind = "depth"\n[time]\ncolumn = 1\n[columns]\nbid_price = [2, 3]\nbid_qty = [4]\n'
        "ask_price = [2]\nask_qty = [3]\n"
    )
    with pytest.raises(ConfigError, match="different numbers of columns"):
        mapping(depth, lines)


def test_a_file_that_is_not_there_or_no_toml(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read") as error:
        load(tmp_path / "no.toml")
    assert "--explain" in str(error.value)
    (tmp_path / "bad.toml").write_text("kind = x", encoding="utf-8")
    with pytest.raises(ConfigError, match="no TOML") as wrong:
        load(tmp_path / "bad.toml")
    assert "line 1" in str(wrong.value)
    (tmp_path / "bom.toml").write_text(TRADES, encoding="utf-8-sig")
    assert load(tmp_path / "bom.toml").kind == Kind.TRADE
