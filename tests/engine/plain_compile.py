"""Digests of one handler's fold, compiled by numba's ordinary means; printed as JSON."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext

from engine.runtime import fold
from tests.engine.driving import alone, fold_events
from tests.engine.tapes import fixed

if __name__ == "__main__":
    fold.lean = lambda **_: nullcontext()  # type: ignore[assignment]
    tape = fixed(4, 24)[:400]
    found = fold_events(alone(sys.argv[1]), tape)
    # a lean compile leaves inner functions without machine code of their own
    inner = found.fold.module.sides_trades.signatures
    json.dump({"lean": not inner, "digests": found.digests}, sys.stdout)
