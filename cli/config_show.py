"""``ofs config show``: every setting with its value, and where the value came from."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from cli import common
from cli.common import App
from cli.complete import SECTION
from cli.sections import Row
from cli.values import NUMBERS, check, show
from data.errors import UsageError

if TYPE_CHECKING:
    from cli.keys import Key
    from cli.settings import Settings


@common.command(
    "show",
    examples=(
        "ofs config show",
        "ofs config show --origin",
        "ofs config show import set.sim --json",
    ),
    exits=(),
)
@click.argument("sections", nargs=-1, type=SECTION, metavar="[SECTION]...")
@click.option("--origin", is_flag=True, help="Say where each value came from.")
def command(app: App, sections: tuple[str, ...], origin: bool) -> None:
    """Print every setting and its value.

    SECTION chooses, e.g. import, log.gaps, set or log; without one all are shown. With --origin
    each line begins with where the value came from: the flag, the variable of the environment,
    file:line, or default. --json always says it. An empty value is not set.
    """
    rows = [row for row in all_rows(app, sections) if _wanted(row.key, sections)]
    for section in sections:
        if not any(_wanted(row.key, (section,)) for row in rows):
            raise UsageError(
                f"there is no setting or section {section!r}",
                where="SECTION",
                do="see 'ofs config show' for all of them",
            )
    if app.json:
        app.emit([row._asdict() for row in rows])
        return
    table = [(row.key, _text(row.value)) for row in rows]
    if origin:
        places = [row.where or row.origin for row in rows]
        app.table(("origin", "key", "value"), [(p, *t) for p, t in zip(places, table, strict=True)])
    else:
        app.table(("key", "value"), table)


def all_rows(app: App, sections: tuple[str, ...]) -> Iterator[Row]:
    """Every setting; the sections of their own are left out where none of them is asked for."""
    from cli.keys import SECTIONS, all_keys
    from cli.sections import load
    from cli.settings import current

    settings = current()
    for key in all_keys(settings.root):
        yield _shared_row(app, settings, key) if not key.section else _row(settings, key)
    for name in SECTIONS:
        if not sections or any(s.split(".")[0] == name for s in sections):
            yield from load(name).rows(settings)


def _row(settings: Settings, key: Key) -> Row:
    given = settings.find(key)
    if given is not None:
        number = isinstance(key.option.type, NUMBERS)
        value = check(key, given.value) if number else given.value
        return Row(key.dotted, value, given.origin, given.where)
    return Row(key.dotted, default_of(key), "default", "")


def _shared_row(app: App, settings: Settings, key: Key) -> Row:
    """An option of every command, which a flag may have set for this one too."""
    value = {
        "log": app.log,
        "runs": str(app.runs),
        "json": app.json,
        "progress": app.show_progress,
        "color": app.color,
    }[key.name]
    ctx: click.Context | None = click.get_current_context()
    while ctx is not None:
        if ctx.get_parameter_source(key.name) == click.core.ParameterSource.COMMANDLINE:
            return Row(key.dotted, value, "flag", key.flag)
        ctx = ctx.parent
    if key.name == "color" and os.environ.get("NO_COLOR"):
        return Row(key.dotted, value, "environment", "NO_COLOR")
    return _row(settings, key)._replace(value=value)


def default_of(key: Key) -> Any:
    """The default of an option as a file would hold it; None where there is none."""
    with click.Context(click.Command(key.dotted)) as ctx:
        value = key.option.get_default(ctx)
    if value is None or "UNSET" in repr(value) or value == ():
        return None
    return list(value) if isinstance(value, tuple) else value


def _text(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else show(value)


def _wanted(key: str, sections: tuple[str, ...]) -> bool:
    return not sections or any(key == s or key.startswith(f"{s}.") for s in sections)
