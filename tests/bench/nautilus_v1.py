"""NautilusTrader 1.x: its objects, its engine and its strategy for the job.

Owns the calls of the Cython generation. Must hold: every object exists before `engine.run()`.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.backtest.models import LatencyModel, MakerTakerFeeModel
from nautilus_trader.config import LoggingConfig, RiskEngineConfig, StrategyConfig
from nautilus_trader.model.currencies import BTC, USDT
from nautilus_trader.model.data import QuoteTick, TradeTick
from nautilus_trader.model.enums import AccountType, AggressorSide, BookType, OmsType, OrderSide
from nautilus_trader.model.identifiers import InstrumentId, Symbol, Venue
from nautilus_trader.model.instruments import CryptoPerpetual
from nautilus_trader.model.objects import Money, Price, Quantity
from nautilus_trader.trading.strategy import Strategy

from tests.bench.job import ENTRY_LATENCY_NS, FEE_RATE, ORDER_LOTS
from tests.bench.nautilus_flow import (
    BALANCE,
    PRICE_DECIMALS,
    SIZE_DECIMALS,
    SYMBOL,
    VENUE,
    Flow,
)
from tests.bench.tape import LOT, START_NS, STEP_NS, TICK, Tape

INSTRUMENT_ID = InstrumentId(Symbol(SYMBOL), Venue(VENUE))
BUYER = AggressorSide.BUYER


class FlowStrategy(Strategy):
    """Sums the delta in the handler of trades, decides in the handler of the timer."""

    def __init__(self, flow: Flow) -> None:
        super().__init__(StrategyConfig(use_hyphens_in_client_order_ids=False))
        self.flow = flow
        self.quantity = Quantity(ORDER_LOTS * LOT, SIZE_DECIMALS)

    def on_start(self) -> None:
        self.subscribe_trade_ticks(INSTRUMENT_ID)
        start = pd.Timestamp(START_NS, tz="UTC")
        step = timedelta(microseconds=STEP_NS // 1000)
        self.clock.set_timer("grid", step, start_time=start, callback=self.on_boundary)

    def on_trade_tick(self, tick: TradeTick) -> None:
        if tick.aggressor_side == BUYER:
            self.flow.signed += tick.size.as_double()
        else:
            self.flow.signed -= tick.size.as_double()

    def on_boundary(self, _event: Any) -> None:
        net = self.portfolio.net_position(INSTRUMENT_ID)
        side = self.flow.boundary(int(net > 0) - int(net < 0))
        if side:
            order_side = OrderSide.BUY if side > 0 else OrderSide.SELL
            self.submit_order(self.order_factory.market(INSTRUMENT_ID, order_side, self.quantity))

    def on_order_filled(self, event: Any) -> None:
        self.flow.fills += 1
        self.flow.fees += event.commission.as_double()


def instrument() -> CryptoPerpetual:
    """A linear perpetual with the tape's grid and the job's fee; margins of nothing."""
    fee = Decimal(str(FEE_RATE))
    return CryptoPerpetual(
        instrument_id=INSTRUMENT_ID,
        raw_symbol=Symbol(SYMBOL),
        base_currency=BTC,
        quote_currency=USDT,
        settlement_currency=USDT,
        is_inverse=False,
        price_precision=PRICE_DECIMALS,
        size_precision=SIZE_DECIMALS,
        price_increment=Price(TICK, PRICE_DECIMALS),
        size_increment=Quantity(LOT, SIZE_DECIMALS),
        margin_init=Decimal(0),
        margin_maint=Decimal(0),
        maker_fee=fee,
        taker_fee=fee,
        ts_event=0,
        ts_init=0,
    )


def trade_objects(tape: Tape) -> list[TradeTick]:
    """One object a trade, made by the library's own array constructor."""
    ts_ns = tape.ts_ns.astype(np.uint64)
    sides = np.where(tape.side > 0, AggressorSide.BUYER.value, AggressorSide.SELLER.value)
    return TradeTick.from_raw_arrays_to_list(
        INSTRUMENT_ID,
        PRICE_DECIMALS,
        SIZE_DECIMALS,
        tape.price * TICK,
        tape.qty * LOT,
        sides.astype(np.uint8),
        [str(i) for i in tape.id.tolist()],
        ts_ns,
        ts_ns,
    )


def quote_objects(tape: Tape) -> list[QuoteTick]:
    """One object a touch."""
    ts_ns = tape.touch_ts_ns.astype(np.uint64)
    size = np.full(len(ts_ns), 1000.0)
    return QuoteTick.from_raw_arrays_to_list(
        INSTRUMENT_ID,
        PRICE_DECIMALS,
        SIZE_DECIMALS,
        tape.touch_bid * TICK,
        tape.touch_ask * TICK,
        size,
        size,
        ts_ns,
        ts_ns,
    )


def prepare(tape: Tape, flow: Flow) -> BacktestEngine:
    """An engine with venue, instrument, strategy and all data in place, ready to `run()`."""
    engine = BacktestEngine(
        BacktestEngineConfig(
            logging=LoggingConfig(bypass_logging=True),
            risk_engine=RiskEngineConfig(bypass=True),
            run_analysis=False,
        )
    )
    engine.add_venue(
        venue=Venue(VENUE),
        oms_type=OmsType.NETTING,
        account_type=AccountType.MARGIN,
        starting_balances=[Money(BALANCE, USDT)],
        fee_model=MakerTakerFeeModel(),
        latency_model=LatencyModel(base_latency_nanos=ENTRY_LATENCY_NS),
        book_type=BookType.L1_MBP,
    )
    engine.add_instrument(instrument())
    engine.add_data(quote_objects(tape), sort=False)
    engine.add_data(trade_objects(tape), sort=True)
    engine.add_strategy(FlowStrategy(flow))
    return engine
