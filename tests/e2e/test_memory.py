"""Memory does not grow with the length of the log.

A run's peak must be the same for a short and a long log, within a tenth, and below 300 MB. The
short form compares hours, the campaign (OFS_CAMPAIGN=1) one day with ten.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace

import pytest

from tests.e2e.support import CAMPAIGN, User, new_user

LIMIT_MB = 300 if sys.version_info < (3, 12) else 350
"""On Python 3.13 numpy, numba and pyarrow alone take 95 MB more than on 3.11, before ofs starts."""
SLACK = 1.10

SHORT_H, LONG_H = (24, 240) if CAMPAIGN else (2, 8)
RATE, DEPTH_MS = ("18", "100") if CAMPAIGN else ("10", "500")


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> User:
    """A synthetic market of the long span."""
    user = replace(new_user(tmp_path_factory.mktemp("market")), fresh=True)
    words = ("--days", str(LONG_H / 24), "--rate", RATE, "--depth-ms", DEPTH_MS, "--no-progress")
    process = user.start("synth", "--seed", "5", *words)
    _, err = process.communicate()
    assert process.returncode == 0, err
    return user


def until(hours: int) -> str:
    """End of the first ``hours`` of the market."""
    return f"2026-01-{5 + hours // 24:02d}T{hours % 24:02d}:00"


@pytest.mark.campaign
@pytest.mark.timeout(3_600 if CAMPAIGN else 300)
@pytest.mark.skipif(os.name == "nt", reason="resident memory is counted in another way there")
def test_peak_memory_is_flat(market: User) -> None:
    words = ("backtest", "--symbol", "BTCUSDT", "--to")
    market.json(*words, until(1))  # what must be compiled is compiled here
    short = market.json(*words, until(SHORT_H))
    long = market.json(*words, until(LONG_H))
    peaks = [facts["peak_rss_mb"] for facts in (short, long)]
    print(f"\n{SHORT_H} h: {peaks[0]} MB, {LONG_H} h: {peaks[1]} MB")
    assert long["events"] > 2 * short["events"] > 200_000
    assert peaks[1] < SLACK * peaks[0]
    assert peaks[1] < LIMIT_MB


def test_the_peak_is_of_this_process_and_not_of_the_one_that_started_it(user: User) -> None:
    words = ("backtest", "btc_flow", "--to", "2026-01-05T12:10")
    user = replace(user, fresh=True)
    user.json(*words)  # what must be compiled is compiled here
    ballast = bytearray(500_000_000)
    ballast[::4_096] = b"x" * len(ballast[::4_096])  # touch every page
    facts = user.json(*words)
    assert len(ballast) == 500_000_000
    assert facts["peak_rss_mb"] < 480
