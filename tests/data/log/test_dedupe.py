"""What is the same event and what is not, rule by rule."""

from __future__ import annotations

from data.events import Kind
from data.ids import OPAQUE_ID
from data.log.columns import Rows, from_input
from data.log.dedupe import MergeResult, join
from tests.data.log.support import MIDNIGHT, Row, book, columns, trade

T = MIDNIGHT


def rows(kind: Kind, *given: Row) -> Rows:
    return from_input(kind, columns(kind, given))


def twice(kind: Kind, first: list[Row], second: list[Row]) -> tuple[Rows, MergeResult, bool]:
    """Join the first rows to nothing, then the second to them."""
    old = join(None, rows(kind, *first)).rows
    joined = join(old, rows(kind, *second))
    return joined.rows, joined.result, joined.changed


def test_the_same_trade_again_adds_nothing() -> None:
    tape = [trade(T, id=1), trade(T + 1, id=2)]
    table, result, changed = twice(Kind.TRADE, tape, tape)
    assert (result, changed) == (MergeResult(0, 2, 0), False)
    assert table["id"].tolist() == [1, 2]


def test_duplicates_inside_one_import_collapse() -> None:
    joined = join(None, rows(Kind.TRADE, trade(T, id=1), trade(T, id=1), trade(T, id=2)))
    assert joined.result == MergeResult(2, 1, 0)


def test_one_id_with_two_contents_keeps_both_and_is_a_conflict() -> None:
    a, b = trade(T, id=5, price=238), trade(T + 46, id=5, price=239)
    table, result, _ = twice(Kind.TRADE, [a], [b])
    assert result == MergeResult(1, 0, 1)
    assert table["price"].tolist() == [238, 239]
    assert join(None, rows(Kind.TRADE, b, a)).result == MergeResult(2, 0, 1)
    assert twice(Kind.TRADE, [a, b], [b, a])[1] == MergeResult(0, 2, 0)


def test_three_contents_make_two_conflicts_in_any_split() -> None:
    tape = [trade(T + i, id=5, price=100 + i) for i in range(3)]
    assert join(None, rows(Kind.TRADE, *tape)).result.conflicts == 2
    for cut in (1, 2):
        first = join(None, rows(Kind.TRADE, *tape[:cut])).result
        assert (first + twice(Kind.TRADE, tape[:cut], tape[cut:])[1]).conflicts == 2


def test_the_row_that_knows_its_receive_time_wins() -> None:
    archive, recorded = trade(T, id=1), trade(T, id=1, recv_ns=T + 9, seq=4)
    for first, second in ((archive, recorded), (recorded, archive)):
        table, result, changed = twice(Kind.TRADE, [first], [second])
        assert result == MergeResult(0, 1, 0)
        assert table["recv_ns"].tolist() == [T + 9]
        assert changed == (first is archive)


def test_of_two_receive_times_the_first_stays() -> None:
    a, b = trade(T, id=1, recv_ns=T + 9), trade(T, id=1, recv_ns=T + 5)
    table, result, changed = twice(Kind.TRADE, [a], [b])
    assert (table["recv_ns"].tolist(), result, changed) == ([T + 9], MergeResult(0, 1, 0), False)


def test_equal_trades_without_an_id_are_counted_not_collapsed() -> None:
    tape = [trade(T), trade(T), trade(T + 1)]
    assert join(None, rows(Kind.TRADE, *tape)).result == MergeResult(3, 0, 0)
    table, result, changed = twice(Kind.TRADE, tape, tape)
    assert (table.n, result, changed) == (3, MergeResult(0, 3, 0), False)
    table, result, _ = twice(Kind.TRADE, tape, [*tape, trade(T), trade(T + 2)])
    assert (table.n, result) == (5, MergeResult(2, 3, 0))


def test_equal_liquidations_are_counted_too() -> None:
    one: Row = {"ts_ns": T, "price": 5, "qty": 1, "side": 1}
    table, result, _ = twice(Kind.LIQUIDATION, [one, one], [one, one, one])
    assert (table.n, result) == (3, MergeResult(1, 2, 0))


def test_a_book_is_the_same_only_with_the_same_levels() -> None:
    a = book(T, [(5, 1)], [(6, 1)], id=9)
    same_but_seq = {**a, "seq": 3}
    deeper = book(T, [(5, 1), (4, 1)], [(6, 1)], id=9)
    moved = book(T, [(5, 1)], [(6, 2)], id=9)
    later = book(T + 1, [(5, 1)], [(6, 1)], id=9)
    table, result, _ = twice(Kind.DEPTH, [a], [same_but_seq, deeper, moved, later])
    assert (table.n, result) == (4, MergeResult(3, 1, 0))


def test_levels_in_another_order_are_another_book() -> None:
    a = book(T, [(5, 1), (4, 2)], [], id=9)
    b = book(T, [(4, 2), (5, 1)], [], id=9)
    assert twice(Kind.DEPTH, [a], [b])[1] == MergeResult(1, 0, 0)


def bar(close: int, **more: int) -> Row:
    row = {"ts_ns": T, "open_ns": T - 60, "interval_ns": 60, "open": 1, "high": 9, "low": 1}
    return {**row, "close": close, "volume": 1, **more}


def test_a_later_bar_replaces_an_earlier_one() -> None:
    table, result, changed = twice(Kind.BAR, [bar(4)], [bar(5)])
    assert (table["close"].tolist(), result, changed) == ([5], MergeResult(0, 0, 1), True)
    assert twice(Kind.BAR, [bar(4)], [bar(4)])[1:] == (MergeResult(0, 1, 0), False)
    joined = join(None, rows(Kind.BAR, bar(4), bar(5)))
    assert (joined.rows["close"].tolist(), joined.result) == ([5], MergeResult(1, 0, 1))
    other = bar(4, interval_ns=300)
    assert twice(Kind.BAR, [bar(4)], [other])[1] == MergeResult(1, 0, 0)


