"""The group ``ofs plan``: is a file of plans right, and what does a plan say at a moment.

Owns the table of its commands and nothing else.
"""

from __future__ import annotations

from cli.lazy import LazyGroup

command = LazyGroup(
    name="plan",
    help="Check a file of plans, or explain what a plan said.",
    lazy={
        "check": ("cli.plan_check", "Look for every mistake in a file of plans."),
        "explain": ("cli.plan_explain", "Show a plan's conditions, values and verdicts."),
    },
)
"""A click group that knows its commands by name and imports one only when it is run."""
