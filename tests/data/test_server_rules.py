"""Texts by which the clock of a trade server is named."""

from __future__ import annotations

import pytest

from data.errors import ConfigError
from data.server_rules import read_rule


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("new-york", "new-york"), ("eet", "eet"), (" EET ", "eet"), ("utc", 0), ("utc+3", 10_800),
        ("UTC+3", 10_800), ("+03:00", 10_800), ("+3", 10_800), ("utc+5:30", 19_800),
        ("utc+03:00", 10_800), ("utc-5", -18_000), ("-00:30", -1_800),
    ],
)  # fmt: skip
def test_what_is_read(text: str, rule: str | int) -> None:
    assert read_rule(text) == rule


@pytest.mark.parametrize(
    "text", ["", "est", "gmt", "utc+", "utc+3:75", "utc3", "new york", "+16:00", "Europe/Athens"]
)
def test_what_is_not(text: str) -> None:
    with pytest.raises(ConfigError, match="is no rule of a server's clock"):
        read_rule(text)
