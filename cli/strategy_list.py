"""``ofs strategy list``: the strategies that can be run from this folder.

Files are read, never run: listing a folder must not execute what lies in it.
"""

from __future__ import annotations

from pathlib import Path

import click

from cli import common
from cli.common import App


@common.command(
    "list", examples=("ofs strategy list", "ofs strategy list --dir . --json"), exits=()
)
@click.option(
    "--dir",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=".",
    show_default=True,
    help="Folder whose files are listed too.",
)
def command(app: App, folder: Path) -> int:
    """List the strategies: those that come with ofs, and those in the .py files of a folder.

    What stands in the first column is what --strategy takes.
    """
    from engine.runtime.strategy_find import find_in_file, find_in_folder
    from strategies import files

    rows = [
        {"strategy": name, "doc": found.doc, "source": str(path)}
        for name, path in files().items()
        for found in find_in_file(path)
        if found.attribute == "STRATEGY"
    ]
    rows += [
        {
            "strategy": f"{found.path.as_posix()}:{found.attribute}",
            "doc": found.doc,
            "source": str(found.path.resolve()),
        }
        for found in find_in_folder(folder)
    ]
    if app.json:
        app.emit({"schema": 1, "strategies": rows})
    else:
        app.table(("strategy", "doc"), [(row["strategy"], row["doc"]) for row in rows])
    return 0
