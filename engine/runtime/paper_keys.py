"""How a key of ``paper.toml`` is declared, and how its value is read from TOML and shown again.

Owns :class:`Key`, the kinds of value that there are, and the sentence that says what fits. What
must hold: a value that is read and shown again is the same value; whatever does not fit is a
``ValueError`` with a sentence, never another exception.

It refuses to know which keys there are and what they do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields
from datetime import date
from decimal import Decimal
from typing import Any

from data.errors import UsageError
from data.times import format_utc, parse_utc
from data.units import format_duration, parse_duration, parse_size

_META = "paper"
_LARGEST = (1 << 53) - 1


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a section: its name in the file, its kind, what it is, and what fits it.

    ``low`` and ``high`` are in the unit in which the value is kept (ns, bytes, a plain number).
    """

    name: str
    kind: str
    doc: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()


def key(
    default: Any,
    kind: str,
    doc: str,
    *,
    name: str = "",
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
) -> Any:
    """A field of a section's dataclass; ``name`` is its name in the file where that is another.
    A ``default`` of ``MISSING`` is none: the file must say the key."""
    declared = Key(name, kind, doc, low, high, choices)
    return field(default=default, metadata={_META: declared})


def keys_of(section: type) -> dict[str, tuple[str, Key]]:
    """Keys of a section by their names in the file: (name of the field, key)."""
    found = {}
    for f in fields(section):
        declared: Key = f.metadata[_META]
        name = declared.name or f.name
        found[name] = f.name, declared
    return found


def defaults_of(section: type) -> dict[str, Any]:
    """Default of every field of a section, as it is kept."""
    return {f.name: f.default for f in fields(section) if f.default is not MISSING}


def required_of(section: type) -> tuple[str, ...]:
    """Names in the file of the keys that have no default: the file must say them."""
    known = keys_of(section)
    lacking = {f.name for f in fields(section) if f.default is MISSING}
    return tuple(name for name, (attribute, _) in known.items() if attribute in lacking)


def read_value(k: Key, value: Any) -> Any:
    """What a TOML ``value`` means for ``k``; ValueError with a sentence of what fits."""
    found = _READERS[k.kind](k, value)
    if isinstance(found, int | float) and not isinstance(found, bool):
        if k.low is not None and found < k.low:
            raise ValueError(f"it must be at least {show_value(k, k.low)}")
        if k.high is not None and found > k.high:
            raise ValueError(f"it must be at most {show_value(k, k.high)}")
    return found


def show_value(k: Key, value: Any) -> str:
    """A kept ``value`` as it is written in a file."""
    if k.kind == "duration":
        return f'"{format_duration(int(value))}"'
    if k.kind == "size":
        return f'"{_size_text(int(value))}"'
    if k.kind == "time":
        return f'"{format_utc(int(value))}"'
    if k.kind == "flag":
        return "true" if value else "false"
    if k.kind == "names":
        return "[" + ", ".join(f'"{name}"' for name in value) + "]"
    if k.kind in ("count", "number"):
        return f"{value:g}" if isinstance(value, float) else str(value)
    return f'"{value}"'


def _size_text(size: int) -> str:
    """Bytes in the largest unit that divides them."""
    for unit, count in (("GiB", 1 << 30), ("MiB", 1 << 20), ("GB", 10**9), ("MB", 10**6)):
        if size and size % count == 0:
            return f"{size // count}{unit}"
    return f"{size}B" if size else "0"


def _text(k: Key, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError('write a text, like "word"')
    if k.choices and value not in k.choices:
        raise ValueError(f"it must be one of {', '.join(k.choices)}")
    return value


def _flag(_k: Key, value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("write true or false")
    return value


def _count(_k: Key, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > _LARGEST:
        raise ValueError("write a whole number, without quotes")
    return value


def _number(_k: Key, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        raise ValueError("write a number, without quotes")
    if not Decimal(value).is_finite() or abs(Decimal(value)) > _LARGEST:
        raise ValueError("write a finite number")
    return float(value)


def _unit(parse: Callable[[str], int]) -> Callable[[Key, Any], int]:
    def read(_k: Key, value: Any) -> int:
        zero = type(value) is int and value == 0
        return parse("0" if zero else value if isinstance(value, str) else "")

    return read


def _names(k: Key, value: Any) -> tuple[str, ...]:
    listed: Any = [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or not all(isinstance(x, str) and x.strip() for x in listed):
        raise ValueError('write a list of texts, like ["a", "b"]')
    for name in listed:
        if k.choices and name not in k.choices:
            raise ValueError(f"{name!r} is none of {', '.join(k.choices)}")
    if len(set(listed)) < len(listed):
        raise ValueError("a name is given twice")
    return tuple(listed)


def _time(_k: Key, value: Any) -> int:
    try:
        return parse_utc(value.isoformat() if isinstance(value, date) else str(value))
    except UsageError as error:
        raise ValueError(f"{error.why}; {error.do}") from error


_READERS: dict[str, Callable[[Key, Any], Any]] = {
    "text": _text, "flag": _flag, "count": _count, "number": _number, "names": _names,
    "time": _time, "duration": _unit(parse_duration), "size": _unit(parse_size),
}  # fmt: skip
KINDS = tuple(_READERS)
"""Kinds of value that a key may have."""
