"""``paper.toml``: what is read, every mistake with its line, and what a session keeps of it."""

from __future__ import annotations

import json
import tomllib
from dataclasses import asdict
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.errors import ConfigError
from data.live.keep import DiskLimits
from data.units import NS_OF
from engine.runtime.compose import compose
from engine.runtime.paper_config import (
    PaperConfig,
    as_facts,
    from_facts,
    parse_paper,
    read_config,
    read_paper,
    shown,
)
from engine.runtime.paper_keys import KINDS, defaults_of, keys_of, read_value, show_value
from engine.runtime.paper_sections import GATE_NAMES, SECTIONS, Disk, Gates
from strategies import get

LEAST = 'venue = "binance-um"\nsymbols = ["BTCUSDT"]\nstrategy = "delta_flip"\n'
PLAN = '[[plan]]\nsymbol = "BTCUSDT"\ndirection = "BUY"\nstop = { atr = 2 }\n'
PLAN += "[plan.conditions]\nprice_above = 60000\n"


def parsed(text: str, folder: Path = Path("/somewhere")) -> PaperConfig:
    return parse_paper(text, "paper.toml", folder).sound()


def mistakes(text: str) -> list[str]:
    return [str(m) for m in parse_paper(text, "paper.toml", Path("/somewhere")).mistakes]


def test_three_lines_are_a_configuration() -> None:
    config = parsed(LEAST)
    assert config.streams == ("trade", "depth", "quote", "mark")
    assert config.days is None and config.plans is None and config.settings == {}
    assert config.record.checkpoint_ns == NS_OF["h"] and config.record.sync_ms == 10
    assert config.gates == Gates()


def test_every_section_is_read() -> None:
    config = parsed(
        LEAST
        + 'streams = ["mark", "trade"]\ndays = 14\n'
        + '[settings]\nentry_z = 2.50\nflip.mode = "cusum"\nsim.x = true\n'
        + '[record]\ncheckpoint = "30m"\nsegment = "1MiB"\nfill = false\n'
        + '[disk]\nfree_min = "5GB"\n[http]\non = false\nport = 0\n'
        + '[gates]\noff = ["place"]\nuptime_min = 0.5\nslippage_bp_max = -1.5\n'
        + '[reference]\nlog = "logs/q3"\nfrom = 2026-07-01\nto = "2026-10-01T00:00:00Z"\n'
    )
    assert config.streams == ("trade", "mark")
    assert config.days == 14.0
    assert config.settings == {"entry_z": "2.50", "flip.mode": "cusum", "sim.x": "true"}
    assert config.record.checkpoint_ns == NS_OF["m"] * 30
    assert (config.record.segment_bytes, config.record.fill) == (1 << 20, False)
    assert config.disk.free_bytes == 5 * 10**9
    assert (config.http.on, config.http.port) == (False, 0)
    assert config.gates.off == ("place",) and config.gates.slippage_bp_max == -1.5
    assert Path(config.reference.log) == Path("/somewhere/logs/q3")
    assert config.reference.to_ns - config.reference.from_ns == 92 * NS_OF["d"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (LEAST + "stratgy = 1\n", ("paper.toml:4", "did you mean 'strategy'?")),
        (LEAST + "[gates]\nuptime = 1\n", ("paper.toml:5", "in [gates]", "'uptime_min'")),
        (LEAST + "[gates]\nuptime_min = 99\n", ("paper.toml:5", "at most 1")),
        (LEAST + '[gates]\noff = ["lags"]\n', ("paper.toml:5", "'lags' is none of uptime")),
        (LEAST + "[record]\ncheckpoint = 5\n", ("paper.toml:5", "such as 100ms")),
        (LEAST + '[record]\ncheckpoint = "2d"\n', ("paper.toml:5", 'at most "1d"')),
        (LEAST + '[record]\nsegment = "1kB"\n', ("paper.toml:5", 'at least "1MiB"')),
        (LEAST + "[http]\non = 1\n", ("paper.toml:5", "write true or false")),
        (LEAST + "[http]\nport = 1.5\n", ("paper.toml:5", "a whole number")),
        (LEAST + "http = 1\n", ("paper.toml:4", "'http' is a section")),
        (LEAST + "[settings]\na = [1]\n", ("paper.toml:5", "no single value")),
        (LEAST + '[reference]\nfrom = "x"\n', ("paper.toml:5", "ISO 8601")),
        (LEAST + "[reference]\nfrom = 2026-01-01\n", ("paper.toml:4", "a range without a log")),
        (LEAST + 'streams = ["depth"]\n', ("paper.toml:4", "the streams lack trade")),
        (LEAST + 'streams = ["tade"]\n', ("paper.toml:4", "'tade' is none of trade")),
        (LEAST + "days = nan\n", ("paper.toml:4", "a finite number")),
        (LEAST.replace("BTCUSDT", "btcusdt"), ("paper.toml:2", "'btcusdt' is no symbol")),
        (LEAST.replace('"BTCUSDT"', ""), ("paper.toml:2", "no symbol is named")),
        (LEAST.replace("binance-um", "binance"), ("paper.toml:1", "one of binance-um")),
        ("days = 1\n", ("the file does not say the venue", 'venue = "binance-um"')),
    ],
)
def test_a_mistake_is_said_with_its_line(text: str, expected: tuple[str, ...]) -> None:
    found = "\n".join(mistakes(text))
    for part in expected:
        assert part in found, found


