"""Passwords: from the environment or the keyring of the user, and nowhere else.

Owns where they are looked for, and :class:`Secret`, which does not show itself. What must hold: a
password is never an option, never in a file of ours, and no text that is made of a Secret shows it;
only :meth:`Secret.reveal` does, for the one line that sends it to the terminal.

It refuses to know what a password is for.
"""

from __future__ import annotations

import importlib
import os

from data.errors import ConfigError

PASSWORD = "OFS_MT5_PASSWORD"
"""Variable with the password of the account."""
BRIDGE_TOKEN = "OFS_BRIDGE_TOKEN"
"""Variable with the secret that a bridge to a terminal shares with us."""
SERVICE = "ofs-mt5"
"""Name of the service under which a keyring holds the password; the user is the login."""


class Secret:
    """A text that does not show itself."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself."""
        return self._text

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self._text)

    def __repr__(self) -> str:
        """Never the text."""
        return "<secret>" if self._text else "<no secret>"

    __str__ = __repr__

    def __reduce__(self) -> str | tuple[object, ...]:
        """It is not written down either."""
        raise TypeError("a secret is not pickled")


def password_of(login: int) -> Secret:
    """The password of account ``login``: that of :data:`PASSWORD`, else the keyring's; empty where
    there is none, and a terminal that is logged in already needs none."""
    return Secret(os.environ.get(PASSWORD) or _from_keyring(str(login)))


def bridge_token() -> Secret:
    """The bridge's secret; ConfigError where there is none."""
    found = Secret(os.environ.get(BRIDGE_TOKEN) or _from_keyring("bridge"))
    if not found:
        raise ConfigError("the bridge has a secret that is not known here", where=BRIDGE_TOKEN,
                          do=f"set {BRIDGE_TOKEN}, or: keyring set {SERVICE} bridge")  # fmt: skip
    return found


def where_of(login: int) -> str:
    """Where the password of ``login`` was found, in words."""
    if os.environ.get(PASSWORD):
        return f"of {PASSWORD}"
    return "of the keyring" if _from_keyring(str(login)) else ""


def _from_keyring(user: str) -> str:
    try:
        keyring = importlib.import_module("keyring")
        errors = importlib.import_module("keyring.errors")
    except ImportError:
        return ""  # it is optional
    try:
        return str(keyring.get_password(SERVICE, user) or "")
    except errors.KeyringError:
        return ""  # a machine without a keyring, or a locked one: there is no password to be had
