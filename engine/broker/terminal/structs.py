"""The structures and array types of the module, built to behave as the real ones do.

Owns the eleven struct types and the two packed dtypes. A real struct is a ``PyStructSequence`` with
an ``_asdict`` added: a tuple with read-only names, made from one sequence, that calls ``builtins``
its module and therefore cannot be pickled. Nothing of that is left out, because code that holds by
luck on a softer stand-in breaks on the real thing. ``FIELDS`` names each field's C type; a value
that does not fit it cannot come out of here.

It refuses to know where values come from.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

__all__ = [
    "AccountInfo", "BookInfo", "OrderCheckResult", "OrderSendResult", "SymbolInfo", "TerminalInfo",
    "Tick", "TradeDeal", "TradeOrder", "TradePosition", "TradeRequest",
]  # fmt: skip

RATES = np.dtype(
    [
        ("time", "<i8"), ("open", "<f8"), ("high", "<f8"), ("low", "<f8"), ("close", "<f8"),
        ("tick_volume", "<u8"), ("spread", "<i4"), ("real_volume", "<u8"),
    ]
)  # fmt: skip
"""Rows of ``copy_rates_*``: 60 bytes, packed; time in seconds of the server's clock."""

TICKS = np.dtype(
    [
        ("time", "<i8"), ("bid", "<f8"), ("ask", "<f8"), ("last", "<f8"), ("volume", "<u8"),
        ("time_msc", "<i8"), ("flags", "<u4"), ("volume_real", "<f8"),
    ]
)  # fmt: skip
"""Rows of ``copy_ticks_*``: 60 bytes, packed; times in seconds and ms of the server's clock."""

