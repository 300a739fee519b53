"""Where the simulated terminal is: an address, or a file that names it, or the environment.

Owns how ``initialize(path)`` is read. The real module takes the path of a terminal's program; this
one takes, in the same place, ``host:port`` or the path of a file that holds the line which
``ofs sandbox`` prints; without a path the environment's ``OFS_SANDBOX`` says either. It must hold
that whatever leads nowhere fails as a real terminal that is not there does.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from engine.broker.terminal.wire import Link, SocketLink

ENVIRONMENT = "OFS_SANDBOX"
_ADDRESS = re.compile(r"[\w.\-]+:\d{1,5}")


class NoTerminalError(Exception):
    """No terminal there; the words are those of last_error -10003."""

    def __init__(self, detail: str) -> None:
        super().__init__(f"IPC initialize failed, {detail}")


def sandbox_address(path: str | None) -> str:
    """``host:port`` of the sandbox that ``path`` (or ``OFS_SANDBOX``) names.

    Raises NoTerminalError where nothing is named, or the file is not there or names none.
    """
    named = path or os.environ.get(ENVIRONMENT, "")
    if not named:
        raise NoTerminalError("MetaTrader 5 x64 not found")
    if _ADDRESS.fullmatch(named):
        return named
    try:
        line = Path(named).read_text(encoding="utf-8").partition("\n")[0]
        address = json.loads(line)["terminal"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NoTerminalError(f"Process create failed '{named}'") from error
    if not isinstance(address, str) or not _ADDRESS.fullmatch(address):
        raise NoTerminalError(f"Process create failed '{named}'")
    return address


def connect_sandbox(path: str | None) -> Link:
    """A link to the sandbox that ``path`` names; NoTerminalError where it does not answer."""
    address = sandbox_address(path)
    try:
        return SocketLink(address)
    except (OSError, OverflowError) as error:  # nobody listens; no port has that number
        number = getattr(error, "errno", None) or 2
        raise NoTerminalError(f"CreateFile failed [{number}]") from error
