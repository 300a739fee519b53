"""The journal: what was recorded since the last seal, on disk within milliseconds.

``frames`` has the bytes of a frame, ``segment`` the walk over a file of frames and what a bad one
means, ``recover`` what a folder of segments holds, ``writer`` the one writer with its sync thread,
``files`` everything done to a disk, ``lock`` who the writer is, ``states`` how far an event got.
"""

from data.journal.frames import Events, Records
from data.journal.recover import Recovered, check, look, read_frames
from data.journal.states import States
from data.journal.writer import Journal

__all__ = ["Events", "Journal", "Records", "Recovered", "States", "check", "look", "read_frames"]
