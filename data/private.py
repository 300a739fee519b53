"""Files and folders that only their user may look into.

Owns the modes of POSIX for that. What must hold: they do not depend on the umask of whoever started
ofs; a file system without modes costs nothing but the privacy that it cannot give. On Windows a
user's folders are private by where they lie.

It refuses to know what is kept private.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

FOLDER = 0o700
FILE = 0o600


def keep_private(path: Path) -> None:
    """Take every right from all but the user, who keeps reading and writing; POSIX only."""
    if os.name == "posix":
        with suppress(OSError):  # it lies where modes cannot be changed (vfat, a share)
            path.chmod(FOLDER if path.is_dir() else FILE)
