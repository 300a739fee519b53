"""The group ``ofs strategy``: which strategies there are, what one can do, and a new one.

Owns the table of its commands and nothing else.
"""

from __future__ import annotations

from cli.lazy import LazyGroup

command = LazyGroup(
    name="strategy",
    help="List strategies, show one, or start a new one.",
    lazy={
        "list": ("cli.strategy_list", "List the strategies that can be run from here."),
        "show": ("cli.strategy_show", "Show what a strategy needs and what can be set."),
        "new": ("cli.strategy_new", "Write a working strategy file and its test."),
    },
)
"""A click group that knows its commands by name and imports one only when it is run."""
