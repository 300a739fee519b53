"""How a table of the log or of a run is described: columns, units, widths.

Owns :class:`Field` and :class:`Table`. Every physical form (numpy, Arrow, SQL) is derived from them
in ``data.events``. It refuses to know which tables there are.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Field:
    """One column: its name, its unit, its width and what it means.

    ``unit`` is one of ns, price, qty, money, fp9, id, count, flag, bits, an ``enum:NAME`` of
    :data:`ENUMS`, or price[] and qty[] for lists of levels. ``since`` is the first
    :data:`RECORD_VERSION` that has it.
    """

    name: str
    unit: str
    doc: str
    dtype: str = "i8"
    since: int = 1

    @property
    def is_list(self) -> bool:
        """True for a list of levels (one list a row)."""
        return self.unit.endswith("[]")


@dataclass(frozen=True, slots=True)
class Table:
    """A kind of event, or a kind of record that a run writes.

    ``since`` is the first :data:`RECORD_VERSION` whose runs have it.
    """

    name: str
    view: str
    doc: str
    fields: tuple[Field, ...]
    since: int = 1

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in storage order."""
        return tuple(f.name for f in self.fields)

    def field(self, name: str) -> Field:
        """The column called ``name``; KeyError where there is none."""
        for f in self.fields:
            if f.name == name:
                return f
        raise KeyError(f"{self.name} has no column {name!r}; it has {', '.join(self.names)}")
