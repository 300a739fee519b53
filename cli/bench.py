"""The group ``ofs bench``: how fast this machine folds, and how right the detectors are.

Owns the table of its commands, and that ``ofs bench`` without one measures the machine.
"""

from __future__ import annotations

import click

from cli.lazy import LazyGroup

DEFAULT = "machine"


class _Bench(LazyGroup):
    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does; without the name of a command it is :data:`DEFAULT`."""
        asks_help = bool(args) and args[0] in ctx.help_option_names
        if not asks_help and (not args or args[0].startswith("-")):
            args = [DEFAULT, *args]
        return super().parse_args(ctx, args)


command = _Bench(
    name="bench",
    help="Measure this machine, many symbols, or the detectors against planted truth.",
    lazy={
        "machine": ("cli.bench_machine", "Measure this machine: decode, fold and step."),
        "symbols": ("cli.bench_symbols", "Measure many symbols in one process."),
        "detectors": ("cli.bench_detectors", "Measure the detectors against planted truth."),
    },
)
