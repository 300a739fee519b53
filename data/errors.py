"""Errors that a user can act on: what happened, where, why, and what to do.

Owns the exit code of every foreseen failure. Anything that is not an :class:`OfsError` is a bug and
ends with exit code 70. It refuses to know how an error is printed.
"""

from __future__ import annotations

EXIT_OK = 0
EXIT_FINDING = 1
EXIT_USAGE = 2
EXIT_CONFIG = 3
EXIT_DATA = 4
EXIT_NETWORK = 5
EXIT_RISK = 6
EXIT_BUG = 70
EXIT_INTERRUPT = 130


class OfsError(Exception):
    """A foreseen failure.

    ``what`` happened, ``where`` (a file, a key, an option), ``why``, and what to ``do`` about it;
    all plain sentences without a full stop.
    """

    exit_code = EXIT_BUG

    def __init__(self, what: str, *, where: str = "", why: str = "", do: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.why = why
        self.do = do

    def __str__(self) -> str:
        """What happened, then where, why and what to do, a line each."""
        parts = [self.what]
        if self.where:
            parts.append(f"where: {self.where}")
        if self.why:
            parts.append(f"why: {self.why}")
        if self.do:
            parts.append(f"do: {self.do}")
        return "\n  ".join(parts)


class UsageError(OfsError):
    """The command line asks for something that does not exist or does not fit together."""

    exit_code = EXIT_USAGE


class ConfigError(OfsError):
    """A setting or a parameter is unknown or out of range."""

    exit_code = EXIT_CONFIG


class DataError(OfsError):
    """Data are missing, unreadable, or not what they claim to be."""

    exit_code = EXIT_DATA


class CorruptFileError(DataError):
    """A file of the log cannot be read or is not the file that was written."""


class LockedError(DataError):
    """Another process is writing to the log."""


class JournalError(DataError):
    """The journal can no longer promise what it said; the process must end and recover."""


class JournalFullError(DataError):
    """There is no space for more of the journal; what was written stands, and it can go on once
    there is."""


class NetworkError(OfsError):
    """A venue, a broker or a network did not answer as it must."""

    exit_code = EXIT_NETWORK


class RiskHaltError(OfsError):
    """Trading was stopped by a risk rule."""

    exit_code = EXIT_RISK
