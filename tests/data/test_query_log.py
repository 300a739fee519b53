"""Questions in SQL over the log: scales, pruning by partition, and damaged files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from data.enums import Action, BrokerAct, Kind, OrderState
from data.errors import CorruptFileError, UsageError
from data.events import EVENTS, Scales
from data.log import LogStore
from data.query import Database
from data.query_examples import EXAMPLES
from tests.data.make_log import T, make_log
from tests.data.make_runs import make_run
from tests.data.test_query import answer


@pytest.fixture
def store(tmp_path: Path) -> LogStore:
    return make_log(tmp_path / "log")


@pytest.fixture
def database(store: LogStore, tmp_path: Path) -> Iterator[Database]:
    with Database(store, tmp_path / "runs") as opened:
        yield opened


def test_prices_and_sizes_are_scaled_by_their_own_files(database: Database) -> None:
    sql = (
        "SELECT symbol, venue, count(*) AS n, min(price) AS low, max(qty) AS most "
        "FROM trades GROUP BY ALL ORDER BY ALL"
    )
    assert answer(database, sql) == [
        {"symbol": "BTCUSDT", "venue": "binance-um", "n": 150, "low": 59999.8, "most": 0.005},
        {"symbol": "XAUT", "venue": "bybit", "n": 150, "low": 2499.998, "most": 5.0},
    ]


def test_levels_are_lists_of_scaled_numbers(database: Database) -> None:
    sql = "SELECT bid_price[1:2] AS b, ask_qty[1] AS a FROM depth ORDER BY time LIMIT 1"
    assert answer(database, sql) == [{"b": [59999.9, 59999.8], "a": 0.011}]


def test_time_side_and_what_is_not_known(database: Database) -> None:
    sql = "SELECT epoch_ns(time) AS t, side, recv, seq FROM trades ORDER BY time, venue LIMIT 2"
    assert answer(database, sql) == [{"t": T, "side": "SELL", "recv": None, "seq": 0}] * 2


@pytest.mark.parametrize(
    ("predicate", "files"),
    [
        ("true", 6),
        ("venue = 'bybit'", 3),
        ("symbol = 'BTCUSDT' AND date = '2024-08-10'", 1),
        ("date >= '2024-08-11'", 2),
        ("symbol = 'ABC'", 0),
    ],
)
def test_predicates_leave_files_unread(predicate: str, files: int, database: Database) -> None:
    plan = answer(database, f"EXPLAIN ANALYZE SELECT price FROM trades WHERE {predicate}")
    read = re.findall(r"Total Files Read: (\d+)", plan[0]["explain_value"])
    assert sum(map(int, read)) == files


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_every_example_runs_over_events(number: int, database: Database) -> None:
    rows = answer(database, EXAMPLES[number][1])
    if "trades" in EXAMPLES[number][1] and "runs" not in EXAMPLES[number][1]:
        assert rows


BROKERS: tuple[dict[str, int], ...] = (
    {"act": BrokerAct.ORDER, "order_id": 1, "state": OrderState.WORKING},
    {"act": BrokerAct.BLOCK, "code": -10002},
    {"act": BrokerAct.FILL, "order_id": 1, "side": 1, "price": 600_010, "qty": 3},
    {"act": BrokerAct.FILL, "order_id": 1, "side": 1, "price": 600_030, "qty": 1},
    {"act": BrokerAct.ORDER, "order_id": 1, "state": OrderState.FILLED},
    {"act": BrokerAct.UNBLOCK},
)
"""What a broker said of one order, a second after the other."""


def test_examples_tell_what_became_of_an_intent(store: LogStore, tmp_path: Path) -> None:
    second = 10**9
    names = [field.name for field in EVENTS[Kind.BROKER].fields]
    columns = {name: np.array([row.get(name, 0) for row in BROKERS]) for name in names}
    at = T + np.arange(1, 7) * second
    with store.transaction() as change:
        rows = {"ts_ns": at, "recv_ns": at, "seq": np.arange(1, 7), "id": 100 + np.arange(6)}
        change.merge(Kind.BROKER, "mt5", "BTCUSDc", {**columns, **rows}, Scales(1, 3))
    intent = {"ts_ns": T, "id": 1, "action": Action.ENTER_LONG, "side": 1, "qty": 4, "order_id": 1}
    runs = tmp_path / "runs"
    make_run(runs, "live", {"intent": [{**intent, "bid": 599_990, "ask": 600_000}]})
    asked, blocked = (sql for _, sql in EXAMPLES if "brokers" in sql)
    with Database(store, runs) as database:
        (row,) = answer(database, asked)
        (block,) = answer(database, blocked)
    assert (row["filled"], row["states"]) == (0.004, ["WORKING", "FILLED"])
    assert row["slip"] == pytest.approx(1.5) and row["took"].nanoseconds == 5 * second
    assert (block["symbol"], block["code"]) == ("BTCUSDc", -10002)
    assert block["length"].nanoseconds == 4 * second


def test_nothing_is_written_into_the_log(database: Database, store: LogStore) -> None:
    folder = store.storage.local
    with pytest.raises(UsageError):
        database.ask(f"COPY (SELECT 1) TO '{folder}/kind=trade/x.parquet'")


@pytest.mark.parametrize("damage", [b"", b"PAR1PAR1", None])
def test_a_damaged_file_fails_only_questions_that_need_it(
    damage: bytes | None, store: LogStore, tmp_path: Path
) -> None:
    assert store.storage.local is not None
    place = "kind=trade/venue=binance-um/symbol=BTCUSDT/date=2024-08-09/data.parquet"
    file = store.storage.local / place
    file.write_bytes(file.read_bytes()[:-9] if damage is None else damage)
    with Database(LogStore(store.storage.local), tmp_path / "runs") as database:
        assert len(database.warnings) == 1 and str(file) in database.warnings[0]
        with pytest.raises(CorruptFileError) as caught:
            answer(database, "SELECT count(*) FROM trades")
        assert Path(caught.value.where) == file
        healthy = "SELECT count(*) AS n FROM trades WHERE symbol = 'XAUT'"
        assert answer(database, healthy) == [{"n": 150}]
        later = "SELECT count(*) AS n FROM trades WHERE date > '2024-08-09' AND symbol = 'BTCUSDT'"
        assert answer(database, later) == [{"n": 100}]
        assert len(answer(database, "SELECT * FROM depth")) == 150


def test_numbers_stay_words(tmp_path: Path) -> None:
    """A symbol that looks like a number or a date is still a symbol."""
    from data.events import Kind, Scales
    from tests.data.make_log import trades

    store = LogStore(tmp_path / "log", create=True)
    with store.transaction() as change:
        change.merge(Kind.TRADE, "x'y", "000660", trades(T, 3), Scales(0, 0))
    with Database(store, tmp_path / "it's runs") as database:
        rows = answer(database, "SELECT DISTINCT venue, symbol FROM trades")
    assert rows == [{"venue": "x'y", "symbol": "000660"}]
