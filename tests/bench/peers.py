"""`python -m tests.bench.peers`: the same job on ofs and on its peers, ratios from one run.

Owns the order of things: environments, tape, oracle, one process a measurement, the table. Must
hold: nothing runs beside a measurement, every answer is held against the oracle, and a peer that
cannot be had or disagrees is said so by name. No test collects this: it is a measurement.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs

from tests.bench.job import agreement, reference_job
from tests.bench.measure import machine
from tests.bench.table import print_table, ratios
from tests.bench.tape import Tape, ensure_prefix, ensure_tape
from tests.bench.venvs import Environment, UnavailableError, ensure

REPOSITORY = Path(__file__).resolve().parents[2]
HFTBACKTEST = Environment("hftbacktest", ("hftbacktest==2.4.4",), (3, 11), (3, 13))
NAUTILUS_1 = Environment("nautilus-1", ("nautilus_trader==1.221.0",), (3, 11), (3, 13))
NAUTILUS_2 = Environment("nautilus-2", ("nautilus_trader==2.0.0rc7", "numpy>=2"), (3, 13), (3, 14))


@dataclass(frozen=True)
class Peer:
    """One measured line: a module run as a process, in an environment (None: the one of ofs)."""

    key: str
    module: str
    variant: str | None
    environment: Environment | None
    slow: bool = False
    prepare: str | None = None  # variant that is run once, unmeasured, before


PEERS = (
    Peer("ofs", "tests.bench.peer_ofs", "bare", None),
    Peer("ofs-all", "tests.bench.peer_ofs", "all", None),
    Peer("hft-hashmap", "tests.bench.peer_hftbacktest", "hashmap", HFTBACKTEST, prepare="convert"),
    Peer("hft-roivec", "tests.bench.peer_hftbacktest", "roivec", HFTBACKTEST, prepare="convert"),
    Peer("nautilus-1", "tests.bench.peer_nautilus", None, NAUTILUS_1, slow=True),
    Peer("nautilus-2", "tests.bench.peer_nautilus", None, NAUTILUS_2, slow=True),
)


def talk(text: str) -> None:
    """Progress goes to stderr; stdout is the table."""
    print(text, file=sys.stderr, flush=True)


def start(python: Path, peer: Peer, variant: str | None, tape: Path, core: int | None) -> dict:
    """Run one process of a peer and return the object that it printed.

    Raises:
        UnavailableError: it failed; the text is the last line of its stderr.
    """
    command = [str(python), "-m", peer.module, "--tape", str(tape)]
    if variant is not None:
        command += ["--variant", variant]
    if core is not None:
        command += ["--core", str(core)]
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=REPOSITORY,
        env=environment,
        check=False,
    )
    lines = done.stdout.strip().splitlines()
    if done.returncode != 0 or not lines:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise UnavailableError(said[-1])
    return json.loads(lines[-1])


def middle(results: list[dict[str, Any]]) -> dict[str, Any]:
    """The run with the median rate of several, with all rates and all disagreements beside it."""
    ordered = sorted(results, key=lambda r: r["trades_per_cpu_s"])
    chosen = ordered[(len(ordered) - 1) // 2]
    rates = [r["trades_per_cpu_s"] for r in results]
    said = sorted({text for r in results for text in r["disagrees"]})
    median = round(statistics.median(rates))
    return {**chosen, "rates": rates, "median_rate": median, "disagrees": said}


@dataclass(frozen=True)
class Tapes:
    """The long tape and its short prefix, with what the oracle says of each."""

    folders: dict[bool, Path]
    oracles: dict[bool, dict[str, Any]]
    tape: Tape


def make_tapes(workdir: Path, trades: int, slow_trades: int, seed: int) -> Tapes:
    """Tapes below `workdir`; the key of the dictionaries is `Peer.slow`."""
    talk(f"tape of {trades:,} trades, seed {seed}")
    folder, tape = ensure_tape(workdir / "tapes", trades, seed)
    short_folder, short = ensure_prefix(folder, tape, slow_trades)
    oracles = {False: reference_job(tape), True: reference_job(short)}
    return Tapes({False: folder, True: short_folder}, oracles, tape)


def prepare(peers: list[Peer], workdir: Path, tapes: Tapes) -> tuple[dict[str, Path], list[dict]]:
    """Environments and conversions; returns interpreters by key and what cannot be had."""
    pythons: dict[str, Path] = {}
    missing = []
    for peer in peers:
        try:
            python = Path(sys.executable)
            if peer.environment is not None:
                python = ensure(peer.environment, workdir / "venvs")
            if peer.prepare is not None:
                start(python, peer, peer.prepare, tapes.folders[peer.slow], None)
            pythons[peer.key] = python
        except UnavailableError as error:
            missing.append({"key": peer.key, "why": str(error)})
    return pythons, missing


def measure(
    peers: list[Peer], pythons: dict[str, Path], tapes: Tapes, rounds: int, core: int | None
) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """Rounds over all peers, interleaved so that a slow minute of the machine hits them alike."""
    results: dict[str, list[dict[str, Any]]] = {}
    failed: dict[str, str] = {}
    for number in range(rounds):
        for peer in (p for p in peers if p.key in pythons and p.key not in failed):
            talk(f"round {number + 1} of {rounds}: {peer.key}")
            try:
                got = start(pythons[peer.key], peer, peer.variant, tapes.folders[peer.slow], core)
            except UnavailableError as error:
                failed[peer.key] = str(error)
                continue
            got["key"] = peer.key
            got["disagrees"] = agreement(tapes.oracles[peer.slow], got)
            results.setdefault(peer.key, []).append(got)
    rows = [middle(results[p.key]) for p in peers if p.key in results and p.key not in failed]
    return rows, [{"key": key, "why": why} for key, why in failed.items()]


def last_core() -> int | None:
    """The highest core this process may use; None where the system does not say."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    return max(os.sched_getaffinity(0))


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.peers", description=__doc__)
    parser.add_argument("--trades", type=int, default=4_000_000, help="tape of the fast engines")
    parser.add_argument("--slow-trades", type=int, default=300_000, help="its prefix for Nautilus")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--rounds", type=int, default=3, help="the median of these counts")
    parser.add_argument("--core", type=int, default=last_core())
    parser.add_argument("--only", nargs="+", choices=[p.key for p in PEERS], metavar="KEY")
    parser.add_argument("--json", action="store_true")
    cache = Path(platformdirs.user_cache_dir("ofs")) / "bench"
    parser.add_argument("--workdir", type=Path, default=cache, help=f"default {cache}")
    return parser.parse_args()


def main() -> int:
    """Run it all; 0, or 1 when a peer's answer differs from the oracle's."""
    o = options()
    workdir = o.workdir.resolve()
    chosen = [p for p in PEERS if not o.only or p.key in o.only]
    tapes = make_tapes(workdir, o.trades, o.slow_trades, o.seed)
    pythons, missing = prepare(chosen, workdir, tapes)
    rows, failed = measure(chosen, pythons, tapes, o.rounds, o.core)
    oracle = {k: v for k, v in tapes.oracles[False].items() if k != "order_log"}
    facts = {
        "machine": machine(),
        "tape": {"seed": o.seed, "sha256": tapes.tape.sha256(), **oracle},
        "rows": rows,
        "unavailable": missing + failed,
        "ratios": ratios(rows),
    }
    if o.json:
        print(json.dumps(facts, indent=1))
    else:
        print_table(facts)
    return 1 if any(row["disagrees"] for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
