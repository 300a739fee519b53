"""The group ``ofs log``: what the log holds, whether it is whole, and how it is kept.

Owns the table of its commands and nothing else.
"""

from __future__ import annotations

from cli.lazy import LazyGroup

command = LazyGroup(
    name="log",
    help="Look into the event log and keep it in order.",
    lazy={
        "ls": ("cli.log_ls", "List what the log holds."),
        "check": ("cli.log_check", "Look for damage, holes and impossible values."),
        "gaps": ("cli.log_gaps", "List the holes, by id and by time."),
        "fill": ("cli.log_fill", "Fetch what the holes lack from the public archive."),
        "cat": ("cli.log_cat", "Print events in their total order."),
        "sides": ("cli.log_sides", "Hide the exchange's side and see which rule finds it."),
        "compact": ("cli.log_compact", "Make one file of the several that a day has."),
        "prune": ("cli.log_prune", "Remove old days, by age or by bytes."),
    },
)
