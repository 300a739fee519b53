"""What every test may rely on: an interrupt is not ignored, processes speak UTF-8.

A shell that starts pytest in the background tells it to ignore SIGINT, and every process that a
test starts would inherit that; tests that interrupt a command would then wait for ever.
"""

from __future__ import annotations

import os
import signal

if os.name == "nt":
    # Otherwise what a process prints to a pipe is in the code page of the machine.
    os.environ.setdefault("PYTHONUTF8", "1")

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
