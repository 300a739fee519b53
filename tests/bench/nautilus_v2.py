"""NautilusTrader 2.x: its objects, its engine and its strategy for the job.

Owns the calls of the Rust generation. Must hold: every object exists before `engine.run()`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from nautilus_trader.backtest import BacktestEngine, BacktestEngineConfig
from nautilus_trader.common import LoggerConfig, LogLevel
from nautilus_trader.execution import MakerTakerFeeModel, StaticLatencyModel
from nautilus_trader.model import (
    AccountType,
    AggressorSide,
    BookType,
    CryptoPerpetual,
    Currency,
    InstrumentId,
    Money,
    OmsType,
    OrderSide,
    Price,
    Quantity,
    QuoteTick,
    StrategyId,
    Symbol,
    TradeId,
    TradeTick,
    Venue,
)
from nautilus_trader.risk import RiskEngineConfig
from nautilus_trader.trading import Strategy, StrategyConfig

from tests.bench.job import ENTRY_LATENCY_NS, FEE_RATE, ORDER_LOTS
from tests.bench.nautilus_flow import (
    BALANCE,
    BASE,
    PRICE_DECIMALS,
    QUOTE,
    SIZE_DECIMALS,
    SYMBOL,
    VENUE,
    Flow,
)
from tests.bench.tape import LOT, START_NS, STEP_NS, TICK, Tape

INSTRUMENT_ID = InstrumentId(Symbol(SYMBOL), Venue(VENUE))
BUYER = AggressorSide.BUY
TOUCH_SIZE = 1000.0


class FlowStrategy(Strategy):
    """Sums the delta in the handler of trades, decides in the handler of the timer."""

    def __new__(cls, config: StrategyConfig, flow: Flow) -> FlowStrategy:
        return super().__new__(cls, config)

    def __init__(self, config: StrategyConfig, flow: Flow) -> None:
        super().__init__(config)
        self.flow = flow
        self.quantity = Quantity(ORDER_LOTS * LOT, SIZE_DECIMALS)

    def on_start(self) -> None:
        self.subscribe_trades(INSTRUMENT_ID)
        self.clock.set_timer_ns("grid", STEP_NS, START_NS, callback=self.on_boundary)

    def on_trade(self, trade: TradeTick) -> None:
        if trade.aggressor_side == BUYER:
            self.flow.signed += trade.size.as_double()
        else:
            self.flow.signed -= trade.size.as_double()

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
    """A linear perpetual with the tape's grid; margins of nothing."""
    return CryptoPerpetual(
        instrument_id=INSTRUMENT_ID,
        raw_symbol=Symbol(SYMBOL),
        base_currency=Currency.from_str(BASE),
        quote_currency=Currency.from_str(QUOTE),
        settlement_currency=Currency.from_str(QUOTE),
        is_inverse=False,
        price_precision=PRICE_DECIMALS,
        size_precision=SIZE_DECIMALS,
        price_increment=Price(TICK, PRICE_DECIMALS),
        size_increment=Quantity(LOT, SIZE_DECIMALS),
        margin_init=Decimal(0),
        margin_maint=Decimal(0),
        ts_event=0,
        ts_init=0,
    )


def trade_objects(tape: Tape) -> list[TradeTick]:
    """One object a trade."""
    columns = (c.tolist() for c in (tape.ts_ns, tape.id, tape.price, tape.qty, tape.side))
    sides = {1: AggressorSide.BUY, -1: AggressorSide.SELL}
    return [
        TradeTick(
            INSTRUMENT_ID,
            Price(price * TICK, PRICE_DECIMALS),
            Quantity(qty * LOT, SIZE_DECIMALS),
            sides[side],
            TradeId(str(number)),
            ts_ns,
            ts_ns,
        )
        for ts_ns, number, price, qty, side in zip(*columns, strict=True)
    ]


def quote_objects(tape: Tape) -> list[QuoteTick]:
    """One object a touch."""
    size = Quantity(TOUCH_SIZE, SIZE_DECIMALS)
    columns = (c.tolist() for c in (tape.touch_ts_ns, tape.touch_bid, tape.touch_ask))
    return [
        QuoteTick(
            INSTRUMENT_ID,
            Price(bid * TICK, PRICE_DECIMALS),
            Price(ask * TICK, PRICE_DECIMALS),
            size,
            size,
            ts_ns,
            ts_ns,
        )
        for ts_ns, bid, ask in zip(*columns, strict=True)
    ]


def prepare(tape: Tape, flow: Flow) -> BacktestEngine:
    """An engine with venue, instrument, strategy and all data in place, ready to `run()`."""
    engine = BacktestEngine(
        BacktestEngineConfig(
            logging=LoggerConfig(
                stdout_level=LogLevel.OFF, fileout_level=LogLevel.OFF, bypass_logging=True
            ),
            bypass_logging=True,
            run_analysis=False,
            risk_engine=RiskEngineConfig(bypass=True),
        )
    )
    fee = Decimal(str(FEE_RATE))
    engine.add_venue(
        venue=Venue(VENUE),
        oms_type=OmsType.NETTING,
        account_type=AccountType.MARGIN,
        starting_balances=[Money(float(BALANCE), Currency.from_str(QUOTE))],
        fee_model=MakerTakerFeeModel(fee, fee),
        latency_model=StaticLatencyModel(base_latency_nanos=ENTRY_LATENCY_NS),
        book_type=BookType.L1_MBP,
    )
    engine.add_instrument(instrument())
    engine.add_data(quote_objects(tape), sort=False)
    engine.add_data(trade_objects(tape), sort=True)
    config = StrategyConfig(
        strategy_id=StrategyId("FLOW-001"),
        order_id_tag="001",
        log_events=False,
        log_commands=False,
        use_hyphens_in_client_order_ids=False,
    )
    engine.add_strategy(FlowStrategy(config, flow))
    return engine