_SPEC = {
    "Tick": (
        "This is a structure for storing latest symbol prices",
        "time:i64 bid:f64 ask:f64 last:f64 volume:u64 time_msc:i64 flags:u32 volume_real:f64",
    ),
    "OrderSendResult": (
        "order_send result structure",
        "retcode:u32 deal:u64 order:u64 volume:f64 price:f64 bid:f64 ask:f64 comment:utf16 "
        "request_id:u32 retcode_external:i32 request:struct",
    ),
    "TradePosition": (
        "Trade position structure",
        "ticket:u64 time:i64 time_msc:i64 time_update:i64 time_update_msc:i64 type:u32 "
        "magic:u64 identifier:u64 reason:u32 volume:f64 price_open:f64 sl:f64 tp:f64 "
        "price_current:f64 swap:f64 profit:f64 symbol:utf16 comment:utf16 external_id:utf16",
    ),
    "BookInfo": (
        "This is a structure for storing Depth of Market information",
        "type:u32 price:f64 volume:u64 volume_dbl:f64",
    ),
    "AccountInfo": (
        "This is a structure for storing account information",
        "login:u64 trade_mode:u32 leverage:u32 limit_orders:u32 margin_so_mode:u32 "
        "trade_allowed:bool trade_expert:bool margin_mode:u32 currency_digits:u32 "
        "fifo_close:bool balance:f64 credit:f64 profit:f64 equity:f64 margin:f64 "
        "margin_free:f64 margin_level:f64 margin_so_call:f64 margin_so_so:f64 "
        "margin_initial:f64 margin_maintenance:f64 assets:f64 liabilities:f64 "
        "commission_blocked:f64 name:utf16 server:utf16 currency:utf16 company:utf16",
    ),
    "TradeOrder": (
        "Trade order structure",
        "ticket:u64 time_setup:i64 time_setup_msc:i64 time_done:i64 time_done_msc:i64 "
        "time_expiration:i64 type:u32 type_time:u32 type_filling:u32 state:u32 magic:u64 "
        "position_id:u64 position_by_id:u64 reason:u32 volume_initial:f64 volume_current:f64 "
        "price_open:f64 sl:f64 tp:f64 price_current:f64 price_stoplimit:f64 symbol:utf16 "
        "comment:utf16 external_id:utf16",
    ),
    "OrderCheckResult": (
        "order_check result structure",
        "retcode:u32 balance:f64 equity:f64 profit:f64 margin:f64 margin_free:f64 "
        "margin_level:f64 comment:utf16 request:struct",
    ),
    "SymbolInfo": (
        "This is a structure for storing symbol information",
        "custom:bool chart_mode:u32 select:bool visible:bool session_deals:u64 "
        "session_buy_orders:u64 session_sell_orders:u64 volume:u64 volumehigh:u64 "
        "volumelow:u64 time:i64 digits:u32 spread:i32 spread_float:bool ticks_bookdepth:u32 "
        "trade_calc_mode:u32 trade_mode:u32 start_time:i64 expiration_time:i64 "
        "trade_stops_level:i32 trade_freeze_level:i32 trade_exemode:u32 swap_mode:u32 "
        "swap_rollover3days:u32 margin_hedged_use_leg:bool expiration_mode:i32 "
        "filling_mode:i32 order_mode:i32 order_gtc_mode:u32 option_mode:u32 option_right:u32 "
        "bid:f64 bidhigh:f64 bidlow:f64 ask:f64 askhigh:f64 asklow:f64 last:f64 lasthigh:f64 "
        "lastlow:f64 volume_real:f64 volumehigh_real:f64 volumelow_real:f64 option_strike:f64 "
        "point:f64 trade_tick_value:f64 trade_tick_value_profit:f64 trade_tick_value_loss:f64 "
        "trade_tick_size:f64 trade_contract_size:f64 trade_accrued_interest:f64 "
        "trade_face_value:f64 trade_liquidity_rate:f64 volume_min:f64 volume_max:f64 "
        "volume_step:f64 volume_limit:f64 swap_long:f64 swap_short:f64 margin_initial:f64 "
        "margin_maintenance:f64 session_volume:f64 session_turnover:f64 session_interest:f64 "
        "session_buy_orders_volume:f64 session_sell_orders_volume:f64 session_open:f64 "
        "session_close:f64 session_aw:f64 session_price_settlement:f64 "
        "session_price_limit_min:f64 session_price_limit_max:f64 margin_hedged:f64 "
        "price_change:f64 price_volatility:f64 price_theoretical:f64 price_greeks_delta:f64 "
        "price_greeks_theta:f64 price_greeks_gamma:f64 price_greeks_vega:f64 "
        "price_greeks_rho:f64 price_greeks_omega:f64 price_sensitivity:f64 basis:utf16 "
        "category:utf16 currency_base:utf16 currency_profit:utf16 currency_margin:utf16 "
        "bank:utf16 description:utf16 exchange:utf16 formula:utf16 isin:utf16 name:utf16 "
        "page:utf16 path:utf16",
    ),
    "TerminalInfo": (
        "This is a structure for storing terminal information",
        "community_account:bool community_connection:bool connected:bool dlls_allowed:bool "
        "trade_allowed:bool tradeapi_disabled:bool email_enabled:bool ftp_enabled:bool "
        "notifications_enabled:bool mqid:bool build:u32 maxbars:u32 codepage:i32 "
        "ping_last:i32 community_balance:f64 retransmission:f64 company:utf16 name:utf16 "
        "language:utf16 path:utf16 data_path:utf16 commondata_path:utf16",
    ),
    "TradeDeal": (
        "Trade deal structure",
        "ticket:u64 order:u64 time:i64 time_msc:i64 type:u32 entry:u32 magic:u64 "
        "position_id:u64 reason:u32 volume:f64 price:f64 commission:f64 swap:f64 profit:f64 "
        "fee:f64 symbol:utf16 comment:utf16 external_id:utf16",
    ),
    "TradeRequest": (
        "Trade request structure",
        "action:u32 magic:u64 order:u64 symbol:utf16 volume:f64 price:f64 stoplimit:f64 "
        "sl:f64 tp:f64 deviation:u64 type:u32 type_filling:u32 type_time:u32 expiration:i64 "
        "comment:utf16 position:u64 position_by:u64",
    ),
}

FIELDS = {
    name: dict(field.split(":") for field in fields.split()) for name, (_, fields) in _SPEC.items()
}
"""Fields of each struct in their order, with their C type."""

_RANGES = {"u32": (0, 2**32 - 1), "i32": (-(2**31), 2**31 - 1),
           "u64": (0, 2**64 - 1), "i64": (-(2**63), 2**63 - 1)}  # fmt: skip
_ZERO = {"f64": 0.0, "bool": False, "utf16": "", "struct": None}


def _refuse(*_: Any) -> None:
    raise AttributeError("readonly attribute")


