"""Values with units on the command line, and the bare numbers that always had a meaning."""

from __future__ import annotations

from typing import Any

import click
import pytest

from cli.units import BYTE_RATE, DURATION, PER_SECOND, RATE, SECONDS, SILENCE, SIZE

S = 10**9


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (DURATION, "1h30m", 5_400 * S),
        (DURATION, "0", 0),
        (SIZE, "2GiB", 2 << 30),
        (RATE, "120/min", 2.0),
        (BYTE_RATE, "5MiB/s", 5.0 * (1 << 20)),
        (SECONDS, "5", 5 * S),
        (SECONDS, " 0.25 ", S // 4),
        (SECONDS, "250ms", S // 4),
        (SILENCE, "1e6", 1_000_000 * S),
        (SILENCE, "2.", 2 * S),
        (PER_SECOND, "18", 18.0),
        (PER_SECOND, "60/min", 1.0),
    ],
)
def test_what_fits(kind: Any, text: str, value: float) -> None:
    assert kind.convert(text, None, None) == value


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        (DURATION, "5", "write a length of time such as 100ms, 5s"),
        (SIZE, "5", "2GiB"),
        (RATE, "5", "20/s"),
        (BYTE_RATE, "5/s", "5MiB/s"),
        (SILENCE, "0", "more than 0"),
        (SILENCE, "0s", "more than 0"),
        (SECONDS, "-1", "no duration"),
        (SECONDS, "1e99", "no duration"),
        (SECONDS, "nan", "no duration"),
        (SECONDS, "", "no duration"),
        (PER_SECOND, "x", "no rate"),
    ],
)
def test_what_does_not(kind: Any, text: str, said: str) -> None:
    with pytest.raises(click.BadParameter, match=said):
        kind.convert(text, None, None)
