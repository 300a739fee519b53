"""How a person writes by which rule the clock of a trade server runs.

Owns the reading of the text alone, so that a configuration, an option and the stand-in of a
terminal take the same ones. What must hold: what one of them takes, all take, and it means the same
offset. It refuses to know when summer time begins: who uses a rule computes that by itself, so that
two of them can be held against each other.
"""

from __future__ import annotations

import re

from data.errors import ConfigError

NEW_YORK = "new-york"
EET = "eet"
WORDS = f"{NEW_YORK}, {EET}, or an offset such as utc+3, utc+5:30 or +03:00"
"""The rules that there are, for help texts and errors."""

_OFFSET = re.compile(r"(?:utc)?(?P<sign>[+-])(?P<hours>\d{1,2})(?::(?P<minutes>[0-5]\d))?")
_HOURS_MOST = 15


def read_rule(text: str) -> str | int:
    """``NEW_YORK`` or ``EET``, else a constant offset from UTC in seconds, of what a person wrote
    in letters of either size; ConfigError where it is none of these."""
    word = text.strip().lower()
    if word in (NEW_YORK, EET):
        return word
    if word == "utc":
        return 0
    found = _OFFSET.fullmatch(word)
    if found is None or int(found["hours"]) > _HOURS_MOST:
        raise ConfigError(
            f"{text!r} is no rule of a server's clock",
            why=f"there are {WORDS}",
            do="name the one that the broker's server keeps",
        )
    seconds = int(found["hours"]) * 3_600 + int(found["minutes"] or 0) * 60
    return -seconds if found["sign"] == "-" else seconds
