"""The journal of a commit: how many renames become one step.

Owns ``_journal.json``. The steps of a commit:

1. every new file, and the new catalogue, is written below ``_staging/ID/`` and synced;
2. the journal, a list of renames, is written there, synced, and renamed to its place: this rename
   is the commit point (:func:`publish`);
3. the files are renamed over the old ones, replaced files are removed, folders are synced;
4. the journal and the staging folder are removed.

A process that dies before step 2 is done leaves the log as it was, and garbage in the staging
folder that the next writer discards. One that dies later leaves a journal, and whoever opens the
log next does steps 3 and 4 again (:func:`roll_forward`); each of them can be done twice.

It refuses to know what the files hold.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from data.log.files import damaged
from data.log.storage import Storage

JOURNAL = "_journal.json"
STAGING = "_staging"
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Journal:
    """``moves`` are (staged path, path in the log), ``removes`` paths of the log that go."""

    staging: str
    moves: Sequence[tuple[str, str]]
    removes: Sequence[str]


def publish(storage: Storage, journal: Journal) -> None:
    """Write the journal: before this returns the log is as it was, after it the change is made."""
    storage.sync_dir(journal.staging)
    facts = {
        "version": _VERSION,
        "staging": journal.staging,
        "moves": list(journal.moves),
        "removes": list(journal.removes),
    }
    beside = f"{journal.staging}/journal"
    storage.write_bytes(beside, json.dumps(facts).encode())
    storage.move(beside, JOURNAL)
    storage.sync_dir("")


def pending(storage: Storage) -> bool:
    """True when a commit is under way, or was when its writer died."""
    return storage.fact(JOURNAL) is not None


def roll_forward(storage: Storage) -> bool:
    """Finish a committed change; False where there is none. The caller holds the lock.

    CorruptFileError where the journal cannot be read or a file that it names is nowhere.
    """
    if not pending(storage):
        return False
    journal = _load(storage)
    for staged, path in journal.moves:
        if storage.fact(staged) is not None:
            storage.make_dir(path.rpartition("/")[0])
            storage.move(staged, path)
        elif storage.fact(path) is None:
            raise damaged(storage.name(path), f"{JOURNAL} names it, and it is in neither place")
    for path in journal.removes:
        storage.remove(path)
    touched = [path for _, path in journal.moves] + list(journal.removes)
    for folder in sorted({path.rpartition("/")[0] for path in touched}):
        if storage.folder_exists(folder):  # not where it was empty, and its writer died after that
            storage.sync_dir(folder)
    for folder in sorted({path.rpartition("/")[0] for path in journal.removes}):
        storage.remove_empty(folder)
    storage.remove(JOURNAL)
    storage.sync_dir("")
    discard_garbage(storage)
    return True


def discard_garbage(storage: Storage) -> None:
    """Remove what writers that died before their commit left behind. The caller holds the lock."""
    storage.remove_tree(STAGING)


def _load(storage: Storage) -> Journal:
    try:
        facts = json.loads(storage.read_bytes(JOURNAL))
        if facts["version"] != _VERSION:
            raise ValueError(f"version {facts['version']}")
        moves = [(str(staged), str(path)) for staged, path in facts["moves"]]
        return Journal(str(facts["staging"]), moves, [str(p) for p in facts["removes"]])
    except (ValueError, KeyError, TypeError) as error:
        why = f"it is no journal of this version of ofs ({error})"
        raise damaged(storage.name(JOURNAL), why) from error