def _struct(name: str, doc: str, names: tuple[str, ...]) -> Any:
    """A struct type: ``tuple`` is its only base, as it is of the real one."""
    size = len(names)

    def new(cls: type, sequence: Iterable[Any], dict: Mapping[str, Any] | None = None) -> Any:
        try:
            values = tuple(sequence)
        except TypeError:
            raise TypeError("constructor requires a sequence") from None
        if len(values) != size:
            raise TypeError(f"{name}() takes a {size}-sequence ({len(values)}-sequence given)")
        return tuple.__new__(cls, values)

    def represent(self: Any) -> str:
        inside = ", ".join(f"{k}={v!r}" for k, v in zip(names, self, strict=True))
        return f"{name}({inside})"

    def as_dict(self: Any) -> dict[str, Any]:
        return dict(zip(names, self, strict=True))

    def reduce(self: Any) -> tuple[Any, ...]:
        return type(self), (tuple(self), {})

    def no_subclass(_cls: type, **_kwargs: Any) -> None:
        raise TypeError(f"type '{name}' is not an acceptable base type")

    own: dict[str, Any] = {
        "__doc__": doc, "__module__": "builtins", "__slots__": (), "__new__": new,
        "__repr__": represent, "__reduce__": reduce, "_asdict": as_dict,
        "__init_subclass__": classmethod(no_subclass), "__match_args__": names,
        "n_fields": size, "n_sequence_fields": size, "n_unnamed_fields": 0,
    }  # fmt: skip
    for at, field in enumerate(names):
        own[field] = property(operator.itemgetter(at), _refuse, _refuse)
    return type(name, (tuple,), own)


TYPES: dict[str, Any] = {
    name: _struct(name, doc, tuple(FIELDS[name])) for name, (doc, _) in _SPEC.items()
}
"""The struct types by name."""

AccountInfo = TYPES["AccountInfo"]
BookInfo = TYPES["BookInfo"]
OrderCheckResult = TYPES["OrderCheckResult"]
OrderSendResult = TYPES["OrderSendResult"]
SymbolInfo = TYPES["SymbolInfo"]
TerminalInfo = TYPES["TerminalInfo"]
Tick = TYPES["Tick"]
TradeDeal = TYPES["TradeDeal"]
TradeOrder = TYPES["TradeOrder"]
TradePosition = TYPES["TradePosition"]
TradeRequest = TYPES["TradeRequest"]


def _fit(c_type: str, value: Any, where: str) -> Any:
    """``value`` as the C type gives it back; ValueError or TypeError where it does not fit."""
    if value is None:
        return _ZERO.get(c_type, 0)
    if c_type in _RANGES:
        number = operator.index(value)
        low, high = _RANGES[c_type]
        if not low <= number <= high:
            raise ValueError(f"{where} = {value!r} is no {c_type}")
        return number
    if c_type == "utf16" and not isinstance(value, str):
        raise TypeError(f"{where} = {value!r} is no text")
    if c_type == "f64":
        return float(value)
    return bool(value) if c_type == "bool" else value


def make(name: str, values: Mapping[str, Any]) -> Any:
    """The struct ``name`` from values by field name, zero where one is missing. ValueError for an
    unknown field or a number outside its C type, TypeError for another kind of value."""
    fields = FIELDS[name]
    if unknown := values.keys() - fields.keys():
        raise ValueError(f"{name} has no field {', '.join(sorted(unknown))}")
    row = [_fit(c_type, values.get(key), f"{name}.{key}") for key, c_type in fields.items()]
    return TYPES[name](row)


def make_rows(dtype: np.dtype, columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """Columns of one length as a read-only array of ``dtype`` (shape: rows), zero where a column is
    missing. ValueError for an unknown column or unequal lengths."""
    names = dtype.names or ()
    if unknown := set(columns) - set(names):
        raise ValueError(f"rows have no column {', '.join(sorted(unknown))}")
    sizes = {len(column) for column in columns.values()}
    if len(sizes) > 1:
        raise ValueError(f"columns of unequal lengths {sorted(sizes)}")
    rows = np.zeros(sizes.pop() if sizes else 0, dtype)
    for key, column in columns.items():
        rows[key] = column
    rows.flags.writeable = False
    return rows