def test_the_bar_with_more_trades_is_the_more_complete_one() -> None:
    unfinished, whole = bar(4, trades=7), bar(5, trades=90)
    for first, second in ((unfinished, whole), (whole, unfinished)):
        table, result, changed = twice(Kind.BAR, [first], [second])
        assert (table["close"].tolist(), result) == ([5], MergeResult(0, 0, 1))
        assert changed == (first is unfinished)


def quote(ns: int, bid: int, **more: int) -> Row:
    return {"ts_ns": ns, "bid": bid, "bid_qty": 0, "ask": bid + 2, "ask_qty": 0, **more}


def test_a_bare_quote_that_returns_within_its_instant_stays() -> None:
    tape = [quote(T, 5), quote(T, 6), quote(T, 5), quote(T + 1, 5)]
    joined = join(None, rows(Kind.QUOTE, *tape))
    assert (joined.rows["bid"].tolist(), joined.result) == ([5, 6, 5, 5], MergeResult(4, 0, 0))
    table, result, changed = twice(Kind.QUOTE, tape, tape)
    assert (table["bid"].tolist(), result, changed) == ([5, 6, 5, 5], MergeResult(0, 4, 0), False)
    table, result, _ = twice(Kind.QUOTE, tape[:1], tape)
    assert (table["bid"].tolist(), result) == ([5, 6, 5, 5], MergeResult(3, 1, 0))


def test_a_bare_quote_repeated_at_once_is_one_quote() -> None:
    tape = [quote(T, 5), quote(T, 5), quote(T, 6), quote(T, 6), quote(T, 6)]
    joined = join(None, rows(Kind.QUOTE, *tape))
    assert (joined.rows["bid"].tolist(), joined.result) == ([5, 6], MergeResult(2, 3, 0))
    assert not join(joined.rows, rows(Kind.QUOTE, *tape)).changed


def test_a_quote_with_an_id_or_a_receive_time_is_the_same_when_it_says_the_same() -> None:
    for more in ({"id": 9}, {"recv_ns": T + 5}):
        tape = [quote(T, 5, **more), quote(T, 6, **more), quote(T, 5, **more, seq=4)]
        joined = join(None, rows(Kind.QUOTE, *tape, quote(T, 5)))
        assert joined.result == MergeResult(3, 1, 0)


def test_importing_conflicting_bars_again_changes_nothing() -> None:
    table, _, changed = twice(Kind.BAR, [bar(4), bar(5)], [bar(4), bar(5)])
    assert (table["close"].tolist(), changed) == ([5], False)


def test_gaps_are_the_same_in_all_columns_only() -> None:
    gap: Row = {"ts_ns": T, "stream": 4, "from_ns": T - 9, "to_ns": T, "from_id": 1, "to_id": 5}
    gap |= {"reason": 1, "filled": 0}
    table, result, _ = twice(Kind.GAP, [gap], [gap, {**gap, "to_id": 6}])
    assert (table.n, result) == (2, MergeResult(1, 1, 0))


def test_a_trade_told_in_milliseconds_and_finer_is_one() -> None:
    feed, archive = trade(T, id=7, recv_ns=T + 9), trade(T + 54_700, id=7)
    for first, second in ((feed, archive), (archive, feed)):
        table, result, _ = twice(Kind.TRADE, [first], [second])
        assert (table["recv_ns"].tolist(), result) == ([T + 9], MergeResult(0, 1, 0))
    coarse = trade(T, id=7)
    for first, second in ((coarse, archive), (archive, coarse)):
        table, result, changed = twice(Kind.TRADE, [first], [second])
        assert (table["ts_ns"].tolist(), result) == ([T + 54_700], MergeResult(0, 1, 0))
        assert changed == (first is coarse)
    assert twice(Kind.TRADE, [archive], [trade(T + 1_000_000, id=7)])[1] == MergeResult(1, 0, 1)


def test_opaque_ids_tell_no_order_but_who_is_who() -> None:
    a, b, c = (OPAQUE_ID + i for i in (900, 5, 77))
    tape = [trade(T, id=a, price=101), trade(T, id=b, price=102), trade(T, id=c, price=103)]
    whole = join(None, rows(Kind.TRADE, *tape)).rows
    assert whole["price"].tolist() == [101, 102, 103], "the order of the file stays"
    table, result, changed = twice(Kind.TRADE, tape, tape[1:])
    assert (table["id"].tolist(), result, changed) == ([a, b, c], MergeResult(0, 2, 0), False)
    # one hash for two different trades: both are kept
    twin = trade(T, id=a, price=104)
    assert twice(Kind.TRADE, tape, [twin])[1] == MergeResult(1, 0, 1)


def test_a_gap_that_was_filled_stays_filled() -> None:
    def gap(filled: int, **more: int) -> Row:
        return {"ts_ns": T, "stream": 0, "from_ns": T - 9, "to_ns": T, "filled": filled, **more}

    for first, second in ((gap(0), gap(1)), (gap(1), gap(0))):
        table, result, changed = twice(Kind.GAP, [first], [second])
        assert (table["filled"].tolist(), result) == ([1], MergeResult(0, 1, 0))
        assert changed == (first["filled"] == 0)
    table, result, _ = twice(Kind.GAP, [gap(0)], [gap(1, from_id=3), gap(1, stream=1)])
    assert sorted(table["filled"].tolist()) == [0, 1, 1], "another gap is not this one"
