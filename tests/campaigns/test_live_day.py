"""A day of ``ofs live`` against a sandbox with random faults: the books agree to the last cent.

Only with OFS_CAMPAIGN=1: a day of a made-up market at 60 times real time, with thirty faults. The
same in virtual time, without sockets and processes, stands beside the fault matrix.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from data.log import LogStore
from data.sources.synthetic import MarketSpec, write_market
from tests.campaigns.venue import seeds
from tests.e2e.support import CAMPAIGN, User, new_user
from tests.e2e.test_live import CONFIG, LOGIN, check_books, check_verified
from tests.shared import shared_data

KINDS = (
    'kind = "lost_answer"\ncall = "order_send"',
    'kind = "hang"\ncall = "order_send"\nexecuted = true',
    'kind = "hang"\ncall = "order_send"', 'kind = "pipe_death"\ncall = "order_send"',
    'kind = "requote"', 'kind = "partial"', 'kind = "hidden_deals"\nvalue = "4s"',
    'kind = "pipe_death"\ncall = "positions_get"', 'kind = "restart"',
    'kind = "duplicate_answer"\ncall = "order_send"', 'kind = "autotrading_off"\nvalue = "20s"',
    'kind = "disconnect"\nvalue = "20s"',
)  # fmt: skip


@pytest.fixture
def user(tmp_path: Path) -> User:
    return new_user(tmp_path / "home")


def script(chance: random.Random, count: int, minutes: int) -> str:
    """``count`` faults at random moments."""
    parts = [f"seed = {chance.randrange(10**6)}"]
    for n in range(count):
        kind = KINDS[n % len(KINDS)] if n < len(KINDS) else chance.choice(KINDS)
        at_s = chance.randrange(60, minutes * 60 - 120)
        parts.append(f'[[fault]]\n{kind}\nat = "{at_s}s"')
    return "\n".join(parts) + "\n"


def session(user: User, log: Path, faults: str, *more: str) -> dict[str, Any]:
    """Run to the end of the range; what the session said last."""
    file = user.home / "live.toml"
    text = CONFIG.format(daily_loss=5000.0).replace("[limits]", '[limits]\ndeadline = "1s"')
    file.write_text(text, encoding="utf-8")
    (user.home / "faults.toml").write_text(faults, encoding="utf-8")
    process = user.start(
        "live", "--config", file, "--sandbox", "--log", log, "--yes-trade-account", str(LOGIN),
        "--unproven", "a campaign", "--faults", user.home / "faults.toml", "--until-end", "--json",
        *more,
    )  # fmt: skip
    out, err = process.communicate(timeout=3000)
    assert process.returncode == 0, f"{faults}\n{err}"
    facts: dict[str, Any] = json.loads(out)
    return facts


@pytest.mark.campaign
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", seeds(1, 1))
def test_random_faults_leave_the_books_equal(user: User, seed: int) -> None:
    if not CAMPAIGN:
        pytest.skip("it lasts 24 minutes: OFS_CAMPAIGN=1")
    log = user.home / "market"
    write_market(LogStore(log, create=True), MarketSpec(seed=seed))
    faults = script(random.Random(seed), 30, 24 * 60)
    facts = session(user, log, faults, "--speed", "60")
    assert facts["fills"] > 0, "or the test proves little"
    assert facts["gateway"]["links_lost"] > 0, faults
    check_books(facts)
    check_verified(user, facts)


PROXY = """
venue = "mt5"
symbols = ["{symbol}"]
strategy = "proxy_scalper"
streams = ["quote"]
plans = "plans.toml"
[account]
login = 5000001
server = "ofs-Sandbox"
[limits]
daily_loss = 1000
lost_feed = "1m"
verdict_age = "30d"
quote_age = "2m"
[http]
on = false
"""
PLAN = """
[[plan]]
id = {id}
symbol = "{symbol}"
direction = "{side}"
stop = {{ atr = 2 }}
target = {{ r = 2 }}
risk = 0.005
[plan.conditions]
price_above = 1.0
"""


@pytest.mark.campaign
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("symbol", "folder"),
    [("EURUSD", "forex/oanda/tick/eurusd"), ("XAUUSD", "cfd/oanda/tick/xauusd")],
)
def test_the_proxy_scalper_trades_a_terminals_own_quotes(
    user: User, symbol: str, folder: str
) -> None:
    if not CAMPAIGN:
        pytest.skip("it compiles the whole scalper: OFS_CAMPAIGN=1")
    log = user.home / "quotes"
    zipped = shared_data(f"quotes/{folder}/20140506_quote.zip")
    assert user.ofs("import", zipped, OFS_LOG=str(log)).code == 0
    plans = "".join(
        PLAN.format(id=n, symbol=symbol, side="BUY" if n % 2 else "SELL") for n in range(1, 7)
    )
    (user.home / "plans.toml").write_text(plans, encoding="utf-8")
    (user.home / "live.toml").write_text(PROXY.format(symbol=symbol), encoding="utf-8")
    facts = user.json(
        "live", "--config", user.home / "live.toml", "--sandbox", "--log", log,
        "--yes-trade-account", str(LOGIN), "--unproven", "a campaign", "--speed", "200",
        "--from", "2014-05-06T07:00:00Z", "--to", "2014-05-06T09:00:00Z", "--until-end",
    )  # fmt: skip
    assert facts["fills"] > 2
    check_books(facts)
    check_verified(user, facts)
