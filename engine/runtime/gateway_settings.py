"""The settings of a gateway, what it counts, and what its parts share.

Owns :class:`GatewaySeries`, :class:`GatewaySettings`, :class:`Counts` and :class:`Desk`. It refuses
to know what is done with them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from data.events import Scales
from engine.broker.protocol import PositionFact
from engine.runtime.gateway_state import Ledger
from engine.runtime.reconcile import Names

SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class GatewaySeries:
    """An instrument: ``number`` of the fold (its flow series), ``execution`` the number of the
    series under which BROKER rows stand, ``symbol`` the broker's name, ``scales`` of both series,
    ``slippage`` the most price units by which an entry may be worse than the touch that its intent
    knew (also the deviation that the broker is told); 0: no bound. ``slippage_bp`` says the same
    in bp of that touch, where ``slippage`` is 0: a session may begin before there is a price."""

    number: int
    execution: int
    symbol: str
    scales: Scales
    slippage: int = 0
    slippage_bp: float = 0.0

    def most(self, touch: int) -> int:
        """The most price units by which an entry may be worse than ``touch``, at least 1; 0: no
        bound, or no touch was known."""
        if self.slippage or not self.slippage_bp or touch <= 0:
            return self.slippage
        return max(1, round(touch * self.slippage_bp / 1e4))


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """How patient a gateway is; times in ns of the session.

    ``settle_ns``: what was not found in at least ``looks`` looks over so long, with a connected
    terminal, did not happen. ``entry_age_ns``: an entry that could not be sent for so long is
    dropped; what passed before it got here counts where it was ``late_ns`` or more (a disk was
    full, or stood). ``retries`` of an entry and ``exit_retries`` of a closing order bound how often
    a broker that said *not executed* is asked again. ``poll_ns`` between looks while nothing is
    under way, ``quick_ns`` (doubling up to that) while something is. ``overlap_ns``: how far back
    each look goes. ``close_unknown``: positions in these symbols that this session did not open are
    closed; else they are never touched.
    """

    settle_ns: int = 10 * SECOND
    looks: int = 3
    entry_age_ns: int = 3 * SECOND
    late_ns: int = SECOND
    retries: int = 3
    exit_retries: int = 10
    pause_ns: int = SECOND // 5
    refused_pause_ns: int = SECOND
    poll_ns: int = SECOND // 2
    quick_ns: int = SECOND // 20
    overlap_ns: int = 600 * SECOND
    lag_ns: int = 2 * SECOND
    halt_ns: int = 5 * SECOND
    close_unknown: bool = False


@dataclass(slots=True)
class Counts:
    """Of this process: ``sent`` orders given to the broker, ``resent`` after it said that they were
    not executed, ``unknown`` outcomes, of which ``found`` and ``unsent``; ``refused`` by the
    broker, ``dropped`` as too old or too far; ``moves`` sent, ``spared`` because they stood."""

    sent: int = 0
    resent: int = 0
    unknown: int = 0
    found: int = 0
    unsent: int = 0
    refused: int = 0
    dropped: int = 0
    moves: int = 0
    spared: int = 0
    strays: int = 0
    links_lost: int = 0
    halts: int = 0
    late_answers: int = 0


@dataclass
class Desk:
    """What all parts of a gateway share: ``positions`` are the broker's by identifier, as of the
    last look; ``alarm`` takes words for people."""

    names: Names
    settings: GatewaySettings
    ledger: Ledger
    alarm: Callable[[str], None]
    counts: Counts = field(default_factory=Counts)
    positions: dict[int, PositionFact] = field(default_factory=dict)
