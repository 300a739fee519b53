"""How facts are printed: JSON that says everything, tables that line up, quiet progress."""

from __future__ import annotations

import io
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cli import output, progress


def test_json_says_what_json_can_say() -> None:
    value = {
        "nan": float("nan"),
        "inf": float("inf"),
        "int": np.int64(2**62),
        "array": np.arange(3),
        "time": datetime(2024, 8, 8, 23, 54, 15, 123456, tzinfo=UTC),
        "naive": datetime(2024, 8, 8),  # noqa: DTZ001
        "day": date(2024, 8, 8),
        "path": Path("a"),
        "decimal": Decimal("1.5"),
        "bytes": b"\x01",
        1: (True, None),
    }
    assert json.loads(output.to_json(value)) == {
        "nan": None,
        "inf": None,
        "int": 2**62,
        "array": [0, 1, 2],
        "time": "2024-08-08T23:54:15.123456Z",
        "naive": "2024-08-08T00:00:00.000Z",
        "day": "2024-08-08",
        "path": "a",
        "decimal": 1.5,
        "bytes": "01",
        "1": [True, None],
    }


@pytest.mark.parametrize("values", [[], [1], [{"a": 1}, {"a": None}]])
def test_a_list_that_is_streamed_is_one_json_value(values: list[Any], capsys: Any) -> None:
    output.write_json_list(iter(values))
    assert json.loads(capsys.readouterr().out) == values


def test_plain_tables_line_up(capsys: Any) -> None:
    output.write_table(["name", "n"], [["a", 1], ["bbb", None], ["c", 12.5]], color=False)
    assert capsys.readouterr().out == "name     n\na        1\nbbb\nc     12.5\n"


def test_an_empty_table_has_its_head(capsys: Any) -> None:
    output.write_table(["a", "b"], [], color=False)
    assert capsys.readouterr().out == "a  b\n"


class Terminal(io.StringIO):
    """A text stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def shown(clock: list[float], stream: io.StringIO, monkeypatch: Any, **kwargs: Any) -> Any:
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    return progress.Progress("fold", stream=stream, **kwargs)


def test_a_terminal_gets_one_line_ten_times_a_second(monkeypatch: Any) -> None:
    clock, stream = [100.0], Terminal()
    line = shown(clock, stream, monkeypatch, from_ns=10**18, to_ns=10**18 + 100 * 10**9)
    for step in range(100):
        clock[0] = 100.0 + step / 100
        line.update(step * 1000, 10**18 + step * 10**9)
    line.close()
    line.close()
    text = stream.getvalue()
    assert text.count("\rfold: ") == 10
    assert "\n" not in text and text.endswith("\r")
    assert "fold: 50,000 events  100.0 k events/s  at 2001-09-09T01:47:30Z  50%, 0 s left" in text


def test_elsewhere_a_line_every_few_seconds(monkeypatch: Any) -> None:
    clock, stream = [0.0], io.StringIO()
    line = shown(clock, stream, monkeypatch, total=2_000_000)
    for step in range(120):
        clock[0] = step / 10
        line.update(step * 10_000)
    line.close()
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2
    assert lines[0] == "fold: 500,000 events  100.0 k events/s  25%, 15 s left"


def test_no_progress_says_nothing(monkeypatch: Any) -> None:
    stream = Terminal()
    line = shown([0.0], stream, monkeypatch, enabled=False)
    line.update(5)
    line.close()
    assert stream.getvalue() == ""


def test_talk_stands_above_the_line(monkeypatch: Any) -> None:
    clock, stream = [0.0], Terminal()
    line = shown(clock, stream, monkeypatch)
    line.update(1)
    line.say("found 3 files")
    assert stream.getvalue().endswith("\rfound 3 files\n")


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (61, "1 min 01 s"), (3725, "1 h 02 min")]
)
def test_time_left_reads_well(seconds: float, text: str) -> None:
    assert progress._clock(seconds) == text