def test_a_contract_with_a_date_is_a_symbol() -> None:
    assert mistakes(LEAST.replace("BTCUSDT", "BTCUSDT_261225")) == []


def test_all_mistakes_are_found_at_once_in_the_order_of_their_lines() -> None:
    found = mistakes(LEAST + "[gates]\ncpu_max = true\n[record]\nsync_ms = 0\nfoo = 1\n[bar]\n")
    assert [text.split("paper.toml:")[1][0] for text in found] == ["5", "7", "8", "9"]


def test_what_is_no_toml_is_said_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "paper.toml"
    file.write_text(LEAST + "[gates\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="a paper session is not TOML") as caught:
        read_config(file)
    assert caught.value.where.endswith("paper.toml:4")
    with pytest.raises(ConfigError, match="cannot read a configuration") as missing:
        read_config(tmp_path / "none.toml")
    assert missing.value.where.endswith("none.toml") and missing.value.why and missing.value.do


def test_a_wrong_setting_is_said_at_its_line() -> None:
    config = parsed(LEAST + "[settings]\nentry_zz = 2\n")
    with pytest.raises(ConfigError, match="no setting 'entry_zz'") as caught:
        config.settled(compose(get(config.strategy)))
    assert caught.value.where == "paper.toml:5"
    assert "entry_z" in caught.value.do


def test_files_lie_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "plans.toml").write_text(PLAN, encoding="utf-8")
    text = LEAST.replace('"delta_flip"', '"my.py:mine"') + 'plans = "plans.toml"\nmodel = "m.toml"'
    (tmp_path / "paper.toml").write_text(text, encoding="utf-8")
    config = read_config(tmp_path / "paper.toml")
    assert config.strategy == f"{tmp_path / 'my.py'}:mine"
    assert config.model == tmp_path / "m.toml"
    assert config.plans is not None and config.plans.text == PLAN


def test_a_mistake_in_the_plans_is_one_of_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "plans.toml").write_text(
        PLAN.replace("price_above", "price_abov"), encoding="utf-8"
    )
    (tmp_path / "paper.toml").write_text(LEAST + 'plans = "plans.toml"\n', encoding="utf-8")
    found = read_paper(tmp_path / "paper.toml")
    assert found.config is None
    assert "plans.toml:6" in str(found.mistakes[0])


def test_a_session_keeps_all_that_it_needs(tmp_path: Path) -> None:
    (tmp_path / "plans.toml").write_text(PLAN, encoding="utf-8")
    (tmp_path / "paper.toml").write_text(
        LEAST + 'plans = "plans.toml"\n[gates]\ncpu_max = 1\n', encoding="utf-8"
    )
    config = read_config(tmp_path / "paper.toml")
    facts = json.loads(json.dumps(as_facts(config)))
    for file in tmp_path.iterdir():
        file.unlink()
    again = from_facts(facts)
    assert again.plans == config.plans and again.gates == config.gates
    assert again.identity == config.identity == facts["identity"]
    with pytest.raises(ConfigError, match="does not say what"):
        from_facts({})


def test_the_identity_is_that_of_the_decisions() -> None:
    one = parsed(LEAST).identity
    same = LEAST + '[gates]\nuptime_min = 0.1\n[record]\ncheckpoint = "5m"\n[http]\non = false\n'
    assert parsed(same).identity == one
    assert parsed(LEAST + "[settings]\nentry_z = 3\n").identity != one
    assert parsed(LEAST.replace("BTCUSDT", "ETHUSDT")).identity != one


