"""A stand-in for the ``MetaTrader5`` module, to be imported in its place.

    from engine.broker import terminal as mt5

Owns the module's face: its functions (of one terminal for the process), structs and constants,
as wheel 5.0.6231 has them. What answers is a simulated server, ``ofs sandbox``: its address stands
in ``initialize(path)`` or in the environment's ``OFS_SANDBOX``. The rest is in the files beside:
``rules`` (arguments), ``structs``, ``constants``, ``client`` (the calls), ``convenience`` (those
that the package writes in Python), ``endpoint`` (where a sandbox is), ``wire`` (what goes to the
server and back).
"""

from engine.broker.terminal.client import Terminal
from engine.broker.terminal.constants import *  # noqa: F403
from engine.broker.terminal.structs import *  # noqa: F403

__version__ = "5.0.6231"
__author__ = "MetaQuotes Ltd."

_TERMINAL = Terminal()
"""The process's one connection."""

initialize = _TERMINAL.initialize
login = _TERMINAL.login
shutdown = _TERMINAL.shutdown
version = _TERMINAL.version
last_error = _TERMINAL.last_error
terminal_info = _TERMINAL.terminal_info
account_info = _TERMINAL.account_info
symbols_total = _TERMINAL.symbols_total
symbols_get = _TERMINAL.symbols_get
symbol_info = _TERMINAL.symbol_info
symbol_info_tick = _TERMINAL.symbol_info_tick
symbol_select = _TERMINAL.symbol_select
market_book_add = _TERMINAL.market_book_add
market_book_get = _TERMINAL.market_book_get
market_book_release = _TERMINAL.market_book_release
copy_rates_from = _TERMINAL.copy_rates_from
copy_rates_from_pos = _TERMINAL.copy_rates_from_pos
copy_rates_range = _TERMINAL.copy_rates_range
copy_ticks_from = _TERMINAL.copy_ticks_from
copy_ticks_range = _TERMINAL.copy_ticks_range
orders_total = _TERMINAL.orders_total
orders_get = _TERMINAL.orders_get
positions_total = _TERMINAL.positions_total
positions_get = _TERMINAL.positions_get
history_orders_total = _TERMINAL.history_orders_total
history_orders_get = _TERMINAL.history_orders_get
history_deals_total = _TERMINAL.history_deals_total
history_deals_get = _TERMINAL.history_deals_get
order_check = _TERMINAL.order_check
order_send = _TERMINAL.order_send
order_calc_margin = _TERMINAL.order_calc_margin
order_calc_profit = _TERMINAL.order_calc_profit
Buy = _TERMINAL.Buy
Sell = _TERMINAL.Sell
Close = _TERMINAL.Close
_RawOrder = _TERMINAL._RawOrder
