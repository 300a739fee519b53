"""How far an event got: five facts that are never mixed up.

It refuses to know who counts them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class States:
    """Sequence number of the last event in each state; each is at most the one before it, but
    for ``sealed`` and ``checkpointed``, which go hand in hand."""

    admitted: int = 0
    """Has its number."""
    written: int = 0
    """Handed to the operating system: survives the process."""
    synced: int = 0
    """Behind an fsync barrier: survives the machine. Only this is called acknowledged."""
    sealed: int = 0
    """In Parquet, with its file's hash in the catalogue."""
    checkpointed: int = 0
    """Covered by a snapshot of the state."""