def test_another_model_is_another_identity_wherever_it_lies(tmp_path: Path) -> None:
    def identity(name: str, content: str) -> str:
        (tmp_path / name).write_text(content, encoding="utf-8")
        return parsed(LEAST + f'model = "{name}"\n', tmp_path).identity

    assert identity("a.toml", "x") == identity("b.toml", "x") != identity("a.toml", "y")
    missing = [parsed(LEAST + f'model = "{n}"\n', tmp_path).identity for n in ("c", "d")]
    assert missing[0] != missing[1]


def test_every_default_fits_its_own_key_and_reads_back() -> None:
    for name, section in SECTIONS.items():
        defaults = defaults_of(section)
        assert len(keys_of(section)) == len(defaults)
        for key, (attribute, k) in keys_of(section).items():
            assert k.kind in KINDS and k.doc, f"[{name}] {key}"
            if k.kind == "time" or defaults[attribute] == "":
                continue
            text = f"x = {show_value(k, defaults[attribute])}"
            value = tomllib.loads(text, parse_float=Decimal)["x"]
            assert read_value(k, value) == defaults[attribute], f"[{name}] {key}"


def test_the_defaults_of_the_disk_are_those_of_its_keeper() -> None:
    assert DiskLimits(**asdict(Disk())) == DiskLimits()


def test_each_gate_has_its_limits() -> None:
    named = {k.doc.partition(":")[0] for key, (_, k) in keys_of(Gates).items() if key != "off"}
    assert named == set(GATE_NAMES) - {"parity"}  # digests agree or they do not


def test_what_is_shown_is_a_configuration() -> None:
    lines, section = [], ""
    for name, key, value, _ in shown(parsed(LEAST)):
        if name != section:
            lines.append(f"[{name}]")
            section = name
        if value != "none":
            lines.append(f"{key} = {value}")
    assert parsed("\n".join(lines)).gates == Gates()


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.decimals()
    | st.dates() | st.sampled_from(["1h", "5GB", "trade", "2026-01-01", "1e9", "0"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)  # fmt: skip


@given(VALUES, st.sampled_from([k for s in SECTIONS.values() for _, k in keys_of(s).values()]))
def test_a_value_is_read_or_refused_with_a_sentence(value: object, k: object) -> None:
    try:
        read_value(k, value)  # type: ignore[arg-type]
    except ValueError as error:
        assert str(error)


FULL = "\n".join(
    f"{'' if section == last else f'[{section}]'}\n{key} = {value}"
    for (last, *_), (section, key, value, _) in pairwise([("",) * 4, *shown(parsed(LEAST))])
    if value != "none"
)


@given(st.lists(st.tuples(st.integers(0, len(FULL)), st.text(max_size=3)), max_size=4))
def test_a_damaged_file_is_mistakes_and_never_another_error(hits: list[tuple[int, str]]) -> None:
    text = FULL
    for at, put in hits:
        text = text[:at] + put + text[at + len(put) :]
    try:
        found = parse_paper(text, "paper.toml", Path("/somewhere"))
    except ConfigError as error:
        assert error.where.startswith("paper.toml")
        return
    assert (found.config is None) == bool(found.mistakes)
    assert all(m.where.startswith("paper.toml") for m in found.mistakes)


def test_a_terminal_has_an_account_and_nothing_else_does() -> None:
    terminal = 'venue = "mt5"\nsymbols = ["EURUSDm"]\nstrategy = "watch_proxy"\n'
    config = parsed(terminal + '[account]\nlogin = 7\nserver = "X"\nclock = "eet"\n')
    assert (config.account.login, config.account.clock, config.streams) == (
        7, "eet", ("bar", "quote"),
    )  # fmt: skip
    assert config.identity == parsed(terminal).identity
    both = parsed(terminal + '[account]\nterminal = "a"\nbridge = "b:1"\n').account
    assert (both.terminal, both.bridge) == ("a", "b:1")
    assert [row[1] for row in shown(config) if row[0] == "account"] == [
        "login", "server", "terminal", "bridge", "clock",
    ]  # fmt: skip
    for text, what in (
        (LEAST + "[account]\nlogin = 7\n", "only a terminal has an account"),
        (terminal + '[account]\nclock = "gmt+3"\n', "is no rule of a server's clock"),
        (terminal + 'streams = ["bar"]\n', "the streams lack quote"),
    ):
        with pytest.raises(ConfigError, match=what):
            parsed(text)
