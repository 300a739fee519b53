"""``ofs log cat``: events of a range in the order in which the engine sees them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from cli import common
from cli.common import App
from cli.output import write_json_list
from data.errors import UsageError

if TYPE_CHECKING:
    from data.log import LogReader


@common.command(
    "cat",
    examples=(
        "ofs log cat --venue binance-um --symbol BTCUSDT --limit 20",
        "ofs log cat --venue binance-um --symbol BTCUSDT --kinds trade,depth "
        "--from 2024-08-08T23:55 --to 2024-08-09",
        "ofs log cat --venue binance-um --symbol BTCUSDT --jsonl",
    ),
)
@common.series_options
@common.range_options
@click.option("--limit", type=click.IntRange(min=1), help="Stop after N events.")
@click.option("--jsonl", is_flag=True, help="Print one JSON object a line.")
def command(
    app: App,
    venue: str | None,
    symbol: str | None,
    kinds: tuple[str, ...],
    from_ns: int | None,
    to_ns: int | None,
    limit: int | None,
    jsonl: bool,
) -> None:
    """Print the events of one symbol in their total order.

    Without --venue and --symbol the log must hold one symbol only. Prices are scaled, times are
    UTC; `--json` prints one list, `--jsonl` one object a line.
    """
    if app.json and jsonl:
        raise UsageError("--json and --jsonl exclude each other", do="give one of them")
    common.check_range(from_ns, to_ns)
    events: Iterator[dict[str, Any]] = _events(_reader(app, venue, symbol, kinds, from_ns, to_ns))
    events = islice(events, limit)
    if app.json:
        write_json_list(events)
    elif jsonl:
        for event in events:
            app.emit_line(event)
    else:
        from data.show import line

        for event in events:
            app.print(line(event))


def _reader(
    app: App,
    venue: str | None,
    symbol: str | None,
    kinds: tuple[str, ...],
    from_ns: int | None,
    to_ns: int | None,
) -> LogReader:
    store = app.open_log()
    from data import jitcache

    jitcache.activate()
    from data.events import KIND_BY_NAME
    from data.log import LogReader
    from data.series import pick_series
    from data.show import all_columns

    chosen = pick_series(store, venue, symbol)
    there = [s.kind for s in store.series() if (s.venue, s.symbol) == chosen]
    wanted = [KIND_BY_NAME[name] for name in kinds] or there
    return LogReader(store, *chosen, all_columns(wanted), from_ns, to_ns, chunk_rows=4096)


def _events(reader: LogReader) -> Iterator[dict[str, Any]]:
    from data.events import Kind
    from data.show import readable

    for batch in reader:
        at = dict.fromkeys(batch.columns, 0)
        for number, stop in zip(batch.run_kind.tolist(), batch.run_stop.tolist(), strict=True):
            kind = Kind(number)
            yield from readable(kind, batch.columns[kind], reader.scales, at[kind], stop)
            at[kind] = stop
