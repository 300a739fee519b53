"""Settings: every bad value of every key is a ConfigError that says what would do."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.errors import ConfigError
from data.events import Kind, Scales
from engine.runtime.compose import Composition
from engine.runtime.parameters import build, money_factors, settle, table
from strategies.delta_flip import STRATEGY
from tests.engine.driving import whole

SCALES = Scales(1, 3)
BAD = {
    "duration": ("", "5", "5 parsecs", "-5s", "1e3s", "s", "5s5s", "0.1ns", "nan", "99999999999d"),
    "ratio": ("", "much", "nan", "inf", "-inf", "1e30", "1,5", "0x10", "1e-12"),
    "money": ("", "ten", "nan", "inf", "1e30"),
    "price": ("", "ten", "nan", "inf", "1e30", "0.01"),
    "quantity": ("", "ten", "nan", "inf", "1e30", "-1", "0.0001"),
    "count": ("", "1.5", "many", "nan", "inf", "99999999999999999999", "-1"),
    "flag": ("", "maybe", "2", "-1"),
    "choice": ("", "no such choice", "1"),
    "time": ("", "yesterday", "2024-13-01", "2024-08-08T25:00", "1723161600", "-1"),
}
MORE = {
    "sim.spread": ("-1",), "sim.slippage": ("-1",), "footprint.row": ("-1",),
    "decision.step": ("0", "500ms", "1.5s", "0s"), "decision.slow": ("0s", "7s", "1s"),
    "session.length": ("0", "1s", "59s"), "notional": ("-5",), "entry_z": ("0", "-2", "0.05"),
    "stop": ("-0.1", "1.5"), "sim.margin": ("2",), "sim.queue_power": ("0", "9"),
    "sim.balance": ("-1",), "footprint.value": ("0", "1.01"), "flip.k": ("-1",),
    "memory": ("0", "1"), "warmup": ("1",),
}  # fmt: skip


def composition() -> Composition:
    return whole(STRATEGY)


def pairs() -> Iterator[tuple[str, str]]:
    for key, p in table(whole(STRATEGY)).items():
        yield from ((key, text) for text in BAD[p.kind])
        yield from ((key, text) for text in MORE.get(key, ()))


def settled(**given_: str) -> np.ndarray:
    c = composition()
    return build(c, settle(c, {k.replace("__", "."): v for k, v in given_.items()}), SCALES)


def test_every_bad_value_is_explained() -> None:
    c, wrong = composition(), []
    for key, text in pairs():
        try:
            build(c, settle(c, {key: text}), SCALES)
        except ConfigError as error:
            if error.exit_code != 3 or key not in str(error) or not error.do:
                wrong.append(f"{key}={text!r}: says too little: {error}")
            if "<class" in str(error):
                wrong.append(f"{key}={text!r}: shows Python's insides: {error.why}")
        else:
            wrong.append(f"{key}={text!r} is taken")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("key", "meant"),
    [("entry_zz", "entry_z"), ("flip.mod", "flip.mode"), ("sim.orderlatency", "sim.order_latency"),
     ("decision.steps", "decision.step"), ("windows", "window")],
)  # fmt: skip
def test_an_unknown_key_names_the_nearest(key: str, meant: str) -> None:
    with pytest.raises(ConfigError, match=f"did you mean '{meant}'"):
        settle(composition(), {key: "1"})


def test_a_key_like_no_other_lists_them_all() -> None:
    with pytest.raises(ConfigError) as error:
        settle(composition(), {"qqqqqqqqqqqqqqqq": "1"})
    assert "flip.mode" in error.value.do


def test_values_in_their_units() -> None:
    p = settled(
        window="15s", max_hold="2.5m", entry_z="1.25", notional="2500.5", decision__step="10s",
        decision__slow="1m", feed__latency_depth="250us", vwap__anchor="2024-08-08T01:00:00Z",
        footprint__row="2.5", flip__mode="cusum", session__offset="8h", memory="99",
    )[0]  # fmt: skip
    assert int(p["strategy"]["window"]) == 2
    assert int(p["strategy"]["max_hold_ns"]) == 150 * 10**9
    assert int(p["strategy"]["entry_z_fp9"]) == 1_250_000_000
    assert int(p["strategy"]["notional_money"]) == 250_050_000_000
    assert int(p["strategy"]["memory"]) == 99
    assert (int(p["core"]["step_ns"]), int(p["core"]["slow_ns"])) == (10**10, 6 * 10**10)
    assert int(p["core"]["latency_ns"][int(Kind.DEPTH)]) == 250_000
    assert int(p["core"]["session_offset_ns"]) == 8 * 3600 * 10**9
    assert int(p["vwap"]["anchor_ns"]) == 1_723_078_800 * 10**9
    assert int(p["footprint"]["row_units"]) == 25
    assert int(p["flip"]["mode"]) == 1


def test_defaults_are_settings_too() -> None:
    c = composition()
    values = settle(c, {})
    assert set(values) == set(table(c))
    assert build(c, values, SCALES).tobytes() == build(c, settle(c, values), SCALES).tobytes()


@given(st.integers(0, 12), st.integers(0, 12))
def test_money_of_price_times_quantity(price: int, qty: int) -> None:
    """One unit of the currency at any scales: price 1 times quantity 1 is 1e8."""
    mul, div = money_factors(Scales(price, qty))
    assert 10**price * 10**qty * mul == 10**8 * div
