"""Parameters of the simulated broker: units, defaults, refusals, and what a manifest says."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from data.errors import EXIT_CONFIG, ConfigError
from data.events import Scales
from engine.broker.simulated import MODEL_VERSION, QUEUE_MODELS, SimulatedBroker
from engine.kernel import matching_state as state
from engine.kernel.matching_state import SIM_PARAMS


def test_every_column_of_the_record_is_set_from_human_units():
    broker = SimulatedBroker(
        order_latency_ns=7, response_latency_ns=8, stale_ns=9, price_stale_ns=10,
        spread=Decimal("0.3"), slippage=Decimal("0.2"), taker_fee=Decimal("0.0005"),
        maker_fee=Decimal("-0.0001"), fee_per_unit=Decimal("0.01"), balance=Decimal(500),
        margin=Decimal("0.1"), stop_out=Decimal("0.25"), account="hedging", queue_model="log",
        queue_power=2, price_step=Decimal("0.5"), qty_step=Decimal("0.001"),
        qty_min=Decimal("0.005"), qty_max=Decimal(10),
    )  # fmt: skip
    (r,) = broker.record(Scales(price=1, qty=3))
    assert {name: int(r[name]) for name in SIM_PARAMS.names or ()} == {
        "mul": 10_000, "div": 1, "qty_unit": 1000, "order_latency_ns": 7, "response_latency_ns": 8,
        "stale_ns": 9, "price_stale_ns": 10, "half_spread": 2, "slippage": 2, "taker_ppb": 500_000,
        "maker_ppb": -100_000, "fee_unit": 1_000_000, "margin_ppb": 100_000_000,
        "stop_out_ppb": 250_000_000, "start_balance": 50_000_000_000, "hedging": 1,
        "queue_model": 2, "queue_power": 2, "price_step": 5, "qty_step": 1, "qty_min": 5,
        "qty_max": 10_000,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("scales", "factors"),
    [(Scales(2, 3), (1000, 1)), (Scales(2, 6), (1, 1)), (Scales(5, 8), (1, 10**5))],
)
def test_money_is_price_times_quantity_at_1e_minus_8(scales, factors):
    (r,) = SimulatedBroker().record(scales)
    mul, div = int(r["mul"]), int(r["div"])
    assert (mul, div) == factors
    price, qty = 3 * 10**scales.price, 2 * 10**scales.qty
    assert price * qty * mul // div == 6 * 10**8


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("order_latency_ns", -1), ("taker_fee", Decimal("-0.1")), ("maker_fee", Decimal("-1.1")),
        ("margin", Decimal(2)), ("stop_out", Decimal("NaN")), ("balance", Decimal(-1)),
        ("queue_power", 0), ("queue_power", 9), ("account", "margin"), ("queue_model", "best"),
        ("spread", Decimal(-1)),
    ],
)  # fmt: skip
def test_a_value_out_of_range_is_refused_by_name(key, value):
    with pytest.raises(ConfigError, match=key) as error:
        SimulatedBroker(**{key: value})
    assert error.value.exit_code == EXIT_CONFIG
    assert f"sim.{key}" in str(error.value)


def test_a_price_finer_than_the_log_is_refused():
    with pytest.raises(ConfigError, match="slippage"):
        SimulatedBroker(slippage=Decimal("0.05")).record(Scales(1, 3))


def test_the_names_of_the_queue_models_are_their_codes():
    for code, name in enumerate(QUEUE_MODELS):
        assert getattr(state, f"QUEUE_{name.upper()}") == code


def test_the_manifest_entry_is_json_and_names_the_version():
    said = json.loads(json.dumps(SimulatedBroker().describe()))
    assert said["version"] == MODEL_VERSION
    assert said["taker_fee"] == "0.0004"
