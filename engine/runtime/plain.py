"""Records for a fold that runs as plain Python, with numba switched off.

Owns one difference between numpy and compiled code. In compiled code ``c.flags`` or ``v.mean`` is
the field of that name; of a ``numpy.record`` it is the attribute that every numpy scalar has, and
the field is out of reach. :class:`FieldRecord` looks at the fields first, so that the same source
means the same in both. It refuses to know what a field is for.
"""

from __future__ import annotations

from typing import Any

import numpy as np


class FieldRecord(np.record):  # type: ignore[misc]  # the stubs call it final; it is not
    """A ``numpy.record`` whose fields win over the attributes that it inherits."""

    def __getattribute__(self, name: str) -> Any:
        """Field ``name`` (a record where it is one), else the attribute."""
        fields = np.void.__getattribute__(self, "dtype").fields
        if not fields or name not in fields:
            return super().__getattribute__(name)
        found = np.void.__getattribute__(self, "getfield")(*fields[name][:2])
        if found.dtype.names is not None:
            return found.view((FieldRecord, found.dtype))
        return found

    def __setattr__(self, name: str, value: Any) -> None:
        """Set field ``name``; AttributeError where there is none."""
        fields = np.void.__getattribute__(self, "dtype").fields
        if not fields or name not in fields:
            raise AttributeError(f"the record has no field {name!r}")
        np.void.__getattribute__(self, "setfield")(value, *fields[name][:2])


def field_records(array: np.ndarray) -> np.ndarray:
    """``array`` (structured) with elements whose fields are attributes; the memory is shared."""
    return array.view(np.dtype((FieldRecord, array.dtype)))
