"""Recognition by content, hints from names, and what has to be asked."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from data.errors import DataError, UsageError
from data.sources.detect import Found, check_flags, detect, symbol_hint, venue_hint
from data.sources.opening import Member, members_of

AGG_UM = "1,100.5,2,1,1,1720055357510,false\n"
AGG_SPOT = "1,100.5,2,1,1,1720055357510,False,True\n"
TRADE_UM = "1,100.5,2,201,1720055357510,false\n"
TRADE_SPOT = "1,100.5,2,201,1720055357510,False,True\n"
KLINE_US = "1735689600000000,1,2,0.5,1.5,27,1735689600999999,8,1,0,0,0\n"
KLINE_MS = "1720000000000,1,2,0.5,1.5,27,1720000059999,8,1,0,0,0\n"
TICKER = "7,10,1,11,1,1705276800000,1705276800005\n"
COLLECTOR = "timestamp,price,quantity,side,tradeId\n1750507467356,83.29,0.107,buy,1\n"
US = "1723161255030314 "
TRADE = (
    '{"stream":"btcusdt@trade","data":{"e":"trade","E":1,"T":1,"s":"BTCUSDT","t":1,"p":"1",%s}}\n'
)


def look(
    folder: Path, name: str, text: str, venue: str | None = None, symbol: str | None = None
) -> Found:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return detect(members_of(path)[0], venue, symbol)


@pytest.mark.parametrize(
    ("text", "layout", "venue"),
    [
        (AGG_UM, "USD-M aggTrades", "binance-um"),
        (AGG_SPOT, "spot aggTrades", "binance-spot"),
        (TRADE_UM, "USD-M trades", "binance-um"),
        (TRADE_SPOT, "spot trades", "binance-spot"),
        (KLINE_US, "klines", "binance-spot"),
        (TICKER, "USD-M bookTicker", "binance-um"),
        ("id,price,qty,quote_qty,time,is_buyer_maker\n" + TRADE_UM, "USD-M trades", "binance-um"),
    ],
)
def test_csv_without_a_telling_name(tmp_path: Path, text: str, layout: str, venue: str) -> None:
    found = look(tmp_path, "data.csv", text, symbol="BTCUSDT")
    assert found.layout is not None
    assert (found.layout.name, found.venue, found.symbol) == (layout, venue, "BTCUSDT")
    assert found.has_header == text.startswith("id,")


def test_klines_tell_the_venue_only_sometimes(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="venue is not known"):
        look(tmp_path, "BTCUSDT-1m-2022-01.csv", KLINE_MS)
    header = (
        "open_time,open,high,low,close,volume,close_time,quote_volume,count,"
        "taker_buy_volume,taker_buy_quote_volume,ignore\n"
    )
    assert look(tmp_path, "BTCUSDT-1m-2024-01.csv", header + KLINE_MS).venue == "binance-um"
    found = look(tmp_path, "data/futures/um/monthly/klines/BTCUSDT-1m-2022-02.csv", KLINE_MS)
    assert (found.venue, found.origin) == ("binance-um", "by its name")


def test_a_collector_file_asks_for_what_it_does_not_tell(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="venue is not known") as error:
        look(tmp_path, "LTCUSDT_2025-06-21_06h_trades.csv", COLLECTOR)
    assert "--venue" in str(error.value)
    with pytest.raises(UsageError, match="symbol is not known") as error:
        look(tmp_path, "trades.csv", COLLECTOR, venue="binance-spot")
    assert "--symbol" in str(error.value)
    found = look(tmp_path, "LTCUSDT_2025-06-21_06h_trades.csv", COLLECTOR, venue="binance-spot")
    assert (found.symbol, found.origin) == ("LTCUSDT", "venue --venue, symbol by its name")
    assert "LTCUSDT" in found.line()


def test_a_name_that_contradicts_the_columns_is_asked_about(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="venue is not clear"):
        look(tmp_path, "spot_btcusdt_20240808.csv", AGG_UM)
    found = look(tmp_path, "spot_btcusdt_20240808.csv", AGG_UM, venue="binance-spot")
    assert (found.venue, found.symbol) == ("binance-spot", "BTCUSDT")


def test_coin_m_is_refused(tmp_path: Path) -> None:
    text = "id,price,qty,base_qty,time,is_buyer_maker\n" + TRADE_UM
    with pytest.raises(DataError, match="COIN-M") as error:
        look(tmp_path, "BTCUSD_PERP-trades-2024-01-01.csv", text)
    assert "BTCUSD_PERP" in str(error.value)


def test_recordings_show_their_market(tmp_path: Path) -> None:
    um = US + TRADE % '"q":"1","X":"MARKET","m":true'
    spot = US + TRADE % '"q":"1","m":true,"M":true'
    assert look(tmp_path, "a.txt", um).venue == "binance-um"
    assert look(tmp_path, "b.txt", spot).venue == "binance-spot"
    found = look(tmp_path, "c.txt", "wss://x <-> 1.5\n" + um.replace(US, "1626992741.06217: "))
    assert (found.symbol, found.first_ns) == ("BTCUSDT", 1_626_992_741_062_170_000)
    with pytest.raises(UsageError, match="contradicts"):
        look(tmp_path, "a.txt", um, venue="binance-spot")
    with pytest.raises(UsageError, match="contradicts"):
        look(tmp_path, "a.txt", um, symbol="ETHUSDT")


def test_a_recording_of_several_symbols_has_no_one_symbol(tmp_path: Path) -> None:
    one = US + TRADE % '"q":"1","X":"MARKET","m":true'
    found = look(tmp_path, "a.txt", one + one.replace("BTC", "ETH").replace("btc", "eth"))
    assert found.symbol == ""
    assert "several symbols" in found.line()


def test_raw_frames_and_bare_snapshots(tmp_path: Path) -> None:
    depth = '{"e":"depthUpdate","E":1,"s":"BNBBTC","U":157,"u":160,"b":[],"a":[]}\n'
    assert look(tmp_path, "a.txt", US + depth).venue == "binance-spot"
    snapshot = US + '{"lastUpdateId":1,"bids":[],"asks":[]}\n'
    with pytest.raises(UsageError, match="symbol is not known"):
        look(tmp_path, "b.txt", snapshot)
    found = look(tmp_path, "btcusdt_20240808.txt", snapshot)
    assert (found.venue, found.symbol) == ("binance-spot", "BTCUSDT")
    future = US + '{"lastUpdateId":1,"E":5,"T":4,"bids":[],"asks":[]}\n'
    assert look(tmp_path, "b.txt", future, symbol="BTCUSDT").venue == "binance-um"


def test_what_is_not_known_is_named(tmp_path: Path) -> None:
    for text, why in (("", "empty"), ("DATE,OPEN\n", "DATE,OPEN"), ("\0\1\2\n", "begins with")):
        with pytest.raises(DataError, match="format is not known") as error:
            look(tmp_path, "x.csv", text)
        assert why in str(error.value)
    with pytest.raises(DataError, match="none of its messages"):
        look(tmp_path, "x.txt", US + '{"channel":"trades.BTC-USD","data":[]}\n')


def test_a_defective_first_row_does_not_hide_the_format(tmp_path: Path) -> None:
    found = look(tmp_path, "x.csv", "1,oops\n" + AGG_UM * 3, symbol="BTCUSDT")
    assert found.format == "USD-M aggTrades CSV"
    assert not found.has_header


def test_gzip_is_seen_by_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "BTCUSDT-aggTrades-2024-07-04.csv"
    path.write_bytes(gzip.compress(AGG_UM.encode()))
    assert detect(members_of(path)[0], None, None).venue == "binance-um"


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("BTCUSDT-aggTrades-2025-01-01.zip", "BTCUSDT"),
        ("1000SHIBUSDT-1m-2024-01.zip", "1000SHIBUSDT"),
        ("BTCUSDT_240329-trades-2024-01-01.zip", "BTCUSDT"),
        ("btcusdt_20240808.gz", "BTCUSDT"),
        ("nexousdt_20240723.dat.gz", "NEXOUSDT"),
        ("usdm_btcusdt_20240718-19.csv.gz", "BTCUSDT"),
        ("LTCUSDT_2025-06-21_06h_trades.csv", "LTCUSDT"),
        ("trades_20240101.csv", ""),
        ("data.csv", ""),
        ("20240808.gz", ""),
    ],
)
def test_symbols_in_names(name: str, symbol: str) -> None:
    assert symbol_hint(Member(Path("/x") / name, "", 0)) == symbol
    assert symbol_hint(Member(Path("/x/archive.zip"), name, 0)) == symbol


@pytest.mark.parametrize(
    ("path", "venue"),
    [
        ("/x/binance-um/a.gz", "binance-um"),
        ("/x/data/spot/daily/a.zip", "binance-spot"),
        ("/x/spot/futures/um/a.zip", "binance-um"),
        ("/x/usdm_btcusdt_20240808.csv.gz", "binance-um"),
        ("/x/humus/a.csv", ""),
    ],
)
def test_venues_in_names(path: str, venue: str) -> None:
    assert venue_hint(Member(Path(path), "", 0)) == venue


def test_flags_are_checked() -> None:
    check_flags("binance-um", "BTCUSDT")
    with pytest.raises(UsageError, match="binance-um, binance-spot"):
        check_flags("binance", None)
    with pytest.raises(UsageError, match="no symbol"):
        check_flags(None, "BTC/USDT")
