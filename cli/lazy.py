"""A click group that knows its commands by name and imports one only when it is run.

Owns the table name -> (module, one line of help), so that ``--help`` costs no import of any
command, and the answer to a wrong word: the nearest right ones.

It refuses to know what any command does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import click


class LazyGroup(click.Group):
    """A group whose commands live in modules that each export ``command``.

    ``lazy`` maps a command's name to (module, short help); the order of the table is the order of
    the help. ``notes`` are paragraphs printed below the commands as they stand.
    """

    def __init__(
        self,
        *args: Any,
        lazy: Mapping[str, tuple[str, str]],
        notes: Sequence[str] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.lazy = dict(lazy)
        self.notes = tuple(notes)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does; a group named alone shows its help, which is no error."""
        return super().parse_args(ctx, args or ["--help"])

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of the table."""
        return list(self.lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command called ``cmd_name``; None where there is none."""
        if cmd_name not in self.lazy:
            return None
        command: click.Command = import_module(self.lazy[cmd_name][0]).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, but a wrong name is answered with the nearest right ones."""
        name = args[0]
        if name not in self.lazy and not name.startswith("-"):
            import difflib

            near = difflib.get_close_matches(name, self.lazy, n=3, cutoff=0.5)
            known = ", ".join(near or self.lazy)
            hint = f"did you mean {known}?" if near else f"the commands are {known}"
            raise click.UsageError(f"there is no command {name!r}; {hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table's short helps; imports nothing."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self.lazy.items()])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the notes below the commands, line by line as they stand."""
        for note in self.notes:
            formatter.write_paragraph()
            formatter.write(note + "\n")
