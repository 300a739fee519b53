"""The live screen: everything fits, the worst first, and a lost terminal ends only the screen."""

from __future__ import annotations

import io
import time
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cli import spark
from cli.screen import FOCUS_S, Screen, focus
from cli.screen_parts import draw, plain, span
from data.journal.states import States
from engine.runtime.alarms import alarms
from engine.runtime.view import PHASES, SymbolView, View
from tests.engine.runtime.pictures import a_symbol, a_view, ill

BARE = View("s", "record", "bybit")


def text(view: View, width: int, height: int, letters: str = spark.BLOCKS) -> str:
    return "\n".join(line.plain for line in draw(view, width, height, 0, letters))


@pytest.mark.parametrize("symbols", [0, 1, 2, 30])
@pytest.mark.parametrize("size", [(80, 24), (140, 40), (40, 10), (120, 25), (300, 90)])
def test_it_fits(size: tuple[int, int], symbols: int) -> None:
    for view in (a_view(symbols), ill(a_view(symbols)), BARE):
        lines = draw(replace(view, alarms=alarms(view)), *size)
        assert len(lines) <= size[1]
        assert max(line.cell_len for line in lines) <= size[0]


def test_80_by_24_shows_what_a_person_needs() -> None:
    shown = text(replace(a_view(), alarms=("the disk is slow",)), 80, 24)
    for word in (
        "RUNNING  20260105T120000-paper-delta_flip", "synced 1,000",
        "admitted 1,010", "sealed 900", "lag p50/p99 1.5/12.2 ms",
        "events/s 1,480", "gaps 10 (8 filled, 1 open)", "! the disk is slow", "BTCUSDT 27,950.5",
        "in_position 1m30s", "market normal", "trend up", "delta 30s", "CVD", "imbalance",
        "▲ absorption 0.80", "▼ cvd_trend 0.35", "dip long 1/3  waits: cvd_rising",
        "long 0.5 at 27,950.1", "+12.50 USDT", "equity 10,012.50", "at risk 25.00",
        "halted: cooldown", "blocked: score", "cpu 42 %", "memory 310 MB", "checks/s 0.2",
        "fold cache 100 %", "free 46.6 GiB",
    ):  # fmt: skip
        assert word in shown, word
    assert "█" in shown


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("name", ["paper-delta_flip", "record", "paper-my_rule_of_forty-2"])
@pytest.mark.parametrize("served", [False, True])
def test_the_header_fits_80_by_24_after_a_fortnight(name: str, phase: str, served: bool) -> None:
    """Session and state are whole, and so is every number, however large they have become."""
    a = a_view()
    long = replace(
        a, session=f"20260105T120000-{name}", phase=phase, served=served, uptime_s=14 * 86_400.0,
        states=States(1_234_600_111, 1_234_599_999, 1_234_567_890, 1_234_000_000, 987_654_321),
        feed=replace(a.feed, events_per_s=20_000.0, lag_p50_ms=1_234.5, lag_p99_ms=12_345.6,
                     decision_p99_ms=12_345.6, queued=200_000),
    )  # fmt: skip
    title, states, feed, holes, *_ = text(long, 80, 24).splitlines()
    assert title.startswith(f"{phase.upper()}  20260105T120000-{name}")
    assert ("served" in title) == served
    assert states.startswith("synced 1,234,567,890  admitted +32k  written +32k  sealed -567k")
    assert feed.startswith("lag p50/p99 1,234.5/12,345.6 ms  events/s 20,000  queue 200,000")
    assert "…" not in title + states + feed + holes


def test_a_long_alarm_has_two_lines() -> None:
    said = "the served range is over (end it with `ofs control stop`, or start with --until-end)"
    lines = text(replace(a_view(), alarms=(said,)), 80, 24).splitlines()
    shown = " ".join(line.removeprefix("! ") for line in lines if line.startswith("! "))
    assert shown == said
    many = text(replace(a_view(), alarms=(said, said, said)), 80, 24).splitlines()
    assert [line[-1] for line in many if line.startswith("! ")][1:] == ["…"]


def test_a_recording_shows_what_came() -> None:
    shown = text(replace(a_view(0), command="record"), 80, 24)
    for word in ("trade 700", "depth 300", "gap  BTCUSDT trade disconnect 11:59:50", "to 11:59:51",
                 "btcusdt@aggTrade", "700 messages"):  # fmt: skip
        assert word in shown, word


def test_a_larger_screen_shows_more() -> None:
    small, large = text(a_view(6), 80, 24), text(a_view(6), 140, 40)
    assert "COIN3USDT" not in small
    for word in ("COIN3USDT", "price: 27950.5, wants <= 27900", "seen: book stale", "id_hole 4"):
        assert word in large, word
    assert large.count("█") > 2 * small.count("█")


