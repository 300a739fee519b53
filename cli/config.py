"""The group ``ofs config``: what is set, where it came from, and whether it is right.

Owns the table of its commands and nothing else.
"""

from __future__ import annotations

from cli.lazy import LazyGroup

command = LazyGroup(
    name="config",
    help="Show and check the settings.",
    lazy={
        "show": ("cli.config_show", "Print every setting, its value and where it came from."),
        "schema": ("cli.config_schema", "Print the JSON Schema of the file of settings."),
        "check": ("cli.config_check", "Look for every mistake in the settings."),
    },
    notes=(
        "A setting is an option that a flag can override: 'ofs fetch --venue' is venue in\n"
        "[fetch] of a TOML file and OFS_FETCH_VENUE in the environment. The highest counts:\n"
        "  1  the flag, after the command or (of all commands) before it\n"
        "  2  the variable OFS_...\n"
        "  3  ./ofs.toml, or the file that --config or OFS_CONFIG names\n"
        "  4  the user's file, e.g. ~/.config/ofs/ofs.toml\n"
        "  5  the default\n"
        "A relative path in a file is relative to the folder of that file.",
    ),
)
