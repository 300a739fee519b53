"""``ofs synth --generator``: both generators, and the options that only one of them has."""

from __future__ import annotations

import json
from typing import Any

import pytest

SHORT = ("synth", "--seed", "3", "--days", "0.01", "--rate", "3/s", "--log", "log", "--json")


def test_a_market_of_agents_has_quotes_and_passes_the_check(run: Any) -> None:
    made = run(*SHORT, "--generator", "agents", "--rho", "0.4", "--noise", "0.7", "--spread", "2")
    assert made.code == 0, made.err
    said = json.loads(made.out)
    assert said["rows"]["quote"] > said["rows"]["bar"] == 14
    assert (said["spec"]["rho"], said["spec"]["noise"]) == (0.4, 0.7)
    assert said["spec"]["spread_ticks"] == 2.0
    assert said["labels_path"].endswith("-agents.json")
    checked = run("log", "check", "--log", "log", "--venue", "synthetic")
    assert checked.code == 0, checked.out


def test_the_generators_do_not_mix_in_one_symbol(run: Any) -> None:
    assert run(*SHORT).code == 0
    mixed = run(*SHORT, "--generator", "agents")
    assert mixed.code == 4 and "another market" in mixed.err


def test_flow_is_the_default(run: Any) -> None:
    plain = json.loads(run(*SHORT).out)
    named = json.loads(run(*SHORT, "--generator", "flow", "--vol", "1.5").out)
    assert plain == named and plain["spec"]["daily_vol"] == 0.015


@pytest.mark.parametrize(
    ("words", "flag"),
    [("--rho 0.5", "--rho"), ("--noise 0.5", "--noise"), ("--spread 2", "--spread"),
     ("--generator agents --vol 2", "--vol")],
)  # fmt: skip
def test_an_option_of_the_other_generator_is_refused(words: str, flag: str, run: Any) -> None:
    result = run("synth", *words.split())
    assert result.code == 2
    assert f"where: {flag}" in result.err and "--generator" in result.err


@pytest.mark.parametrize(
    ("words", "flag"),
    [("--rho 1", "--rho"), ("--noise -1", "--noise"), ("--spread 0", "--spread"),
     ("--pattern all --every 10m", "--every")],
)  # fmt: skip
def test_values_out_of_range_name_their_option(words: str, flag: str, run: Any) -> None:
    result = run("synth", "--generator", "agents", *words.split())
    assert result.code == 3 and f"where: {flag}" in result.err
