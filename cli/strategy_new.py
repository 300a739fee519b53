"""``ofs strategy new``: a working strategy file and its test, to start from.

The files and the rules for a name are those of ``engine.runtime.scaffold``.
"""

from __future__ import annotations

from pathlib import Path

import click

from cli import common
from cli.common import App


@common.command(
    "new",
    examples=("ofs strategy new my_idea", "ofs strategy new my_idea --dir lab --json"),
    exits=(),
)
@click.argument("name")
@click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=".",
    show_default=True,
    help="Folder to write into; it is made if missing.",
)
@click.option("--force", is_flag=True, help="Overwrite files that are there.")
def command(app: App, name: str, folder: Path, force: bool) -> int:
    """Write NAME.py, a small strategy that works and explains itself, and test_NAME.py.

    The test folds the replay that comes with ofs: the strategy trades, repeats itself to the last
    digit and does not look ahead. Nothing that is there is overwritten without --force.
    """
    from engine.runtime.scaffold import create
    from strategies import names

    written = create(name, folder, names(), force)
    strategy, test = (path.as_posix() for path in written)
    if app.json:
        app.emit({"schema": 1, "strategy": f"{strategy}:{name}", "files": [strategy, test]})
    else:
        app.print(strategy)
        app.print(test)
    app.say(f"next: ofs backtest --strategy {strategy}:{name}")
    app.say(f"      python -m pytest {test}")
    return 0
