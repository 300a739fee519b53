"""``live.toml``: what is asked for, what has no default, and whose verdict speaks for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from data.units import NS_OF
from engine.runtime.live_config import (
    LIVE_SECTIONS,
    LiveConfig,
    live_from_facts,
    parse_live,
    read_live,
    shown_live,
)
from engine.runtime.live_link import Link
from engine.runtime.paper_config import as_facts, parse_paper

PAPER = 'venue = "binance-um"\nsymbols = ["BTCUSDT"]\nstrategy = "delta_flip"\n'
SETTINGS = "[settings]\nwarmup = 2\n"
ACCOUNT = '[account]\nlogin = 5001\nserver = "Demo"\n'
MAP = '[map]\nBTCUSDT = "BTCUSDc"\n'
LIMITS = '[limits]\ndaily_loss = 500\nlost_feed = "30s"\nverdict_age = "30d"\n'
LEAST = PAPER + SETTINGS + ACCOUNT + MAP + LIMITS
FOLDER = Path("/somewhere")


def parsed(text: str) -> LiveConfig:
    found = parse_live(text, "live.toml", FOLDER).sound()
    assert isinstance(found, LiveConfig)
    return found


def test_what_must_be_said_is_enough() -> None:
    config = parsed(LEAST)
    assert (config.account.login, config.account.server, config.account.base) == (
        5001,
        "Demo",
        7001,
    )
    assert config.limits.lost_feed_ns == 30 * NS_OF["s"] and config.limits.daily_loss == 500
    assert config.traded("BTCUSDT") == "BTCUSDc" and not config.one_series
    assert not config.account.close_unknown


def test_the_terminal_behind_a_bridge_can_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its path MetaTrader takes the terminal used last, there too."""
    monkeypatch.setenv("OFS_BRIDGE_TOKEN", "a token that is long enough")
    link = Link(parsed(LEAST.replace('"Demo"\n', '"Demo"\nterminal = "a"\nbridge = "b:1"\n')))
    assert (link.way.bridge, link.settings({}).path) == ("b:1", "a")


def test_flow_of_a_terminal_is_traded_under_its_own_name() -> None:
    text = LEAST.replace('"binance-um"', '"mt5"').replace('["BTCUSDT"]', '["EURUSDm"]')
    config = parsed(text.replace(MAP, ""))
    assert config.one_series and config.traded("EURUSDm") == "EURUSDm"
    assert config.streams == ("bar", "quote") or config.streams == ("quote", "bar")


def test_one_identity_speaks_for_paper_and_one_for_the_account() -> None:
    paper = parse_paper(PAPER + SETTINGS, "paper.toml", FOLDER).sound()
    config = parsed(LEAST)
    assert config.paper_identity == paper.identity
    more = parsed(LEAST.replace("warmup = 2\n", "warmup = 2\nbasis.most = 5\n"))
    assert more.paper_identity == paper.identity, "no session on paper has a basis"
    assert more.identity != config.identity
    for other in ("5001|5002", "Demo|Real", "BTCUSDc|BTCUSD"):
        assert parsed(LEAST.replace(*other.split("|"))).identity != config.identity, other
    assert parsed(LEAST.replace("500\n", "900\n")).identity == config.identity, "limits may change"


def test_what_a_session_keeps_is_read_again() -> None:
    config = parsed(LEAST)
    assert live_from_facts(as_facts(config)).identity == config.identity


def test_every_key_is_shown_with_what_it_is() -> None:
    rows = {(section, name): value for section, name, value, _ in shown_live(parsed(LEAST))}
    assert rows["account", "login"] == "5001" and rows["limits", "verdict_age"] == '"30d"'
    assert rows["map", "BTCUSDT"] == '"BTCUSDc"'
    assert {section for section, _ in rows} >= set(LIVE_SECTIONS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (LEAST.replace("login = 5001\n", ""), "does not say login in [account]"),
        (LEAST.replace("daily_loss = 500\n", ""), "does not say daily_loss in [limits]"),
        (LEAST.replace("daily_loss = 500", "daily_loss = 0"), "0 is no limit"),
        (LEAST.replace(LIMITS, ""), "does not say lost_feed in [limits]"),
        (LEAST.replace(MAP, ""), "what the broker calls BTCUSDT"),
        (LEAST.replace("BTCUSDc", ""), "no name of an instrument"),
        (LEAST.replace('BTCUSDT = "BTC', 'ETHUSDT = "BTC'), "'ETHUSDT' is none of the symbols"),
        (LEAST.replace("login = 5001", "logn = 5001"), "did you mean 'login'"),
        (LEAST.replace('"Demo"\n', '"Demo"\nclock = "moscow"\n'), "no rule of a server's clock"),
        (LEAST.replace('"Demo"\n', '"Demo"\npassword = "x"\n'), "no key 'password' in [account]"),
    ],
)
def test_mistakes_are_told(text: str, expected: str) -> None:
    mistakes = parse_live(text, "live.toml", FOLDER).mistakes
    assert any(expected in str(m) for m in mistakes), [str(m) for m in mistakes]
    assert all(m.where.startswith("live.toml") for m in mistakes)


def test_a_file_is_read_from_its_folder(tmp_path: Path) -> None:
    (tmp_path / "live.toml").write_text(LEAST, encoding="utf-8")
    assert read_live(tmp_path / "live.toml").execution == {"BTCUSDT": "BTCUSDc"}