def test_a_terminal_of_ascii_gets_ascii() -> None:
    shown = text(replace(a_view(4), alarms=("x",)), 80, 24, spark.ASCII)
    assert shown.isascii()
    assert "^ absorption" in shown


def test_before_the_first_event_nothing_is_invented() -> None:
    shown = text(replace(BARE, symbols=(SymbolView("bybit", "BTCUSDT"),)), 80, 24)
    assert "no event yet" in shown
    assert "no price yet" in shown
    assert "decision  none yet" in shown


@given(st.lists(st.floats(-1e9, 1e9), max_size=200), st.integers(1, 90), st.integers(1, 6))
@settings(max_examples=60, deadline=None)
def test_charts_have_their_size(values: list[float], width: int, height: int) -> None:
    for chart in (spark.lines, spark.bars):
        rows, shown = chart(values, width, height)
        assert [len(row) for row in rows] == [width] * height
        assert len(shown) == min(len(values), width)


def test_a_chart_rises_with_its_values() -> None:
    assert spark.lines([0, 1, 2, 3, 4, 5, 6, 7], 8)[0] == ["▁▁▂▃▅▆▇█"]
    assert spark.bars([-4, 0, 2], 5)[0] == ["  █ ▄"]
    assert spark.lines([1, 2], 2, 2)[0] == [" █", "▁█"]
    assert spark.fitted(range(10), 5) == [0.5, 2.5, 4.5, 6.5, 8.5]


def test_the_sign_is_a_colour_and_without_colour_a_height() -> None:
    view = a_view()
    (delta,) = (x for x in draw(view, 80, 24) if x.plain.startswith("delta"))
    assert {"green", "red"} <= {str(s.style) for s in delta.spans}
    (bare,) = (x for x in draw(view, 80, 24, color=False) if x.plain.startswith("delta"))
    assert bare.plain != delta.plain


def test_one_line_says_it_where_there_is_no_terminal() -> None:
    line = plain(replace(a_view(), alarms=("silent: a",)))
    for word in ("running", "1,480 events/s", "1.5/12.2 ms", "synced 1,000", "1 open", "+12.50",
                 "BTCUSDT long 0.5", "! silent: a"):  # fmt: skip
        assert word in line
    assert "net" not in plain(BARE)


def test_spans() -> None:
    assert [span(x) for x in (5, 65, 3_700, 90_000)] == ["5s", "1m05s", "1h01m", "1d01h"]


def test_every_symbol_has_its_turn_and_one_with_a_position_two() -> None:
    flat = replace(a_symbol("B"), positions=())
    view = replace(a_view(), symbols=(a_symbol("A"), flat))
    assert [focus(view, n * FOCUS_S) for n in range(6)] == [0, 0, 1, 0, 0, 1]
    assert focus(BARE, 5) == 0


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


class Gone(Terminal):
    def write(self, text: str) -> int:
        raise BrokenPipeError("gone")


def test_on_a_terminal_it_draws_and_leaves_the_screen() -> None:
    stream = Terminal()
    with Screen(a_view, stream=stream, every_s=0.01):
        deadline = time.monotonic() + 5
        while "absorption" not in stream.getvalue() and time.monotonic() < deadline:
            time.sleep(0.01)
    shown = stream.getvalue()
    assert shown.startswith("\x1b[?1049h")
    assert "\x1b[?1049l" in shown
    assert shown.endswith(plain(a_view()) + "\n")


def test_elsewhere_it_tells_a_line_now_and_then() -> None:
    stream = io.StringIO()
    with Screen(a_view, stream=stream, plain_every_s=0.01):
        deadline = time.monotonic() + 5
        while stream.getvalue().count("\n") < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert set(stream.getvalue().splitlines()) == {plain(a_view())}


def test_a_terminal_that_went_away_ends_the_screen_only() -> None:
    with Screen(a_view, stream=Gone(), every_s=0.01) as screen:
        screen._thread.join(5)
        assert screen.lost


def test_it_can_be_silent() -> None:
    stream = Terminal()
    with Screen(a_view, stream=stream, enabled=False):
        time.sleep(0.02)
    assert stream.getvalue() == ""


def test_a_picture_is_cheap() -> None:
    view = a_view(300)
    draw(view, 140, 40)
    start = time.perf_counter()
    for _ in range(10):
        draw(view, 140, 40)
    assert (time.perf_counter() - start) / 10 < 0.1  # 0.006 on an idle machine
