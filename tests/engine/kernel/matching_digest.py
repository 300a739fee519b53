"""A digest of what simulated matching does on fixed tapes; run as a module it prints it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from tests.engine.kernel.matching_driver import Sim
from tests.engine.kernel.matching_tapes import MS, Market, play


def chosen(seed: int) -> dict[str, int]:
    """Parameters that go with a seed: every queue model, both accounts, all costs."""
    return {
        "order_latency_ns": (seed % 3) * 5 * MS, "response_latency_ns": (seed % 2) * 50 * MS,
        "queue_model": seed % 4, "queue_power": 1 + seed % 3, "hedging": seed % 2,
        "taker_ppb": 400_000, "maker_ppb": -100_000, "fee_unit": 3, "half_spread": 1, "slippage": 1,
        "margin_ppb": 50_000_000, "stop_out_ppb": 500_000_000, "start_balance": 10**9,
    }  # fmt: skip


def digest(seeds: Iterable[int] = range(16)) -> str:
    """sha256 (hex) over the rows and the state after each tape."""
    h = hashlib.sha256()
    for seed in seeds:
        sim = Sim(**chosen(seed))
        answers = play(Market(seed).tape(120), sim)
        h.update(repr((answers, sim.rows)).encode())
        h.update(sim.state.tobytes())
    return h.hexdigest()


if __name__ == "__main__":
    print(digest())
