"""What ``ofs fetch`` and ``ofs log fill`` share: where files come from, and with which patience.

Owns the options of a transfer and the terms that they make.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.units import BYTE_RATE, DURATION
from data.errors import UsageError

if TYPE_CHECKING:
    from data.sources.fetch import Terms


def endpoint_options(function: Any) -> Any:
    """Add what ``ofs fetch`` and ``ofs log fill`` share: where from, and with which patience."""
    for option in (
        click.option(
            "--timeout",
            "timeout_ns",
            type=DURATION,
            default="30s",
            show_default=True,
            help="Longest silence of the archive.",
        ),
        click.option(
            "--retries",
            type=click.IntRange(0, 100),
            default=4,
            show_default=True,
            help="Further attempts of a request, longer apart each time.",
        ),
        click.option(
            "--keep",
            type=click.Path(file_okay=False, path_type=Path),
            metavar="DIR",
            help="Keep the files, in the archive's layout. [default: removed after the import]",
        ),
        click.option(
            "--rate", type=BYTE_RATE, help="Limit of all transfers together, e.g. 5MiB/s."
        ),
        click.option(
            "--jobs",
            type=click.IntRange(1, 64),
            default=4,
            show_default=True,
            help="Files at once.",
        ),
        click.option("--endpoint", metavar="URL", help="Archive. [default: the venue's own]"),
    ):
        function = option(function)
    return function


def terms_of(how: dict[str, Any], *, months: bool) -> Terms:
    """The terms that the options of :func:`endpoint_options` give."""
    from data.sources.fetch import Terms

    if not how["timeout_ns"] > 0:
        raise UsageError("the time limit must be positive", where="--timeout", do="e.g. 30s")
    return Terms(
        endpoint=how["endpoint"] or "",
        jobs=how["jobs"],
        bytes_per_s=how["rate"] or 0.0,
        retries=how["retries"],
        timeout_s=how["timeout_ns"] / 1e9,
        keep=how["keep"],
        months=months,
    )
