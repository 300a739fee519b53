"""A handler by itself is what it is in company, and its ``needs`` name all that it needs.

The suite over every handler folds them in groups, one compile a group. Here each is folded alone,
as plain Python in one process of its own, and its state is compared with the compiled group's.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from engine.kernel.registry import HANDLERS
from tests.engine.alone_states import SHORT, state_hash, tape
from tests.engine.driving import fold_events, probe

ROOT = Path(__file__).parents[3]
OF_COMPANY = {"metrics"}
"""What gathers the numbers of all others knows more in company; it has an oracle."""


def test_every_handler_alone_is_the_handler_in_its_group() -> None:
    env = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.engine.alone_states"],
        cwd=ROOT, env=env, capture_output=True, encoding="utf-8", check=True,
    )  # fmt: skip
    alone = json.loads(done.stdout)
    assert set(alone) == set(HANDLERS)
    events = tape()
    for name in sorted(set(HANDLERS) - OF_COMPANY):
        together = fold_events(probe(name), events, SHORT).fold.state[name][0]
        assert state_hash(together) == alone[name], name
