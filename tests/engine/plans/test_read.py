"""Files of plans: every mistake is found, each with its line, and none hides another."""

from __future__ import annotations

import pytest

from data.errors import ConfigError
from data.events import Scales
from engine.plans.compile import compile_plan
from engine.plans.load import PlanText, from_manifest, in_manifest
from engine.plans.read import parse_plans

GOOD = """
[[plan]]
symbol = "BTCUSDT"
direction = "BUY"
stop = 59000
target = { r = 2 }
risk = 0.01
[plan.entry]
price_near = 60000
tolerance = 100
[plan.conditions]
cvd_rising = true
"""


def with_line(line: str, *, without: str = "") -> str:
    """GOOD with ``line`` for the line that begins with ``without`` (else added to the plan)."""
    lines = [x for x in GOOD.splitlines() if not without or not x.startswith(without)]
    return "\n".join([*lines[:4], line, *lines[4:], ""])


def only(text: str) -> ConfigError:
    (mistake,) = parse_plans(text, "plans.toml").mistakes
    return mistake


def test_a_good_file_is_read() -> None:
    (plan,) = parse_plans(GOOD, "plans.toml").sound()
    assert (plan.id, plan.symbol, plan.direction) == (1, "BTCUSDT", 1)
    assert [c.where for c in plan.conditions] == [
        "plans.toml:9", "plans.toml:10", "plans.toml:12",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "without", "what", "do"),
    [
        ('exires = "2030"', "", "no key 'exires'", "did you mean 'expires'"),
        ("delta_positive = true", "", "no key 'delta_positive'", "under [plan.conditions]"),
        ('symbol = ""', "symbol", "needs symbol", ""),
        ('direction = "LONG"', "direction", "needs a direction", "BUY, SELL"),
        ("stop = 61000", "stop", "stop of plan 1 is on the wrong side", ""),
        ("stop = { r = 2 }", "stop", "neither a price nor one of its forms", "structure"),
        ("stop = { atr = 2, share = 1 }", "stop", "neither a price", ""),
        ("", "stop", "needs a stop", ""),
        ("target = 59500", "target", "target of plan 1 is on the wrong side", ""),
        ("risk = 1.5", "risk", "risk is a share", "0.01"),
        ("risk = nan", "risk", "no number above 0", ""),
        ("qty = 1", "", "both qty and risk", ""),
        ("id = 0", "", "whole number from 1", ""),
        ('expires = "soon"', "", "expires is no time", ""),
        ("from = 2030-01-01\nexpires = 2029-01-01", "", "expires before it begins", ""),
    ],
)
def test_mistakes_of_a_plan(line: str, without: str, what: str, do: str) -> None:
    found = only(with_line(line, without=without))
    assert what in found.what
    assert do in found.do
    assert found.where.startswith("plans.toml:")


@pytest.mark.parametrize(
    ("line", "what", "why"),
    [
        ("delta_positiv = true", "there is no condition 'delta_positiv'", ""),
        ("rsi_div_bull = true", "'rsi_div_bull' cannot be answered", "no detector"),
        ("dxy_change_pct = -1", "'dxy_change_pct' cannot be answered", "no other market"),
        ("fvg_filled_pct = 50", "cannot be answered", "structure"),
        ("delta_positive = false", "no value for delta_positive", "write true"),
        ("delta_positive = 1", "no value for delta_positive", "write true"),
        ("aggressor_ratio = 0", "no value for aggressor_ratio", "above 0"),
        ("aggressor_ratio = inf", "no value for aggressor_ratio", "above 0"),
        ("min_confidence = 0.75", "no value for min_confidence", "75"),
        ("imbalance_score = 101", "no value for imbalance_score", "at most 100"),
        ('market_state = "calm"', "no value for market_state", "one of normal"),
        ('hours = "22:00-06:00"', "no value for hours", "one day"),
        ('weekdays = "fri-mon"', "no value for weekdays", "last of the week"),
        ('where = ["atr <= 5"]', "no value for where", "no number 'atr'"),
        ('where = "atr_1m <= 5"', "no value for where", "list"),
        ("vwap_deviation_threshold = 3", "nothing without vwap_deviation", ""),
        ("price_near = 60000", "price_near is given twice", ""),
    ],
)
def test_mistakes_of_conditions(line: str, what: str, why: str) -> None:
    found = only(GOOD + line + "\n")
    assert what in found.what
    assert why in found.why
    assert found.where == "plans.toml:13"


def test_a_near_name_is_suggested() -> None:
    assert "did you mean 'delta_positive'" in only(GOOD + "delta_positiv = true\n").do


def test_one_mistake_hides_no_other_and_no_other_plan() -> None:
    text = GOOD.replace("BUY", "UP").replace("cvd_rising", "cvd_raising") + GOOD + GOOD
    found = parse_plans(text, "plans.toml")
    assert len(found.mistakes) == 2
    assert [p.id for p in found.plans] == [2, 3]
    with pytest.raises(ConfigError):
        found.sound()


