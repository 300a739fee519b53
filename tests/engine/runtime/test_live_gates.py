"""The gates of a live session: each fails for its own reason, and none can be talked away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from data.doctor.lines import Status
from data.events import Scales
from data.live.session_folder import SessionFolder
from engine.broker.protocol import Account, BrokerGoneError, Health, Instrument
from engine.runtime import verdict_kept
from engine.runtime.compose import compose
from engine.runtime.live_gates import (
    Given,
    account_named,
    broker_lines,
    limits_set,
    proven,
)
from engine.runtime.parameters import settle
from strategies import get
from tests.engine.runtime.test_live_config import LEAST, parsed

CONFIG = parsed(LEAST)
DAY_NS = 86_400_000_000_000
ACCOUNT = Account(5001, "Demo", "USD", True, False, 10**12, 10**12, 0, True)
BTC = Instrument("BTCUSDc", Scales(2, 8), 1, 10**6, 10**6, 10**10, 0, 10**8, 0, 0, "full", "USD")


class Shown:
    """A broker that says what a test wants."""

    name = "shown"

    def __init__(self, account: Account = ACCOUNT, instruments: Sequence[Instrument] = (BTC,),
                 health: Health | None = None, gone: bool = False) -> None:  # fmt: skip
        self._account, self._instruments, self._gone = account, instruments, gone
        self._health = health or Health(True, True, 10**9, 10**6, 0, 7_200 * 10**9)

    def connect(self) -> Account:
        if self._gone:
            raise BrokerGoneError("no terminal", why="nobody answers", do="start it")
        return self._account

    def instruments(self) -> Sequence[Instrument]:
        return self._instruments

    def health(self) -> Health:
        return self._health


def statuses(broker: Any) -> dict[str, str]:
    return {line.check: str(line.status) for line in broker_lines(broker, CONFIG)}


def test_the_account_is_said_twice() -> None:
    assert account_named(CONFIG, Given(5001)).status is Status.OK
    for given in (None, 5002):
        line = account_named(CONFIG, Given(given))
        assert line.status is Status.FAIL and line.mend


def test_guards_of_the_strategy_may_not_be_off() -> None:
    bare = compose(get("delta_flip"))
    assert limits_set(CONFIG, bare, settle(bare, {})).status is Status.OK
    guarded = compose(get("scalper"))
    assert limits_set(CONFIG, guarded, settle(guarded, {})).status is Status.OK
    off = settle(guarded, {"risk.drawdown": "0"})
    line = limits_set(CONFIG, guarded, off)
    assert line.status is Status.FAIL and "risk.drawdown" in line.fact


def kept(runs: Path, told: str = "PASS", at_ns: int = 0, served: bool = False,
         source: str = "here") -> None:  # fmt: skip
    folder = SessionFolder.create(runs, "paper", "delta_flip", {"source": source})
    verdict_kept.keep(folder, CONFIG.paper_identity, {"verdict": told, "served": served},
                      lambda: at_ns)  # fmt: skip


def asked(runs: Path, now_ns: int = DAY_NS, served: bool = False, **given: Any) -> Any:
    return proven(CONFIG, runs, "here", Given(5001, **given), served=served, now_ns=lambda: now_ns)


def test_a_verdict_must_be_there_pass_and_be_young(tmp_path: Path) -> None:
    assert "never judged" in asked(tmp_path).fact
    kept(tmp_path, at_ns=1)
    assert asked(tmp_path).status is Status.OK
    assert "longer ago" in asked(tmp_path, now_ns=40 * DAY_NS).fact
    kept(tmp_path, "FAIL", at_ns=2)
    assert "did not pass" in asked(tmp_path).fact, "the latest counts"
    kept(tmp_path, at_ns=3, source="elsewhere")
    assert "sources" in asked(tmp_path).fact


def test_a_rehearsal_proves_a_rehearsal(tmp_path: Path) -> None:
    kept(tmp_path, at_ns=1, served=True)
    assert "stand-in" in asked(tmp_path).fact
    assert asked(tmp_path, served=True).status is Status.OK


def test_a_verdict_is_passed_over_in_words(tmp_path: Path) -> None:
    line = asked(tmp_path, unproven="first evening")
    assert line.status is Status.WARN and "first evening" in line.fact


def test_a_verdict_that_was_cut_is_none(tmp_path: Path) -> None:
    folder = SessionFolder.create(tmp_path, "paper", "x", {})
    (folder.path / verdict_kept.VERDICT).write_text('{"session": "x"', encoding="utf-8")
    assert verdict_kept.latest(tmp_path, CONFIG.paper_identity) is None


def test_a_sound_broker_passes() -> None:
    assert set(statuses(Shown()).values()) == {"ok"}


@pytest.mark.parametrize(
    ("broker", "line", "status"),
    [
        (Shown(gone=True), "mt5", "fail"),
        (Shown(replace(ACCOUNT, login=7)), "login", "fail"),
        (Shown(replace(ACCOUNT, server="Real")), "login", "fail"),
        (Shown(replace(ACCOUNT, trade_allowed=False, why_not="investor")), "permission", "fail"),
        (Shown(health=Health(False, True, 0, 0, 0, 0, "no route")), "link", "fail"),
        (Shown(health=Health(True, True, 0, 0, 0, 0, "a quote of the future")), "link", "fail"),
        (Shown(health=Health(True, True, 3600 * 10**9, 0, 0, 0)), "link", "warn"),
        (Shown(instruments=()), "symbol BTCUSDc", "fail"),
        (Shown(instruments=(replace(BTC, trade_mode="close"),)), "symbol BTCUSDc", "fail"),
        (Shown(instruments=(replace(BTC, trade_mode="long"),)), "symbol BTCUSDc", "warn"),
        (Shown(instruments=(replace(BTC, profit_currency="EUR"),)), "symbol BTCUSDc", "fail"),
    ],
)
def test_what_is_wrong_with_a_broker_is_a_line(broker: Shown, line: str, status: str) -> None:
    assert statuses(broker)[line] == status
