"""Any range of the log: cuts, prefixes, ranges that are empty or named wrongly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cli import main
from tests.cli.run import Result
from tests.e2e.support import BTC, NEXO, NEXO_SETTINGS, User, tree

MORNING = ("2024-07-24T02:00", "2024-07-24T08:30:07", "2024-07-24T12:00")
"""a < b < c of the quiet recording; b lies on no decision boundary."""


@pytest.fixture(scope="module")
def cuts(recorded: User) -> dict[str, dict[str, Any]]:
    """Backtests over [a, b), [a, c) and [b, c)."""
    a, b, c = MORNING

    def over(start: str, stop: str) -> dict[str, Any]:
        words = ("--symbol", NEXO, "--from", start, "--to", stop)
        return recorded.backtest(*words, settings=NEXO_SETTINGS)

    return {"ab": over(a, b), "ac": over(a, c), "bc": over(b, c)}


def test_a_range_holds_its_start_and_not_its_end(
    recorded: User, cuts: dict[str, dict[str, Any]]
) -> None:
    for name, (start, stop) in {
        "ab": MORNING[:2],
        "ac": (MORNING[0], MORNING[2]),
        "bc": MORNING[1:],
    }.items():
        (row,) = recorded.sql(
            f"""SELECT (SELECT count(*) FROM trades WHERE symbol = '{NEXO}'
                AND time >= '{start}' AND time < '{stop}') AS trades,
            (SELECT count(*) FROM depth WHERE symbol = '{NEXO}'
                AND time >= '{start}' AND time < '{stop}') AS depth"""
        )
        assert row == {k: cuts[name][k] for k in ("trades", "depth")}, name
    assert cuts["ab"]["events"] + cuts["bc"]["events"] == cuts["ac"]["events"]


@pytest.mark.parametrize("view", ["decisions", "signals", "fills", "equity"])
def test_a_shorter_run_is_the_beginning_of_a_longer_one(
    view: str, recorded: User, cuts: dict[str, dict[str, Any]]
) -> None:
    short = recorded.table(cuts["ab"]["run"], view)
    long = recorded.table(cuts["ac"]["run"], view)
    # the last row of equity is written because the run ends
    rows = len(short) - (view == "equity")
    assert 5 < rows < len(long)
    assert short.slice(0, rows).equals(long.slice(0, rows))


def test_orders_that_ended_are_the_same_in_a_longer_run(
    recorded: User, cuts: dict[str, dict[str, Any]]
) -> None:
    short, long = (
        {row["id"]: row for row in recorded.table(cuts[name]["run"], "orders").to_pylist()}
        for name in ("ab", "ac")
    )
    ended = {k: row for k, row in short.items() if row["state"] >= 4}
    assert len(ended) > 5
    assert {k: long[k] for k in ended} == ended


def test_another_start_knows_nothing_of_what_came_before(
    recorded: User, cuts: dict[str, dict[str, Any]]
) -> None:
    first = recorded.table(cuts["bc"]["run"], "decisions").slice(0, 1).to_pylist()[0]
    assert (first["id"], first["position"]) == (1, 0)
    assert first["events"] < 100
    assert first["quality"] & 8  # it is warming up


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--symbol", NEXO, "--from", "2024-07-25"), 4, "lies between 2024-07-23T15:39:43.710Z"),
        (("--symbol", NEXO, "--to", "2024-07-23"), 4, "lies between 2024-07-23T15:39:43.710Z"),
        (("--symbol", NEXO, "--from", "2024-07-24", "--to", "2024-07-24"), 2, "range is empty"),
        (("--symbol", "ETHUSDT"), 4, f"binance-spot {NEXO}, binance-um {BTC}"),
        (("--symbol", BTC, "--venue", "binance-spot"), 4, f"binance-um {BTC}"),
        (("--venue", "binance"), 4, f"binance-um {BTC}"),
        (("--log", "log"), 2, "choose one with --venue and --symbol"),
        (("--symbol", NEXO, "--from", "2024-07-32"), 2, "2024-07-32"),
        (("--symbol", NEXO, "--from", "yesterday"), 2, "yesterday"),
        (("--symbol", NEXO, "--to", "1721750400"), 2, "1721750400"),
        (("--symbol", NEXO, "--set", "window=31s"), 3, "must be one of 1s, 5s"),
        (("--symbol", NEXO, "--set", "sim.balance=much"), 3, "sim.balance"),
        (("--symbol", NEXO, "--set", "stop=-1"), 3, "at least 0"),
        (("--symbol", NEXO, "--set", "decision.step=1"), 3, "a length of time"),
    ],
    ids=lambda x: " ".join(x) if isinstance(x, tuple) else "",
)
def test_what_cannot_be_run_says_so(
    words: tuple[str, ...],
    code: int,
    said: str,
    recorded: User,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in {**recorded.env, "OFS_RUNS": str(tmp_path / "runs")}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(recorded.home)
    returned = main.run(["backtest", *words, "--json"])  # in this process: fourteen starts less
    expect_refusal(Result(returned, *capsys.readouterr()), code, said)
    assert not (tmp_path / "runs").exists() or tree(tmp_path / "runs") == set()


def expect_refusal(done: Result, code: int, said: str) -> None:
    assert done.code == code, done.err
    assert said in done.err
    assert done.out == ""
    assert done.err.count("error: ") == 1
    for ugly in ("Traceback", "<class", "bug:", "None"):
        assert ugly not in done.err
