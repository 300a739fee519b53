"""Scales out of what venues tell of their instruments."""

from __future__ import annotations

import pytest

from data.errors import NetworkError, UsageError
from data.events import Scales
from data.live.instruments import series_of
from tests.data.live.scripted import ScriptedVenue


def binance(symbol: str, tick: str, step: str, status: str = "TRADING") -> dict:
    filters = [
        {"filterType": "PRICE_FILTER", "minPrice": "1", "tickSize": tick},
        {"filterType": "LOT_SIZE", "stepSize": step},
        {"filterType": "MAX_NUM_ORDERS", "limit": 200},
    ]
    return {"symbol": symbol, "status": status, "filters": filters}


INFO = {
    "timezone": "UTC",
    "symbols": [
        binance("BTCUSDT", "0.10", "0.001"),
        binance("PEPEUSDT", "0.00000001", "1.00"),
        binance("OLDUSDT", "1", "10", "SETTLING"),
        binance("BADUSDT", "x", "10"),
    ],
}


def um(path: str, query: dict[str, str]) -> tuple[int, dict, object]:
    return (200, {}, INFO) if path == "/fapi/v1/exchangeInfo" else (404, {}, {})


def spot(path: str, query: dict[str, str]) -> tuple[int, dict, object]:
    if "NOUSDT" in query.get("symbols", ""):
        return 400, {}, {"code": -1121, "msg": "Invalid symbol."}
    return (200, {}, INFO) if path == "/api/v3/exchangeInfo" else (404, {}, {})


def bybit(path: str, query: dict[str, str]) -> tuple[int, dict, object]:
    if path != "/v5/market/instruments-info":
        return 404, {}, {}
    name, then = ("ETHUSDT", "") if query.get("cursor") else ("BTCUSDT", "page2")
    about = {
        "symbol": name,
        "status": "Trading",
        "priceFilter": {"tickSize": "0.50"},
        "lotSizeFilter": {"qtyStep": "0.01"},
    }
    return 200, {}, {"retCode": 0, "result": {"list": [about], "nextPageCursor": then}}


def test_scales_are_the_decimals_of_the_steps() -> None:
    with ScriptedVenue([], pages=um).up() as endpoint:
        series = series_of("binance-um", ["pepeusdt", "BTCUSDT", "BTCUSDT"], endpoint)
    assert [(s.symbol, s.scales) for s in series] == [
        ("PEPEUSDT", Scales(8, 0)),
        ("BTCUSDT", Scales(1, 3)),
    ]


def test_bybit_tells_page_by_page() -> None:
    with ScriptedVenue([], pages=bybit).up() as endpoint:
        series = series_of("bybit", ["ETHUSDT"], endpoint)
    assert series[0].scales == Scales(1, 2)


def test_a_symbol_that_is_unknown_or_not_traded_is_named() -> None:
    with ScriptedVenue([], pages=um).up() as endpoint:
        with pytest.raises(UsageError, match="does not know BTCUSD") as unknown:
            series_of("binance-um", ["BTCUSD"], endpoint)
        assert "BTCUSDT" in unknown.value.do
        assert unknown.value.where == "--symbol" and unknown.value.why
        with pytest.raises(UsageError, match="not traded") as old:
            series_of("binance-um", ["OLDUSDT"], endpoint, where="paper.toml: symbols")
        assert old.value.where == "paper.toml: symbols"
        with pytest.raises(NetworkError, match="no number"):
            series_of("binance-um", ["BADUSDT"], endpoint)
    with ScriptedVenue([], pages=spot).up() as endpoint:
        with pytest.raises(UsageError, match="does not know NOUSDT"):
            series_of("binance-spot", ["BTCUSDT", "NOUSDT"], endpoint)
        with pytest.raises(NetworkError, match="404"):
            series_of("binance-um", ["BTCUSDT"], endpoint)
