"""The group ``ofs paper``: run a session on paper, and judge it.

Owns the table of its commands, and that ``ofs paper --config FILE`` is ``ofs paper run`` of it.
"""

from __future__ import annotations

import click

from cli.lazy import LazyGroup


class PaperGroup(LazyGroup):
    """A group whose command ``run`` need not be named before its options."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does, with ``run`` put in front of options other than for help."""
        if args and args[0].startswith("-") and args[0] not in ("-h", "--help"):
            args = ["run", *args]
        return super().parse_args(ctx, args)


command = PaperGroup(
    name="paper",
    help="Trade on paper: the backtest's fold, fed by a live recording of its own.",
    lazy={
        "run": ("cli.paper_run", "Run a session (the word run may be left out)."),
        "report": ("cli.paper_report", "Judge a session, gate by gate."),
    },
    notes=(
        "Start with:\n"
        "  ofs paper --config paper.toml --check    what the session would be; finds mistakes\n"
        "  ofs paper --config paper.toml            run it, or go on with it\n"
        "  ofs paper report last                    its verdict\n"
        "'ofs paper run --help' lists the options.",
    ),
)
