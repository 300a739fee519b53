"""``ofs query``: ask the log and all runs in SQL.

Owns the forms of an answer: table, JSON, CSV, Parquet. The views and the rules of asking stand in
:mod:`data.query`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli import common
from cli.common import App
from data.errors import EXIT_DATA, EXIT_INTERRUPT, UsageError

if TYPE_CHECKING:
    from data.query import Database
    from data.query_stream import Stream

ROWS_SHOWN = 1_000
"""A table is for reading; JSON, CSV and Parquet give every row."""

_PLAN = ["explain_key", "explain_value"]
"""Columns of what EXPLAIN answers: drawings of several lines, which no table can hold."""


@common.command(
    "query",
    examples=(
        "ofs query --list",
        'ofs query "SELECT symbol, date, count(*) AS trades FROM trades GROUP BY ALL"',
        'ofs query --json "SELECT run, net_pnl FROM runs ORDER BY time DESC LIMIT 1"',
        'ofs query --parquet fills.parquet "SELECT * FROM fills"',
    ),
    exits=(EXIT_DATA, EXIT_INTERRUPT),
)
@click.argument("sql", required=False)
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV with a header.")
@click.option("--parquet", metavar="FILE", help="Write the answer to a Parquet file.")
@click.option("--list", "listing", is_flag=True, help="Show the views, columns and examples.")
def command(app: App, sql: str | None, as_csv: bool, parquet: str | None, listing: bool) -> None:
    """Ask the log and the runs in SQL.

    Views over the log: trades, depth, bars, quotes, gaps, what brokers answered, and more; views
    over all runs: runs, signals, decisions, intents, orders, fills, positions, equity. Prices are
    scaled, time is UTC. One statement that reads is answered; nothing can be written.
    """
    if sum((app.json, as_csv, parquet is not None)) > 1:
        raise UsageError("--json, --csv and --parquet exclude each other", do="give one of them")
    if (sql is None) == (not listing):
        raise UsageError(
            "no question" if sql is None else "--list answers no question",
            do='give SQL, e.g. ofs query "SELECT * FROM runs", or --list alone',
        )
    from data.query import Database

    with Database(app.open_log_if_any(), app.open_runs()) as database:
        for text in database.warnings:
            app.say(f"warning: left out: {text}")
        if sql is None:
            _list(app, database)
        elif parquet is not None:
            _to_parquet(app, database.ask(sql), Path(parquet))
        elif as_csv:
            _to_csv(database.ask(sql))
        elif app.json:
            _to_json(app, database.ask(sql))
        else:
            _to_table(app, database.ask(sql))


def _to_table(app: App, answer: Stream) -> None:
    from cli.rows import rows_of, unique_names

    rows: list[tuple[object, ...]] = []
    cut = False
    for batch in answer:
        rows.extend(rows_of(batch.slice(0, ROWS_SHOWN + 1 - len(rows))))
        if cut := len(rows) > ROWS_SHOWN:
            break
    answer.close()
    names = unique_names(answer.schema)
    if names == _PLAN:
        app.print("\n".join(str(plan) for _, plan in rows))
        return
    app.table(names, rows[:ROWS_SHOWN])
    if cut:
        app.say(f"(the first {ROWS_SHOWN:,} rows; --json, --csv or --parquet FILE give all)")


def _to_json(app: App, answer: Stream) -> None:
    from cli.output import write_json_list
    from cli.rows import rows_of, unique_names

    names = unique_names(answer.schema)
    write_json_list(
        dict(zip(names, row, strict=True)) for batch in answer for row in rows_of(batch)
    )


def _to_csv(answer: Stream) -> None:
    import csv
    import sys

    from cli.output import csv_cell
    from cli.rows import rows_of, unique_names

    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(unique_names(answer.schema))
    for batch in answer:
        writer.writerows([csv_cell(value) for value in row] for row in rows_of(batch))


def _to_parquet(app: App, answer: Stream, file: Path) -> None:
    """Write beside and rename: an interrupt leaves the old file, or none."""
    import pyarrow.parquet as pq

    from cli.rows import unique_names
    from data.busy import replace

    log = Path(app.log).resolve()
    if "://" not in app.log and log in file.resolve().parents:
        answer.close()
        raise UsageError("ofs query does not write into the log", where=str(file))
    schema = answer.schema.remove_metadata()
    names = unique_names(schema)
    beside = file.with_name(f".{file.name}.partial")
    rows = 0
    try:
        with pq.ParquetWriter(beside, schema.empty_table().rename_columns(names).schema) as writer:
            for batch in answer:
                writer.write_batch(batch.rename_columns(names))
                rows += batch.num_rows
        replace(beside, file)
    finally:
        answer.close()
        beside.unlink(missing_ok=True)
    app.say(f"wrote {rows:,} rows to {file}")


def _list(app: App, database: Database) -> None:
    from data.query_examples import EXAMPLES

    views = database.views()
    if app.json:
        app.emit(
            {
                "views": [
                    {
                        "name": view.name,
                        "doc": view.doc,
                        "columns": [
                            {"name": c.name, "type": c.type, "doc": c.doc} for c in view.columns
                        ],
                    }
                    for view in views
                ],
                "examples": [{"question": q, "sql": sql} for q, sql in EXAMPLES],
            }
        )
        return
    for view in views:
        app.print(f"{view.name}: {view.doc}")
        width = max(len(c.name) for c in view.columns)
        for c in view.columns:
            app.print(f"  {c.name.ljust(width)}  {c.type.ljust(12)}  {c.doc}".rstrip())
        app.print()
    app.print("examples:")
    for question, sql in EXAMPLES:
        app.print(f"  -- {question}\n  {sql}\n")
