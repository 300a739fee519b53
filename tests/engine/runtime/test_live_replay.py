"""A live session's log gives its decisions and intents again, of one series or of two."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.errors import DataError
from data.events import RECORDS, Kind
from data.live.blocks import Group, Part
from data.log import LogReader, LogStore
from data.log.columns import Rows
from data.runs import find_run
from engine.kernel.events import READ_COLUMNS
from engine.runtime.backtest import backtest
from engine.runtime.bundle import log_files
from engine.runtime.compose import OF_EXECUTION, compose
from engine.runtime.explain import explain
from engine.runtime.moment import moment
from engine.runtime.records import packed
from engine.runtime.replay import execution_of, request_of, run
from engine.runtime.session_fold import feed_of
from engine.runtime.symbol_view import Shown, symbol_view
from engine.runtime.verify import verify
from tests.engine.brokered import Live
from tests.engine.driving import Collect
from tests.engine.puppet import STRATEGY
from tests.engine.runtime.make_live import (
    EXECUTION,
    FLOW,
    SCALES,
    SETTINGS,
    columns,
    request,
    session,
    stamped,
    write_log,
)
from tests.engine.tapes import Event

Made = tuple[Path, Live, list[Event]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("live")
    live, fed = session()
    store = write_log(folder / "log", fed)
    backtest(store, str(folder / "log"), request(currency="EUR"), folder / "runs")
    return folder, live, fed


def test_the_session_is_worth_replaying(made: Made) -> None:
    _, live, _ = made
    rows = live.sink.rows("intent")
    assert {1, 2, 3, 5} <= set(rows["action"].tolist())
    assert set(live.sink.rows("position")["exit_reason"].tolist()) >= {2, 7}
    assert set(rows["basis"].tolist()) != {0} and not live.fold.state["live"]["violations"].any()


@pytest.mark.parametrize("chunk", [17, 32_768])
def test_the_log_of_two_series_gives_the_same_fold(made: Made, chunk: int) -> None:
    folder, live, fed = made
    sink = Collect()
    outcome = run(LogStore(folder / "log"), request(chunk_rows=chunk), sink)
    assert sink.digest.hexdigest() == live.sink.digest.hexdigest()
    for name in ("intent", "equity"):
        mine, its = (packed(RECORDS[name], x.rows(name)) for x in (sink, live.sink))
        assert mine == its, name
    assert outcome.fold.state_digest() == live.fold.state_digest()
    assert sum(outcome.fold.events.values()) == len(fed)
    assert (outcome.venue, outcome.symbol) == FLOW and outcome.scales == SCALES


def test_a_run_says_who_filled_and_where_and_is_verified_by_it(made: Made) -> None:
    folder, live, _ = made
    recorded = find_run(folder / "runs", "last")
    m = recorded.manifest
    assert execution_of(m) == ("live", EXECUTION) and m["counts"]["answers"] > 0
    assert m["counts"]["intents"] == len(live.sink.rows("intent"))
    assert m["currency"] == "EUR", "that of the account, whatever the flow is priced in"
    again = request_of(m, STRATEGY)
    assert (again.broker, again.execution, again.settings) == ("live", EXECUTION, m["params"])
    verdict = verify(LogStore(folder / "log"), recorded, STRATEGY)
    assert verdict.ok, vars(verdict)
    kinds = {(e.kind, e.venue) for e in log_files(recorded, LogStore(folder / "log"))}
    assert {(Kind.BROKER, "mt5"), (Kind.QUOTE, "mt5"), (Kind.TRADE, "binance-um")} <= kinds


def test_an_answer_that_was_changed_is_found(made: Made, tmp_path: Path) -> None:
    folder, _, fed = made
    other = [dict(e) for e in fed]
    last = [e for e in other if e["kind"] == Kind.BROKER and e["act"] == 2][-1]
    last["pnl"] += 1
    store = write_log(tmp_path / "log", other)
    verdict = verify(store, find_run(folder / "runs", "last"), STRATEGY)
    assert not verdict.ok and {d.table for d in verdict.differences} >= {"fill"}


def test_a_manifest_that_names_no_broker_that_there_is(made: Made, tmp_path: Path) -> None:
    from engine.runtime.verify import check_manifest

    folder, _, _ = made
    recorded = find_run(folder / "runs", "last")
    wrong: tuple[dict[str, Any], ...] = ({"broker": "nobody"}, {"execution": {"venue": "mt5"}})
    for change in wrong:
        bad = type(recorded)(recorded.id, tmp_path, {**recorded.manifest, **change})
        with pytest.raises(DataError, match="does not say what was run"):
            check_manifest(bad)
    check_manifest(recorded)


def test_the_state_at_a_decision_has_the_answers_before_it(made: Made) -> None:
    folder, live, _ = made
    held = live.sink.rows("decision")
    held = held[held["position"] != 0]
    at = moment(LogStore(folder / "log"), request(), int(held["ts_ns"][0]))
    assert at.decision["position"][0] == held["position"][0] != 0
    assert int(at.fold.state["live"]["positions"]["ident"][0].max()) > 7000


def test_what_the_flow_venue_quotes_is_not_heard(made: Made, tmp_path: Path) -> None:
    """Kinds of the execution series are read of it alone."""
    _, live, fed = made
    store = write_log(tmp_path / "log", fed)
    quotes = [{**e, "bid": 1, "ask": 2} for e in stamped(fed) if e["kind"] == Kind.QUOTE]
    with store.transaction() as change:
        change.merge(Kind.QUOTE, *FLOW, columns(Kind.QUOTE, quotes), SCALES)
    sink = Collect()
    run(store, request(), sink)
    assert sink.digest.hexdigest() == live.sink.digest.hexdigest()


def test_a_reader_of_two_series_keeps_their_order_and_tells_them_in_its_hash(made: Made) -> None:
    folder, _, fed = made
    store = LogStore(folder / "log")
    kinds = {k: ("seq", *READ_COLUMNS[k]) for k in compose(STRATEGY, broker="live").kinds}
    kinds = {k: v for k, v in kinds.items() if k in {e["kind"] for e in fed}}
    both = LogReader(store, *FLOW, kinds, second=(EXECUTION, OF_EXECUTION), chunk_rows=7)
    seen: list[int] = []
    for batch in both:
        at = dict.fromkeys(kinds, 0)
        for kind, stop in zip(batch.run_kind.tolist(), batch.run_stop.tolist(), strict=True):
            seen += batch.columns[Kind(kind)]["seq"][at[Kind(kind)] : stop].tolist()
            at[Kind(kind)] = stop
    assert seen == list(range(1, len(fed) + 1))
    assert both.content_hash() != LogReader(store, *FLOW, kinds).content_hash()


def test_a_group_is_taken_by_kind_and_number(made: Made) -> None:
    """The flow's number and the execution's: each kind of one of them, in order of seq."""
    _, _, fed = made
    rows = stamped(fed)[:400]
    parts = {}
    for kind in sorted({e["kind"] for e in rows}):
        mine = [e for e in rows if e["kind"] == kind]
        number = 1 if kind in OF_EXECUTION else 0
        flat: dict[str, np.ndarray] = {}
        for name, value in columns(Kind(kind), mine).items():
            if isinstance(value, tuple):
                flat[name] = value[0]
                flat[name.replace("_price", "_offsets")] = value[1]
            else:
                flat[name] = value
        flat = {n: v for n, v in flat.items() if not n.endswith("_qty_offsets")}
        numbers = np.full(len(mine), number, np.int32)
        parts[Kind(kind)] = Part(numbers, Rows(Kind(kind), len(mine), flat))
    group = Group(1, 400, parts)
    kinds = compose(STRATEGY, broker="live").kinds
    both = feed_of(group, 0, kinds, 1)
    assert both is not None and sum(len(c["ts_ns"]) for c in both[0].values()) == 400
    alone = feed_of(group, 0, kinds)
    assert alone is not None and not set(alone[0]) & set(OF_EXECUTION)
    other = feed_of(group, 1, kinds)
    assert other is not None and set(other[0]) == set(OF_EXECUTION)


def test_the_basis_is_set_only_where_there_is_one(made: Made) -> None:
    folder, _, _ = made
    m = find_run(folder / "runs", "last").manifest
    assert m["params"]["basis.half_life"] == "1m"
    assert SETTINGS.items() <= m["params"].items()


def test_a_fill_is_explained_by_the_brokers_own_answer(made: Made) -> None:
    folder, live, _ = made
    order = int(live.sink.rows("intent")["order_id"][0])
    found = explain(
        LogStore(folder / "log"), find_run(folder / "runs", "last"), STRATEGY, f"order:{order}"
    )
    assert found.agrees and found.fills and found.orders
    (cause,) = found.causes
    assert cause["act"] == "FILL" and cause["order_id"] == order


def test_a_position_is_valued_where_it_is_executed(made: Made) -> None:
    folder, live, _ = made
    held = live.sink.rows("decision")
    held = held[held["position"] != 0]
    at = moment(LogStore(folder / "log"), request(), int(held["ts_ns"][3]))
    shown = Shown(*FLOW, SCALES, STRATEGY)
    view = symbol_view(at.fold, shown)
    assert view.account.currency == "USDT"
    assert symbol_view(at.fold, replace(shown, currency="EUR")).account.currency == "EUR"
    (position,) = view.positions
    sim = at.fold.state["sim"][0]
    bid, ask = (int(x) / 10 for x in sim["quote_price"])
    price = bid if position.side == "long" else ask
    side = 1 if position.side == "long" else -1
    assert position.pnl == pytest.approx(side * (price - position.entry_price) * position.qty)
    assert abs(position.entry_price - (view.price or 0)) > 15  # the basis is 25
