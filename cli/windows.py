"""What a command line on Windows leaves to the program: wildcards, and a pipe whose reader left.

Owns the two differences. PowerShell and cmd hand ``*.zip`` on as it stands, where a Unix shell
gives the names of the files; and writing to a pipe that nobody reads any more says "invalid
argument" there. It refuses to know any command.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from glob import glob, has_magic


def expanded(words: Iterable[str]) -> list[str]:
    """``words`` with every pattern that matches files replaced by their names, sorted.

    An option, and a word that matches nothing (an SQL question has stars too), stay as they are.
    """
    out: list[str] = []
    for word in words:
        pattern = has_magic(word) and not word.startswith("-")
        # Path.glob would not take C:\\data\\*.zip
        out += (sorted(glob(word)) if pattern else []) or [word]  # noqa: PTH207
    return out


def reader_left(error: BaseException, system: str = os.name) -> bool:
    """Whether ``error`` only says that nobody reads our output any more (``| head``)."""
    if isinstance(error, BrokenPipeError):
        return True
    if system != "nt" or not isinstance(error, OSError):
        return False
    return error.errno == errno.EINVAL and error.filename is None
