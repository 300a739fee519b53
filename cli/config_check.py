"""``ofs config check``: every mistake in the settings, with its file and line."""

from __future__ import annotations

import click

from cli import common
from cli.common import App
from data.errors import EXIT_CONFIG, ConfigError


@common.command(
    "check",
    examples=("ofs config check", "ofs config check ofs.toml --json"),
    exits=(EXIT_CONFIG,),
    tolerant=True,
)
@click.argument("file", required=False, type=click.Path(), metavar="[FILE]")
def command(app: App, file: str | None) -> int:
    """Look for every mistake in the settings.

    With FILE, that file alone; else all files and variables that a command would read here:
    unknown sections and keys, values that do not fit, parameters of the fold. Variables that begin
    with OFS_ and mean nothing are warned of. Ends with 3 when something is wrong.
    """
    from cli.settings import config_flag, root_of
    from cli.settings_audit import audit

    ctx = click.get_current_context()
    found = audit(root_of(ctx), config_flag(ctx), only=file or "")
    if app.json:
        app.emit(
            {
                "schema": 1,
                "ok": not found.mistakes,
                "files": found.files,
                "mistakes": [_facts(mistake) for mistake in found.mistakes],
                "warnings": found.warnings,
            }
        )
    else:
        for mistake in found.mistakes:
            app.print(f"error: {mistake}")
        for warning in found.warnings:
            app.print(f"warning: {warning}")
        if not found.mistakes:
            app.print(f"ok: {', '.join(found.files) or _none()}")
    return EXIT_CONFIG if found.mistakes else 0


def _none() -> str:
    from cli.settings import places

    looked = " and ".join(str(path) for path in places())
    return f"there is no file of settings; looked for {looked}"


def _facts(mistake: ConfigError) -> dict[str, str]:
    return {
        "what": mistake.what,
        "where": mistake.where,
        "why": mistake.why,
        "do": mistake.do,
    }