def test_ids_and_names_are_not_shared() -> None:
    text = with_line('name = "a"') + with_line('name = "a"')
    assert "is there twice" in only(text).what
    assert "is there twice" in only(with_line("id = 2") + GOOD).what


@pytest.mark.parametrize("text", ["", "x = 1\n", "plan = 3\n"])
def test_what_is_no_file_of_plans(text: str) -> None:
    assert parse_plans(text, "plans.toml").mistakes


def test_what_is_no_toml() -> None:
    with pytest.raises(ConfigError) as error:
        parse_plans("[[plan]\n", "plans.toml")
    assert error.value.where == "plans.toml:1"


def test_what_only_an_instrument_can_tell() -> None:
    fine = with_line("stop = 59000.005", without="stop")
    (plan,) = parse_plans(fine, "plans.toml").sound()
    with pytest.raises(ConfigError, match="finer than the instrument"):
        compile_plan(plan, Scales(2, 3))
    short = with_line("target = 60100", without="target") + "min_rr_ratio = 1.5\n"
    (plan,) = parse_plans(short, "plans.toml").sound()
    with pytest.raises(ConfigError, match="never reach its min_rr_ratio"):
        compile_plan(plan, Scales(2, 3))
    many = ", ".join(["'atr_1m >= 0'"] * 24)
    (plan,) = parse_plans(GOOD + f"where = [{many}]\n", "plans.toml").sound()
    with pytest.raises(ConfigError, match="too many conditions"):
        compile_plan(plan, Scales(2, 3))


def test_a_manifest_keeps_the_text() -> None:
    source = PlanText("folder/plans.toml", GOOD)
    (plan,) = parse_plans(GOOD, "x").sound()
    kept = in_manifest(source, [compile_plan(plan, Scales(2, 3))])
    assert (kept["file"], kept["plans"]) == ("plans.toml", [1])
    back = from_manifest({"plans": kept})
    assert back is not None
    assert (back.text, back.sha256) == (GOOD, kept["sha256"])
    assert from_manifest({}) is None


def test_a_mistake_in_a_value_is_not_told_again_as_a_word_that_is_missing() -> None:
    assert "no value for price_near" in only(with_line("", without="price_near").replace(
        "[plan.entry]", "[plan.entry]\nprice_near = -5")).what  # fmt: skip


def test_a_plan_that_is_there_twice_is_told_once() -> None:
    named = GOOD.replace("symbol", 'id = 1\nname = "x"\nsymbol')
    assert "is there twice" in only(named + named).what


def test_a_time_beyond_what_can_be_kept_is_a_mistake_of_the_file() -> None:
    for year in (1969, 9999):
        mistake = only(with_line(f"expires = {year}-01-01T00:00:00Z"))
        assert "expires is no time" in mistake.what and "1970" in str(mistake.why)


@pytest.mark.parametrize("stop", ["{ share = 1 }", "{ share = 2 }", "{ distance = 60000 }"])
def test_a_stop_below_every_price_is_a_mistake(stop: str) -> None:
    assert "below every price" in only(with_line(f"stop = {stop}", without="stop")).what
    sell = with_line(f"stop = {stop}", without="stop").replace("BUY", "SELL")
    assert not parse_plans(sell, "plans.toml").mistakes


@pytest.mark.parametrize(
    "lines",
    [
        "delta_positive = true\ndelta_negative = true",
        "cvd_falling = true",
        "price_below = 59000",
        "absorption_zone_detected = true\navoid_absorption_zones = true",
        'where = ["atr_1m > 5", "atr_1m <= 5"]',
        'trend_regime = "up"\nwhere = ["trend_regime = -1"]',
    ],
)
def test_conditions_that_exclude_each_other_are_refused(lines: str) -> None:
    (plan,) = parse_plans(GOOD + lines, "plans.toml").sound()
    with pytest.raises(ConfigError, match="exclude each other"):
        compile_plan(plan, Scales(1, 3))


def test_conditions_that_touch_do_not_exclude_each_other() -> None:
    lines = 'price_below = 59900\nwhere = ["atr_1m >= 5", "atr_1m <= 5", "delta_30s > 0"]'
    (plan,) = parse_plans(GOOD + lines, "plans.toml").sound()
    assert compile_plan(plan, Scales(1, 3)).record["n"][0] == 6


def test_a_slip_in_a_comparison_has_a_suggestion() -> None:
    assert "did you mean atr_1m" in str(only(GOOD + 'where = ["atr_2m > 5"]').why)


def test_a_number_beyond_all_use_is_told_with_its_line() -> None:
    (plan,) = parse_plans(GOOD.replace("60000", "1" + "0" * 30), "plans.toml").sound()
    with pytest.raises(ConfigError, match="too large") as caught:
        compile_plan(plan, Scales(1, 3))
    assert caught.value.where == "plans.toml:9" and caught.value.do


def test_a_file_that_is_not_toml_is_called_a_file_of_plans() -> None:
    with pytest.raises(ConfigError, match="a file of plans is not TOML"):
        parse_plans("[[plan", "plans.toml")
